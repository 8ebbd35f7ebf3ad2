"""How long a line to the console and its answer take beyond the wire: harness alone, emulated board."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from _measure import Figures, seconds

from harness.boards import find_board
from harness.devices import Console, SerialPort, open_device
from harness.protocols.slipmux import encode_text
from harness.updates import ImageFactory, UpdateRig

LINE = "echo 0123456789\n"
REPEAT = 400
LIMIT_MS = 1


@contextmanager
def _echo() -> Iterator[int]:
    """A wire without length: what is sent to this port comes back at once."""

    def serve() -> None:
        while True:
            try:
                stream, _ = server.accept()
            except OSError:
                return
            with stream:
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while data := stream.recv(4096):
                    stream.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def harness_alone(figures: Figures) -> None:
    with _echo() as port:
        with socket.create_connection(("127.0.0.1", port)) as stream:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def bare() -> None:
                stream.sendall(LINE.encode())
                assert stream.recv(4096) == LINE.encode()

            figures.show("bare socket, there and back", [t * 1e3 for t in seconds(bare, repeat=REPEAT)], "ms")
        with SerialPort(f"socket://127.0.0.1:{port}", baud=1_000_000) as serial:
            console = Console(serial, framed=False)

            def line() -> None:
                console.send(LINE)
                console.expect("9\n")

            times = seconds(line, repeat=REPEAT)
        figures.show("the same by Console", [t * 1e3 for t in times], "ms", beside=f"limit {LIMIT_MS}")


def emulated_board(figures: Figures) -> None:
    board = find_board("nrf52840dk")
    with open_device(board) as device, UpdateRig(device, ImageFactory(board)) as rig:
        rig.install(*(rig.images.make(part, "1.0.0") for part in board.components))
        rig.boot()
        device.console.skip()
        answer = device.console.command(LINE.rstrip("\n"))

        def command() -> None:
            device.console.command(LINE.rstrip("\n"))

        times = seconds(command, repeat=REPEAT)
        sent, received = len(encode_text(LINE)), len(answer) + len("ok\n") + 2 * len(encode_text(""))
        wire = (sent + received) * 10 / board.serial[0].baud
        figures.show("command and answer, emulated board", [t * 1e3 for t in times], "ms")
        figures.show(f"{sent + received} bytes on the wire, as the board counts", [wire * 1e3], "ms")
        beyond = [(t - wire) * 1e3 for t in times]
        figures.show("beyond the wire", beyond, "ms", beside=f"limit {LIMIT_MS}, the CPU's work included")


def main() -> None:
    figures = Figures(f"console round trip ({Path(__file__).name})")
    harness_alone(figures)
    emulated_board(figures)


if __name__ == "__main__":
    main()
