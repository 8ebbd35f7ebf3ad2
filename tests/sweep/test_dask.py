"""The same work on a Dask cluster: a scheduler and worker processes of this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from harness._deadline import Deadline
from harness._errors import SweepError
from harness.sweep import DaskExecutor, Plan, Recording, Tears
from harness.sweep._explore import Explorer, Tally
from harness.sweep._run import run_sweep
from harness.sweep._workers import Span

from .boards import recorded
from .test_workers import essence

pytest.importorskip("distributed")

PLAN = Plan(Tears(), pairs=20, chains=5)


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in reversed(started):
        process.kill()
        process.wait(30)


def start(processes: list[subprocess.Popen[bytes]], folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    processes.append(process)
    return process


def scheduler(processes: list[subprocess.Popen[bytes]], folder: Path) -> str:
    """The address of a new scheduler."""
    file = folder / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    process = start(processes, folder, "dask_scheduler", *options)
    deadline = Deadline(60)
    while not (file.exists() and file.read_text().rstrip().endswith("}")):
        assert process.poll() is None, "the scheduler ended"
        assert not deadline.expired, "the scheduler did not start"
        deadline.pause(0.05)
    return "dask://" + str(json.loads(file.read_text())["address"]).removeprefix("tcp://")


def workers(processes: list[subprocess.Popen[bytes]], folder: Path, address: str, count: int) -> list[int]:
    """Process ids of new workers."""
    where = address.replace("dask://", "tcp://")
    options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(folder)]
    return [start(processes, folder, "dask_worker", where, *options).pid for _ in range(count)]


class Killing:
    """Kills a worker process as soon as there is a first result."""

    def __init__(self, inside: DaskExecutor, process: int) -> None:
        self._inside, self._process = inside, process
        self.spans: list[Span] = []

    @property
    def workers(self) -> int:
        return 3

    def run(self, recording: Recording, plan: Plan, spans: Iterable[Span]) -> Iterator[tuple[Span, Tally]]:
        for span, tally in self._inside.run(recording, plan, spans):
            if not self.spans:
                os.kill(self._process, signal.SIGKILL)
            self.spans.append(span)
            yield span, tally

    def close(self) -> None:
        self._inside.close()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_worker_is_killed_and_nothing_is_lost_or_counted_twice(
    processes: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    recording = recorded("move", "test", size=16, old_size=16)
    wanted = Explorer(recording, PLAN).explore(0, len(recording.operations) + 1)
    address = scheduler(processes, tmp_path)
    pids = workers(processes, tmp_path, address, 3)
    with DaskExecutor(address) as executor:
        executor._client.wait_for_workers(3, timeout=60)
        assert executor.workers == 3
        killing = Killing(executor, pids[0])
        sweep = run_sweep(recording, PLAN, killing)
        left = {info["pid"] for info in executor._client.run(lambda: {"pid": os.getpid()}).values()}
    assert left == set(pids[1:])
    assert sweep.complete
    assert len(killing.spans) == len(set(killing.spans)) > 5
    assert essence(sweep.tally) == essence(wanted)


def test_no_scheduler_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.sweep._dask._CONNECT_SECONDS", 0.5)
    with pytest.raises(SweepError, match="no Dask scheduler answers"):
        DaskExecutor("dask://127.0.0.1:9")
