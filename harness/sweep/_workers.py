"""Processes that explore: started here, owned here, ended here."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Final, Protocol

from .._errors import SweepError
from ._explore import Explorer, Plan, Tally
from ._recording import Recording

__all__ = ["Executor", "InlineExecutor", "LocalExecutor", "Span", "executor_for"]

Span = tuple[int, int]
"""Operations [first, last) of a recording, as a piece of work."""

#: how often a piece of work may lose its process before it is taken for the cause
_TRIES: Final = 3
_END_SECONDS: Final = 5.0


class Executor(Protocol):
    """Explores pieces of a recording somewhere. To be closed."""

    @property
    def workers(self) -> int:
        """How many pieces are worked on at the same time."""

    def run(self, recording: Recording, plan: Plan, spans: Iterable[Span]) -> Iterator[tuple[Span, Tally]]:
        """Results as they come, each piece exactly once. Raises `SweepError`."""

    def close(self) -> None:
        """End what was started."""


class InlineExecutor:
    """This process, one piece after the other."""

    workers = 1

    def run(self, recording: Recording, plan: Plan, spans: Iterable[Span]) -> Iterator[tuple[Span, Tally]]:
        """See `Executor`."""
        explorer = Explorer(recording, plan)
        for span in spans:
            yield span, explorer.explore(*span)

    def close(self) -> None:
        """Nothing was started."""


@dataclass(slots=True)
class _Worker:
    process: Any
    pipe: Connection
    span: Span | None = None


class LocalExecutor:
    """Processes on this machine. A process that dies is replaced, and its work is done again."""

    def __init__(self, workers: int) -> None:
        self._count = workers
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []

    @property
    def workers(self) -> int:
        """How many processes there are."""
        return self._count

    @property
    def processes(self) -> list[int]:
        """Their ids."""
        return [worker.process.pid for worker in self._workers]

    def run(self, recording: Recording, plan: Plan, spans: Iterable[Span]) -> Iterator[tuple[Span, Tally]]:
        """See `Executor`."""
        todo = list(reversed(list(spans)))
        tries: dict[Span, int] = {}
        under_way = 0
        while todo or under_way:
            while todo and len(self._workers) < self._count:
                self._workers.append(self._start(recording, plan))
            for worker in self._workers:
                if worker.span is None and todo:
                    worker.span = todo.pop()
                    under_way += 1
                    with suppress(OSError):  # seen below as an end of the stream
                        worker.pipe.send(worker.span)
            for pipe in wait([worker.pipe for worker in self._workers if worker.span is not None]):
                worker = next(worker for worker in self._workers if worker.pipe is pipe)
                span, worker.span = worker.span, None
                assert span is not None
                under_way -= 1
                try:
                    result = worker.pipe.recv()
                except (EOFError, OSError):
                    self._workers.remove(worker)
                    self._end(worker)
                    tries[span] = tries.get(span, 0) + 1
                    if tries[span] == _TRIES:
                        raise SweepError(
                            f"a worker process died {_TRIES} times at the same work",
                            where=f"operations {span[0]} to {span[1] - 1}",
                            found=f"exit code {worker.process.exitcode}",
                            remedy="look at memory; try it with fewer workers",
                        ) from None
                    todo.append(span)
                    continue
                if isinstance(result, BaseException):
                    raise result
                yield span, result

    def _start(self, recording: Recording, plan: Plan) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        ours.send((recording.packed, plan))
        return _Worker(process, ours)

    def _end(self, worker: _Worker) -> None:
        worker.pipe.close()
        worker.process.terminate()
        worker.process.join(_END_SECONDS)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()

    def close(self) -> None:
        """End all processes, whatever they do."""
        while self._workers:
            self._end(self._workers.pop())

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def executor_for(workers: int | None = None) -> Executor:
    """This machine: so many processes, by default one for each core; one is this process itself."""
    count = workers or os.cpu_count() or 1
    return InlineExecutor() if count == 1 else LocalExecutor(count)


def _work(pipe: Connection) -> None:
    """A worker's main program; it ends when its owner closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the terminal is the owner's business
    with suppress(EOFError, OSError, BrokenPipeError):
        packed, plan = pipe.recv()
        explorer = Explorer(Recording.unpack(packed), plan)
        while True:
            span = pipe.recv()
            try:
                pipe.send(explorer.explore(*span))
            except OSError:
                return
            except Exception as error:
                pipe.send(error)
