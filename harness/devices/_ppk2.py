"""Nordic's Power Profiler Kit II as a power switch.

What the PPK2 is told comes from the library ppk2-api. USB identity, which of its ports to take, and that the
board is without power while mode and voltage change, are as in Nordic's Power Profiler (pc-nrfconnect-ppk,
`src/device` and `src/components/DeviceSelector.tsx`). A PPK2 answers nothing but a request for its
calibration, so the answer to that is what shows that it has worked off the commands before.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final, Literal

from .._deadline import Deadline
from .._errors import PowerError
from ._ports import close_port, open_port, present_ports
from ._power import Power

__all__ = ["PPK2_MILLIVOLTS", "Ppk2Switch", "is_ppk2"]

#: least and most that one supplies
PPK2_MILLIVOLTS: Final = (800, 5000)
_USB: Final = (0x1915, 0xC00A)
_BAUD: Final = 115200  # any will do: there is no UART behind it
_SECONDS: Final = 3.0  # for an answer, and for a command to be taken
_LOOK: Final = 0.1  # seconds that one read waits
_END: Final = b"END"  # last line of the calibration
_ANSWER: Final = re.compile(rb"[\r\n\x20-\x7e]*END")
_SHOWN: Final = 60


def is_ppk2(port: Any) -> bool:
    """Whether a port of `present_ports` is one of a PPK2's."""
    return (port.vid, port.pid) == _USB


def _command_ports() -> dict[str, str]:
    """Command port of each PPK2 by serial number. From firmware 1.2.0 on, the second port is a shell."""
    found: dict[str, str] = {}
    for port in sorted(filter(is_ppk2, present_ports()), key=_order):
        if port.serial_number:
            found.setdefault(str(port.serial_number), str(port.device))
    return found


def _order(port: Any) -> tuple[int, int, str]:
    """By USB interface (``1-1.2:1.3``) where the system tells, else by name."""
    interface = re.search(r":\w+\.(\d+)$", str(port.location or ""))
    return int(interface[1]) if interface else 0, len(port.device), port.device


@dataclass(frozen=True, slots=True)
class Ppk2Switch:
    """A PPK2 by its USB serial number.

    ``source``: it supplies the board with ``millivolts``. ``ampere``: it switches what is at VIN through to
    VOUT, and is told that this is ``millivolts``.

    Raises:
        PowerError: a voltage that it cannot give (800 to 5000 mV).
    """

    serial: str
    mode: Literal["source", "ampere"]
    millivolts: int

    def __post_init__(self) -> None:
        least, most = PPK2_MILLIVOLTS
        if not least <= self.millivolts <= most:  # the library would take the nearest without a word
            raise PowerError(
                "a PPK2 cannot give this voltage",
                where=self.where,
                expected=f"{least} to {most} mV",
                found=f"{self.millivolts} mV",
            )

    @property
    def where(self) -> str:
        """It, for messages."""
        return f"PPK2 {self.serial}"

    def switch(self, owned: ExitStack) -> Power:
        """The switch; its port is taken until ``owned`` is closed. Raises `PowerError`, `PortError`."""
        kit = _library(self.where)
        line = _Line(self._port())
        owned.callback(line.release)
        return Ppk2Power(self, kit, line)

    def check(self) -> None:
        """Look for the library and for the PPK2. Raises `PowerError`."""
        _library(self.where)
        self._port()

    def _port(self) -> str:
        present = _command_ports()
        for number, device in present.items():
            if number.lower() == self.serial.lower():
                return device
        raise PowerError(
            "there is no PPK2 with this serial number",
            where=self.where,
            found=", ".join(present) or "no PPK2 at all",
            remedy="plug it in at USB DATA/POWER, switch it on, or correct 'serial' in the bench file",
        )


def _library(where: str) -> Any:
    """The library's object for a PPK2, without a port: it is given one that is opened here."""
    try:
        from ppk2_api.ppk2_api import PPK2_API
    except ImportError as error:
        raise PowerError(
            "a PPK2 needs the library ppk2-api",
            where=where,
            found=str(error),
            remedy="pip install 'mcuboot-harness[ppk2]'",
        ) from None
    return PPK2_API(None)


