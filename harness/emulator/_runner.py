"""Runs a machine in a thread, in real time, and lets other threads in between two blocks of instructions."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ._hot import NEVER
from ._machine import Machine, StopCause

__all__ = ["Runner"]

_GOES_ON = {StopCause.LIMIT, StopCause.ASKED}


class Runner:
    """Owner of a machine and of the thread that runs it.

    While the CPU sleeps, emulated time follows real time times ``speed``; while it
    works, it runs as fast as it can. An exception in the emulator ends the thread and is
    raised by the next `stopped`.
    """

    def __init__(self, machine: Machine, *, speed: float = 1.0) -> None:
        self.speed = speed
        self._machine = machine
        self._lock = threading.Lock()  # whoever holds it may use the machine
        self._turns = threading.Condition()  # the CPU's thread lets others go first
        self._waiting = 0
        self._news = threading.Condition()  # something happened that may end the CPU's sleep
        self._changed = False
        self._closing = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="emulated CPU", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the CPU and its thread."""
        self._closing = True
        self._machine.ask()
        for condition in (self._turns, self._news):
            with condition:
                condition.notify_all()
        self._thread.join()

    @contextmanager
    def stopped(self, *, wake: bool = True) -> Iterator[Machine]:
        """The machine, with its CPU stopped between two blocks, for use by the calling thread.

        ``wake`` false says that nothing will be done that could end the CPU's sleep.
        """
        with self._turns:
            self._waiting += 1
        self._machine.ask()
        self._lock.acquire()
        try:
            if self._failure is not None:
                raise self._failure
            yield self._machine
            wake = wake and self._machine.can_run
        finally:
            self._lock.release()
            with self._turns:
                self._waiting -= 1
                self._turns.notify()
            if wake:
                with self._news:
                    self._changed = True
                    self._news.notify()

    def _run(self) -> None:
        try:
            while not self._closing:
                with self._turns:
                    while self._waiting and not self._closing:
                        self._turns.wait()
                self._changed = False
                with self._lock:
                    stop = self._machine.run(sleep=False)
                if stop.cause is StopCause.ASLEEP:
                    self._sleep()
                elif stop.cause not in _GOES_ON:
                    self._wait_for_news(None)
        except BaseException as error:
            self._failure = error

    def _wait_for_news(self, deadline: float | None) -> None:
        with self._news:
            while not self._changed and not self._closing:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return
                self._news.wait(left)

    def _sleep(self) -> None:
        """Let real time pass until the next event, or until another thread has done something."""
        machine = self._machine
        start, due = machine.now, machine.next_event
        rate = machine.soc.CLOCK_HZ * self.speed
        began = time.monotonic()
        self._wait_for_news(None if due == NEVER else began + (due - start) / rate)
        passed = int((time.monotonic() - began) * rate)
        with self._lock:
            if machine.now == start:
                machine.skip_to(min(start + passed, machine.next_event))
