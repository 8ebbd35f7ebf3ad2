"""Runs a scenario once without a cut, and keeps what it did."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from .._errors import SweepError
from ..emulator import Machine, Operation
from ..mcuboot import BootSettings, FlashArea, FlashView, read_flash, unmet_dependency
from ._chip import Chip
from ._contents import Contents
from ._power import Ending, Power
from ._recording import Goal, Limits, Part, Recording

__all__ = ["Setup", "bare_recording", "finish", "legal_labels", "record"]

_SECOND: Final = 64_000_000
#: what a recording itself may take, in cycles and instructions
_PATIENCE: Final = Limits(cycles=300 * _SECOND, instructions=400_000_000)
#: how much longer than the longest power-on without a cut one may take that has to mend something
_SLACK: Final = 4


@dataclass(frozen=True, slots=True)
class Setup:
    """A scenario to record.

    ``content`` is flash by address. ``lead`` power-ons come first, and the one after them is
    recorded. ``settle`` is how many milliseconds an application may be quiet until it counts as
    settled; 0 means that a power-on ends when an image starts. ``installs`` says that the first
    power-on of all has to bring the updates into use.
    """

    scenario: str
    board: str
    target: str
    soc: str
    content: Mapping[int, bytes]
    settings: BootSettings
    parts: tuple[Part, ...]
    bootloader: FlashArea
    allowed: tuple[FlashArea, ...]
    lead: int = 0
    settle: int = 0
    installs: bool = False
    chip_seed: int = 1


def record(setup: Setup) -> Recording:
    """Run it. Raises `SweepError` if it does not get to where a sweep could begin."""
    bare = bare_recording(setup)
    chip = Chip(bare, merging=False)
    now = bare.start
    for number in range(setup.lead):
        power = _started(setup, chip, chip.run(now), f"power-on {number + 1} before the recorded one")
        now = _installed(setup, chip, power).end if number == 0 else power.end
    bare = dataclasses.replace(bare, content=_content(now))
    chip = Chip(bare, merging=False)
    first = _started(setup, chip, chip.run(bare.start), "the power-on to record")
    configured = _configured(bare, first.end)
    if configured:
        bare = dataclasses.replace(bare, content={**bare.content, **configured})
        chip = Chip(bare, merging=False)
        first = _started(setup, chip, chip.run(bare.start), "the power-on to record")
    if not setup.lead:
        _installed(setup, chip, first)
    operations = chip.trail.operations
    if not operations:
        raise SweepError(
            "the scenario does nothing to flash, so there is nothing to cut",
            where=f"scenario {setup.scenario} on {setup.board}",
            remedy="look at what the boot loader says:\n" + _console(chip),
        )
    return finish(bare, chip, operations, first)


def finish(bare: Recording, chip: Chip, operations: Sequence[Operation], first: Power) -> Recording:
    """Boot on until nothing changes any more, and put the recording together."""
    runs, now = [bare.labels(first.end)], first.end
    for _ in range(_PATIENCE.boots):  # one that never settles fails at every point
        power = chip.run(now)
        runs.append(bare.labels(power.end))
        if power.end.key == now.key:
            break
        now = power.end
    longest = chip.longest
    limits = Limits(
        cycles=_SLACK * longest[0] + _SECOND,
        instructions=_SLACK * longest[1] + 2_000_000,
        settle=bare.limits.settle,
    )
    goal = Goal(tuple(runs), legal_labels(bare), bare.others(now))
    return dataclasses.replace(bare, operations=operations, limits=limits, goal=goal)


def bare_recording(setup: Setup, arrays: tuple[tuple[int, int], ...] | None = None) -> Recording:
    """A recording without operations. ``arrays`` are base and size of flash (default: the emulator's)."""
    if arrays is None:
        arrays = tuple((array.base, array.size) for array in Machine(setup.soc).bus.arrays)
    for address, data in setup.content.items():
        if not any(base <= address and address + len(data) <= base + size for base, size in arrays):
            raise SweepError(
                "content outside of the chip's flash",
                where=f"{address:#010x}, {len(data)} bytes",
                expected=", ".join(f"{base:#x}..{base + size - 1:#x}" for base, size in arrays),
            )
    used = [area for part in setup.parts for area in (part.primary, part.secondary)]
    slots = FlashArea(
        min(area.address for area in used),
        max(area.end for area in used) - min(area.address for area in used),
    )
    if setup.bootloader.address < slots.end and slots.address < setup.bootloader.end:
        raise SweepError(
            "the boot loader lies between the slots, so it cannot be told from an image",
            where=f"boot loader {setup.bootloader}, slots {slots}",
        )
    return Recording(
        scenario=setup.scenario,
        board=setup.board,
        target=setup.target,
        soc=setup.soc,
        chip_seed=setup.chip_seed,
        arrays=arrays,
        content=setup.content,
        operations=(),
        settings=setup.settings,
        parts=setup.parts,
        allowed=setup.allowed,
        slots=slots,
        runs_application=setup.settle > 0,
        limits=dataclasses.replace(_PATIENCE, settle=setup.settle * (_SECOND // 1000)),
        goal=Goal((), frozenset(), ()),
    )


def _configured(bare: Recording, end: Contents) -> dict[int, bytes]:
    """What start-up code has written outside of the flash array that the slots lie in.

    A chip's configuration (nRF52: the reset pin in UICR) is written at the first power-on of its
    life and has nothing to do with an update.
    """
    base, size = next((base, size) for base, size in bare.arrays if base <= bare.slots.address < base + size)
    differing = end.differing(bare.start)
    return {start: ours for start, ours, _ in differing if not base <= start < base + size}


def _content(contents: Contents) -> dict[int, bytes]:
    """Everything that is not erased, by address."""
    starts = sorted(contents.origin.pieces.keys() | contents.changed.keys())
    pieces = {start: contents.piece(start) for start in starts}
    return {start: piece for start, piece in pieces.items() if piece.strip(b"\xff")}


def _console(chip: Chip) -> str:
    return chip.console.decode(errors="replace").strip() or "(nothing on its console)"


def _started(setup: Setup, chip: Chip, power: Power, which: str) -> Power:
    """``power``, if it came to an image that is one of the scenario's."""
    where = f"scenario {setup.scenario} on {setup.board}, {which}"
    if power.ending is not Ending.STARTED:
        raise SweepError(
            "the scenario never reaches the application",
            where=where,
            expected="an image runs",
            found=f"{power.ending}, pc {power.pc:#010x}; console:\n{_console(chip)}",
            remedy="boot loader, board file and images must fit each other: key, slots, swap mode, alignment",
        )
    labels = chip.recording.labels(power.end)
    if "neither" in labels:
        raise SweepError(
            "after a boot without a cut a primary slot holds none of the scenario's images",
            where=where,
            found="/".join(labels) + "; console:\n" + _console(chip),
            remedy="the board file's slots must be those that the boot loader was built with",
        )
    return power


def _installed(setup: Setup, chip: Chip, power: Power) -> Power:
    """``power``, if it has brought the updates into use that the scenario is about."""
    wanted = tuple("old" if part.new is None else "new" for part in setup.parts)
    labels = chip.recording.labels(power.end)
    if setup.installs and labels != wanted:
        raise SweepError(
            "the boot loader does not install the update, even without a power cut",
            where=f"scenario {setup.scenario} on {setup.board}",
            expected=f"{'/'.join(wanted)} in the primary slots",
            found="/".join(labels) + "; console:\n" + _console(chip),
            remedy="boot loader, board file and images must fit each other: key, slots, swap mode, versions",
        )
    return power


def legal_labels(recording: Recording) -> frozenset[tuple[str, ...]]:
    """The combinations of images that may run together."""
    choices = [("old",) if part.new is None else ("old", "new") for part in recording.parts]
    return frozenset(labels for labels in itertools.product(*choices) if _fits(recording, labels))


def _fits(recording: Recording, labels: tuple[str, ...]) -> bool:
    view = FlashView.build(_primaries(recording, labels))
    active = [image.primary for image in read_flash(view, recording.settings).images]
    return all(unmet_dependency(number, active) is None for number in range(len(active)))


def _primaries(recording: Recording, labels: tuple[str, ...]) -> Iterator[tuple[int, bytes]]:
    for part, label in zip(recording.parts, labels, strict=True):
        image = part.new if label == "new" else part.old
        assert image is not None
        yield part.primary.address, image.ljust(part.primary.size, b"\xff")
