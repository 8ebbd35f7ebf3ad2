"""Power cuts at every flash operation of a boot, before it or inside it, and what the next boots make of it.

The flash that a cut leaves is worked out from the journal of the uninterrupted boot; `test_power.py` checks
that the emulator's own cuts leave the same.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from harness.emulator import Operation, OperationKind
from harness.mcuboot import SwapMode

from .contract import Offsets
from .rig import Boot, Flash, apply


@dataclass(frozen=True)
class SeededTear:
    """What is left of a flash operation, by a number: 0 is nothing at all. See `harness.emulator.Tear`."""

    seed: int

    def word(self, previous: int, value: int) -> int:
        """Some of the bits are programmed."""
        if self.seed == 0:
            return previous
        mask = random.Random(self.seed * 0x9E3779B1 ^ value).getrandbits(32)
        return previous & (value | ~mask & 0xFFFFFFFF)

    def erase(self, previous: bytes) -> bytes:
        """Some of the sector is erased: its beginning, its end, some of its words or some of its bits."""
        chance = random.Random(self.seed)
        size, part = len(previous), chance.randrange(len(previous) // 4) * 4
        match self.seed % 5:
            case 0:
                return previous if self.seed == 0 else b"\xff" * (size - 16) + previous[-16:]
            case 1:
                return b"\xff" * part + previous[part:]
            case 2:
                return previous[:part] + b"\xff" * (size - part)
            case 3:
                words = (previous[at : at + 4] for at in range(0, size, 4))
                return b"".join(chance.choice((word, b"\xff\xff\xff\xff")) for word in words)
            case _:
                noise = chance.randbytes(size)
                return bytes(byte | more for byte, more in zip(previous, noise, strict=True))


def tear(flash: bytearray, operation: Operation, seed: int) -> bytes:
    """The flash after power was lost inside an operation that was not begun yet in ``flash``."""
    torn, left = bytearray(flash), SeededTear(seed)
    start, end = operation.address, operation.address + operation.size
    if operation.kind is OperationKind.WRITE:
        old = int.from_bytes(flash[start:end], "little")
        torn[start:end] = left.word(old, operation.value).to_bytes(4, "little")
    else:
        torn[start:end] = left.erase(bytes(flash[start:end]))
    return bytes(torn)


def telling(operations: Sequence[Operation]) -> set[int]:
    """The operations that differ in what a cut there leaves: of words that are copied in a row two at the
    beginning and the last.
    """
    found = set()
    run = 0
    for number, operation in enumerate(operations):
        last = operations[number - 1] if number else None
        goes_on = last is not None and operation.kind is last.kind is OperationKind.WRITE
        run = run + 1 if goes_on and last and operation.address == last.address + last.size else 0
        if run == 0:
            found.add(number - 1)
        if run < 2:
            found.add(number)
    return found - {-1} | {len(operations) - 1}


def cuts(before: Flash, boot: Boot, seeds: Sequence[int]) -> Iterator[tuple[str, bytes]]:
    """Every flash that a power cut in this boot can leave, with a name; of what is alike a few."""
    flash = bytearray(before.data)
    chosen = telling(boot.operations)
    for number, operation in enumerate(apply(flash, boot.operations)):
        for seed in seeds if number in chosen else ():
            kind = "write" if operation.kind is OperationKind.WRITE else "erase"
            yield f"{kind} {number} at {operation.address:#x}, tear {seed}", tear(flash, operation, seed)


def status_entries_as_noted(flash: Flash) -> bytes:
    """The flash with all status entries that are not erased made the same: their value does not count."""
    data, board = bytearray(flash.data), flash.board
    for primary, _ in board.areas:
        at = Offsets.of(board, primary.size)
        for entry in range(at.entries):
            place = primary.address + at.start + entry * board.align
            if data[place] != 0xFF:
                data[place] = 0
    return bytes(data)


def slots_of(flash: Flash) -> list[bytes]:
    """What must be as after an uncut boot: all slots, status entries made the same.

    The scratch area may hold anything after a swap, and so may the secondary after it was copied over the
    primary: if power is lost while its request is being erased the request stays, without an image.
    """
    data = status_entries_as_noted(flash)
    copied = flash.board.mode in (SwapMode.OVERWRITE_ONLY, SwapMode.OVERWRITE_ONLY_FAST)
    areas = [area for pair in flash.board.areas for area in (pair[:1] if copied else pair)]
    return [data[area.address : area.address + area.size] for area in areas]


@dataclass
class Sweep:
    """What came of all cuts of one boot."""

    points: int = 0
    failures: list[str] = field(default_factory=list)
    used_up: int = 0
    """Cuts at the very end of a test update, which use up its test boot: the next boot reverts."""


def sweep(
    before: Flash, seeds: Sequence[int], *, every: int = 1, recovery_cuts: int = 0, first_only: bool = False
) -> Sweep:
    """Cut one boot everywhere, boot again, and compare the slots with those of the uncut boot.

    ``every`` takes only every so-manieth cut. ``recovery_cuts`` cuts the boots that recover so many times,
    too, at random places. ``first_only`` ends with the first failure.
    """
    good = before.copy()
    boot = good.boot()
    wanted = slots_of(good)
    good.boot()
    after_next = slots_of(good)
    result = Sweep()
    for number, (name, content) in enumerate(cuts(before, boot, seeds)):
        if number % every:
            continue
        result.points += 1
        flash = Flash(before.board, bytearray(content))
        more, last = _recover(flash, random.Random(number), recovery_cuts)
        slots = slots_of(flash)
        if last.started is None or last.findings:
            result.failures.append(f"{name}{more}: {last.findings} {last.console}")
        elif slots == after_next != wanted:
            result.used_up += 1
        elif slots != wanted:
            result.failures.append(f"{name}{more}: {_difference(slots, wanted)} {last.console}")
        if first_only and result.failures:
            break
    return result


def _recover(flash: Flash, chance: random.Random, recovery_cuts: int) -> tuple[str, Boot]:
    """Boot until a boot is not cut; what was cut in between, and the last boot."""
    cut_at = ""
    for _ in range(recovery_cuts):
        before = flash.copy()
        boot = flash.boot()
        if not boot.operations:
            return cut_at, boot
        at, seed = chance.randrange(len(boot.operations)), chance.randrange(12)
        data = bytearray(before.data)
        for number, operation in enumerate(apply(data, boot.operations)):
            if number == at:
                flash.data[:] = tear(data, operation, seed)
                cut_at += f", then operation {at}, tear {seed}"
                break
    return cut_at, flash.boot()


def _difference(slots: list[bytes], wanted: list[bytes]) -> str:
    places = [
        f"slot {number} at {next(at for at in range(len(got)) if got[at] != want[at]):#x}"
        for number, (got, want) in enumerate(zip(slots, wanted, strict=True))
        if got != want
    ]
    return "differs: " + ", ".join(places)
