"""The one owner of a serial port: reads it, splits frames from text, stamps both, and writes in order."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from .._deadline import Deadline
from .._errors import PortError
from ..protocols.links import FrameErrors, FrameLink, Unsubscribe
from ..protocols.slipmux import CoapFrame, Decoder, Event, FrameError, Text
from ..protocols.smp import LineDecoder, SmpMessage
from ._ports import abort_write, close_port, open_port, usb_serial, vanished

__all__ = ["Chunk", "SerialPort"]

_Receiver: TypeAlias = tuple[Callable[[bytes], None], Callable[[Exception | None], None]]
_CHUNK: Final = 65536
_QUIET: Final = 0.25  # seconds after which a frame without an end was cut off, by a reset for example
#: ends a frame that noise has begun at the device, and a line for a boot loader that knows no frames
_END_OF_NOISE: Final = b"\xc0\r\n"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Text as it arrived: ``at`` is `time.monotonic`, in seconds."""

    at: float
    data: bytes


class SerialPort:
    """An open serial port, by pyserial URL (`/dev/ttyACM0`, `COM3`, `socket://host:port`, `rfc2217://...`).

    It is a `FrameLink` for CoAP over slipmux, and the source of the console's text. If it ``carries``
    ``smp``, lines of SMP are taken out of that text, and `smp` is a `FrameLink` for them. Its threads
    end with `close`, or when the port vanishes: then ``failure`` says why. Raises `PortError` if the
    port cannot be opened.
    """

    def __init__(
        self, url: str, *, baud: int, name: str = "console", carries: Collection[str] = ("slipmux",)
    ) -> None:
        self.url, self.baud, self._name = url, baud, name
        self.failure: PortError | None = None
        self.errors = FrameErrors()
        self.smp_errors: list[FrameError] = []
        self._serial = open_port(url, baud)
        self._number = usb_serial(self._serial.port or url)
        self._decoder = Decoder()
        self._lines = LineDecoder() if "smp" in carries else None
        self._before_smp = _END_OF_NOISE if "slipmux" in carries else b""
        self._receivers: list[_Receiver] = []
        self._smp_receivers: list[_Receiver] = []
        self._listeners: list[Callable[[Chunk], None]] = []
        self._lock = threading.Lock()
        self._outgoing: deque[bytes] = deque()
        self._settling: deque[threading.Event] = deque()
        self._work = threading.Condition(self._lock)
        self._closing = self._closed = False
        self._waiter = _waiter(self._serial)
        self._reader = threading.Thread(target=self._read, name=f"serial {name} reader", daemon=True)
        self._writer = threading.Thread(target=self._write, name=f"serial {name} writer", daemon=True)
        self._reader.start()
        self._writer.start()

    @property
    def name(self) -> str:
        """Short name of the line."""
        return self._name

    def __enter__(self) -> SerialPort:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @property
    def smp(self) -> FrameLink:
        """The same port for SMP: ``send`` takes whole lines, subscribers get messages."""
        return _SmpSide(self, self._smp_receivers, self._before_smp)

    def send(self, frame: bytes, /) -> None:
        """Queue bytes, which are written whole and in order. `PortError` once the port is gone."""
        with self._work:
            if self._closed or self._closing:
                raise self.failure or PortError("the port is closed", where=self.url)
            self._outgoing.append(frame)
            self._work.notify()

    def subscribe(
        self, received: Callable[[bytes], None], closed: Callable[[Exception | None], None], /
    ) -> Unsubscribe:
        """Call ``received`` with each CoAP message, and ``closed`` once when the port is gone."""
        return self._add(self._receivers, (received, closed))

    def _add(self, receivers: list[_Receiver], entry: _Receiver) -> Unsubscribe:
        with self._lock:
            gone = self._closed
            if not gone:
                receivers.append(entry)
        if gone:
            entry[1](self.failure)

        def unsubscribe() -> None:
            with self._lock, suppress(ValueError):
                receivers.remove(entry)

        return unsubscribe

    def listen(self, listener: Callable[[Chunk], None]) -> None:
        """Call ``listener`` with each piece of text, from the reader's thread."""
        with self._lock:
            self._listeners.append(listener)

    def settle(self, *, deadline: float | Deadline = 5.0) -> None:
        """Wait until all that has arrived so far has been handed on. Raises `DeadlineExceeded`."""
        limit, done = Deadline.of(deadline), threading.Event()
        with self._lock:
            if self._closed or self._closing:
                return
            self._settling.append(done)
        self._waiter.wake()
        if not done.wait(limit.remaining):
            raise limit.exceeded("silence", seen="more and more bytes", where=self.url)

    def close(self) -> None:
        """End the threads and give up the port. What was queued is dropped."""
        with self._work:
            if self._closing:
                return
            self._closing = True
            self._work.notify()
        self._waiter.wake()
        self._join(self._reader)
        abort_write(self._serial)  # and only now: for the reader it would be the port that vanished
        self._join(self._writer)
        self._waiter.close()
        with suppress(OSError):
            close_port(self._serial)

    @staticmethod
    def _join(thread: threading.Thread) -> None:
        if thread is not threading.current_thread():
            thread.join()

    def _read(self) -> None:
        try:
            while not self._closing:
                settling = len(self._settling)
                data = self._waiter.read(0 if settling else _QUIET if self._in_frame else None)
                if data:
                    self._handle(self._decoder.feed(data))
                elif data is None and settling:
                    for _ in range(settling):
                        self._settling.popleft().set()
                elif data is None:
                    self._handle([*self._decoder.flush(), _Quiet()])
        except (OSError, EOFError) as error:
            self.failure = vanished(self._serial.port or self.url, self._number, error)
        finally:
            self._end()

    @property
    def _in_frame(self) -> bool:
        return self._decoder.in_frame or (self._lines is not None and self._lines.in_frame)

    def _split(self, events: Iterable[Event | _Quiet]) -> Iterator[Event | SmpMessage]:
        """Take SMP out of bare text. Anything else between its lines breaks them off, and so does silence."""
        for event in events:
            text = event if isinstance(event, Text) and not event.diagnostic else None
            if self._lines is not None:
                for found in self._lines.flush() if text is None else self._lines.feed(text.data):
                    if isinstance(found, FrameError):
                        self.smp_errors.append(found)
                    else:
                        yield found
            if not isinstance(event, _Quiet) and (self._lines is None or text is None):
                yield event

    def _handle(self, events: Iterable[Event | _Quiet]) -> None:
        now = time.monotonic()
        for event in self._split(events):
            if isinstance(event, CoapFrame | SmpMessage):
                receivers = self._receivers if isinstance(event, CoapFrame) else self._smp_receivers
                for received, _ in tuple(receivers):
                    received(event.message)
            elif isinstance(event, Text):
                for listener in tuple(self._listeners):
                    listener(Chunk(now, event.data))
            else:
                self.errors.append(event)

    def _end(self) -> None:
        with self._work:
            self._closed = True
            receivers = [*self._receivers, *self._smp_receivers]
            self._receivers.clear()
            self._smp_receivers.clear()
            while self._settling:
                self._settling.popleft().set()
            self._work.notify()
        for _, closed in receivers:
            closed(self.failure)

    def _write(self) -> None:
        while True:
            with self._work:
                while not self._outgoing and not self._closing and not self._closed:
                    self._work.wait()
                if self._closing or self._closed:
                    return
                data = self._outgoing.popleft()
            try:
                self._serial.write(data)
            except OSError:
                return  # the reader meets the same failure and reports it


