"""Updates of hundreds of devices from one server: whether any fails, how long it takes, what each costs.

``python benchmarks/lwm2m_fleet.py [DEVICES [PROCESSES]]``, 500 and 4 if not said otherwise.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from _devices import devices, image
from _measure import Figures

from harness._errors import DeadlineExceeded
from harness.protocols import Ending, Lwm2mServer, Package, components_of, run_update

SIZE = 65536
BLOCKS = SIZE // 1024
BUSY = 5
PATIENCE = 300.0
HALF_A_SECOND = 0.5


class _Fleet:
    """A server and its devices, some of which never answer a push."""

    def __init__(self, server: Lwm2mServer, names: list[str], busy: list[str]) -> None:
        self.server, self.names, self.busy = server, names, busy
        for name in (*names, *busy):
            server.wait_registration(name, deadline=PATIENCE)

    def push(self, name: str) -> None:
        """Write one image, and no more."""
        transfer = self.server.device(name).push("/33629/0/0", image("2.0.0", SIZE), deadline=PATIENCE)
        if transfer.code != "2.04":
            raise SystemExit(f"the push to {name} ended with {transfer.code}")

    def reset(self) -> None:
        """Let the images go."""
        for name in self.names:
            self.server.device(name).write("/33629/0/0", b"\0")

    def update(self, name: str) -> bool:
        """Do a whole update with its verdict."""
        main = components_of(self.server.device(name))[0]
        run = run_update(self.server, {main: Package(image("2.0.0", SIZE), "2.0.0")}, deadline=PATIENCE)
        return run.ending is Ending.INSTALLED


def _memory() -> float:
    """KiB that this process has in memory."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmRSS"))
    return float(line.split()[1])


def _times(action: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock, and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - wall, time.process_time() - cpu


def _lateness(fleet: _Fleet, over: threading.Event) -> tuple[list[float], list[float]]:
    """How late deadlines are, and what one read takes, while everybody else is busy."""
    late, reads = [], []
    quiet = fleet.server.device(fleet.busy[-1])
    while not over.is_set():
        began = time.perf_counter()
        try:
            fleet.server.device(fleet.busy[0]).push("/33629/0/0", bytes(2048), deadline=HALF_A_SECOND)
        except DeadlineExceeded:
            late.append(time.perf_counter() - began - HALF_A_SECOND)
        began = time.perf_counter()
        quiet.read("/33629/0/3", deadline=PATIENCE)
        reads.append(time.perf_counter() - began)
    return late, reads


def _one_process(count: int) -> None:
    figures = Figures(
        f"{count} devices, one server process, 64 KiB each in blocks of 1024 ({Path(__file__).name})"
    )
    with ExitStack() as stack:
        before = _memory()
        server = stack.enter_context(Lwm2mServer())
        one_half, other_half, busy = (
            stack.enter_context(devices(server.address, n, prefix=prefix, busy=silent))
            for n, prefix, silent in ((count // 2, "a", 0), (count - count // 2, "b", 0), (BUSY, "c", BUSY))
        )
        fleet = _Fleet(server, one_half + other_half, busy)
        figures.show("memory of a registered device", [(_memory() - before) / count], "KiB")
        one, cpu = _times(lambda: [fleet.push(name) for name in fleet.names])
        figures.show("push to one after another", [one], "s")
        figures.show("processor time of a block", [cpu / count / BLOCKS * 1e6], "us")
        fleet.reset()
        pool = stack.enter_context(ThreadPoolExecutor(count + 1))
        over = threading.Event()
        watch = pool.submit(_lateness, fleet, over)
        many, cpu = _times(lambda: list(pool.map(fleet.push, fleet.names)))
        over.set()
        figures.show("push to all at once", [many], "s", beside=f"at most {2 * one:.3g}")
        figures.show("processor time of a block", [cpu / count / BLOCKS * 1e6], "us")
        late, reads = watch.result()
        figures.show("meanwhile: a deadline of 0.5 s comes late by", [x * 1e3 for x in late], "ms")
        figures.show("meanwhile: one read takes", [x * 1e3 for x in reads], "ms")
        fleet.reset()
        failed = 0

        def update_all() -> None:
            nonlocal failed
            failed = sum(not good for good in pool.map(fleet.update, fleet.names))

        took, _ = _times(update_all)
        figures.show("whole updates with verdict, all at once", [took], "s")
        figures.show("updates that failed", [failed], "", beside="0")


def _part(count: int) -> int:
    """What one of several processes does; the number of updates that failed."""
    with ExitStack() as stack:
        server = stack.enter_context(Lwm2mServer())
        names = stack.enter_context(devices(server.address, count))
        fleet = _Fleet(server, names, [])
        pool = stack.enter_context(ThreadPoolExecutor(count))
        return sum(not good for good in pool.map(fleet.update, names))


def _several_processes(count: int, processes: int) -> None:
    figures = Figures(f"{count * processes} devices, {processes} server processes, whole updates of 64 KiB")
    began = time.perf_counter()
    command = [sys.executable, __file__, "--part", str(count)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    failed = [int(process.communicate()[0] or count) for process in running]
    figures.show("from the start of the processes to their end", [time.perf_counter() - began], "s")
    figures.show("updates that failed", [sum(failed)], "", beside="0")


def main(arguments: Iterable[str]) -> None:
    words = list(arguments)
    if words[:1] == ["--part"]:
        print(_part(int(words[1])))
        return
    count, processes = [*map(int, words), *(500, 4)[len(words) :]]
    _one_process(count)
    _several_processes(count, processes)


if __name__ == "__main__":
    main(sys.argv[1:])
