"""Core registers of the engine, one by one and as the set that an exception frame needs."""

from __future__ import annotations

import ctypes
from typing import Any, Final

from unicorn import arm_const as arm
from unicorn.unicorn_py3 import unicorn as binding

__all__ = ["Registers"]

_GENERAL: Final = tuple(range(arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R0 + 13))
_FRAME: Final = (
    *_GENERAL[:4],
    _GENERAL[12],
    arm.UC_ARM_REG_LR,
    arm.UC_ARM_REG_PC,
    arm.UC_ARM_REG_XPSR,
)
_FLOATS: Final = tuple(arm.UC_ARM_REG_S0 + n for n in range(32))
_EVERYTHING: Final = (
    *_GENERAL,
    arm.UC_ARM_REG_LR,
    arm.UC_ARM_REG_PC,
    arm.UC_ARM_REG_XPSR,
    arm.UC_ARM_REG_MSP,
    arm.UC_ARM_REG_PSP,
    arm.UC_ARM_REG_PRIMASK,
    arm.UC_ARM_REG_BASEPRI,
    arm.UC_ARM_REG_FAULTMASK,
    arm.UC_ARM_REG_CONTROL,
    arm.UC_ARM_REG_FPSCR,
    *_FLOATS,
)
_THUMB: Final = 1 << 24


class _Batch:
    """Several 32-bit registers read or written in one call."""

    def __init__(self, engine: Any, ids: tuple[int, ...]) -> None:
        self._engine, self._count = engine._uch, len(ids)
        self._ids = (ctypes.c_int * self._count)(*ids)
        self.values = (ctypes.c_uint32 * self._count)()
        here = ctypes.addressof(self.values)
        self._pointers = (ctypes.c_void_p * self._count)(*(here + 4 * n for n in range(self._count)))

    def read(self) -> list[int]:
        binding.uclib.uc_reg_read_batch(self._engine, self._ids, self._pointers, self._count)
        return list(self.values)

    def write(self, values: list[int]) -> None:
        for index, value in enumerate(values):
            self.values[index] = value
        binding.uclib.uc_reg_write_batch(self._engine, self._ids, self._pointers, self._count)


