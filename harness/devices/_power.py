"""Switching a device off and on."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Final, Protocol

from .._errors import PowerError
from ..emulator.control import ControlClient
from ._debug_port import DebugPort, Reset

__all__ = ["CommandPower", "EmulatedPower", "Power", "ResetPower"]

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
