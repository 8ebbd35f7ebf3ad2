"""One running board, whatever it is made of: debug, serial ports, power, capabilities.

pyOCD and pyserial are loaded when a device is opened, not before.
"""

from __future__ import annotations

from ._backends import DeviceSettings, open_device
from ._console import Console
from ._debug_port import CoreSample, DebugPort, Reset
from ._device import Baseline, Device, Journal
from ._power import CommandPower, EmulatedPower, Power, ResetPower
from ._serial_port import Chunk, SerialPort

__all__ = [
    "Baseline",
    "Chunk",
    "CommandPower",
    "Console",
    "CoreSample",
    "DebugPort",
    "Device",
    "DeviceSettings",
    "EmulatedPower",
    "Journal",
    "Power",
    "Reset",
    "ResetPower",
    "SerialPort",
    "open_device",
]