class _Line:
    """The port as the library uses it, with what the library leaves out: errors, deadlines, whole answers.

    The library logs what goes wrong at a write and goes on; here it is kept in ``error``. The library reads
    what happens to be there; here that is a whole answer, or nothing when time is up.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.error: Exception | None = None
        self.heard = b""
        self._limit = Deadline(0)
        self._port = open_port(device, _BAUD)
        self._port.timeout, self._port.write_timeout = _LOOK, _SECONDS

    def begin(self) -> None:
        """Forget what came before; an answer has to come from now on."""
        self.error, self.heard, self._limit = None, b"", Deadline(_SECONDS)
        self._try(self._port.reset_input_buffer)

    def _try(self, action: Callable[..., Any], *arguments: Any) -> None:
        """Keep what goes wrong; after that nothing more is tried."""
        if self.error is None:
            try:
                action(*arguments)
            except Exception as error:  # also termios.error, which is no OSError and not there on Windows
                self.error = error

    def _hear(self) -> None:
        self.heard += self._port.read(max(1, self._port.in_waiting))

    def write(self, data: bytes) -> None:
        """Called by the library."""
        self._try(self._port.write, data)

    @property
    def in_waiting(self) -> int:
        """Called by the library: size of the answer, once it is whole."""
        while self.error is None and _END not in self.heard and not self._limit.expired:
            self._try(self._hear)
        return len(self.read())

    def read(self, _size: int = 0) -> bytes:
        """Called by the library: the answer, without measurements that were under way before it."""
        answer = _ANSWER.search(self.heard)
        return answer[0] if answer else b""

    def close(self) -> None:
        """Called by the library when its object goes; the port is not the library's."""

    def release(self) -> None:
        """Give the port back."""
        close_port(self._port)


class Ppk2Power:
    """A PPK2 that switches a board. Closing tells it nothing. Raises `PowerError`."""

    real = True

    def __init__(self, settings: Ppk2Switch, kit: Any, line: _Line) -> None:
        self._settings, self._kit, self._line = settings, kit, line
        self._set_up = False
        kit.ser = line
        line.begin()
        kit.stop_measuring()  # somebody may have died while it measured
        self._answers("opening it")

    def off(self) -> None:
        """Switch off; it is off then."""
        self._line.begin()
        self._kit.toggle_DUT_power("OFF")
        self._answers("switching off")

    def on(self) -> None:
        """Switch on. The first time it is set up before, with the board off, and has switched on afterwards.

        Later it is only known to have answered before: who cuts power soon wants to know when it came.
        """
        if self._set_up:
            self._line.begin()
            self._answers("before switching on")
            self._kit.toggle_DUT_power("ON")
            self._obeyed("switching on")
            return
        self.off()
        self._line.begin()
        if self._settings.mode == "source":
            self._kit.use_source_meter()
        else:
            self._kit.use_ampere_meter()
        self._kit.set_source_voltage(self._settings.millivolts)
        self._kit.toggle_DUT_power("ON")
        self._answers("setting it up and switching on")
        self._set_up = True

    def _answers(self, doing: str) -> None:
        """Wait for its calibration: commands are worked off in their order."""
        understood = self._kit.get_modifiers()
        self._obeyed(doing)
        if not understood:
            raise self._error(doing, f"{self._line.heard[-_SHOWN:]!r}" if self._line.heard else "no answer")

    def _obeyed(self, doing: str) -> None:
        if self._line.error is not None:
            raise self._error(doing, str(self._line.error))

    def _error(self, doing: str, found: str) -> PowerError:
        return PowerError(
            "the power switch did not obey",
            where=f"{self._settings.where} at {self._line.device}, {doing}",
            expected=f"its calibration within {_SECONDS:g} s",
            found=found,
            remedy="check its cable, end other programs that use it, plug it out and in, update its firmware",
        )
