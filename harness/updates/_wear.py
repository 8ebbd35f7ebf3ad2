"""Wear: how often each sector was erased, and how much was written to it, by what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from ..boards import Board
from ..emulator import Operation, OperationKind
from ..mcuboot import FlashArea

__all__ = ["Wear", "sector_name"]

_OUTSIDE: Final = "no partition"
T = TypeVar("T")


def sector_name(board: Board, address: int) -> str:
    """A sector in words: ``sector 3 of app_primary (0x0000f000)``."""
    name, number = _OUTSIDE, 0
    for candidate in board.flash.partitions:
        area = board.partition(candidate)
        if area.address <= address < area.end:
            name, number = candidate, (address - area.address) // board.flash.sector_size
    where = f"sector {number} of {name}" if name != _OUTSIDE else f"a sector in {_OUTSIDE}"
    return f"{where} ({address:#010x})"


@dataclass(frozen=True, slots=True)
class Wear:
    """Erases, bytes written, and who did it last, by sector address."""

    erases: Mapping[int, int]
    written: Mapping[int, int]
    by: Mapping[int, str]

    @classmethod
    def count(cls, board: Board, operations: Iterable[Operation]) -> Wear:
        """Count what was done to flash; see `harness.devices.Device.recording`."""
        size = board.flash.sector_size
        boot = board.partition(board.mcuboot.partition)
        erases: Counter[int] = Counter()
        written: Counter[int] = Counter()
        by: dict[int, str] = {}
        for operation in operations:
            sector = operation.address // size * size
            if operation.kind is OperationKind.WRITE:
                written[sector] += operation.size
            else:
                erases.update(range(sector, operation.address + operation.size, size))
            by[sector] = "the boot loader" if boot.address <= operation.pc < boot.end else "the application"
        return cls(dict(erases), dict(written), by)

    def within(self, *areas: FlashArea) -> Wear:
        """What happened in these areas only."""

        def kept(counts: Mapping[int, T]) -> dict[int, T]:
            inside = (at for at in counts if any(area.address <= at < area.end for area in areas))
            return {at: counts[at] for at in inside}

        return Wear(kept(self.erases), kept(self.written), kept(self.by))
