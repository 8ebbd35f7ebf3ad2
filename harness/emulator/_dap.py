"""The debug access port: what a probe talks to (ARM Debug Interface v5, ADIv5).

Port 0 is the memory access port onto the bus; further ports are the SoC vendor's.
"""

from __future__ import annotations

from typing import Final

from ._probed import BusError, ProbedMachine

__all__ = ["DapError", "DebugAccessPort"]

_DPIDR: Final = 0x2BA01477  # SW-DP version 1 of a Cortex-M4
_MEM_AP_IDR: Final = 0x24770011  # AHB-AP of a Cortex-M4
_BASE: Final = 0xE00FF003
_CSW_FIXED: Final = 0x23000040
_POWER_REQUESTS: Final = 0x50000000
_STICKY_ERROR: Final = 0x20
_DPIDR_REGISTER, _CTRL_STAT, _SELECT, _RDBUFF = 0x0, 0x4, 0x8, 0xC
_CSW, _TAR, _DRW, _BD0, _CFG, _BASE_REGISTER, _IDR = 0x00, 0x04, 0x0C, 0x10, 0xF4, 0xF8, 0xFC


class DapError(Exception):
    """A transfer that the port answers with FAULT; ``address`` is the bus address if there is one."""

    def __init__(self, message: str, address: int | None = None) -> None:
        super().__init__(message)
        self.address = address


class DebugAccessPort:
    """DP and AP registers of one machine, used whose owner keeps other users away meanwhile."""

    def __init__(self, machine: ProbedMachine) -> None:
        self._machine = machine
        self._control = 0
        self._csw = 2
        self._tar = 0

    def _require_power(self) -> None:
        if not self._machine.powered:
            raise DapError("the target has no power")

    def read_dp(self, address: int) -> int:
        """Read a debug port register (bank 0)."""
        self._require_power()
        if address == _CTRL_STAT:
            return self._control | (self._control & _POWER_REQUESTS) << 1
        return _DPIDR if address == _DPIDR_REGISTER else 0

    def write_dp(self, address: int, value: int) -> None:
        """Write a debug port register."""
        self._require_power()
        if address == _CTRL_STAT:
            self._control = value & 0x5C000F01 | self._control & _STICKY_ERROR
        elif address == _DPIDR_REGISTER and value & 4:  # ABORT.STKERRCLR
            self._control &= ~_STICKY_ERROR

    def read_ap(self, port: int, address: int) -> int:
        """Read a register of an access port."""
        self._require_power()
        vendor = self._machine.access_ports.get(port)
        if vendor is not None:
            return vendor.read(address)
        if port:
            return 0
        if address == _DRW or _BD0 <= address < _BD0 + 16:
            return self._bus_transfer(address, None)
        return {
            _CSW: self._csw | _CSW_FIXED,
            _TAR: self._tar,
            _BASE_REGISTER: _BASE,
            _IDR: _MEM_AP_IDR,
        }.get(address, 0)

    def write_ap(self, port: int, address: int, value: int) -> None:
        """Write a register of an access port."""
        self._require_power()
        vendor = self._machine.access_ports.get(port)
        if vendor is not None:
            vendor.write(address, value)
        elif port == 0:
            if address == _CSW:
                self._csw = value & 0x37
            elif address == _TAR:
                self._tar = value
            elif address == _DRW or _BD0 <= address < _BD0 + 16:
                self._bus_transfer(address, value)

    def _bus_transfer(self, register: int, value: int | None) -> int:
        """One transfer through DRW or a banked data register, in the byte lanes of its address."""
        if register == _DRW:
            size, address = 1 << min(self._csw & 7, 2), self._tar
        else:
            size, address = 4, (self._tar & ~0xF) + register - _BD0
        shift = 8 * (address & 3)
        mask = (1 << 8 * size) - 1
        try:
            if value is None:
                result = self._machine.bus.read(address, size) << shift
            else:
                self._machine.bus.write(address, size, value >> shift & mask)
                result = 0
        except BusError as error:
            self._control |= _STICKY_ERROR
            raise DapError(str(error), error.address) from None
        if register == _DRW and self._csw & 0x30 == 0x10:
            self._tar = self._tar & ~0x3FF | self._tar + size & 0x3FF
        return result

    def read_memory(self, address: int, size: int) -> bytes:
        """Read through the memory access port, in words where that is possible."""
        self._require_power()
        try:
            return self._machine.bus.read_block(address, size)
        except BusError as error:
            raise DapError(str(error), error.address) from None

    def write_memory(self, address: int, data: bytes) -> None:
        """Write through the memory access port, in words where that is possible."""
        self._require_power()
        try:
            self._machine.bus.write_block(address, data)
        except BusError as error:
            raise DapError(str(error), error.address) from None
