"""Observed resources (RFC 7641): notifications turned into a queue of values.

Nothing is dropped on the way: aiocoap's own iterators keep only the latest value,
and an observation ends there when any request to the same peer fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from aiocoap import error
from aiocoap.message import Message
from aiocoap.numbers.codes import CONTENT

from harness._deadline import Deadline
from harness._errors import CodecError, HarnessError, RegistrationError, RequestError
from harness.protocols._blockwise import complete, refused
from harness.protocols._portal import LoopThread
from harness.protocols._registry import Entry
from harness.protocols._transport import PeerGone

__all__ = ["Observation", "Watch"]

_REORDER_WINDOW: Final = 128.0
"""Seconds after which a notification is new whatever its number (RFC 7641 section 3.4)."""

_CANCEL_SECONDS: Final = 2.0


class Watch:
    """The event loop's half of an observation."""

    def __init__(
        self,
        entry: Entry,
        request: Message,
        label: str,
        deliver: Callable[[Message], None],
        ended: Callable[[str], None],
    ) -> None:
        self._entry = entry
        self._request = request
        self._label = label
        self._deliver = deliver
        self._ended = ended
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._first: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._stop: Callable[[], None] = lambda: None
        self._pump: asyncio.Task[None] | None = None
        self._last: tuple[int, float] | None = None

    async def start(self, deadline: Deadline) -> None:
        """Ask for notifications and wait for the first value. Raises what a request raises."""
        node, remote = self._entry.node, self._entry.remote
        node.prepare(self._request, remote)
        await node.admit(self._request, deadline, self._label)
        self._entry.on_end.add(self.end)
        began = time.monotonic()
        self._stop = node.start(self._request, self._on_event)
        try:
            async with asyncio.timeout(deadline.remaining):
                first = await asyncio.shield(self._first)
            if first.code != CONTENT:
                raise refused(first.code.dotted, first.payload, self._label)
            if first.opt.observe is None:
                raise RequestError(
                    "the resource is not observable: the device just answered with its value",
                    code=first.code.dotted,
                    where=self._label,
                )
        except TimeoutError as problem:
            raise node.unanswered(self._request, deadline, self._label, began) from problem
        except error.Error as problem:
            raise node.translate(problem, self._request, deadline, self._label, began) from problem
        finally:
            if self._first.done() and self._first.exception() is None and self._accepted():
                self._pump = asyncio.create_task(self._run())
            else:
                self._leave()
                node.interface.withdraw(self._request)

    def _accepted(self) -> bool:
        first = self._first.result()
        return bool(first.code == CONTENT and first.opt.observe is not None)

    def _on_event(self, event: Any) -> bool:
        if event.message is None:
            return self._on_error(event.exception)
        message = event.message
        if not self._first.done():
            self._first.set_result(message)
        elif message.opt.observe is None:
            self.end(f"the device ended it with {message.code.dotted}")
            return False
        if message.opt.observe is not None and self._recent(message.opt.observe):
            self._incoming.put_nowait(message)
        return True

    def _on_error(self, exception: Exception | None) -> bool:
        if exception is None:
            return False
        if not self._first.done():
            self._first.set_exception(exception)
        elif isinstance(exception, PeerGone):
            self.end(str(exception))
        else:
            # Some other request to the device failed. The device knows nothing of that and notifies on.
            # Not at once: aiocoap has yet to clear away what it believes to be over.
            asyncio.get_running_loop().call_soon(self._resume)
        return False

    def _resume(self) -> None:
        if self.end in self._entry.on_end:
            self._stop = self._entry.node.keep(self._request, self._on_event)

    def _recent(self, number: int) -> bool:
        """Tell new notifications from overtaken ones (RFC 7641 section 3.4)."""
        now = time.monotonic()
        if self._last is not None:
            before, at = self._last
            ahead = (number - before) & 0xFFFFFF
            if not (0 < ahead < 1 << 23) and now <= at + _REORDER_WINDOW:
                return False
        self._last = number, now
        return True

    async def _run(self) -> None:
        while True:
            message = await self._incoming.get()
            try:
                whole = await complete(
                    self._entry.node,
                    self._entry.remote,
                    self._request,
                    message,
                    label=self._label,
                    deadline=Deadline(_REORDER_WINDOW),
                )
            except HarnessError as problem:
                self.end(f"the rest of a notification could not be fetched: {problem}")
                return
            self._deliver(whole)

    def end(self, reason: str) -> None:
        """End without telling the device."""
        self._leave()
        self._ended(reason)

    async def cancel(self) -> None:
        """Tell the device that nobody listens any more (RFC 7641 section 3.6); silence is no error."""
        if self._entry.ended is None and self._pump is not None and not self._pump.done():
            self._leave()
            message = Message(code=self._request.code, payload=self._request.payload)
            message.opt.content_format = self._request.opt.content_format
            message.opt.uri_path = self._request.opt.uri_path
            message.opt.uri_query = self._request.opt.uri_query
            message.opt.accept = self._request.opt.accept
            message.opt.observe = 1
            with contextlib.suppress(HarnessError):
                await self._entry.node.exchange(
                    message,
                    self._entry.remote,
                    Deadline(_CANCEL_SECONDS),
                    self._label,
                    token=self._request.token,
                )
        self.end("it was closed")

    def _leave(self) -> None:
        self._entry.on_end.discard(self.end)
        self._stop()
        if self._pump is not None:
            self._pump.cancel()


