"""Work in several processes: nothing lost, nothing counted twice, results so far, going on later."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from harness._errors import SweepError
from harness.sweep import LocalExecutor, Plan, Recording, SweepLog, Tears
from harness.sweep._explore import Explorer, Tally
from harness.sweep._run import Sweep, run_sweep
from harness.sweep._workers import Span

from .boards import recorded

PLAN = Plan(Tears(), pairs=30, chains=5)


def essence(tally: Tally) -> tuple[object, ...]:
    return tally.points, tally.cuts, tally.outcomes, tally.worst, tally.groups


@pytest.fixture(scope="module")
def recording() -> Recording:
    return recorded("move", "test", size=16, old_size=16)


@pytest.fixture(scope="module")
def in_one_go(recording: Recording) -> Tally:
    return Explorer(recording, PLAN).explore(0, len(recording.operations) + 1)


def test_two_processes_find_the_same(recording: Recording, in_one_go: Tally) -> None:
    seen = []
    with LocalExecutor(2) as executor:
        sweep = run_sweep(recording, PLAN, executor, progress=seen.append)
        assert len(executor.processes) == 2
    assert sweep.complete
    assert essence(sweep.tally) == essence(in_one_go)
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)
    assert seen[-1].done == seen[-1].total == len(recording.operations) + 1
    assert seen[-1].left == 0


class Killing:
    """Kills one of its processes after the first result."""

    def __init__(self) -> None:
        self.inside = LocalExecutor(2)
        self.killed = 0
        self.spans: list[Span] = []

    @property
    def workers(self) -> int:
        return 2

    def run(self, recording: Recording, plan: Plan, spans: Iterable[Span]) -> Iterator[tuple[Span, Tally]]:
        for span, tally in self.inside.run(recording, plan, spans):
            if not self.killed:
                self.killed = self.inside.processes[0]
                os.kill(self.killed, signal.SIGKILL)
            self.spans.append(span)
            yield span, tally

    def close(self) -> None:
        self.inside.close()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_process_is_replaced_and_its_work_done_once(recording: Recording, in_one_go: Tally) -> None:
    executor = Killing()
    try:
        sweep = run_sweep(recording, PLAN, executor)
        assert executor.killed not in executor.inside.processes
    finally:
        executor.close()
    assert sweep.complete
    assert len(set(executor.spans)) == len(executor.spans)
    assert essence(sweep.tally) == essence(in_one_go)


def test_closing_ends_the_processes(recording: Recording) -> None:
    executor = LocalExecutor(2)
    work = executor.run(recording, PLAN, [(0, 1), (1, 2), (2, 3)])
    next(work)
    processes = [worker.process for worker in executor._workers]
    assert all(process.is_alive() for process in processes)
    executor.close()
    assert not any(process.is_alive() for process in processes)


def test_an_error_in_a_process_comes_here(recording: Recording) -> None:
    with LocalExecutor(1) as executor, pytest.raises(ValueError, match="no way to tear"):
        list(executor.run(recording, Plan(BadTears()), [(0, 2)]))


class BadTears(Tears):
    def of(self, operation: object) -> list[str]:
        return ["sideways"]


class Stopping:
    """Interrupted after so many pieces, as by Ctrl-C."""

    workers = 1

    def __init__(self, pieces: int) -> None:
        self._left = pieces
        self.asked: list[Span] = []

    def run(self, recording: Recording, plan: Plan, spans: Iterable[Span]) -> Iterator[tuple[Span, Tally]]:
        explorer = Explorer(recording, plan)
        for span in spans:
            self.asked.append(span)
            if not self._left:
                raise KeyboardInterrupt
            self._left -= 1
            yield span, explorer.explore(*span)

    def close(self) -> None:
        pass


def test_interrupted_and_resumed(recording: Recording, in_one_go: Tally, tmp_path: Path) -> None:
    file = tmp_path / "sweep.part"
    first: Sweep = run_sweep(recording, PLAN, Stopping(3), log=SweepLog.begin(file, recording, PLAN))
    assert not first.complete
    assert 0 < first.tally.points < in_one_go.points
    with file.open("ab") as stream:
        stream.write(b"\x83\x18")  # what a crash in the middle of a write leaves
    log = SweepLog.go_on(file, PLAN)
    assert log.recording.digest == recording.digest
    executor = Stopping(1000)
    second = run_sweep(log.recording, PLAN, executor, log=log)
    assert second.complete
    assert not set(executor.asked) & set(first.done), "done twice"
    assert essence(second.tally) == essence(in_one_go)


def test_resuming_what_is_something_else(recording: Recording, tmp_path: Path) -> None:
    file = tmp_path / "sweep.part"
    SweepLog.begin(file, recording, PLAN)
    with pytest.raises(SweepError, match="other options"):
        SweepLog.go_on(file, Plan(Tears(seed=1), pairs=30, chains=5))
    for content in (b"", b"garbage", b"\x80", b"\xff" * 40):
        file.write_bytes(content)
        with pytest.raises(SweepError, match="no sweep to go on with"):
            SweepLog.go_on(file, PLAN)


def test_same_seed_same_points_whatever_the_pieces(recording: Recording) -> None:
    explorer = Explorer(recording, PLAN)
    tally = Tally()
    for first in reversed(range(0, len(recording.operations) + 1, 17)):
        tally.merge(explorer.explore(first, min(first + 17, len(recording.operations) + 1)))
    other = Explorer(recording, PLAN).explore(0, len(recording.operations) + 1)
    assert essence(tally) == essence(other)
    seeded = Plan(Tears(seed=7), pairs=30, chains=5)
    different = Explorer(recording, seeded).explore(0, len(recording.operations) + 1)
    assert different.cuts[2] != other.cuts[2] or different.groups != other.groups
