"""What came of a power cut: the power-ons after it, held against the rules by flash contents alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from ..mcuboot import (
    BootAction,
    FlagState,
    FlashArea,
    FlashReport,
    FlashView,
    MagicState,
    Trailer,
)
from ._chip import Trail
from ._contents import Contents
from ._power import Ending, Power
from ._recording import Part, Recording

__all__ = ["Finding", "Judge", "Outcome", "Rule", "Runs", "Verdict"]

_FLAGS: Final = {"copy_done", "image_ok"}


class Rule(StrEnum):
    """What a device owes its owner after a power cut."""

    STARTS = "the device starts an image"
    WHOLE = "each component is exactly the old or the new image"
    FITS = "components that depend on each other fit"
    RIGHT_ONE = "what runs in the end is what the update asked for"
    TRIED = "an update that was asked for is tried"
    OTHER_KEPT = "the image that does not run is kept"
    LEGAL = "trailers describe a legal state"
    CONFIRMED = "a confirmation is whole"
    ELSEWHERE = "nothing outside of the slots and scratch changes"
    CONTROLLER = "the flash controller is used by its rules"
    SETTLES = "nothing changes any more after some boots"


class Outcome(StrEnum):
    """The verdict on one point."""

    HELD = "held"
    USED_UP = "used up"
    """Power was lost after a test update was complete and before its image ran: it is given up untried.
    The boot loader cannot know better."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A rule that did not hold. ``detail`` says how, without addresses that differ from point to point."""

    rule: Rule
    detail: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.detail}"


Runs = tuple[tuple[str, ...], ...]
"""Labels of what runs, component by component, at one power-on after the other."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of one point, and what ran."""

    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    runs: Runs = ()


@dataclass(frozen=True, slots=True)
class _Chain:
    """All power-ons after a cut."""

    runs: Runs
    findings: tuple[Finding, ...]
    others: tuple[str, ...] = ()
    """What the secondary slots hold in the end."""


_Look = tuple[tuple[str, ...], tuple[Finding, ...]]


class Boots(Protocol):
    """What a judge needs of a chip: power-ons. `Chip` is one that remembers, a bench has another."""

    recording: Recording
    merging: bool
    trail: Trail

    @property
    def write_once(self) -> bool:
        """Whether the flash with the slots takes each unit once between erases."""

    def power_on(self, contents: Contents) -> Power:
        """What comes of flash contents when power returns."""


