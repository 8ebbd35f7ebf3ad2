"""CoAP over a serial line whose bytes take the time they would take: how much of the wire an update uses.

The line is a pseudo-terminal, opened as a serial port is; behind it a thread delays what goes through
to the pace of a UART (ten bits a byte) and plays the device.
"""

from __future__ import annotations

import os
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from _devices import Device, image, parse
from _measure import Figures

from harness.devices import SerialPort
from harness.protocols import Lwm2mServer
from harness.protocols.slipmux import CoapFrame, Decoder, encode_coap

SIZE = 65536
REPEAT = 5
DEADLINE = 60.0
GET, CONTENT = 1, 69
BLOCK_1024 = 6


class _Board:
    """A device at the end of a wire, in a thread of its own."""

    def __init__(self, wire: int, baud: int) -> None:
        self.device = Device("wired")
        self._wire, self._second_per_byte = wire, 10 / baud
        self._decoder = Decoder()
        self._here_at = 0.0
        self.pulled: list[float] = []
        self._thread = threading.Thread(target=self._run)

    def boot(self) -> None:
        """Register, and answer from now on."""
        self._thread.start()

    def _read(self) -> list[bytes]:
        """Messages from the server, once their last byte would have arrived."""
        data = os.read(self._wire, 4096)
        self._here_at = max(self._here_at, time.perf_counter()) + len(data) * self._second_per_byte
        self._wait(self._here_at)
        return [event.message for event in self._decoder.feed(data) if isinstance(event, CoapFrame)]

    def _write(self, message: bytes) -> None:
        frame = encode_coap(message)
        self._wait(time.perf_counter() + len(frame) * self._second_per_byte)
        os.write(self._wire, frame)

    @staticmethod
    def _wait(until: float) -> None:
        while (left := until - time.perf_counter()) > 0:
            time.sleep(left if left < 1e-4 else left - 5e-5)

    def _run(self) -> None:
        with suppress(OSError):  # the line was closed
            self._write(self.device.registration())
            while True:
                for message in self._read():
                    for reply in self.device.take(message):
                        self._write(reply)
                    if message[1] == CONTENT:
                        self._pull_on(message)

    def pull(self, path: str) -> None:
        """Fetch a file; ``pulled`` has the seconds that it took when it is there."""
        self._path, self._began = path, time.perf_counter()
        self._write(self.device.request(GET, path, (), block2=BLOCK_1024))

    def _pull_on(self, message: bytes) -> None:
        block = parse(message)[1] or 0
        if block & 8:
            following = ((block >> 4) + 1) << 4 | block & 7
            self._write(self.device.request(GET, self._path, (), block2=following))
        else:
            self.pulled.append(time.perf_counter() - self._began)

    def close(self) -> None:
        if self._thread.ident is not None:
            self._thread.join()


@contextmanager
def _line(baud: int) -> Iterator[tuple[Lwm2mServer, SerialPort, _Board]]:
    wire, end = os.openpty()
    tty.setraw(wire)
    tty.setraw(end)
    board = _Board(wire, baud)
    try:
        with Lwm2mServer(host=None) as server, SerialPort(os.ttyname(end), baud=115200) as port:
            server.attach(port)
            board.boot()
            server.wait_registration("wired", deadline=DEADLINE)
            yield server, port, board
    finally:
        os.close(end)
        board.close()
        os.close(wire)


def main() -> None:
    figures = Figures(f"64 KiB over slipmux in blocks of 1024 ({Path(__file__).name})")
    body = image("2.0.0", SIZE)
    for baud in (115_200, 1_000_000):
        with _line(baud) as (server, _, board):
            device = server.device("wired")
            rates = []
            for _ in range(REPEAT):
                began = time.perf_counter()
                device.push("/33629/0/0", body, deadline=DEADLINE)
                rates.append(SIZE / (time.perf_counter() - began))
                device.write("/33629/0/0", b"\0")
            aim = "at least 80" if baud == 1_000_000 else ""
            share = [rate / (baud / 10) * 100 for rate in rates]
            figures.show(f"push, share of {baud} baud that is payload", share, "%", beside=aim)
            path = "/".join(server.publish(body).path)
            for number in range(REPEAT):
                board.pull(path)
                while len(board.pulled) <= number:
                    time.sleep(0.05)
            share = [SIZE / seconds / (baud / 10) * 100 for seconds in board.pulled]
            figures.show(f"pull, share of {baud} baud that is payload", share, "%", beside=aim)


if __name__ == "__main__":
    main()
