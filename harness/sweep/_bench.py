"""Power cuts on a real device: at random times over the measured time of an update."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final, Literal

from .._deadline import Deadline
from .._errors import SweepError
from ..boards import Board
from ..devices import Device, SwitchedPower, identify
from ..mcuboot import FlagState, FlashReport, MagicState
from ._bench_report import BenchReport, Jitter, TimedCut
from ._chip import Trail
from ._contents import Contents
from ._evidence import image_facts
from ._judge import Finding, Judge, Outcome, Verdict
from ._power import Ending, Power
from ._record import Setup, bare_recording, legal_labels
from ._recording import Goal, Part, Recording
from ._report import BootLoaderFacts, Failure
from ._scenarios import Maker, Options, maker_for

__all__ = ["cut_on_bench"]

_VTOR: Final = 0xE000ED08  # Armv7-M Architecture Reference Manual, B3.2.5
#: WDT RR[0] and its key (nRF52 product specifications, WDT); IWDG_KR and its key (STM32 reference manuals)
_WATCHDOGS: Final = {r"nrf52": (0x40010600, 0x6E524635), r"stm32[fgl][0-4]": (0x40003000, 0xAAAA)}
_ECC_UNIT: Final = 8  # flash that is written in units this large keeps an error code for each
_LOOK: Final = 0.002  # seconds between two looks at the vector table
_SAMPLE: Final = 0.2  # seconds between two looks at the core, which stop it for a moment
_ALIKE: Final = 3  # looks in a row at a core that rests
_SLACK: Final = 4.0  # how much longer than the update itself a boot may take that has to mend something
_LEAST: Final = 10.0  # seconds


def cut_on_bench(
    device: Device,
    scenario: str,
    *,
    cuts: int,
    seed: int = 0,
    options: Options | None = None,
    boot_seconds: float = 120.0,
    progress: Callable[[int, int, int], None] = lambda _done, _total, _failed: None,
) -> BenchReport:
    """Do an update ``cuts`` times and take power away at a random time of it. A KeyboardInterrupt ends it.

    A device without power switch is stopped and reset through its probe instead. ``boot_seconds``
    is what the update may take without a cut.

    Raises:
        SweepError: the scenario needs an application that runs, or does not work without a cut.
        CapabilityMissing: the board cannot do what the scenario needs.
        BenchError: the bench broke; nothing is said about the firmware.
    """
    options = options or Options()
    if options.feed is None:
        options = dataclasses.replace(options, feed=_watchdog(device.board.soc))
    maker = maker_for(device.board, options, emulated=False)
    setup = maker.named(scenario)
    if setup.settle:
        raise SweepError(
            f"scenario {scenario} is judged by what an application does, which nobody can follow on hardware",
            expected="test, permanent or another one that the boot loader does alone: harness sweep --list",
        )
    began = time.monotonic()
    run = _Run(device, setup, boot_seconds)
    generator = random.Random(seed)  # noqa: S311 - times, not secrets
    times = [generator.uniform(0, run.window) for _ in range(cuts)]
    done: list[tuple[TimedCut, Verdict, str]] = []
    try:
        for wanted in times:
            done.append(run.cut(wanted))
            progress(len(done), cuts, sum(verdict.outcome is Outcome.FAILED for _, verdict, _ in done))
    except KeyboardInterrupt:
        pass
    return _report(
        device, maker, run, done, seed=seed, complete=len(done) == cuts, seconds=time.monotonic() - began
    )


def _watchdog(soc: str) -> tuple[int, int] | None:
    """What keeps the watchdog quiet that a boot loader may have started; ``None`` for an unknown part."""
    return next((feed for pattern, feed in _WATCHDOGS.items() if re.match(pattern, soc.lower())), None)


class _BenchChip:
    """Power-ons of a real device, read back as the contents that a judge knows. Power is off between them."""

    merging = False

    def __init__(self, device: Device, recording: Recording, seconds: float) -> None:
        self.device, self.recording, self.seconds = device, recording, seconds
        self.trail = Trail(recording.start)
        self.write_once = device.board.flash.write_alignment >= _ECC_UNIT
        self.last = recording.start
        """Flash after the latest power-on."""

    def power_on(self, contents: Contents) -> Power:  # noqa: ARG002 - the device holds what it holds
        """Boot what the device holds, and read its flash when an image runs or nothing happens any more."""
        self.device.power.on()
        ending, pc, _ = started(self.device, self.seconds)
        end = self.read()
        self.device.power.off()
        self.last = end
        return Power(end, ending, pc)

    def read(self) -> Contents:
        """All flash as it is now."""
        ((base, size),) = self.recording.arrays
        return self.recording.start.with_bytes(base, self.device.debug.read(base, size))


def started(device: Device, seconds: float) -> tuple[Ending, int, float]:
    """Wait until an image runs, or the boot loader has given up: how it ended, where, and after how long."""
    began = time.monotonic()
    limit, next_look, alike = Deadline(seconds), _SAMPLE, 0
    slots = [slot for _, slot in device.board.boot_settings().areas()]

    def in_slot(address: int) -> bool:
        return any(slot.address <= address < slot.address + slot.size for slot in slots)

    while True:
        table = int.from_bytes(device.debug.read(_VTOR, 4), "little")
        after = time.monotonic() - began
        if in_slot(table):
            return Ending.STARTED, table, after
        if after >= next_look or limit.expired:
            next_look = after + _SAMPLE
            sample = device.debug.sample()
            if in_slot(sample.pc):
                return Ending.STARTED, sample.pc, after
            if sample.locked_up:
                return Ending.LOCKED_UP, sample.pc, after
            alike = alike + 1 if sample.parked and sample.exception == 0 else 0
            if alike == _ALIKE:
                return Ending.STOPPED, sample.pc, after
            if limit.expired:
                return Ending.ENDLESS, sample.pc, after
        limit.pause(_LOOK)


class _BenchJudge(Judge):
    """Nobody has seen flash at the moment of the cut, so a given up update is told by what it left behind."""

    def __init__(self, chip: _BenchChip) -> None:
        super().__init__(chip)
        self._bench = chip

    def installed(self, contents: Contents) -> str:  # noqa: ARG002 - those of the cut, which are not known
        """``tested`` if all updates were complete and then swapped back, else empty."""
        parts = [part for part in self._bench.recording.parts if part.new is not None]
        return "tested" if all(self._swapped_back(part) for part in parts) else ""

    def _swapped_back(self, part: Part) -> bool:
        """A revert confirms the old image (bootutil's boot_set_image_ok); a lost update leaves nothing."""
        contents = self._bench.last
        primary, secondary = (self.trailer(area, contents) for area in (part.primary, part.secondary))
        return (
            part.label(contents) == "old"
            and part.other(contents) == "new"
            and (primary.copy_done, primary.image_ok) == (FlagState.SET, FlagState.SET)
            and secondary.magic is not MagicState.GOOD
        )


class _Run:
    """One scenario on one device: the content it starts from, how long it takes, and its cuts."""

    def __init__(self, device: Device, setup: Setup, boot_seconds: float) -> None:
        self.device, board = device, device.board
        arrays = ((board.flash.base, board.flash.size),)
        bare = bare_recording(setup, arrays)
        chip = _BenchChip(device, bare, boot_seconds)
        device.install(dict(setup.content))
        self._content: Mapping[int, bytes] = _whole(board, bare.start)
        for _ in range(setup.lead):
            self._must(chip.power_on(bare.start), "a power-on before the update")
        if setup.lead:
            bare = dataclasses.replace(bare, content=_content(board, chip.last))
            chip = _BenchChip(device, bare, boot_seconds)
            self._content = _whole(board, bare.start)
        self._restore()
        on, _ = self._switch_on()
        if isinstance(device.power, SwitchedPower):
            device.debug.reconnect()
        ending, pc, _ = started(device, boot_seconds)
        self.window = time.monotonic() - on
        first = Power(chip.read(), ending, pc)
        device.power.off()
        self._must(first, "the update without a cut")
        seconds = max(_LEAST, _SLACK * self.window)
        self.chip = _BenchChip(device, dataclasses.replace(bare, goal=self._goal(chip, bare, first)), seconds)

    def _must(self, power: Power, what: str) -> None:
        if power.ending is not Ending.STARTED:
            raise SweepError(
                "the scenario does not work without a cut",
                where=f"{self.device.name}, {what}",
                expected="an image runs",
                found=f"{power.ending}, pc {power.pc:#010x}",
                remedy="board file, boot loader and key must be those of the device",
            )

    def _goal(self, chip: _BenchChip, bare: Recording, first: Power) -> Goal:
        """What runs if power is never lost, until nothing changes any more."""
        runs, now = [bare.labels(first.end)], first.end
        if runs[0] == bare.labels(bare.start) and now.key == bare.start.key:
            raise SweepError("the scenario does nothing to flash", where=self.device.name)
        for _ in range(bare.limits.boots):
            power = chip.power_on(now)
            runs.append(bare.labels(power.end))
            if power.end.key == now.key:
                break
            now = power.end
        return Goal(tuple(runs), legal_labels(bare), bare.others(now))

    def _restore(self) -> None:
        """Put back the start, sector by sector where it differs. Power is off afterwards."""
        self.device.power.on()
        self.device.debug.program(self._content)
        self.device.power.off()
        self.device.settle()

    def _switch_on(self) -> tuple[float, float]:
        """Power alone, without waiting for the target: when it was on at the latest, and at the earliest."""
        power = self.device.power
        before = time.monotonic()
        (power.switch if isinstance(power, SwitchedPower) else power).on()
        return time.monotonic(), before

    def cut(self, wanted: float) -> tuple[TimedCut, Verdict, str]:
        """One update with power lost at this time, the verdict, and the slots in the end if it failed."""
        self._restore()
        on, before = self._switch_on()
        limit = Deadline(wanted)
        while not limit.expired:
            limit.pause(limit.remaining)
        going = time.monotonic()
        self.device.power.off()
        gone = time.monotonic()
        judge = _BenchJudge(self.chip)
        verdict = judge.verdict(self.chip.last, application=False)
        shown = ""
        if verdict.outcome is Outcome.FAILED:
            areas = [(area.address, area.size) for _, area in self.device.board.boot_settings().areas()]
            shown = str(FlashReport.build(self.chip.last.view(areas), self.device.board.boot_settings()))
        cut = TimedCut(
            wanted=wanted,
            earliest=max(0.0, going - on),
            latest=gone - before,
            outcome=_text(verdict.outcome),
            rules=[str(finding) for finding in verdict.findings],
            runs=[list(labels) for labels in verdict.runs],
        )
        return cut, verdict, shown


def _text(outcome: Outcome) -> Literal["held", "used up", "failed"]:
    if outcome is Outcome.HELD:
        return "held"
    return "used up" if outcome is Outcome.USED_UP else "failed"


def _content(board: Board, contents: Contents) -> dict[int, bytes]:
    """Everything that is not erased, by sector."""
    size = board.flash.sector_size
    starts = range(board.flash.base, board.flash.base + board.flash.size, size)
    sectors = {start: contents.read(start, size) for start in starts}
    return {start: data for start, data in sectors.items() if data.strip(b"\xff")}


def _whole(board: Board, start: Contents) -> dict[int, bytes]:
    """All that a boot may change, erased parts included, and the boot loader."""
    settings = board.boot_settings()
    areas = [area for _, area in settings.areas()]
    areas += [settings.scratch] if settings.scratch else []
    areas.append(board.partition(board.mcuboot.partition))
    return {area.address: start.read(area.address, area.size) for area in areas}


def _report(
    device: Device,
    maker: Maker,
    run: _Run,
    done: list[tuple[TimedCut, Verdict, str]],
    *,
    seed: int,
    complete: bool,
    seconds: float,
) -> BenchReport:
    recording, board = run.chip.recording, device.board
    causes: dict[tuple[Finding, ...], list[tuple[TimedCut, str]]] = defaultdict(list)
    for cut, verdict, shown in done:
        if verdict.outcome is Outcome.FAILED:
            causes[verdict.findings].append((cut, shown))
    errors = [(cut.earliest + cut.latest) / 2 - cut.wanted for cut, _, _ in done] or [0.0]
    console = device.console.tail() if "console" in device.capabilities else ""
    outcomes = [verdict.outcome for _, verdict, _ in done]
    loader = maker.factory.bootloader_file()
    device.power.on()  # as it was found; and only what has power can be asked who it is
    unique = identify(device.debug).device_id
    return BenchReport(
        scenario=recording.scenario,
        board=board.name,
        soc=board.soc,
        probe=device.debug.unique_id,
        device_id=unique or "",
        bootloader=BootLoaderFacts(
            file=loader.name,
            sha256=hashlib.sha256(loader.read_bytes()).hexdigest(),
            swap_mode=str(board.mcuboot.swap_mode),
        ),
        images=image_facts(recording),
        method="power" if device.power.real else "reset",
        seed=seed,
        window=run.window,
        points=len(done),
        held=outcomes.count(Outcome.HELD),
        used_up=outcomes.count(Outcome.USED_UP),
        failed=outcomes.count(Outcome.FAILED),
        complete=complete,
        seconds=seconds,
        jitter=Jitter(
            mean=sum(errors) / len(errors),
            largest=max(map(abs, errors)),
            spread=max((cut.latest - cut.earliest for cut, _, _ in done), default=0.0),
        ),
        cuts=[cut for cut, _, _ in done],
        failures=[
            Failure(
                number=number,
                rules=[str(finding) for finding in findings],
                count=len(found),
                cuts=[],
                runs=found[0][0].runs,
                before="",
                after=found[0][1],
                console=console,
                replay="",
            )
            for number, (findings, found) in enumerate(
                sorted(causes.items(), key=lambda item: -len(item[1])), 1
            )
        ],
    )
