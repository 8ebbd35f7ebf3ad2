"""A sweep from its first point to its last: pieces of work, progress, results so far, and going on later."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import cbor2

from .._errors import SweepError
from ..emulator import OperationKind
from ._explore import Group, Plan, Tally
from ._judge import Finding, Outcome, Rule
from ._recording import Recording
from ._tears import Cut
from ._workers import Executor, Span

__all__ = ["Progress", "Sweep", "SweepLog", "run_sweep"]

_PIECES_A_WORKER: Final = 12
#: how many times as long an operation takes that is not like the one before
_COST: Final = 64


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is. ``left`` is an estimate in seconds, None as long as there is none."""

    done: int
    total: int
    points: int
    failed: int
    rate: float
    left: float | None


@dataclass(slots=True)
class Sweep:
    """Results. ``done`` are the operations whose points were tried; ``seconds`` is the time it took."""

    recording: Recording
    plan: Plan
    workers: int
    tally: Tally = field(default_factory=Tally)
    done: list[Span] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def total(self) -> int:
        """Operations to try, with the point behind the last one."""
        return len(self.recording.operations) + 1

    @property
    def complete(self) -> bool:
        """Whether all points were tried."""
        return sum(last - first for first, last in self.done) == self.total

    @property
    def failed(self) -> int:
        """Points at which a rule did not hold."""
        return self.tally.outcomes.get(Outcome.FAILED, 0)


def run_sweep(
    recording: Recording,
    plan: Plan,
    executor: Executor,
    *,
    log: SweepLog | None = None,
    progress: Callable[[Progress], None] = lambda _progress: None,
    first_failure: bool = False,
) -> Sweep:
    """Try all points. A KeyboardInterrupt ends it with the results so far.

    ``log`` keeps what is done, and knows what was done before. ``first_failure`` ends the sweep
    with the first piece of work in which something fails.
    """
    sweep = Sweep(recording, plan, executor.workers)
    if log is not None:
        for span, tally in log.pieces:
            sweep.done.append(span)
            sweep.tally.merge(tally)
    before = sum(last - first for first, last in sweep.done)
    began = time.monotonic()
    try:
        for span, tally in executor.run(recording, plan, list(_pieces(sweep, executor.workers))):
            sweep.done.append(span)
            sweep.tally.merge(tally)
            if log is not None:
                log.append(span, tally)
            sweep.seconds = time.monotonic() - began
            progress(_progress(sweep, before))
            if first_failure and sweep.failed:
                break
    except KeyboardInterrupt:
        pass
    sweep.seconds = time.monotonic() - began
    sweep.done.sort()
    return sweep


def _progress(sweep: Sweep, before: int) -> Progress:
    done = sum(last - first for first, last in sweep.done)
    here = done - before
    left = (sweep.total - done) * sweep.seconds / here if here else None
    rate = sweep.tally.points / sweep.seconds if sweep.seconds else 0.0
    return Progress(done, sweep.total, sweep.tally.points, sweep.failed, rate, left)


