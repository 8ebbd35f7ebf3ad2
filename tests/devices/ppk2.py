"""A stand-in for a Power Profiler Kit II: its serial protocol on a pseudo terminal, a board at its output.

Opcodes and their arguments: `src/constants.ts` and `src/device` of Nordic's pc-nrfconnect-ppk. The
calibration has the lines that a PPK2 sends, with numbers of no real one.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from harness.emulator import control

#: opcode: bytes of the whole command
SIZES = {0x06: 1, 0x07: 1, 0x0C: 2, 0x0D: 3, 0x11: 2, 0x19: 1, 0x20: 1}
SOURCE = 2
#: the nRF52840 runs from 1.7 V on
ENOUGH = 1700
SAMPLES = bytes(range(0x80, 0x100)) * 8
PACKET = 64
_RANGES = range(5)


class Ppk2:
    """One that is plugged in, as somebody has left it. ``history`` is what it supplied, in mV; 0 is off."""

    def __init__(self, board: control.EmulatedBoard | None = None, *, vin: int = 0) -> None:
        self.mode, self.millivolts, self.running, self.vin = SOURCE, 5000, True, vin
        self.measuring = self.dumb = False
        self.received = bytearray()
        self._board = control.ControlClient(board.entry.port, board.entry.token) if board else None
        self._host, self._port = os.openpty()  # kept open: else the terminal ends with its first user
        self.name = os.ttyname(self._port)
        self._wake = os.pipe()
        self.history = [self.output]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def output(self) -> int:
        """mV at VOUT."""
        return (self.millivolts if self.mode == SOURCE else self.vin) if self.running else 0

    def pull(self) -> None:
        """Pull its USB cable, if that has not happened: it ends, and so does the port."""
        if self._thread.is_alive():
            os.write(self._wake[1], b".")
            self._thread.join(10)
            for end in (self._host, self._port, *self._wake):
                os.close(end)
            if self._board is not None:
                self._board.close()

    def _serve(self) -> None:
        rest = b""
        while True:
            ready, _, _ = select.select([self._host, self._wake[0]], [], [])
            if self._wake[0] in ready:
                return
            rest += os.read(self._host, 1024)
            while rest and len(rest) >= SIZES[rest[0]]:
                command, rest = rest[: SIZES[rest[0]]], rest[SIZES[rest[0]] :]
                if not self.dumb:
                    self._obey(*command)
                self.received += command

    def _obey(self, opcode: int, *arguments: int) -> None:
        if self.measuring:
            os.write(self._host, SAMPLES)
        if opcode == 0x07:
            self.measuring = False
        elif opcode == 0x0C:
            self.running = bool(arguments[0])
        elif opcode == 0x0D:
            self.millivolts = arguments[0] << 8 | arguments[1]
        elif opcode == 0x11:
            self.mode = arguments[0]
        elif opcode == 0x19:
            answer = self._calibration()
            for at in range(0, len(answer), PACKET):
                os.write(self._host, answer[at : at + PACKET])
        if self.output != self.history[-1]:
            self.history.append(self.output)
            if self._board is not None:
                self._board.call("power", self.output >= ENOUGH)

    def _calibration(self) -> bytes:
        lines = [
            "Calibrated: 0",
            *(f"{name}{index}: 1.0000" for name in ("R", "GS", "GI", "O") for index in _RANGES),
        ]
        lines += [f"VDD: {self.millivolts}", "HW: 1", f"mode: {self.mode}"]
        lines += [f"{name}{index}: -0.000000104" for name in ("S", "I", "UG") for index in _RANGES]
        return "\n".join([*lines, "IA: 56", "END", ""]).encode()


class Ports:
    """What pyserial finds on this machine."""

    def __init__(self) -> None:
        self.present: list[Any] = []

    def plug_in(self, number: str, *names: str, location: str = "1-1") -> None:
        """A PPK2 with a port for each name, the first at the USB interface 1, the next at 3."""
        from serial.tools.list_ports_common import ListPortInfo

        for index, name in enumerate(names):
            info = ListPortInfo(name)
            info.vid, info.pid, info.product, info.serial_number = 0x1915, 0xC00A, "PPK2", number
            info.description, info.location = "PPK2", f"{location}:1.{2 * index + 1}"
            self.present.insert(0, info)


@contextlib.contextmanager
def plugged_in(patch: pytest.MonkeyPatch, number: str, ppk2: Ppk2) -> Iterator[Ppk2]:
    """A PPK2 of this serial number, with the shell that newer firmware has as its second port."""
    from serial.tools import list_ports

    ports = Ports()
    ports.plug_in("AAAAAAAAAAAA", "/dev/none", location="1-2")
    ports.plug_in(number, ppk2.name, "/dev/shell")
    patch.setattr(list_ports, "comports", lambda *_arguments, **_more: list(ports.present))
    try:
        yield ppk2
    finally:
        ppk2.pull()
