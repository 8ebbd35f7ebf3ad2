"""Switching a device off and on."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Protocol

from .._errors import PowerError
from ..emulator.control import ControlClient
from ._debug_port import DebugPort, Reset

__all__ = [
    "CommandPower",
    "EmulatedPower",
    "LabgridPower",
    "Power",
    "PowerSettings",
    "ResetPower",
    "SwitchedPower",
]

_SECONDS: Final = 30


class Power(Protocol):
    """A power switch. ``real`` tells whether RAM really loses its content."""

    real: bool

    def off(self) -> None:
        """Switch off."""

    def on(self) -> None:
        """Switch on; the device boots."""


class ResetPower:
    """No switch at all: switching on again is a pin reset, which keeps RAM."""

    real = False

    def __init__(self, debug: DebugPort) -> None:
        self._debug = debug

    def off(self) -> None:
        """Hold the core."""
        self._debug.halt()

    def on(self) -> None:
        """Pull the reset pin."""
        self._debug.reset(Reset.PIN)


class CommandPower:
    """A command line for each direction, run without a shell. Raises `PowerError`."""

    real = True

    def __init__(self, off: Sequence[str], on: Sequence[str]) -> None:
        self._off, self._on = list(off), list(on)

    def off(self) -> None:
        """Run the command for off."""
        self._run(self._off)

    def on(self) -> None:
        """Run the command for on."""
        self._run(self._on)

    @staticmethod
    def _run(command: list[str]) -> None:
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
            problem = f"exit code {result.returncode}: {result.stderr.strip()}" if result.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as error:
            problem = str(error)
        if problem:
            raise PowerError(
                "the power switch did not obey",
                where=" ".join(command),
                found=problem,
                remedy="run the command by hand; check the bench file",
            )


class LabgridPower:
    """A network switch through labgrid's power backend of this name. Raises `PowerError`."""

    real = True

    def __init__(self, model: str, host: str, index: str) -> None:
        self._where = f"{model}://{host}/{index}"
        self._host, self._index = host, index
        try:
            self._backend: Any = import_module(f"labgrid.driver.power.{model}")
        except ImportError as error:
            raise PowerError(
                "labgrid cannot switch this",
                where=self._where,
                found=str(error),
                remedy="install labgrid; models are the modules of labgrid.driver.power",
            ) from None

    def off(self) -> None:
        """Switch off."""
        self._switch(False)

    def on(self) -> None:
        """Switch on."""
        self._switch(True)

    def _switch(self, wanted: bool) -> None:
        port = getattr(self._backend, "PORT", None)
        try:
            self._backend.power_set(self._host, port, self._index, wanted)
        except Exception as error:
            raise PowerError(
                "the power switch did not obey",
                where=self._where,
                found=f"{type(error).__name__}: {error}",
                remedy="check the switch's address; try labgrid-client power",
            ) from None


class DrivenPower:
    """A switch that is an object of another library. Raises `PowerError`."""

    real = True

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def off(self) -> None:
        """Switch off."""
        self._call("off")

    def on(self) -> None:
        """Switch on."""
        self._call("on")

    def _call(self, verb: str) -> None:
        try:
            getattr(self._driver, verb)()
        except Exception as error:
            raise PowerError(
                "the power switch did not obey",
                where=f"{type(self._driver).__name__}.{verb}",
                found=f"{type(error).__name__}: {error}",
                remedy="try the driver by itself",
            ) from None


@dataclass(frozen=True, slots=True)
class PowerSettings:
    """How a device is switched: command lines, labgrid's (model, host, index), or an object with ``on`` and
    ``off``; none of these: by reset only.
    """

    off: Sequence[str] = ()
    on: Sequence[str] = ()
    labgrid: tuple[str, str, str] | None = None
    driver: Any = None

    @property
    def given(self) -> bool:
        """There is a switch."""
        return bool(self.on) or self.labgrid is not None or self.driver is not None

    def switch(self) -> Power | None:
        """The switch; ``None`` if there is none."""
        if self.driver is not None:
            return DrivenPower(self.driver)
        if self.labgrid is not None:
            return LabgridPower(*self.labgrid)
        return CommandPower(self.off, self.on) if self.on else None


class SwitchedPower:
    """A switch of a device with a debug session, which is taken up again when power is back."""

    real = True

    def __init__(self, switch: Power, debug: DebugPort) -> None:
        self.switch, self._debug = switch, debug

    def off(self) -> None:
        """Switch off."""
        self.switch.off()

    def on(self) -> None:
        """Switch on, and wait until the target answers."""
        self.switch.on()
        self._debug.reconnect()


class EmulatedPower:
    """The switch of an emulated board."""

    real = True

    def __init__(self, control: ControlClient) -> None:
        self._control = control

    def off(self) -> None:
        """Switch off."""
        self._control.call("power", False)

    def on(self) -> None:
        """Switch on."""
        self._control.call("power", True)
