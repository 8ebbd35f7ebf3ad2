"""The host's end of an emulated serial line."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["UartLine"]


class UartLine:
    """Bytes between a UART model and whoever listens on the host.

    Towards the firmware nothing is lost: bytes wait here until the UART takes them.
    ``sink`` gets what the firmware sends. Bytes take the time that the configured baud rate
    gives them, or with ``paced`` off about a microsecond each.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.paced = True
        self.sink: Callable[[bytes], None] = lambda _data: None
        self.arrived: Callable[[], None] = lambda: None
        self._waiting = bytearray()

    def __len__(self) -> int:
        return len(self._waiting)

    def feed(self, data: bytes) -> None:
        """Send bytes to the firmware; the CPU must be stopped."""
        self._waiting += data
        self.arrived()

    def take(self, count: int) -> bytes:
        """Up to ``count`` bytes for the UART model."""
        data = bytes(self._waiting[:count])
        del self._waiting[:count]
        return data

    def send(self, data: bytes) -> None:
        """Bytes that the firmware put on the line."""
        if data:
            self.sink(data)

    def save(self) -> bytes:
        """Bytes under way to the firmware."""
        return bytes(self._waiting)

    def restore(self, state: bytes) -> None:
        """Put back what `save` gave."""
        self._waiting[:] = state
