"""What the two kinds of bad link share: a clock, the model, the report and a thread that delivers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from harness.protocols._portal import LoopThread
from harness.protocols.badlink._conditions import LinkConditions
from harness.protocols.badlink._model import Direction, LinkModel
from harness.protocols.badlink._report import LinkReport
from harness.protocols.badlink._words import Protocol

__all__ = ["BadLink"]

_AT_ONCE: Final = 0.0005


class BadLink:
    """A link that does to messages what ``conditions`` say. Runs from construction to :meth:`close`.

    Conditions may be changed at any time; ``report`` tells what was done to which message.
    Times in it are seconds since the link was made. Which messages are lost does not depend
    on the machine's load; when they arrive does, within a few milliseconds.
    """

    def __init__(self, conditions: LinkConditions, *, checked: bool, protocol: Protocol) -> None:
        self.report = LinkReport(protocol)
        self._model = LinkModel(conditions, checked=checked)
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._loop = LoopThread()
        self._events = self._loop.run(_running_loop)

    @property
    def conditions(self) -> LinkConditions:
        """What the link does to messages from now on."""
        return self._model.conditions

    @conditions.setter
    def conditions(self, conditions: LinkConditions) -> None:
        with self._lock:
            self._model.conditions = conditions
        self.report.note(self.now, f"conditions are now {conditions}")

    @property
    def now(self) -> float:
        """Seconds since the link was made."""
        return time.monotonic() - self._began

    def silence(self, seconds: float) -> None:
        """Lose everything for a while, from now on."""
        now = self.now
        with self._lock:
            self._model.silence(now + seconds)
        self.report.note(now, f"silence for {seconds:g} s")

    def heal(self) -> None:
        """From now on let everything pass at once."""
        with self._lock:
            self._model.silence(0.0)
        self.conditions = LinkConditions(seed=self.conditions.seed)

    def _pass(
        self, direction: Direction, wire: bytes, message: bytes, deliver: Callable[[bytes], object]
    ) -> None:
        """Let a message meet its fate; ``wire`` is what is sent, ``message`` what that carries."""
        now = self.now
        with self._lock:
            fate = self._model.fate(direction, wire, now)
        self.report.add(fate, message)
        for arrival in fate.arrivals:
            self._soon(arrival.at - now, deliver, arrival.data)

    def _soon(self, seconds: float, function: Callable[..., object], *args: object) -> None:
        """Call a function in the link's thread after a while; nothing happens once the link is closed."""

        def schedule() -> None:
            self._events.call_later(seconds, function, *args)

        try:
            if seconds < _AT_ONCE:
                self._events.call_soon_threadsafe(function, *args)
            else:
                self._events.call_soon_threadsafe(schedule)
        except RuntimeError:  # closed meanwhile: what is under way is lost, as on any line that is cut
            return

    def close(self) -> None:
        """End the link; what is under way is lost."""
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


async def _running_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()
