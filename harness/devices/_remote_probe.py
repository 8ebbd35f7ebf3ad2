"""pyOCD's client of its probe server, with an end to every wait.

The client of pyOCD 0.46 asks for ever where a server says nothing, and spins where one has closed the
connection. Its protocol is one line of JSON each way.
"""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from typing import Any, Final

from pyocd.core import exceptions
from pyocd.probe.tcp_client_probe import TCPClientProbe

from .._deadline import Deadline
from ._probe_id import probe_id, server_address

__all__ = ["RemoteProbe", "RemoteProbeGone", "server_answers"]

#: seconds to reach a server
CONNECT: Final = 10.0
#: seconds for any answer: the longest requests are a reset and 64 KiB of memory over a slow wire
ANSWER: Final = 30.0
_LONGEST: Final = 64 << 20
_START: Final = "start 'pyocd server' there, again if it runs; check address and port; then run again"
_CABLE: Final = "check the probe's USB cable at the server, and start 'pyocd server' again"


class RemoteProbeGone(exceptions.ProbeDisconnected):
    """The server, or the probe behind it, is not there (any more)."""

    def __init__(self, found: str, remedy: str = _START) -> None:
        super().__init__(found)
        self.remedy = remedy


class _Line:
    """The connection, in place of pyOCD's `ClientSocket`. What has failed once stays failed."""

    def __init__(self, host: str, port: int, answer: float) -> None:
        self._address, self._answer = (host, port), answer
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        self._fault = "not connected"

    @property
    def name(self) -> str:
        """The server, for messages."""
        return "probe server {}:{}".format(*self._address)

    def connect(self) -> None:
        """Reach the server."""
        try:
            self._socket = socket.create_connection(self._address, min(CONNECT, self._answer))
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (OSError, UnicodeError) as error:  # a name that no resolver takes is a UnicodeError
            raise self._gone(f"{self.name} cannot be reached: {error}") from None

    def set_timeout(self, _seconds: float) -> None:
        """pyOCD's own interval, after which it would only try again."""

    def write(self, data: bytes) -> None:
        """Send a request."""
        line = self._open()
        try:
            line.settimeout(self._answer)
            line.sendall(data)
        except OSError as error:
            raise self._gone(f"{self.name}: the connection is lost: {error}") from None

    def readline(self) -> bytes:
        """The answer, with its line feed."""
        line, limit = self._open(), Deadline(self._answer)
        while (end := self._buffer.find(b"\n")) < 0:
            try:
                line.settimeout(max(limit.remaining, 0.001))
                data = line.recv(1 << 18)
            except TimeoutError:
                raise self._gone(f"{self.name} has not answered within {self._answer:g} s") from None
            except OSError as error:
                raise self._gone(f"{self.name}: the connection is lost: {error}") from None
            if not data:
                raise self._gone(f"{self.name} has closed the connection")
            self._buffer += data
            if len(self._buffer) > _LONGEST:
                raise self._gone(f"{self.name} sends a line without an end")
        answer = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        return answer

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open(self) -> socket.socket:
        if self._socket is None:
            raise RemoteProbeGone(self._fault)
        return self._socket

    def _gone(self, what: str) -> RemoteProbeGone:
        self._fault = what
        self.close()
        return RemoteProbeGone(what)


class RemoteProbe(TCPClientProbe):
    """A probe behind `pyocd server`, by its id. ``answer`` bounds the wait for each answer, in seconds."""

    def __init__(self, unique_id: str, *, answer: float | None = None) -> None:
        address = server_address(unique_id)
        assert address is not None  # for those ids alone
        super().__init__("")
        self._uid = probe_id(unique_id)
        self._socket = _Line(*address, ANSWER if answer is None else answer)

    def _perform_request_without_raise(self, request: str, *args: Any) -> tuple[Any, BaseException | None]:
        try:
            result, refusal = super()._perform_request_without_raise(request, *args)
        except RemoteProbeGone:
            raise
        except (exceptions.ProbeError, ValueError, TypeError, AttributeError):  # no answer of its protocol
            self._socket.close()
            raise RemoteProbeGone(
                f"what answers at {self._socket.name} is no probe server", "check address and port"
            ) from None
        if isinstance(refusal, exceptions.ProbeDisconnected):
            refusal = RemoteProbeGone(str(refusal), _CABLE)
        return result, refusal

    @property
    def wire_protocol(self) -> Any:
        """As the server says; none if it does not, so that pyOCD goes on to close the probe."""
        with suppress(exceptions.Error):
            return super().wire_protocol
        return None

    def open(self) -> None:
        """Reach the server, and open the probe there."""
        try:
            super().open()
        except BaseException:
            self._socket.close()
            self._is_open = False
            raise

    def unlock(self) -> None:
        """End a lock, if it was had: pyOCD also calls this after a lock that failed."""
        if self._lock_count:
            super().unlock()

    def close(self) -> None:
        """Close the probe there, if the server still listens, and the connection."""
        with suppress(exceptions.Error):
            super().close()
        self._socket.close()
        self._is_open = False


def server_answers(unique_id: str, *, seconds: float) -> bool:
    """Whether a probe server of pyOCD answers at the address in a probe's id."""
    address = server_address(unique_id)
    line = _Line(*address, seconds) if address else None
    try:
        if line is None:
            return False
        line.connect()
        line.write(b'{"id": 0, "request": "hello", "arguments": [%d]}\n' % TCPClientProbe.PROTOCOL_VERSION)
        answer = json.loads(line.readline())
        return isinstance(answer, dict) and answer.get("status") == 0
    except (exceptions.Error, ValueError, RecursionError):
        return False
    finally:
        if line is not None:
            line.close()