def _pieces(sweep: Sweep, workers: int) -> Iterator[Span]:
    """What is left to do, in pieces small enough for all workers to end at the same time.

    The words of a sector that is being filled are alike; each other operation is a case of its own.
    """
    operations = sweep.recording.operations
    costs = [1] * sweep.total
    for number in range(len(operations)):
        before, here = operations[max(number - 1, 0)], operations[number]
        if here.address != before.address + before.size or here.kind is not OperationKind.WRITE:
            costs[number] = _COST
    size = max(1, sum(costs) // (workers * _PIECES_A_WORKER))
    at = 0
    for first, last in [*sorted(sweep.done), (sweep.total, sweep.total)]:
        while at < first:
            stop, cost = at, 0
            while stop < first and cost < size:
                cost += costs[stop]
                stop += 1
            yield at, stop
            at = stop
        at = max(at, last)


class SweepLog:
    """A file that keeps a sweep's recording and results piece by piece, so that it can go on later.

    It is a sequence of CBOR items; one that was not written to its end is ignored.
    """

    def __init__(self, file: Path, recording: Recording, plan: Plan) -> None:
        self.file, self.recording, self.plan = file, recording, plan
        self.pieces: list[tuple[Span, Tally]] = []

    @classmethod
    def begin(cls, file: Path, recording: Recording, plan: Plan) -> Self:
        """Start a new one, whatever the file held."""
        file.write_bytes(cbor2.dumps([recording.packed, _plain_plan(plan)]))
        return cls(file, recording, plan)

    @classmethod
    def go_on(cls, file: Path, plan: Plan) -> Self:
        """Read one that was begun. Raises `SweepError` if it is none, or was made with another plan."""
        try:
            items, end = _items(file.read_bytes())
            packed, was = items[0]
            pieces = [((first, last), _tally(raw)) for first, last, raw in items[1:]]
        except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
            raise SweepError(
                "no sweep to go on with", where=str(file), found=str(error), remedy="leave --resume away"
            ) from None
        if was != _plain_plan(plan):
            raise SweepError(
                "the sweep was begun with other options",
                where=str(file),
                expected=str(was),
                found=str(_plain_plan(plan)),
                remedy="give the same options, or leave --resume away",
            )
        log = cls(file, Recording.unpack(packed), plan)
        log.pieces = pieces
        os.truncate(file, end)
        return log

    def append(self, span: Span, tally: Tally) -> None:
        """Keep the results of a piece of work."""
        with self.file.open("ab") as stream:
            stream.write(cbor2.dumps([*span, _plain_tally(tally)]))

    def remove(self) -> None:
        """The sweep is complete."""
        self.file.unlink(missing_ok=True)


def _items(data: bytes) -> tuple[list[Any], int]:
    """The items that are whole, and where they end."""
    stream, items, end = io.BytesIO(data), [], 0
    while end < len(data):
        try:
            items.append(cbor2.load(stream))
        except cbor2.CBORDecodeError:
            break
        end = stream.tell()
    return items, end


def _plain_plan(plan: Plan) -> dict[str, Any]:
    tears = plan.tears
    return {
        "inside": tears.inside,
        "random": tears.random,
        "weak": tears.weak,
        "seed": tears.seed,
        "pairs": plan.pairs,
        "chains": plan.chains,
        "chain": plan.chain,
        "merging": plan.merging,
    }


def _plain_tally(tally: Tally) -> dict[str, Any]:
    return {
        "points": tally.points,
        "cuts": tally.cuts,
        "outcomes": {str(outcome): count for outcome, count in tally.outcomes.items()},
        "worst": {number: str(outcome) for number, outcome in tally.worst.items()},
        "groups": [
            [
                group.place,
                group.kind,
                str(group.outcome),
                [[str(finding.rule), finding.detail] for finding in group.findings],
                [list(labels) for labels in group.runs],
                count,
                [str(cut) for cut in case],
            ]
            for group, (count, case) in tally.groups.items()
        ],
        "counts": {name: getattr(tally.counts, name) for name in tally.counts.__slots__},
    }


def _tally(raw: dict[str, Any]) -> Tally:
    tally = Tally(points=raw["points"], cuts=raw["cuts"])
    tally.outcomes = {Outcome(name): count for name, count in raw["outcomes"].items()}
    tally.worst = {number: Outcome(name) for number, name in raw["worst"].items()}
    for name, count in raw["counts"].items():
        setattr(tally.counts, name, count)
    for place, kind, outcome, findings, runs, count, case in raw["groups"]:
        group = Group(
            place,
            kind,
            Outcome(outcome),
            tuple(Finding(Rule(rule), detail) for rule, detail in findings),
            tuple(tuple(labels) for labels in runs),
        )
        tally.groups[group] = count, tuple(Cut.parse(text) for text in case)
    return tally