class Observation:
    """Values of an observed resource in the order they came. Close it, or use ``with``.

    ``ended`` is None while notifications may come, then the reason for the end. A
    device that registers anew has forgotten its observations: theirs ends, and the
    values have to be read again before observing again.
    """

    def __init__(self, loop: LoopThread, path: str, decode: Callable[[Message], Any]) -> None:
        self.path = path
        self.ended: str | None = None
        self._loop = loop
        self._decode = decode
        self._changed = threading.Condition()
        self._values: deque[Any] = deque()
        self._received = 0
        self._watch: Watch | None = None

    async def open(self, entry: Entry, request: Message, label: str, deadline: Deadline) -> None:
        """Begin to observe; called in the loop. Raises what a request raises."""
        watch = Watch(entry, request, label, self._deliver, self._end)
        await watch.start(deadline)
        self._watch = watch

    def _deliver(self, message: Message) -> None:
        try:
            value = self._decode(message)
        except CodecError as problem:
            value = problem
        with self._changed:
            self._values.append(value)
            self._received += 1
            self._changed.notify_all()

    def _end(self, reason: str) -> None:
        with self._changed:
            if self.ended is None:
                self.ended = reason
                self._changed.notify_all()

    def next(self, deadline: float | Deadline) -> Any:
        """Return the next value, waiting for it if need be.

        Raises RegistrationError when the observation ended and all its values are taken,
        CodecError for a notification that cannot be read, DeadlineExceeded.
        """
        until = Deadline.of(deadline)
        with self._changed:
            ready = self._changed.wait_for(lambda: self._values or self.ended is not None, until.remaining)
            if not ready:
                seen = f"{self._received} notifications before that" if self._received else "nothing"
                raise until.exceeded("a notification", where=self.path, seen=seen)
            if not self._values:
                raise RegistrationError(
                    f"the observation has ended: {self.ended}",
                    where=self.path,
                    remedy="read and observe again",
                )
            value = self._values.popleft()
        if isinstance(value, CodecError):
            raise value
        return value

    def taken(self) -> list[Any]:
        """Return and remove all values that are there, without waiting."""
        with self._changed:
            values = list(self._values)
            self._values.clear()
        return values

    def close(self) -> None:
        """Stop observing and tell the device, if it still listens."""
        if self._watch is not None and not self._loop.closed:
            self._loop.run(self._watch.cancel)
        self._end("it was closed")

    def __enter__(self) -> Observation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
