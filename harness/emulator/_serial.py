"""Serial lines of an emulated board, offered to the host as TCP ports or pseudo terminals."""

from __future__ import annotations

import os
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .._errors import PortError
from ._runner import Runner
from ._uart import UartLine

__all__ = ["SerialHub"]

_CHUNK = 65536
Received = Callable[[bytes], None]


class _End:
    """The host's side of one line. Bytes for the host wait in a backlog while nobody takes them."""

    url: str

    def __init__(
        self, received: Received, selector: selectors.BaseSelector, wake: Callable[[], None]
    ) -> None:
        self._received, self._selector, self._wake = received, selector, wake
        self._backlog = bytearray()
        self._lock = threading.Lock()
        self._peer: Any = None

    def send(self, data: bytes) -> None:
        """Give bytes to the host; called by the CPU's thread, never blocks."""
        with self._lock:
            if self._peer is not None and not self._backlog:
                data = data[self._write(data) :]
            if data:
                self._backlog += data
                self._wake()

    def refresh(self) -> None:
        """Wait for writability exactly while there is a backlog; called by the hub's thread."""
        if self._peer is not None:
            events = selectors.EVENT_READ | selectors.EVENT_WRITE * bool(self._backlog)
            self._selector.modify(self._peer, events, self._ready)

    def _ready(self, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            with self._lock:
                del self._backlog[: self._write(bytes(self._backlog))]
            self.refresh()
        if mask & selectors.EVENT_READ:
            data = self._read()
            if data:
                self._received(data)

    def _write(self, data: bytes) -> int:
        raise NotImplementedError  # each kind of end has its own

    def _read(self) -> bytes:
        raise NotImplementedError

    def close(self) -> None:
        """Give up the port."""
        raise NotImplementedError


class _TcpEnd(_End):
    """One TCP port; one client at a time, as with a real port."""

    def __init__(
        self, received: Received, selector: selectors.BaseSelector, wake: Callable[[], None], port: int
    ) -> None:
        super().__init__(received, selector, wake)
        try:
            self._server = socket.create_server(("127.0.0.1", port))
        except OSError as error:
            raise PortError(
                "the port for a serial line cannot be opened",
                where=f"127.0.0.1:{port}",
                found=str(error),
                remedy="name a free port, or none to let the system pick one",
            ) from None
        self._server.setblocking(False)
        self.url = f"socket://127.0.0.1:{self._server.getsockname()[1]}"
        selector.register(self._server, selectors.EVENT_READ, self._accept)

    def _accept(self, _mask: int) -> None:
        client, _ = self._server.accept()
        if self._peer is not None:
            client.close()
            return
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(client, selectors.EVENT_READ, self._ready)
        with self._lock:
            self._peer = client
        self.refresh()

    def _write(self, data: bytes) -> int:
        try:
            return int(self._peer.send(data))
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)  # the client is gone, which reading shows as well; what it missed goes with it

    def _read(self) -> bytes:
        try:
            data = bytes(self._peer.recv(_CHUNK))
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(self._peer)
            with self._lock:
                gone, self._peer = self._peer, None
            gone.close()
        return data

    def close(self) -> None:
        """Close client and port."""
        for end in (self._peer, self._server):
            if end is not None:
                end.close()


class _PtyEnd(_End):
    """A pseudo terminal (not on Windows)."""

    def __init__(
        self, received: Received, selector: selectors.BaseSelector, wake: Callable[[], None]
    ) -> None:
        super().__init__(received, selector, wake)
        try:
            import tty
        except ImportError:
            raise PortError(
                "this system has no pseudo terminals", remedy="use tcp for this serial line"
            ) from None
        master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(master, False)
        self.url = os.ttyname(self._slave)
        selector.register(master, selectors.EVENT_READ, self._ready)
        self._peer = master

    def _write(self, data: bytes) -> int:
        try:
            return os.write(self._peer, data)
        except BlockingIOError:
            return 0

    def _read(self) -> bytes:
        try:
            return os.read(self._peer, _CHUNK)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Close both sides."""
        os.close(self._peer)
        os.close(self._slave)


class SerialHub:
    """Owner of the host's ends of a machine's lines, and of the thread that serves them.

    ``kinds`` maps a line's name to ``tcp``, ``tcp:PORT`` or ``pty``; lines that it does not
    name get a TCP port that the system picks. Raises `PortError`.
    """

    def __init__(self, runner: Runner, lines: list[UartLine], kinds: dict[str, str] | None = None) -> None:
        unknown = sorted(set(kinds or {}) - {line.name for line in lines})
        if unknown:
            raise PortError(f"no serial line {unknown[0]!r}", expected=", ".join(line.name for line in lines))
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._woken)
        self._closing = False
        self._ends: dict[str, _End] = {}
        self._lines = lines
        for line in lines:
            self._ends[line.name] = end = self._open(
                (kinds or {}).get(line.name, "tcp"), _feeder(runner, line)
            )
            line.sink = end.send
        self._thread = threading.Thread(target=self._serve, name="serial lines", daemon=True)
        self._thread.start()

    def _open(self, kind: str, received: Received) -> _End:
        if kind == "pty":
            return _PtyEnd(received, self._selector, self._wake)
        return _TcpEnd(received, self._selector, self._wake, int(kind.partition(":")[2] or 0))

    @property
    def urls(self) -> dict[str, str]:
        """pyserial URL or device path of each line, by the line's name."""
        return {name: end.url for name, end in self._ends.items()}

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # if the pipe is full, it will wake anyway
            self._wake_write.send(b"x")

    def _woken(self, _mask: int) -> None:
        self._wake_read.recv(_CHUNK)
        for end in self._ends.values():
            end.refresh()

    def _serve(self) -> None:
        while not self._closing:
            for key, mask in self._selector.select():
                key.data(mask)

    def close(self) -> None:
        """End the thread and give up all ports."""
        self._closing = True
        self._wake()
        self._thread.join()
        for line in self._lines:
            line.sink = lambda _data: None
        for end in self._ends.values():
            end.close()
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()


def _feeder(runner: Runner, line: UartLine) -> Received:
    def feed(data: bytes) -> None:
        with runner.stopped():
            line.feed(data)

    return feed
