"""Devices that do little but answer, for measuring servers: a UDP socket each, one thread for all.

Each registers with object 33629, takes an image that is pushed, "installs" it and registers again.
They are a program, because they need a processor core: ``python _devices.py HOST PORT COUNT PREFIX
BUSY``. It ends with its standard input. The first BUSY devices never answer to a block.
"""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["Device", "devices", "image", "parse"]

VERSION_LENGTH = 8
GET, POST, PUT = 1, 2, 3
CREATED, CHANGED, CONTENT, CONTINUE, NOT_FOUND, INCOMPLETE = 65, 68, 69, 95, 132, 136
URI_PATH, CONTENT_FORMAT, URI_QUERY, BLOCK2, BLOCK1 = 11, 12, 15, 23, 27


def image(version: str, size: int) -> bytes:
    """An image that these devices take: its version, then anything."""
    return version.encode().ljust(VERSION_LENGTH) + bytes(size - VERSION_LENGTH)


@contextmanager
def devices(address: tuple[str, int], count: int, *, prefix: str = "d", busy: int = 0) -> Iterator[list[str]]:
    """Run so many in a process of their own; gives their endpoint names."""
    command = [sys.executable, str(Path(__file__)), *map(str, (*address, count, prefix, busy))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        yield [f"{prefix}{n}" for n in range(count)]
    finally:
        process.communicate()


def _option(data: bytearray, last: int, number: int, value: bytes) -> int:
    delta = number - last
    length = min(len(value), 13)
    data.append(min(delta, 13) << 4 | length)
    if delta >= 13:
        data.append(delta - 13)
    if length == 13:
        data.append(len(value) - 13)
    data += value
    return number


def parse(data: bytes) -> tuple[list[bytes], int | None, bytes]:
    """Path, Block1 or Block2, and payload of a message."""
    at, number = 4 + (data[0] & 15), 0
    path: list[bytes] = []
    block = None
    while at < len(data):
        if data[at] == 0xFF:
            return path, block, data[at + 1 :]
        delta, length = data[at] >> 4, data[at] & 15
        at += 1
        if delta == 13:
            delta = 13 + data[at]
            at += 1
        if length == 13:
            length = 13 + data[at]
            at += 1
        number += delta
        if number == URI_PATH:
            path.append(data[at : at + length])
        elif number in (BLOCK1, BLOCK2):
            block = int.from_bytes(data[at : at + length], "big")
        at += length
    return path, block, b""


class Device:
    """What a device says to messages; it sends and receives none itself."""

    def __init__(self, name: str, *, busy: bool = False) -> None:
        self.name, self.busy = name, busy
        self.state, self.result, self.version = 0, 0, b"1.0.0"
        self.received = bytearray()
        self.mid = 0
        self.registered = False
        self._last: tuple[bytes, bytes] = b"", b""

    def request(
        self, method: int, path: str, queries: tuple[str, ...], *, block2: int | None = None
    ) -> bytes:
        """A confirmable request; Content-Format 40 with queries."""
        self.mid = (self.mid + 1) & 0xFFFF
        data = bytearray((0x44, method, *self.mid.to_bytes(2, "big"), *self.mid.to_bytes(4, "big")))
        last = 0
        for segment in path.split("/"):
            last = _option(data, last, URI_PATH, segment.encode())
        if queries:
            last = _option(data, last, CONTENT_FORMAT, b"\x28")
        for query in queries:
            last = _option(data, last, URI_QUERY, query.encode())
        if block2 is not None:
            _option(data, last, BLOCK2, block2.to_bytes(3, "big").lstrip(b"\0"))
        return bytes(data)

    def registration(self) -> bytes:
        """A Register request."""
        self.registered = False
        queries = f"ep={self.name}", "lt=3600", "lwm2m=1.1", "b=U"
        return self.request(POST, "rd", queries) + b"\xff</1/1>,</3/0>,</33629/0>"

    def take(self, data: bytes) -> list[bytes]:
        """Take a message; returns what there is to send."""
        self.registered |= data[1] == CREATED
        if not 1 <= data[1] < 32:
            return []
        head = data[: 4 + (data[0] & 15)]
        if head == self._last[0]:
            return [self._last[1]]
        path, block, payload = parse(data)
        code, body = self.answer(data[1], tuple(map(int, path)), block, payload)
        if code == 0:
            return []
        reply = bytearray((0x60 | data[0] & 15, code, *head[2:]))
        if block is not None:
            _option(reply, 0, BLOCK1, block.to_bytes((block.bit_length() + 7) // 8, "big"))
        elif code == CONTENT:
            _option(reply, 0, CONTENT_FORMAT, b"")
        self._last = head, bytes(reply) + (b"\xff" + body if body else b"")
        if self.state != 3:
            return [self._last[1]]
        self.state, self.result = 0, 1
        return [self._last[1], self.registration()]

    def answer(
        self, method: int, path: tuple[int, ...], block: int | None, payload: bytes
    ) -> tuple[int, bytes]:
        if method == PUT and path == (33629, 0, 0):
            if self.busy:
                return 0, b""
            number, more, size = ((block or 0) >> 4, (block or 0) & 8, 16 << ((block or 0) & 7))
            if number == 0:
                self.received.clear()
            if len(self.received) != number * size:
                return INCOMPLETE, b""
            self.received += payload
            if more:
                return CONTINUE, b""
            self.state, self.result = (2, 0) if len(self.received) > 1 else (0, 0)
            return CHANGED, b""
        if method == POST and path == (33629, 0, 2):
            self.state, self.version = 3, bytes(self.received[:VERSION_LENGTH]).strip()
            self.received.clear()
            return CHANGED, b""
        values = {
            (33629, 0, 3): b"%d" % self.state,
            (33629, 0, 5): b"%d" % self.result,
            (33629, 0, 14): b"main",
            (33629, 0, 15): self.version,
            (3, 0, 3): self.version,
        }
        return (CONTENT, values[path]) if method == GET and path in values else (NOT_FOUND, b"")


class _OnUdp(Device):
    def __init__(self, name: str, server: tuple[str, int], *, busy: bool) -> None:
        super().__init__(name, busy=busy)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(server)
        self.socket.setblocking(False)
        self.repeat_at = 0.0
        self._send(self.registration())

    def _send(self, message: bytes) -> None:
        with suppress(OSError):  # what is lost is repeated
            self.socket.send(message)
        if message[1] == POST:
            self._registration, self.repeat_at = message, time.monotonic() + 2.0

    def receive(self) -> None:
        with suppress(OSError):
            for message in self.take(self.socket.recv(2048)):
                self._send(message)

    def repeat(self, now: float) -> None:
        if not self.registered and self.repeat_at < now:
            self._send(self._registration)


def main(host: str, port: str, count: str, prefix: str, busy: str) -> None:
    ended = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    made = [_OnUdp(f"{prefix}{n}", (host, int(port)), busy=n < int(busy)) for n in range(int(count))]
    with selectors.DefaultSelector() as selector:
        for device in made:
            selector.register(device.socket, selectors.EVENT_READ, device)
        while not ended.is_set():
            for key, _ in selector.select(0.2):
                key.data.receive()
            now = time.monotonic()
            for device in made:
                device.repeat(now)


if __name__ == "__main__":
    main(*sys.argv[1:])