class Judge:
    """Judges flash contents that a power cut left behind, by letting a chip boot them."""

    def __init__(self, chip: Boots) -> None:
        self._chip, self._recording = chip, chip.recording
        self._rests: dict[int, _Chain] = {}
        self._verdicts: dict[tuple[int, bool, Runs], Verdict] = {}
        self._looks: dict[tuple[int, Ending, tuple[str, ...]], _Look] = {}
        recording = self._recording
        areas = [area for part in recording.parts for area in (part.primary, part.secondary)]
        areas += [recording.settings.scratch] if recording.settings.scratch else []
        self._areas = [(area.address, area.size) for area in areas]
        self._once = chip.write_once

    def verdict(self, contents: Contents, *, application: bool, wanted: Runs | None = None) -> Verdict:
        """The verdict on contents. ``application`` says that an image was cut, not the boot loader.

        ``wanted`` is what would have run without this cut, if not what the scenario's goal says.
        """
        wanted = self._recording.goal.runs if wanted is None else wanted
        key = contents.key, application, wanted
        found = self._verdicts.get(key)
        if found is None or not self._chip.merging:
            power = self._chip.power_on(contents)
            found = self._verdicts[key] = self._judge(contents, power, wanted, application=application)
        return found

    def _judge(self, contents: Contents, first: Power, wanted: Runs, *, application: bool) -> Verdict:
        chain = self._chain(first)
        findings = [*chain.findings]
        if any(finding.rule is Rule.CONFIRMED for finding in findings):
            findings = [item for item in findings if item not in set(self._half_confirmed(contents))]
        outcome = Outcome.HELD
        if all(finding.rule is Rule.LEGAL for finding in findings):
            outcome, more = self._compare(contents, chain, wanted, application=application)
            findings = [*more, *findings]
        if findings:
            outcome = Outcome.FAILED
        return Verdict(outcome, tuple(dict.fromkeys(findings)), chain.runs)

    def _half_confirmed(self, contents: Contents) -> Iterator[Finding]:
        """Confirmations that an application was cut in.

        MCUboot's library does not write such a flag again, and its boot loader keeps the image.
        """
        for part in self._recording.parts:
            primary = self.trailer(part.primary, contents)
            if self._is_set(primary.copy_done) and primary.image_ok is FlagState.BAD:
                yield from self._bad_fields(part, "primary", primary)

    # what boots make of it

    def _chain(self, first: Power) -> _Chain:
        """The power-on after the cut and all that follow."""
        runs, findings = self._look(first)
        if first.ending is not Ending.STARTED:
            return _Chain((runs,), findings)
        rest = self._rest(first.end)
        return _Chain((runs, *rest.runs), (*findings, *rest.findings), rest.others)

    def _rest(self, contents: Contents) -> _Chain:
        """Power-ons from contents that a power-on has left, until nothing changes any more."""
        if self._chip.merging and contents.key in self._rests:
            return self._rests[contents.key]
        trail = self._chip.trail
        runs: list[tuple[str, ...]] = []
        findings: list[Finding] = []
        others: tuple[str, ...] = ()
        now = contents
        for _ in range(self._recording.limits.boots):
            power = self._chip.power_on(now)
            labels, more = self._look(power)
            findings += more
            runs.append(labels)
            if power.ending is not Ending.STARTED:
                break
            if power.end.key == now.key:
                others = self._recording.others(now)
                findings += self._at_rest(now)
                break
            now = power.end
        else:
            findings.append(Finding(Rule.SETTLES, "each boot changes flash again"))
        self._chip.trail = trail
        self._rests[contents.key] = chain = _Chain(tuple(runs), tuple(findings), others)
        return chain

    def _look(self, power: Power) -> _Look:
        """What runs after one power-on, and what is wrong with it."""
        key = power.end.key, power.ending, power.findings
        found = self._looks.get(key)
        if found is None:
            found = self._looks[key] = self._look_closely(power)
        return found

    def _look_closely(self, power: Power) -> _Look:
        recording = self._recording
        findings: list[Finding] = []
        labels = recording.labels(power.end)
        if power.ending is not Ending.STARTED:
            findings.append(Finding(Rule.STARTS, f"{power.ending}, the primary slots hold {_text(labels)}"))
        elif "neither" in labels:
            names = [p.name for p, label in zip(recording.parts, labels, strict=True) if label == "neither"]
            findings.append(Finding(Rule.WHOLE, f"{', '.join(names)}: neither the old nor the new image"))
        elif labels not in recording.goal.legal:
            findings.append(Finding(Rule.FITS, f"{_text(labels)} run together"))
        findings += [Finding(Rule.CONTROLLER, text.partition(":")[0]) for text in power.findings]
        findings += self._elsewhere(power.end)
        return labels, tuple(findings)

    def _elsewhere(self, contents: Contents) -> Iterator[Finding]:
        recording = self._recording
        for start, ours, theirs in contents.differing(recording.start):
            for at in range(0, len(ours), 256):
                here = start + at
                if ours[at : at + 256] == theirs[at : at + 256]:
                    continue
                if not any(area.address <= here < area.end for area in recording.allowed):
                    yield Finding(Rule.ELSEWHERE, f"{start:#x} has changed")
                    break

    def _at_rest(self, contents: Contents) -> Iterator[Finding]:
        """Whether what nothing changes any more is a state that the boot loader's rules know."""
        if contents.weak:  # what is there cannot be said
            return
        report = FlashReport.build(self._view(contents), self._recording.settings)
        for part, image, plan in zip(
            self._recording.parts, report.state.images, report.plan.images, strict=True
        ):
            # Where the secondary is copied, what is left of its trailer asks for nothing.
            copied = self._recording.settings.mode.overwrites
            for slot in (image.primary, None if copied else image.secondary):
                if slot is not None and slot.trailer is not None:
                    yield from self._bad_fields(part, slot.name, slot.trailer)
            if plan.action is not BootAction.KEEP:
                yield Finding(Rule.LEGAL, f"{part.name}: still {plan.action} although nothing changes")

    def _view(self, contents: Contents) -> FlashView:
        return contents.view(self._areas)

    # what it had to be

    def _compare(
        self, contents: Contents, chain: _Chain, wanted: Runs, *, application: bool
    ) -> tuple[Outcome, Iterator[Finding]]:
        first, final = chain.runs[0], chain.runs[-1]
        if (first, final) == (wanted[0], wanted[-1]):
            return Outcome.HELD, self._kept(chain)
        if application and final in {self._old, self._new} and first in {self._old, self._new}:
            return Outcome.HELD, iter(())
        state = self.installed(contents)
        if state == "tested" and final == self._old:
            return Outcome.USED_UP, iter(())
        if state == "confirmed" and final == self._new:
            return Outcome.HELD, iter(())
        if final != wanted[-1]:
            detail = f"{_text(final)} runs in the end, not {_text(wanted[-1])}"
            return Outcome.FAILED, iter([Finding(Rule.RIGHT_ONE, detail)])
        detail = f"{_text(first)} runs first, not {_text(wanted[0])}"
        return Outcome.FAILED, iter([Finding(Rule.TRIED, detail)])

    def _kept(self, chain: _Chain) -> Iterator[Finding]:
        goal = self._recording.goal
        for part, found, wanted in zip(self._recording.parts, chain.others, goal.keeps, strict=True):
            if wanted not in {found, "neither"}:
                yield Finding(
                    Rule.OTHER_KEPT, f"{part.name}: the {wanted} image is not in the secondary slot"
                )

    @property
    def _old(self) -> tuple[str, ...]:
        return ("old",) * len(self._recording.parts)

    @property
    def _new(self) -> tuple[str, ...]:
        return tuple("old" if part.new is None else "new" for part in self._recording.parts)

    def installed(self, contents: Contents) -> str:
        """``tested`` if all updates are complete and not confirmed, ``confirmed`` if they are, else empty."""
        states = {self._state(part, contents) for part in self._recording.parts if part.new is not None}
        return states.pop() if len(states) == 1 else ""

    def trailer(self, area: FlashArea, contents: Contents) -> Trailer:
        """The trailer of a slot."""
        return Trailer.parse(
            lambda at, size: contents.read(area.address + at, size), self._recording.settings.layout(area)
        )

    def _state(self, part: Part, contents: Contents) -> str:
        primary, secondary = (self.trailer(area, contents) for area in (part.primary, part.secondary))
        complete = primary.magic is MagicState.GOOD and self._is_set(primary.copy_done)
        if part.label(contents) != "new" or not complete or secondary.magic is MagicState.GOOD:
            return ""
        if self._is_set(primary.image_ok):
            return "confirmed"
        return "tested" if primary.image_ok is FlagState.UNSET else ""

    def _is_set(self, flag: FlagState) -> bool:
        """Whether a flag was written: on flash that takes a unit once, half of it has to do."""
        return flag is FlagState.SET or (self._once and flag is FlagState.BAD)

    def _bad_fields(self, part: Part, slot: str, trailer: Trailer) -> Iterator[Finding]:
        """Fields of a trailer that are neither set nor unset."""
        bad = [
            name for name, state in _fields(trailer) if state == "bad" and not (self._once and name in _FLAGS)
        ]
        if bad == ["image_ok"] and slot == "primary":
            yield Finding(Rule.CONFIRMED, f"{part.name}: image_ok is neither set nor unset")
        elif bad:
            yield Finding(
                Rule.LEGAL, f"{part.name}: {', '.join(bad)} of the {slot} slot neither set nor unset"
            )


def _text(labels: tuple[str, ...]) -> str:
    return "/".join(labels)


def _fields(trailer: Trailer) -> Iterator[tuple[str, str]]:
    yield "magic", str(trailer.magic)
    yield "image_ok", str(trailer.image_ok)
    yield "copy_done", str(trailer.copy_done)
