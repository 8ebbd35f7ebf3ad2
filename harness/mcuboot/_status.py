"""How far a swap has come: the status area of a trailer.

Source: ``swap_read_status_bytes`` in bootutil's ``swap_scratch.c``, ``swap_move.c`` and
``swap_offset.c`` (MCUboot 2.4.0). Only whether the first byte of an entry is erased counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ._modes import SwapMode

_SCRATCH_STEPS: Final = ("secondary to scratch", "primary to secondary", "scratch to primary")
_MOVE_STEPS: Final = ("secondary to primary", "moved-up primary to secondary")
_OFFSET_STEPS: Final = ("primary to secondary", "secondary to primary")


@dataclass(frozen=True, slots=True)
class SwapStep:
    """The step a boot loader resumes with.

    ``unit`` counts chunks (scratch) or sectors (move, offset) from 0 in the
    order they are worked on; ``step`` counts inside a unit.
    """

    phase: str
    """``move`` while the primary is shifted up (move mode only), else ``swap``."""
    unit: int
    step: int


@dataclass(frozen=True, slots=True)
class SwapStatus:
    """First bytes of all status entries of one trailer, and their meaning."""

    mode: SwapMode
    values: bytes
    erased_value: int = 0xFF
    max_sectors: int = 128

    @property
    def written(self) -> int:
        """Number of entries that are not erased."""
        return len(self.values) - self.values.count(self.erased_value)

    @property
    def started(self) -> bool:
        """At least one entry is written, in a mode that has entries."""
        return self.mode.swaps and self.written > 0

    @property
    def position(self) -> int:
        """Index of the entry that the boot loader takes for the next one; 0 if none is written.

        Scratch: the first erased one behind the first written one. Move and
        offset: the one behind the last written one.
        """
        written = [index for index, value in enumerate(self.values) if value != self.erased_value]
        if not written:
            return 0
        if self.mode is not SwapMode.SCRATCH:
            return written[-1] + 1
        index = written[0]
        while index < len(self.values) and self.values[index] != self.erased_value:
            index += 1
        return index

    @property
    def consistent(self) -> bool:
        """False if written entries lie where none can be: behind a gap the swap does not leave.

        In move mode the shifting fills entries from 0 and the swapping those
        from ``max_sectors`` on, so one gap between them is regular.
        """
        if not self.started:
            return True
        parts = [self.values]
        if self.mode is SwapMode.MOVE:
            parts = [self.values[: self.max_sectors], self.values[self.max_sectors :]]
            if not self._filled(parts[0]) and self._filled(parts[1]):
                return False
        return all(len(part) - part.count(self.erased_value) == self._filled(part) for part in parts)

    def _filled(self, part: bytes) -> int:
        """Length of the written run at the start of ``part``."""
        index = 0
        while index < len(part) and part[index] != self.erased_value:
            index += 1
        return index

    @property
    def next_step(self) -> SwapStep:
        """What the boot loader resumes with."""
        position = self.position
        if self.mode is SwapMode.MOVE:
            if position < self.max_sectors:
                return SwapStep("move", position, 0)
            unit, step = divmod(position - self.max_sectors, 2)
        else:
            unit, step = divmod(position, self.mode.entries_per_sector or 1)
        return SwapStep("swap", unit, step)

    def units(self, swap_size: int, sector_size: int, scratch_size: int | None = None) -> int:
        """Chunks or sectors that a swap of ``swap_size`` bytes goes through.

        A chunk is as many sectors as fit into the scratch area.
        """
        sectors = max(1, -(-swap_size // sector_size))
        if self.mode is not SwapMode.SCRATCH:
            return sectors
        return -(-sectors // max(1, (scratch_size or sector_size) // sector_size))

    def describe(self, swap_size: int | None, sector_size: int, scratch_size: int | None = None) -> str:
        """Progress as a phrase, for example ``swap: chunk 2 of 3, step 2 of 3 (primary to secondary)``."""
        if not self.mode.swaps:
            return "unused in this mode"
        if not self.written:
            return "no entry written"
        text = self._progress(swap_size, sector_size, scratch_size)
        return text if self.consistent else f"{text}; entries are inconsistent"

    def _progress(self, swap_size: int | None, sector_size: int, scratch_size: int | None) -> str:
        count = f"{self.written} of {len(self.values)} entries"
        if swap_size is None or not 0 < swap_size <= self.max_sectors * sector_size:
            return count
        at = self.next_step
        total = self.units(swap_size, sector_size, scratch_size)
        if at.phase == "move":
            if at.unit < total:
                return f"{count}: shifting the primary up, sector {at.unit + 1} of {total}"
            return f"{count}: primary shifted up, no sector swapped yet"
        if at.unit >= total:
            return f"{count}: all {total} {self._unit}s swapped"
        steps = self._steps
        return (
            f"{count}: {self._unit} {at.unit + 1} of {total}, "
            f"step {at.step + 1} of {len(steps)} next ({steps[at.step]})"
        )

    @property
    def _unit(self) -> str:
        return "chunk" if self.mode is SwapMode.SCRATCH else "sector"

    @property
    def _steps(self) -> tuple[str, ...]:
        if self.mode is SwapMode.SCRATCH:
            return _SCRATCH_STEPS
        return _MOVE_STEPS if self.mode is SwapMode.MOVE else _OFFSET_STEPS