class _Quiet:
    """Nothing came for a while."""


class _SmpSide:
    """A serial port as SMP sees it: a `FrameLink` whose frames are lines, each message after ``before``."""

    def __init__(self, port: SerialPort, receivers: list[_Receiver], before: bytes) -> None:
        self._port, self._receivers, self._before = port, receivers, before

    @property
    def name(self) -> str:
        return self._port.name

    def send(self, frame: bytes, /) -> None:
        self._port.send(self._before + frame)

    def subscribe(
        self, received: Callable[[bytes], None], closed: Callable[[Exception | None], None], /
    ) -> Unsubscribe:
        return self._port._add(self._receivers, (received, closed))


class _SelectWaiter:
    """Waits on the port's file descriptor and, to be woken, on a socket."""

    def __init__(self, serial: Any) -> None:
        descriptor = serial.fileno()
        self._serial = serial
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self._selector.register(descriptor, selectors.EVENT_READ)
        self._selector.register(self._wake_read, selectors.EVENT_READ)

    def read(self, quiet: float | None) -> bytes | None:
        """What has arrived; empty if woken, None if nothing came for ``quiet`` seconds.

        EOFError at the end of the stream.
        """
        ready = [key.fileobj for key, _ in self._selector.select(quiet)]
        if not ready:
            return None
        if self._wake_read in ready:
            self._wake_read.recv(_CHUNK)
            return b""
        data = bytes(self._serial.read(_CHUNK))
        if not data:
            raise EOFError("end of stream")
        return data

    def wake(self) -> None:
        """End a `read`."""
        self._wake_write.send(b"x")

    def close(self) -> None:
        """Free the selector and its socket."""
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()


class _PollingWaiter:
    """For ports without a file descriptor (COM ports, rfc2217): reads with a short timeout."""

    _SECONDS: Final = 0.05

    def __init__(self, serial: Any) -> None:
        self._serial = serial
        serial.timeout = self._SECONDS

    def read(self, quiet: float | None) -> bytes | None:
        """What has arrived within the timeout; None if nothing came for ``quiet`` seconds."""
        limit = Deadline(quiet or 0)
        while True:
            data = bytes(self._serial.read(max(1, self._serial.in_waiting)))
            if data or quiet is None:
                return data
            if limit.expired:
                return None

    def wake(self) -> None:
        """The timeout is short enough."""

    def close(self) -> None:
        """Nothing to free."""


def _waiter(serial: Any) -> _SelectWaiter | _PollingWaiter:
    try:
        return _SelectWaiter(serial)
    except (AttributeError, OSError, ValueError):
        return _PollingWaiter(serial)
