"""Runs a machine in a thread, in real time, and lets other threads in between two blocks of instructions."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ._hot import NEVER
from ._machine import Machine
from ._stop import StopCause

__all__ = ["Runner"]

#: seconds that emulated time may be ahead of real time, so that short sleeps cost no waiting
_LEAD: Final = 0.002
_GOES_ON: Final = {StopCause.LIMIT, StopCause.ASKED}


class Runner:
    """Owner of a machine and of the thread that runs it.

    Sleeping takes real time divided by ``speed``, to within a few milliseconds; work is
    done as fast as the host can. An exception in the emulator ends the thread and is
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
        self._allowed, self._allowed_at = 0.0, time.monotonic()
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
                    stop = self._machine.run(sleep_until=self._horizon())
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

    def _horizon(self) -> int:
        """The cycle up to which emulated time may jump ahead without waiting.

        It grows with real time. Time that work took longer than on silicon is not made up for.
        """
        machine, now = self._machine, time.monotonic()
        rate = machine.clock_hz * self.speed
        self._allowed = max(self._allowed + (now - self._allowed_at) * rate, machine.now)
        self._allowed_at = now
        return int(self._allowed + _LEAD * rate)

    def _sleep(self) -> None:
        """Let real time pass until the next event may happen, or another thread has done something."""
        machine = self._machine
        due, horizon = machine.next_event, self._horizon()
        rate = machine.clock_hz * self.speed
        began = time.monotonic()
        self._wait_for_news(None if due == NEVER else began + max(due - horizon, 0) / rate + _LEAD)
        with self._lock:
            machine.skip_to(min(int(self._allowed + (time.monotonic() - began) * rate), machine.next_event))
