"""A client of Renode's GDB server: core registers, memory, breakpoints, and monitor commands."""

from __future__ import annotations

import re
import socket
import threading
from collections import deque
from contextlib import suppress
from typing import Final

from .._deadline import Deadline
from .._errors import EmulatorError
from ._packets import ACKNOWLEDGED, Packet, PacketParser, encode

__all__ = ["GdbClient", "GdbError"]

_SECONDS: Final = 20.0
_CHUNK: Final = 65536
_STOPS: Final = frozenset(b"STXW")
_LINES: Final = re.compile(r"[\r\n]+")


class GdbError(EmulatorError):
    """Renode refused a request: ``found`` is its error code or its message."""


class GdbClient:
    """One connection, which Renode takes as the only one. Its calls come from one thread at a time.

    The core stands still from the first moment on. Raises `GdbError`, and `EmulatorError` if Renode does not
    answer in time or is gone.
    """

    def __init__(self, port: int, *, deadline: float | Deadline = _SECONDS) -> None:
        self.where = f"127.0.0.1:{port}"
        try:
            self._stream = socket.create_connection(("127.0.0.1", port), Deadline.of(deadline).remaining)
        except OSError as error:
            raise EmulatorError(
                "Renode's GDB server does not answer", where=self.where, found=str(error)
            ) from None
        self._stream.settimeout(None)
        self._stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._arrived = threading.Condition()
        self._answers: deque[Packet | bytes] = deque()
        self._stops: deque[bytes] = deque()
        self._gone = ""
        self._abort = False
        self._thread = threading.Thread(target=self._read, name="renode gdb", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Disconnect; Renode then lets the core run."""
        with suppress(OSError):
            self._stream.shutdown(socket.SHUT_RDWR)
        self._stream.close()
        self._thread.join()

    def _read(self) -> None:
        parser = PacketParser()
        problem = "end of stream"
        try:
            while data := self._stream.recv(_CHUNK):
                with self._arrived:
                    for event in parser.feed(data):
                        # No answer to any request that is made here starts like a stop reply.
                        if isinstance(event, Packet) and event.data[:1] and event.data[0] in _STOPS:
                            self._stops.append(event.data)
                            self._abort |= event.data[:1] == b"X"
                        else:
                            self._answers.append(event)
                    self._arrived.notify_all()
        except OSError as error:
            problem = str(error)
        with self._arrived:
            self._gone = problem
            self._arrived.notify_all()

    def _send(self, data: bytes, doing: str) -> None:
        try:
            self._stream.sendall(data)
        except OSError as error:
            raise self._lost(doing, str(error)) from None

    def _lost(self, doing: str, found: str) -> EmulatorError:
        return EmulatorError(
            f"Renode's process ended during {doing}",
            where=self.where,
            found=found,
            remedy="look at what Renode wrote last; start the board again",
        )

    def _next(self, deadline: Deadline, doing: str) -> Packet | bytes:
        with self._arrived:
            while not self._answers:
                if self._gone:
                    raise self._lost(doing, self._gone)
                if not self._arrived.wait(deadline.remaining) and deadline.expired:
                    raise EmulatorError(
                        f"Renode did not answer {doing}",
                        where=self.where,
                        found=f"nothing within {_SECONDS:.0f} s",
                        remedy="look at what Renode wrote last",
                    )
            return self._answers.popleft()

    def _exchange(self, request: bytes, doing: str, *, answered: bool = True) -> bytes:
        """Send a request; what came before its acknowledgement belongs to nothing any more."""
        limit = Deadline(_SECONDS)
        with self._arrived:
            self._answers.clear()
        self._send(encode(request), doing)
        while self._next(limit, doing) != ACKNOWLEDGED:
            pass
        while answered:
            event = self._next(limit, doing)
            if isinstance(event, Packet):
                return event.data
        return b""

    def _checked(self, request: bytes, doing: str) -> bytes:
        answer = self._exchange(request, doing)
        if answer[:1] == b"E" and len(answer) == 3:
            raise GdbError(f"Renode refused {doing}", where=self.where, found=answer.decode())
        return answer

    # memory and registers

    def read_memory(self, address: int, size: int) -> bytes:
        """Read; `GdbError` where nothing is."""
        answer = self._checked(b"m%x,%x" % (address, size), f"reading {address:#010x}")
        try:
            data = bytes.fromhex(answer.decode("ascii"))
        except ValueError:
            data = b""
        if len(data) != size:
            raise GdbError(
                "Renode's answer makes no sense", where=f"{address:#010x}", found=repr(answer[:40])
            )
        return data

    def write_memory(self, address: int, data: bytes) -> None:
        """Write. Renode says nothing of addresses where nothing is."""
        request = b"M%x,%x:%b" % (address, len(data), data.hex().encode())
        self._checked(request, f"writing {address:#010x}")

    def read_register(self, number: int) -> int:
        """A register by Renode's number, 32 or 64 bits; unknown ones are refused."""
        answer = self._checked(b"p%x" % number, f"reading register {number}")
        try:
            return int.from_bytes(bytes.fromhex(answer.decode("ascii")), "little")
        except ValueError:
            raise GdbError(
                "Renode's answer makes no sense", where=f"register {number}", found=repr(answer[:40])
            ) from None

    def write_register(self, number: int, value: int, size: int = 4) -> None:
        """Set a register of this many bytes."""
        text = value.to_bytes(size, "little").hex().encode()
        self._checked(b"P%x=%b" % (number, text), f"writing register {number}")

    def breakpoint(self, address: int, *, insert: bool) -> None:
        """Set or remove a breakpoint."""
        self._checked(b"%c1,%x,2" % (b"Z" if insert else b"z", address), f"a breakpoint at {address:#010x}")

    # running

    def resume(self) -> None:
        """Let the core run; returns at once."""
        self._forget_stops()
        self._exchange(b"c", "resuming", answered=False)

    def step(self) -> None:
        """One instruction."""
        self._forget_stops()
        self._exchange(b"s", "a step", answered=False)
        if not self._any_stop(_SECONDS) or self._gone:
            raise self._lost("a step", self._gone or "no stop reply")

    def interrupt(self) -> None:
        """Stop the core, which runs. `stopped` then tells whether it had stopped by itself before.

        The pause returns when the core stands. GDB's own way to stop it is answered by a report that cannot
        be told from a late one of an earlier stop.
        """
        self.order("harness_stop")

    def stopped(self, within: float = 0.0) -> bool:
        """Whether the core has stopped by itself since it was let go, or does so within these seconds: at a
        breakpoint, or for good.

        A plain signal 5 may be the second report of an earlier step or breakpoint, and does not count.
        """
        with self._arrived:
            return self._arrived.wait_for(
                lambda: bool(self._gone) or any(stop[:1] in (b"T", b"X") for stop in self._stops), within
            )

    def wait_abort(self) -> bool:
        """Wait until Renode gives up the core; False once Renode is gone."""
        with self._arrived:
            self._arrived.wait_for(lambda: bool(self._gone) or self._abort)
            self._abort = False
            return not self._gone

    @property
    def aborted(self) -> bool:
        """Whether Renode has given up the core, which ran into nowhere."""
        with self._arrived:
            return any(stop[:1] == b"X" for stop in self._stops)

    def _any_stop(self, within: float) -> bool:
        with self._arrived:
            return self._arrived.wait_for(lambda: bool(self._gone or self._stops), within)

    def _forget_stops(self) -> None:
        with self._arrived:
            self._stops.clear()

    def monitor(self, command: str) -> str:
        """The output of a monitor command, in lines without their ends. Errors are output too."""
        doing = f"{command!r}"
        answer = self._exchange(b"qRcmd," + command.encode().hex().encode(), doing)
        output = bytearray()
        limit = Deadline(_SECONDS)
        while answer[:1] == b"O" and answer != b"OK":
            output += bytes.fromhex(answer[1:].decode("ascii"))
            event = self._next(limit, doing)
            answer = event.data if isinstance(event, Packet) else answer if event == ACKNOWLEDGED else b""
        if answer != b"OK":
            raise GdbError(f"Renode refused {command!r}", where=self.where, found=repr(answer))
        return "\n".join(filter(None, _LINES.split(output.decode(errors="replace"))))

    def order(self, command: str) -> None:
        """A monitor command that says nothing if all is well. Raises `GdbError` with what it says."""
        output = self.monitor(command)
        if output:
            raise GdbError(f"Renode did not carry out {command!r}", where=self.where, found=output[:300])