class Registers:
    """Reads and writes core registers while the CPU is stopped (reads also inside hooks)."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine._uch
        self._word = ctypes.c_uint32()
        self._pointer = ctypes.byref(self._word)
        self._read, self._write = binding.uclib.uc_reg_read, binding.uclib.uc_reg_write
        self.frame = _Batch(engine, _FRAME)
        self.popped = _Batch(engine, _FRAME[:-1])
        self.floats = _Batch(engine, _FLOATS[:16])
        self._everything = _Batch(engine, _EVERYTHING)

    def everything(self) -> bytes:
        """All core registers as bytes, to compare two states."""
        self._everything.read()
        return bytes(self._everything.values)

    def get(self, register: int) -> int:
        """Value of a register by its Unicorn number."""
        self._read(self._engine, register, self._pointer)
        return self._word.value

    def set(self, register: int, value: int) -> None:
        """Set a register by its Unicorn number."""
        self._word.value = value
        self._write(self._engine, register, self._pointer)

    @property
    def pc(self) -> int:
        """Address of the next instruction."""
        return self.get(arm.UC_ARM_REG_PC)

    @pc.setter
    def pc(self, value: int) -> None:
        self.set(arm.UC_ARM_REG_PC, value | 1)

    @property
    def sp(self) -> int:
        """The stack pointer in use."""
        return self.get(arm.UC_ARM_REG_SP)

    @sp.setter
    def sp(self, value: int) -> None:
        self.set(arm.UC_ARM_REG_SP, value & ~3)

    @property
    def lr(self) -> int:
        """The link register."""
        return self.get(arm.UC_ARM_REG_LR)

    @lr.setter
    def lr(self, value: int) -> None:
        self.set(arm.UC_ARM_REG_LR, value)

    @property
    def xpsr(self) -> int:
        """Flags, IT state, T bit and exception number."""
        return self.get(arm.UC_ARM_REG_XPSR) | _THUMB

    @property
    def ipsr(self) -> int:
        """Number of the exception being handled, 0 in thread mode."""
        return self.get(arm.UC_ARM_REG_IPSR) & 0x1FF

    def set_xpsr(self, value: int) -> None:
        """All of xPSR; a change of the exception number switches the stack pointer as the core does."""
        self.set(arm.UC_ARM_REG_XPSR_NZCVQG, value | _THUMB)
        self._settle()

    def set_mode(self, exception: int, *, process_stack: bool, floating: bool | None = None) -> None:
        """Enter handler mode for ``exception``, or thread mode for 0 with either stack pointer.

        The engine refuses CONTROL.SPSEL in handler mode and everything to unprivileged
        code, so the change is made in privileged thread mode.
        """
        control = self.get(arm.UC_ARM_REG_CONTROL)
        unprivileged = control & 1
        if unprivileged and self.ipsr == 0:
            self._set_ipsr(3)  # any handler: privileged, so that CONTROL can be changed
        if unprivileged:
            self.set(arm.UC_ARM_REG_CONTROL, control & ~1)
        self._set_ipsr(0)
        keep = control & 4 if floating is None else 4 * floating
        self.set(arm.UC_ARM_REG_CONTROL, 2 * process_stack | keep)
        if exception:
            self._set_ipsr(exception)
        if unprivileged:
            self.set(arm.UC_ARM_REG_CONTROL, 1 | 2 * process_stack | keep)
        self._settle()

    def _settle(self) -> None:
        """Have the engine derive its translation flags anew; only writing the condition flags does that."""
        self.set(arm.UC_ARM_REG_APSR_NZCV, self.get(arm.UC_ARM_REG_APSR))

    def _set_ipsr(self, exception: int) -> None:
        self.set(arm.UC_ARM_REG_IPSR, exception)

    @property
    def control(self) -> int:
        """CONTROL: nPRIV, SPSEL, FPCA."""
        return self.get(arm.UC_ARM_REG_CONTROL) & 7

    def by_selector(self, selector: int) -> int:
        """Read as DCRSR.REGSEL numbers them (ARMv7-M C1.6.3)."""
        if selector < 13:
            return self.get(_GENERAL[selector])
        if selector == 20:
            return (
                self.control << 24
                | self.get(arm.UC_ARM_REG_FAULTMASK) << 16
                | self.get(arm.UC_ARM_REG_BASEPRI) << 8
                | self.get(arm.UC_ARM_REG_PRIMASK)
            )
        if 64 <= selector < 96:
            return self.get(_FLOATS[selector - 64])
        if selector == 16:
            return self.xpsr
        number = _SELECTED.get(selector)
        return 0 if number is None else self.get(number)

    def set_by_selector(self, selector: int, value: int) -> None:
        """Write as DCRSR.REGSEL numbers them."""
        if selector < 13:
            self.set(_GENERAL[selector], value)
        elif selector == 15:
            self.pc = value
        elif selector == 16:
            self.set_xpsr(value)
        elif selector == 20:
            self.set_mode(self.ipsr, process_stack=bool(value >> 25 & 1), floating=bool(value >> 26 & 1))
            if value >> 24 & 1:
                self.set(arm.UC_ARM_REG_CONTROL, value >> 24 & 7)
            self.set(arm.UC_ARM_REG_FAULTMASK, value >> 16 & 1)
            self.set(arm.UC_ARM_REG_BASEPRI, value >> 8 & 0xFF)
            self.set(arm.UC_ARM_REG_PRIMASK, value & 1)
        elif 64 <= selector < 96:
            self.set(_FLOATS[selector - 64], value)
        elif selector in _SELECTED:
            self.set(_SELECTED[selector], value)


_SELECTED: Final = {
    13: arm.UC_ARM_REG_SP,
    14: arm.UC_ARM_REG_LR,
    15: arm.UC_ARM_REG_PC,
    17: arm.UC_ARM_REG_MSP,
    18: arm.UC_ARM_REG_PSP,
    33: arm.UC_ARM_REG_FPSCR,
}
