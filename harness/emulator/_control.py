"""The control connection of an emulated board: length-prefixed CBOR over TCP on the loopback interface.

A request is ``[number, method, arguments]``, an answer ``[number, result, error]`` with the
request's number and error null or ``[kind, message, address]``. Requests are answered in
order, so a client may send several before it reads an answer.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import deque
from contextlib import suppress
from typing import Any, Final

import cbor2

from .._errors import EmulatorError

__all__ = ["Connection", "ControlClient", "Pending", "TransferError"]

_MAX_MESSAGE: Final = 64 * 1024 * 1024
_MAX_POSTED: Final = 256
_LENGTH: Final = struct.Struct("<I")


class TransferError(EmulatorError):
    """A debug access that the target answered with FAULT; ``address`` is the bus address, if there is one."""

    def __init__(self, what: str, address: int | None) -> None:
        super().__init__(what, where=None if address is None else f"{address:#010x}")
        self.address = address


class Connection:
    """Messages over a connected socket. `receive` returns None at the end of the stream."""

    def __init__(self, stream: socket.socket) -> None:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = stream
        self._reader = stream.makefile("rb")

    def send(self, message: Any) -> None:
        """Send one message."""
        body = cbor2.dumps(message)
        self._stream.sendall(_LENGTH.pack(len(body)) + body)

    def receive(self) -> Any:
        """The next message."""
        head = self._reader.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack(head)
        if length > _MAX_MESSAGE:
            raise EmulatorError("a control message is too long", found=f"{length} bytes")
        body = self._reader.read(length)
        return cbor2.loads(body) if len(body) == length else None

    def close(self) -> None:
        """Close the socket; a `receive` in another thread ends."""
        with suppress(OSError):
            self._stream.shutdown(socket.SHUT_RDWR)
        self._reader.close()
        self._stream.close()


class Pending:
    """A request under way. ``result`` waits for its answer and raises its error."""

    __slots__ = ("_answer", "_client")

    def __init__(self, client: ControlClient) -> None:
        self._client = client
        self._answer: tuple[Any, Any] | None = None

    def settle(self, result: Any, error: Any) -> None:
        """The answer has come."""
        self._answer = result, error

    def result(self) -> Any:
        """Wait for the answer."""
        while self._answer is None:
            self._client.receive()
        result, error = self._answer
        if error is not None:
            kind, message, address = error
            if kind == "fault":
                raise TransferError(message, address)
            raise EmulatorError(message, where=self._client.where)
        return result


class ControlClient:
    """The caller's side; threads may share it. Raises `EmulatorError`, `TransferError` for a debug access.

    ``post`` sends a request whose result nobody waits for; what went wrong there is raised
    by the next `flush`.
    """

    def __init__(self, port: int, token: str, *, timeout: float = 30.0) -> None:
        self.where = f"127.0.0.1:{port}"
        self._lock = threading.RLock()
        self._under_way: deque[Pending] = deque()
        self._posted: list[Pending] = []
        try:
            stream = socket.create_connection(("127.0.0.1", port), timeout)
        except OSError as error:
            raise EmulatorError(
                "no emulated board answers",
                where=self.where,
                found=str(error),
                remedy="start one: harness emulate --board NAME",
            ) from None
        self._connection = Connection(stream)
        try:
            self.call("hello", token)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def request(self, method: str, *arguments: Any) -> Pending:
        """Send a request; its result can be asked for later."""
        with self._lock:
            pending = Pending(self)
            try:
                self._connection.send([0, method, list(arguments)])
            except OSError as error:
                raise self._gone(method, str(error)) from None
            self._under_way.append(pending)
            return pending

    def post(self, method: str, *arguments: Any) -> None:
        """Send a request and do not wait for its answer."""
        with self._lock:
            self._posted.append(self.request(method, *arguments))
            if len(self._posted) > _MAX_POSTED:
                self.flush()

    def call(self, method: str, *arguments: Any) -> Any:
        """Send a request and wait for its result. Errors of posted requests come first."""
        with self._lock:
            pending = self.request(method, *arguments)
            self.flush()
            return pending.result()

    def flush(self) -> None:
        """Wait for all posted requests; raises the first error among them."""
        with self._lock:
            posted, self._posted = self._posted, []
            for pending in posted:
                pending.result()

    def receive(self) -> None:
        """Wait for the answer that comes next."""
        with self._lock:
            if not self._under_way:
                return
            try:
                answer = self._connection.receive()
            except OSError as error:
                raise self._gone("the last request", str(error)) from None
            if answer is None:
                raise self._gone("the last request", "end of stream")
            _number, result, problem = answer
            self._under_way.popleft().settle(result, problem)

    def _gone(self, method: str, found: str) -> EmulatorError:
        return EmulatorError(
            f"the emulated board's process ended during {method}",
            where=self.where,
            found=found,
            remedy="look at the process's error output; start the board again",
        )

    def close(self) -> None:
        """Close the connection; the board runs on."""
        self._connection.close()
