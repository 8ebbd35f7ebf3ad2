"""What a CoAP-over-serial transport needs from whoever owns the serial port."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, runtime_checkable

from harness.protocols.slipmux import FrameError

__all__ = ["FrameErrors", "FrameLink", "Unsubscribe"]

Unsubscribe = Callable[[], None]


class FrameErrors(list[FrameError]):
    """The frames that arrived broken. A link that has them as ``errors`` lets its server count them."""

    def __init__(self) -> None:
        super().__init__()
        self._watchers: list[Callable[[FrameError], object]] = []

    def watch(self, watcher: Callable[[FrameError], object]) -> Unsubscribe:
        """Call ``watcher`` with each further one, from whatever thread reads the line."""
        self._watchers.append(watcher)

        def unsubscribe() -> None:
            with suppress(ValueError):
                self._watchers.remove(watcher)

        return unsubscribe

    def append(self, error: FrameError, /) -> None:
        """Keep one, and tell."""
        super().append(error)
        for watcher in tuple(self._watchers):
            watcher(error)


@runtime_checkable
class FrameLink(Protocol):
    """One serial line to one device, seen from its CoAP side.

    The owner of the port splits what it receives with :class:`slipmux.Decoder
    <harness.protocols.slipmux.Decoder>`, keeps the console text and hands every
    :class:`~harness.protocols.slipmux.CoapFrame` on.
    """

    @property
    def name(self) -> str:
        """Name of the line in messages and addresses, for example ``/dev/ttyACM0``."""
        ...

    def send(self, frame: bytes, /) -> None:
        """Put ``frame`` on the line as it is, END bytes included, and nothing into the middle of it.

        Called from the server's own thread, so it must be thread safe and should
        queue instead of waiting for the line. Raises PortError once the port is gone.
        """
        ...

    def subscribe(
        self, received: Callable[[bytes], None], closed: Callable[[Exception | None], None], /
    ) -> Unsubscribe:
        """Call ``received`` with each CoAP message, and ``closed`` once when the port is gone.

        Both are thread safe and return at once. ``closed`` gets the error that ended
        the port, or None for an orderly end; a link that is closed already calls it
        from within ``subscribe``. Calling the result ends the subscription.
        """
        ...
