"""Serial lines in memory: two ends that exchange bytes through the real codec."""

from __future__ import annotations

import threading
from collections.abc import Callable

from harness._errors import PortError
from harness.protocols.links import FrameErrors, Unsubscribe
from harness.protocols.slipmux import CoapFrame, Decoder, Text

__all__ = ["MemoryLink", "link_pair"]


class MemoryLink:
    """One end of a serial line that exists in memory only; a FrameLink.

    ``console`` collects the text that the other end printed, ``errors`` the frames
    that arrived broken. ``damage`` may be set to change the bytes that this end
    sends, for example to flip a bit or to lose a frame.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._decoder = Decoder()
        self._subscriber: tuple[Callable[[bytes], None], Callable[[Exception | None], None]] | None = None
        self._other: MemoryLink | None = None
        self._closed = False
        self._reason: Exception | None = None
        self.console = bytearray()
        self.errors = FrameErrors()
        self.damage: Callable[[bytes], bytes] | None = None
        self.frames_sent = 0

    @property
    def name(self) -> str:
        """Name of this end."""
        return self._name

    def connect(self, other: MemoryLink) -> None:
        """Make ``other`` the end that receives what this one sends."""
        self._other = other

    def send(self, frame: bytes, /) -> None:
        """Send a frame. Raises PortError once closed."""
        if self._closed or self._other is None:
            raise PortError("the link is closed", where=self._name)
        self.frames_sent += 1
        self._other.receive(frame if self.damage is None else self.damage(frame))

    def print(self, text: bytes) -> None:
        """Send text outside of frames, as a boot loader does."""
        if self._other is not None:
            self._other.receive(text)

    def receive(self, data: bytes) -> None:
        """Take bytes from the line."""
        messages = []
        with self._lock:
            for event in self._decoder.feed(data):
                if isinstance(event, CoapFrame):
                    messages.append(event.message)
                elif isinstance(event, Text):
                    self.console += event.data
                else:
                    self.errors.append(event)
            subscriber = self._subscriber
        for message in messages:
            if subscriber is not None:
                subscriber[0](message)

    def subscribe(
        self, received: Callable[[bytes], None], closed: Callable[[Exception | None], None], /
    ) -> Unsubscribe:
        """Subscribe to messages and to the end of the line."""
        subscriber = (received, closed)
        with self._lock:
            self._subscriber = subscriber
            gone = self._closed
        if gone:
            closed(self._reason)

        def unsubscribe() -> None:
            with self._lock:
                if self._subscriber is subscriber:
                    self._subscriber = None

        return unsubscribe

    def close(self, reason: Exception | None = None) -> None:
        """End this end of the line, as when an adapter is pulled out."""
        with self._lock:
            self._closed, self._reason = True, reason
            subscriber = self._subscriber
        if subscriber is not None:
            subscriber[1](reason)


def link_pair(name: str = "memory", other: str = "memory-device") -> tuple[MemoryLink, MemoryLink]:
    """Return two connected ends of a line: the harness's and the device's."""
    ends = MemoryLink(name), MemoryLink(other)
    ends[0].connect(ends[1])
    ends[1].connect(ends[0])
    return ends
