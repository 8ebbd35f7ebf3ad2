"""One running board, whatever it is made of: debug, serial ports, power, capabilities.

pyOCD and pyserial are loaded when a device is opened, not before.
"""

from __future__ import annotations

from ._backends import BACKENDS, DeviceSettings, open_device
from ._console import Console, is_noise
from ._debug_port import CoreSample, DebugPort, Reset, present_probes
from ._device import Baseline, Device, Journal
from ._identity import Identity, check_identity, identify
from ._ports import present_ports
from ._power import EmulatedPower, Power, PowerSettings, ResetPower, SwitchedPower
from ._ppk2 import PPK2_MILLIVOLTS, Ppk2Switch, is_ppk2
from ._probe_id import probe_id, server_address
from ._serial_port import Chunk, SerialPort
from ._switches import CommandSwitch, DriverSwitch, LabgridSwitch

__all__ = [
    "BACKENDS",
    "PPK2_MILLIVOLTS",
    "Baseline",
    "Chunk",
    "CommandSwitch",
    "Console",
    "CoreSample",
    "DebugPort",
    "Device",
    "DeviceSettings",
    "DriverSwitch",
    "EmulatedPower",
    "Identity",
    "Journal",
    "LabgridSwitch",
    "Power",
    "PowerSettings",
    "Ppk2Switch",
    "Reset",
    "ResetPower",
    "SerialPort",
    "SwitchedPower",
    "check_identity",
    "identify",
    "is_noise",
    "is_ppk2",
    "open_device",
    "present_ports",
    "present_probes",
    "probe_id",
    "server_address",
]
