"""Switching a device off and on: what a switch is, and those of devices that have none of their own."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Protocol

from ..emulator.control import ControlClient
from ._debug_port import DebugPort, Reset

__all__ = ["EmulatedPower", "Power", "PowerSettings", "ResetPower", "SwitchedPower"]


class Power(Protocol):
    """A power switch. ``real`` tells whether RAM really loses its content."""

    real: bool

    def off(self) -> None:
        """Switch off."""

    def on(self) -> None:
        """Switch on; the device boots."""


class PowerSettings(Protocol):
    """One switch of a bench, as data: each kind is a frozen dataclass of its own."""

    def switch(self, owned: ExitStack) -> Power:
        """The switch; what it keeps open is closed with ``owned``. Raises `BenchError`."""

    def check(self) -> None:
        """Do nothing if the switch can be there; nothing is switched. Raises `PowerError`."""


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
    """The switch of an emulated board, which hears of it on another line than the debugger's."""

    real = True

    def __init__(self, control: ControlClient, debug: DebugPort) -> None:
        self._control, self._debug = control, debug

    def off(self) -> None:
        """Switch off, after all that the debugger has asked for."""
        self._debug.flush()
        self._control.call("power", False)

    def on(self) -> None:
        """Switch on."""
        self._control.call("power", True)
