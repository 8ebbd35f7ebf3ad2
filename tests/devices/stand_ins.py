"""Hardware that misbehaves on purpose, behind the protocols that real hardware speaks."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.emulator import control

CTRL_AP, APPROTECT_STATUS, ERASE_ALL = 1, 0x0C, 0x04


class FaultyProbe:
    """The emulated probe with faults between pyOCD and the board. `end` takes them away."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        from harness.devices.pyocd_probe import EmulatedProbe

        self._patch, self._probe = patch, EmulatedProbe

    def fail(self, error: Exception, *methods: str) -> None:
        """These methods of the probe raise."""

        def raising(*_arguments: Any, **_more: Any) -> Any:
            raise error

        for method in methods:
            self._patch.setattr(self._probe, method, raising)

    def fail_first(self, method: str, errors: list[Exception]) -> None:
        """This method raises as long as there are errors left."""
        whole = getattr(self._probe, method)

        def raising(*arguments: Any, **more: Any) -> Any:
            if errors:
                raise errors.pop()
            return whole(*arguments, **more)

        self._patch.setattr(self._probe, method, raising)

    def lock(self) -> None:
        """APPROTECT as the nRF52 has it: only the control port answers, and ERASEALL there opens the chip."""
        from pyocd.core.exceptions import TransferFaultError

        state = {"locked": True}
        read, write, memory = (
            getattr(self._probe, name) for name in ("read_ap", "write_ap", "get_memory_interface_for_ap")
        )

        def guard(address: int) -> None:
            if state["locked"] and address >> 24 == 0:
                raise TransferFaultError("access port is closed")

        def read_ap(probe: Any, addr: int, now: bool = True) -> Any:
            guard(addr)
            if addr >> 24 == CTRL_AP and addr & 0xFF == APPROTECT_STATUS and state["locked"]:
                return 0 if now else lambda: 0
            return read(probe, addr, now)

        def write_ap(probe: Any, addr: int, data: int) -> None:
            guard(addr)
            write(probe, addr, data)
            if addr >> 24 == CTRL_AP and addr & 0xFF == ERASE_ALL and data == 1:
                state["locked"] = False

        def memory_of(probe: Any, address: Any) -> Any:
            return None if state["locked"] else memory(probe, address)

        self._patch.setattr(self._probe, "read_ap", read_ap)
        self._patch.setattr(self._probe, "write_ap", write_ap)
        self._patch.setattr(self._probe, "get_memory_interface_for_ap", memory_of)

    def wear(self, cell: int) -> None:
        """The byte at this address reads as zero whatever is written."""
        memory = self._probe.get_memory_interface_for_ap

        def memory_of(probe: Any, address: Any) -> Any:
            found = memory(probe, address)
            read = found.read_memory_block8

            def reads(addr: int, size: int, **attributes: int) -> list[int]:
                data = list(read(addr, size, **attributes))
                if addr <= cell < addr + size:
                    data[cell - addr] = 0
                return data

            found.read_memory_block8 = reads
            return found

        self._patch.setattr(self._probe, "get_memory_interface_for_ap", memory_of)

    def end(self) -> None:
        """The cause is gone."""
        self._patch.undo()


class PseudoTerminal:
    """A serial line: ``name`` is the port's, `say` is the board, `pull` the cable."""

    def __init__(self) -> None:
        self._board, port = os.openpty()
        self.name = os.ttyname(port)
        os.close(port)

    def say(self, data: bytes) -> None:
        os.write(self._board, data)

    def hear(self, size: int) -> bytes:
        """What was sent to the board."""
        return os.read(self._board, size)

    def pull(self) -> None:
        """The port is gone for whoever has it open. A second time does nothing: numbers are used again."""
        if self._board >= 0:
            os.close(self._board)
            self._board = -1


@contextlib.contextmanager
def pseudo_terminal() -> Iterator[PseudoTerminal]:
    """A serial line with a board at its end."""
    if not hasattr(os, "openpty"):
        pytest.skip("this system has no pseudo terminals")
    line = PseudoTerminal()
    try:
        yield line
    finally:
        line.pull()


class Rfc2217Port:
    """A serial port on the network whose board talks at one speed: at any other its text is garbage.

    ``talk`` is its answer to whatever is typed, ``url`` is where it listens. It takes nothing more
    while ``hears`` is not set.
    """

    def __init__(self, baud: int, talk: bytes) -> None:
        self.baud, self._talk = baud, talk
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self._server.getsockname()[1]}"
        self.received = bytearray()
        self.hears = threading.Event()
        self.hears.set()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.hears.set()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                self._session(connection)

    def _session(self, connection: socket.socket) -> None:
        import serial.rfc2217

        line = _Line()
        manager = serial.rfc2217.PortManager(line, _Writer(connection))
        while data := connection.recv(1024):
            typed = b"".join(manager.filter(data))
            self.received += typed
            self.hears.wait()
            if typed:
                right = line.baudrate == self.baud
                text = self._talk if right else bytes(byte << 1 & 0xFF | 0x81 for byte in self._talk)
                connection.sendall(b"".join(manager.escape(text)))


class _Writer:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        self._connection.sendall(data)


class _Line:
    """What pyserial's server side wants of a serial port."""

    baudrate, bytesize, parity, stopbits = 0, 8, "N", 1
    xonxoff = rtscts = dtr = rts = break_condition = cts = dsr = ri = cd = False

    def reset_input_buffer(self) -> None: ...

    def reset_output_buffer(self) -> None: ...


def power_switch(folder: Path, board: control.EmulatedBoard, name: str = "switch") -> Path:
    """A program that switches an emulated board by its last argument, on or off; a file `broken` stops it."""
    script = folder / name
    script.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys\n"
        "from harness.emulator.control import ControlClient\n"
        f"here = pathlib.Path({str(folder)!r})\n"
        "if (here / 'broken').exists():\n"
        "    sys.exit('no hub at that location')\n"
        "with (here / 'said').open('a') as file:\n"
        "    file.write(' '.join(sys.argv[1:]) + '\\n')\n"
        f"client = ControlClient({board.entry.port}, {board.entry.token!r})\n"
        "client.call('power', sys.argv[-1] == 'on')\n"
        "client.close()\n"
    )
    script.chmod(0o755)
    return script
