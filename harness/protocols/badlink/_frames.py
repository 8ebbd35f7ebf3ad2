"""A bad serial line: a FrameLink around another one."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from typing import Protocol as Shape

from harness._errors import PortError
from harness.protocols.badlink._base import BadLink
from harness.protocols.badlink._conditions import LinkConditions
from harness.protocols.badlink._model import Direction
from harness.protocols.badlink._words import Protocol
from harness.protocols.links import FrameErrors, FrameLink, Unsubscribe
from harness.protocols.slipmux import CoapFrame, Decoder, FrameError, encode_coap
from harness.protocols.smp.lines import LineDecoder, SmpMessage, encode_message

__all__ = ["BadFrameLink"]


class _Decoder(Shape):
    def feed(self, data: bytes) -> Sequence[Any]: ...


@dataclass(frozen=True, slots=True)
class _Framing:
    """How messages of a protocol stand on a line, and what its decoder makes of one that is right."""

    encode: Callable[[bytes], bytes]
    decoder: Callable[[], _Decoder]
    whole: type[CoapFrame | SmpMessage]


_FRAMINGS: Final[dict[Protocol, _Framing]] = {
    "coap": _Framing(encode_coap, Decoder, CoapFrame),
    "smp": _Framing(encode_message, LineDecoder, SmpMessage),
}


class BadFrameLink(BadLink):
    """Stands between a server and a serial line; a FrameLink itself, to be attached in the line's place.

    ``protocol`` is that of the frames: ``coap`` in slipmux, or ``smp`` in lines with a CRC-16.
    Frames for the device are changed byte by byte before they go out, so that the device's
    own decoder meets the damage. Frames from the device come out of the line whole; they
    are damaged and decoded once more here, and ``errors`` keeps what that decoder refused.
    Console text passes by untouched. The line stays its owner's to close. A line has no
    addresses: raises ValueError for conditions with moves.
    """

    def __init__(
        self, link: FrameLink, conditions: LinkConditions | None = None, *, protocol: Protocol = "coap"
    ) -> None:
        conditions = conditions or LinkConditions()
        _check(conditions)
        super().__init__(conditions, checked=False, protocol=protocol)
        self.errors = FrameErrors()
        self._link = link
        self._framing = _FRAMINGS[protocol]
        self._decoder = self._framing.decoder()
        self._guard = threading.Lock()
        self._subscribers: list[tuple[Callable[[bytes], None], Callable[[Exception | None], None]]] = []
        self._ended: tuple[Exception | None] | None = None
        self._unsubscribe = link.subscribe(self._from_device, self._closed)

    @property
    def name(self) -> str:
        """The name of the line."""
        return self._link.name

    @property
    def conditions(self) -> LinkConditions:
        """What the link does to messages from now on."""
        return self._model.conditions

    @conditions.setter
    def conditions(self, conditions: LinkConditions) -> None:
        _check(conditions)
        BadLink.conditions.fset(self, conditions)  # type: ignore[attr-defined]  # a property has it

    def send(self, frame: bytes, /) -> None:
        """Send a frame to the device, as far as the link lets it. PortError once the line is gone."""
        if self._ended is not None:
            raise PortError("the line is closed", where=self.name) from self._ended[0]
        events = self._framing.decoder().feed(frame)
        message = events[0].message if events and isinstance(events[0], self._framing.whole) else frame
        self._pass(Direction.TO_DEVICE, frame, message, self._to_line)

    def _to_line(self, frame: bytes) -> None:
        # The line tells its subscribers itself that it is gone.
        with contextlib.suppress(PortError, OSError):
            self._link.send(frame)

    def _from_device(self, message: bytes) -> None:
        self._pass(Direction.TO_SERVER, self._framing.encode(message), message, self._to_server)

    def _to_server(self, frame: bytes) -> None:
        for event in self._decoder.feed(frame):
            if isinstance(event, self._framing.whole):
                for received, _ in self._listeners():
                    received(event.message)
            elif isinstance(event, FrameError):
                self.errors.append(event)

    def _listeners(self) -> tuple[tuple[Callable[[bytes], None], Callable[[Exception | None], None]], ...]:
        with self._guard:
            return tuple(self._subscribers)

    def _closed(self, reason: Exception | None) -> None:
        with self._guard:
            self._ended = (reason,)
            ended, self._subscribers = self._subscribers, []
        for _, closed in ended:
            closed(reason)

    def subscribe(
        self, received: Callable[[bytes], None], closed: Callable[[Exception | None], None], /
    ) -> Unsubscribe:
        """Call ``received`` with each message that gets through, ``closed`` once when the line is gone."""
        entry = (received, closed)
        with self._guard:
            gone = self._ended
            if gone is None:
                self._subscribers.append(entry)
        if gone is not None:
            closed(gone[0])

        def unsubscribe() -> None:
            with self._guard, contextlib.suppress(ValueError):
                self._subscribers.remove(entry)

        return unsubscribe

    def close(self) -> None:
        """Leave the line, which stays open."""
        self._unsubscribe()
        super().close()


def _check(conditions: LinkConditions) -> None:
    if conditions.moves:
        raise ValueError("a device on a serial line has no address that could change (move)")
