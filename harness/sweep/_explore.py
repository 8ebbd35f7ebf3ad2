"""Tries the points of a recording: one cut, two in a row, and chains of more."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from ..emulator import Operation, OperationKind
from ._chip import Chip, Counts, Trail
from ._contents import Contents
from ._judge import Finding, Judge, Outcome, Runs, Verdict
from ._places import Places
from ._recording import Recording
from ._tears import BEFORE, Cut, Tears, cut_contents

__all__ = ["AUTOMATIC", "Case", "Explorer", "Group", "Plan", "Tally"]

_SEVERITY: Final = {Outcome.HELD: 0, Outcome.USED_UP: 1, Outcome.FAILED: 2}
#: second cuts that are tried behind one first cut when not all are
_TOGETHER: Final = 8

#: `Plan.pairs`: depends on the size of the scenario
AUTOMATIC: Final = -1

Case = tuple[Cut, ...]
"""The cuts of one point, in the order in which power is lost."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which points there are, but for the flash operations.

    ``pairs`` is how many points have a second cut in the power-on after the first: about this
    many, chosen by the seed; None for all there are, `AUTOMATIC` for all on a small scenario and some on a
    large one. ``chains`` points have ``chain`` cuts in a row.
    """

    tears: Tears = Tears()  # noqa: RUF009  (immutable)
    pairs: int | None = AUTOMATIC
    chains: int = 100
    chain: int = 3
    merging: bool = True


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """What failures with one cause have in common: where power was lost last, and what came of it."""

    place: str
    kind: str
    outcome: Outcome
    findings: tuple[Finding, ...]
    runs: Runs


@dataclass(slots=True)
class Tally:
    """Results of some points. ``worst`` is the worst outcome by operation of the recording."""

    points: int = 0
    cuts: dict[int, int] = field(default_factory=dict)
    """Points by their number of cuts."""
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    worst: dict[int, Outcome] = field(default_factory=dict)
    groups: dict[Group, tuple[int, Case]] = field(default_factory=dict)
    """How many points, and the simplest one."""
    counts: Counts = field(default_factory=Counts)

    def add(self, case: Case, verdict: Verdict, group: Group | None) -> None:
        """Count one point."""
        self.points += 1
        self.cuts[len(case)] = self.cuts.get(len(case), 0) + 1
        self.outcomes[verdict.outcome] = self.outcomes.get(verdict.outcome, 0) + 1
        self._note(case[0].operation, verdict.outcome)
        if group is not None:
            self._group(group, 1, case)

    def add_held(self, first: Case, points: int) -> None:
        """Count points with one more cut than ``first`` at which everything held."""
        if points:
            self.points += points
            self.cuts[len(first) + 1] = self.cuts.get(len(first) + 1, 0) + points
            self.outcomes[Outcome.HELD] = self.outcomes.get(Outcome.HELD, 0) + points
            self._note(first[0].operation, Outcome.HELD)

    def merge(self, other: Tally) -> None:
        """Take in the results of other points."""
        self.points += other.points
        for number, count in other.cuts.items():
            self.cuts[number] = self.cuts.get(number, 0) + count
        for outcome, count in other.outcomes.items():
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + count
        for operation, worst in other.worst.items():
            self._note(operation, worst)
        for group, (count, case) in other.groups.items():
            self._group(group, count, case)
        self.counts.add(other.counts)

    def _note(self, operation: int, outcome: Outcome) -> None:
        known = self.worst.get(operation)
        if known is None or _SEVERITY[outcome] > _SEVERITY[known]:
            self.worst[operation] = outcome

    def _group(self, group: Group, count: int, case: Case) -> None:
        known, simplest = self.groups.get(group, (0, case))
        self.groups[group] = known + count, min(simplest, case, key=_simplicity)


def _simplicity(case: Case) -> tuple[int, bool, Case]:
    """Fewer cuts before more, those between operations before those inside, early ones before late ones."""
    return len(case), any(cut.tear != BEFORE for cut in case), case


@dataclass(slots=True)
class _Seconds:
    """Verdicts on all cuts in the own operations of a power-on.

    ``held`` counts those that held, from each operation on; ``others`` are the rest: operation,
    tear, verdict, group.
    """

    trail: Trail
    held: list[int]
    others: list[tuple[int, str, Verdict, Group | None]]


class Explorer:
    """Judges points of a recording, and keeps what it learns from one to the next."""

    def __init__(self, recording: Recording, plan: Plan) -> None:
        self.recording, self.plan = recording, plan
        self._chip = Chip(recording, merging=plan.merging)
        self._judge = Judge(self._chip)
        self.places = Places(recording)
        self._seconds: dict[int, _Seconds] = {}
        self._base = recording.start
        self._base_at = 0

    def explore(self, first: int, last: int) -> Tally:
        """All points whose first cut is at operations [first, last) of the recording.

        The operation behind the last one stands for power lost when all is done.
        """
        tally = Tally()
        self._chip.counts = tally.counts
        for number, contents, operation in self._walk(first, last):
            tears = self.plan.tears.of(operation) if operation else [BEFORE]
            for tear in tears:
                cut = Cut(number, tear)
                self._try(tally, (cut,), contents, operation)
        return tally

    def _walk(self, first: int, last: int) -> Iterator[tuple[int, Contents, Operation | None]]:
        """Flash before each operation of the recording, and the operation."""
        operations = self.recording.operations
        if first < self._base_at:
            self._base, self._base_at = self.recording.start, 0
        self._base = self._base.after_all(operations[self._base_at : first])
        self._base_at = first
        for number in range(first, last):
            operation = operations[number] if number < len(operations) else None
            yield number, self._base, operation
            if operation is not None:
                self._base = self._base.after(operation)
                self._base_at = number + 1

    def contents_at(self, case: Case) -> tuple[Contents, Operation | None]:
        """Flash after the cuts of a case, and the operation that the last one hit."""
        operations: list[Operation] = list(self.recording.operations)
        contents, hit = self.recording.start, None
        for index, cut in enumerate(case):
            if index:
                self._chip.power_on(contents)
                operations = self._chip.trail.whole()
            before = contents.after_all(operations[: cut.operation])
            hit = operations[cut.operation] if cut.operation < len(operations) else None
            contents = before if hit is None else self._cut(before, hit, cut.tear)
        return contents, hit

    def _cut(self, before: Contents, operation: Operation, tear: str) -> Contents:
        return cut_contents(before, operation, tear, self.plan.tears.seed)

    def verdict(self, case: Case) -> Verdict:
        """The verdict on one point."""
        wanted: Runs | None = None
        for length in range(1, len(case) + 1):
            contents, hit = self.contents_at(case[:length])
            application = self._by_application(hit)
            verdict = self._judge.verdict(contents, application=application, wanted=wanted)
            wanted = verdict.runs
        return verdict

    def without_cut(self) -> Verdict:
        """The verdict on the scenario itself."""
        first = self.recording.operations[0] if self.recording.operations else None
        return self._judge.verdict(self.recording.start, application=self._by_application(first))

    def _by_application(self, operation: Operation | None) -> bool:
        return operation is not None and self.recording.by_application(operation)

    def _try(self, tally: Tally, case: Case, before: Contents, operation: Operation | None) -> None:
        contents = before if operation is None else self._cut(before, operation, case[-1].tear)
        verdict = self._judge.verdict(contents, application=self._by_application(operation))
        tally.add(case, verdict, self._group(verdict, operation))
        if verdict.outcome is not Outcome.FAILED:
            self._cut_again(tally, case, contents, verdict)

    def _group(self, verdict: Verdict, operation: Operation | None) -> Group | None:
        if verdict.outcome is Outcome.HELD:
            return None
        if operation is None:
            return Group("none", "end", verdict.outcome, verdict.findings, verdict.runs)
        kind = "write" if operation.kind is OperationKind.WRITE else "erase"
        place = self.places.at(operation.address, operation.size).kind
        return Group(place, kind, verdict.outcome, verdict.findings, verdict.runs)

    # further cuts

    def _cut_again(self, tally: Tally, case: Case, contents: Contents, verdict: Verdict) -> None:
        plan = self.plan
        some = plan.pairs is not None and plan.pairs > 0
        some = some and self._chosen("pairs", case, (plan.pairs or 0) / _TOGETHER)
        chain = plan.chains > 0 and self._chosen("chains", case, plan.chains)
        if not (plan.pairs is None or some or chain):
            return
        self._chip.power_on(contents)
        trail = self._chip.trail
        if plan.pairs is None:
            self._all_seconds(tally, case, trail)
        elif some:
            self._some_seconds(tally, case, contents, verdict, trail)
        if chain:
            self._chain(tally, case, contents, verdict, trail)

    def _all_seconds(self, tally: Tally, case: Case, trail: Trail) -> None:
        """Every second cut in a power-on. What lies behind a known state is looked up there."""
        number = 0
        after: tuple[Trail, int] | None = (trail, 0)
        while after is not None:
            part, index = after
            seconds = self._seconds_of(part)
            tally.add_held(case, seconds.held[index])
            for at, tear, verdict, group in seconds.others:
                if at >= index:
                    tally.add((*case, Cut(number + at - index, tear)), verdict, group)
            number += len(part.operations) - index
            after = part.next

    def _seconds_of(self, trail: Trail) -> _Seconds:
        """The verdicts on cuts in a trail's own operations."""
        name = trail.start.key if self.plan.merging else id(trail)
        found = self._seconds.get(name)
        if found is None:
            found = self._seconds[name] = _Seconds(trail, [0] * (len(trail.operations) + 1), [])
            now = trail.start
            wanted = self._judge.verdict(now, application=False).runs
            for number, operation in enumerate(trail.operations):
                for tear in self.plan.tears.of(operation):
                    contents = self._cut(now, operation, tear)
                    application = self._by_application(operation)
                    verdict = self._judge.verdict(contents, application=application, wanted=wanted)
                    if verdict.outcome is Outcome.HELD:
                        found.held[number] += 1
                    else:
                        found.others.append((number, tear, verdict, self._group(verdict, operation)))
                now = now.after(operation)
            for number in reversed(range(len(trail.operations))):
                found.held[number] += found.held[number + 1]
        return found

    def _some_seconds(
        self, tally: Tally, case: Case, contents: Contents, verdict: Verdict, trail: Trail
    ) -> None:
        chance, operations = self._random("pairs", case), trail.whole()
        for _ in range(_TOGETHER if operations else 0):
            self._next_cut(tally, case, contents, verdict, operations, chance)

    def _chain(self, tally: Tally, case: Case, contents: Contents, verdict: Verdict, trail: Trail) -> None:
        """Cuts in a row, each in the power-on after the one before."""
        chance, operations = self._random("chains", case), trail.whole()
        while operations and len(case) < self.plan.chain:
            case, contents, verdict = self._next_cut(tally, case, contents, verdict, operations, chance)
            if verdict.outcome is Outcome.FAILED:
                return
            self._chip.power_on(contents)
            operations = self._chip.trail.whole()

    def _next_cut(
        self,
        tally: Tally,
        case: Case,
        contents: Contents,
        wanted: Verdict,
        operations: list[Operation],
        chance: random.Random,
    ) -> tuple[Case, Contents, Verdict]:
        """One more cut, somewhere in these operations from ``contents`` on."""
        number = chance.randrange(len(operations))
        operation = operations[number]
        tear = chance.choice(self.plan.tears.of(operation))
        case = (*case, Cut(number, tear))
        before = contents.after_all(operations[:number])
        after = self._cut(before, operation, tear)
        application = self._by_application(operation)
        verdict = self._judge.verdict(after, application=application, wanted=wanted.runs)
        tally.add(case, verdict, self._group(verdict, operation))
        return case, after, verdict

    def _chosen(self, what: str, case: Case, wanted: float) -> bool:
        """About ``wanted`` of the recording's points, always the same for one seed."""
        number = int.from_bytes(self._hash(what, case)[:8], "little") / 2**64
        return number < wanted / self._points

    @cached_property
    def _points(self) -> int:
        return 1 + sum(len(self.plan.tears.of(operation)) for operation in self.recording.operations)

    def _random(self, what: str, case: Case) -> random.Random:
        return random.Random(self._hash(what, case))  # noqa: S311  chooses cases, not secrets

    def _hash(self, what: str, case: Case) -> bytes:
        return hashlib.sha256(f"{self.plan.tears.seed} {what} {case[0]}".encode()).digest()
