"""Transports for `smpclient`: a serial line that somebody else owns, and patience for both kinds of line."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import Final, Protocol

from harness._errors import PortError
from harness.protocols.links import FrameLink, Unsubscribe
from harness.protocols.smp.lines import encode_message

__all__ = ["PATIENCE", "Datagrams", "Patient", "SharedLine", "Transport"]

_UNKNOWN_BUFFER: Final = 256
"""Bytes of a message for a device that does not tell its buffer; Zephyr's default is 384."""
_FRAMING: Final = 4
"""Size and CRC-16, which share a serial device's buffer with the message."""
_HEADER: Final = 8
#: seconds before a request is repeated for the first time
PATIENCE: Final = 3.0
_MOST: Final = 4


class Transport(Protocol):
    """What of smpclient's `SMPTransport` the other parts stand on."""

    async def connect(self, address: str, timeout_s: float) -> None:
        """Be ready to send."""

    async def disconnect(self) -> None:
        """Leave the line."""

    async def send(self, data: bytes) -> None:
        """Send one message."""

    async def receive(self) -> bytes:
        """Wait for one message."""

    @property
    def max_unencoded_size(self) -> int:
        """Bytes of the largest message."""


class SharedLine:
    """SMP on a line whose owner splits messages from console text and CoAP."""

    def __init__(self, link: FrameLink) -> None:
        self._link = link
        self._arrived: asyncio.Queue[bytes | Exception]
        self._unsubscribe: Unsubscribe | None = None
        self.buffer: int | None = None

    async def connect(self, address: str, timeout_s: float) -> None:  # noqa: ARG002 - smpclient's signature
        """Subscribe to the line. A line that is gone is told by `receive`."""
        self._arrived = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def hand_over(item: bytes | Exception) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
                loop.call_soon_threadsafe(self._arrived.put_nowait, item)

        def closed(error: Exception | None) -> None:
            hand_over(error or PortError("the line was closed", where=self._link.name))

        self._unsubscribe = self._link.subscribe(hand_over, closed)

    async def disconnect(self) -> None:
        """Leave the line, which stays open."""
        if self._unsubscribe is not None:
            self._unsubscribe()

    async def send(self, data: bytes) -> None:
        """Queue one message for the line."""
        self._link.send(encode_message(data))

    async def receive(self) -> bytes:
        """The next message from the device."""
        item = await self._arrived.get()
        if isinstance(item, Exception):
            raise item
        return item

    @property
    def max_unencoded_size(self) -> int:
        """What the device's buffer takes."""
        return (self.buffer or _UNKNOWN_BUFFER) - _FRAMING


class Datagrams:
    """smpclient's own transport over UDP, to a port."""

    def __init__(self, port: int) -> None:
        from smpclient.transport.udp import SMPUDPTransport

        self._port = port
        self._inner = SMPUDPTransport()

    async def connect(self, address: str, timeout_s: float) -> None:
        """Open a socket."""
        await self._inner.connect(address, timeout_s, self._port)

    async def disconnect(self) -> None:
        """Close it."""
        await self._inner.disconnect()

    async def send(self, data: bytes) -> None:
        """Send one message."""
        await self._inner.send(data)

    async def receive(self) -> bytes:
        """The next message; datagrams that are none are left out."""
        while True:
            with contextlib.suppress(ValueError, struct.error):
                return bytes(await self._inner.receive())

    @property
    def max_unencoded_size(self) -> int:
        """What one datagram takes."""
        return self._inner.max_unencoded_size


class Patient:
    """Repeats what is not answered, until whoever asked has had enough; takes answers to nothing else.

    SMP answers an upload's piece that comes twice with the offset that it wants next, so nothing
    that is sent here does harm when it arrives twice.
    """

    def __init__(self, inner: Transport, patience: float = PATIENCE) -> None:
        self._inner, self._patience = inner, patience
        self._buffer: int | None = None
        self.sent = self.strays = 0
        """Messages sent for the latest request, and answers to others that came meanwhile."""
        self.answer = b""
        """The latest answer."""

    async def connect(self, address: str, timeout_s: float) -> None:
        """Be ready to send."""
        await self._inner.connect(address, timeout_s)

    async def disconnect(self) -> None:
        """Leave the line."""
        await self._inner.disconnect()

    async def send(self, data: bytes) -> None:
        """Send one message, once."""
        await self._inner.send(data)

    async def receive(self) -> bytes:
        """The next message, whatever it answers."""
        return bytes(await self._inner.receive())

    async def send_and_receive(self, data: bytes) -> bytes:
        """Send a request until its answer is there. Ends by being cancelled."""
        self.sent = self.strays = 0
        patience = self._patience
        while True:
            self.sent += 1
            await self._inner.send(data)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    return await self._answer(data)
            patience = min(2 * patience, _MOST * self._patience)  # a deadline is not for waiting only

    async def _answer(self, request: bytes) -> bytes:
        while True:
            found = await self.receive()
            # Group, sequence and command, and an operation that is the answer to this one.
            same = found[4:_HEADER] == request[4:_HEADER] and len(found) >= _HEADER
            if same and found[0] & 7 == (request[0] & 7) + 1:
                self.answer = found
                return found
            self.strays += 1

    def initialize(self, smp_server_transport_buffer_size: int) -> None:
        """Take the size of the device's buffer, in bytes."""
        self._buffer = smp_server_transport_buffer_size
        if isinstance(self._inner, SharedLine):
            self._inner.buffer = smp_server_transport_buffer_size

    @property
    def mtu(self) -> int:
        """Bytes of the largest message."""
        return self.max_unencoded_size

    @property
    def max_unencoded_size(self) -> int:
        """Bytes of the largest message: what the line takes, and the device has room for."""
        return min(self._inner.max_unencoded_size, self._buffer or _UNKNOWN_BUFFER)
