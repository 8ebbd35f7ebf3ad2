"""RNG, TEMP and GPIO (PS chapters of these names)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..._peripheral import Access, Peripheral, Register, ResetKind, System
from ._common import CYCLES_PER_SECOND, NrfPeripheral, Ppi

__all__ = ["Gpio", "Rng", "Temp"]


class Rng(NrfPeripheral):
    """Random numbers that depend on the seed alone, so that a run can be repeated."""

    _BYTE_CYCLES: Final = 120 * CYCLES_PER_SECOND // 1_000_000
    TASKS = {0x000: "START", 0x004: "STOP"}
    EVENTS = {0x100: "VALRDY"}
    SHORT_TABLE = {0: (0x100, 0x004)}
    REGISTERS = (Register(0x504, "CONFIG"), Register(0x508, "VALUE", Access.READ_ONLY))
    STATE = ("interrupts", "_state")

    def __init__(self, system: System, base: int, irq: int, ppi: Ppi, seed: int) -> None:
        self._seed = self._state = seed & 0xFFFFFFFFFFFFFFFF | 1
        super().__init__(system, "RNG", base, irq, ppi)
        self._alarm = system.alarm(self._ready)

    def reset(self, kind: ResetKind) -> None:
        """Stopped; at power-on the sequence starts anew."""
        super().reset(kind)
        self._alarm.cancel()
        if kind is ResetKind.POWER_ON:
            self._state = self._seed

    def task_start(self) -> None:
        """Make numbers."""
        self._alarm.at(self.system.now + self._BYTE_CYCLES)

    def task_stop(self) -> None:
        """Stop making numbers."""
        self._alarm.cancel()

    def _ready(self) -> None:
        state = self._state  # xorshift64 (Marsaglia 2003)
        state ^= state << 13 & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 7
        state ^= state << 17 & 0xFFFFFFFFFFFFFFFF
        self._state = state
        self.words[0x508 >> 2] = state >> 24 & 0xFF
        self._alarm.at(self.system.now + self._BYTE_CYCLES)
        self.fire(0x100)


class Temp(NrfPeripheral):
    """25 degrees Celsius, always."""

    _CYCLES: Final = 36 * CYCLES_PER_SECOND // 1_000_000
    TASKS = {0x000: "START", 0x004: "STOP"}
    EVENTS = {0x100: "DATARDY"}
    REGISTERS = (Register(0x508, "TEMP", Access.READ_ONLY, 100), Register(0x520, "CALIBRATION", count=21))

    def __init__(self, system: System, base: int, irq: int, ppi: Ppi) -> None:
        super().__init__(system, "TEMP", base, irq, ppi)
        self._alarm = system.alarm(lambda: self.fire(0x100))

    def task_start(self) -> None:
        """Measure."""
        self._alarm.at(self.system.now + self._CYCLES)

    def task_stop(self) -> None:
        """Stop measuring."""
        self._alarm.cancel()


class Gpio(Peripheral):
    """Ports P0 (at the page's start) and P1 (0x300 above). Inputs are low unless pulled up."""

    _PORTS: Final = (0x000, 0x300)

    def __init__(self, system: System, base: int) -> None:
        super().__init__(system, "GPIO", base)

    def registers(self) -> Iterable[Register]:
        for port in self._PORTS:
            yield Register(port + 0x504, "OUT")
            yield Register(port + 0x508, "OUTSET", Access.LIVE, on_write="_set", on_read="_read_target")
            yield Register(port + 0x50C, "OUTCLR", Access.LIVE, on_write="_clear", on_read="_read_target")
            yield Register(port + 0x510, "IN", Access.LIVE, on_write="_ignore", on_read="_read_in")
            yield Register(port + 0x514, "DIR")
            yield Register(port + 0x518, "DIRSET", Access.LIVE, on_write="_set", on_read="_read_target")
            yield Register(port + 0x51C, "DIRCLR", Access.LIVE, on_write="_clear", on_read="_read_target")
            yield Register(port + 0x520, "LATCH")
            yield Register(port + 0x524, "DETECTMODE")
            yield Register(port + 0x700, "PIN_CNF", reset=2, count=32)

    def _ignore(self, _offset: int, _value: int) -> None:
        pass

    @staticmethod
    def _target(offset: int) -> int:
        """OUT for OUTSET and OUTCLR, DIR for DIRSET and DIRCLR."""
        return (offset & ~0xF | 4) >> 2

    def _set(self, offset: int, value: int) -> None:
        self.words[self._target(offset)] |= value

    def _clear(self, offset: int, value: int) -> None:
        self.words[self._target(offset)] &= ~value & 0xFFFFFFFF

    def _read_target(self, offset: int) -> int:
        return self.words[self._target(offset)]

    def _read_in(self, offset: int) -> int:
        port = offset - 0x510
        out, direction = self.words[port + 0x504 >> 2], self.words[port + 0x514 >> 2]
        configurations = self.words[port + 0x700 >> 2 : (port + 0x700 >> 2) + 32]
        pulled = sum(1 << pin for pin, value in enumerate(configurations) if value >> 2 & 3 == 3)
        return out & direction | pulled & ~direction
