"""The System Control Space: SysTick, NVIC and SCB registers at 0xE000E000 (ARMv7-M architecture, B3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from ._diagnostics import DiagnosticKind
from ._exceptions import Exc, Exceptions
from ._peripheral import Access, Peripheral, Register, ResetKind, System

__all__ = ["SystemControlSpace"]

_BASE: Final = 0xE000E000
_AIRCR_KEY: Final = 0x05FA
_VECTKEYSTAT: Final = 0xFA050000
_SHCSR_ENABLES: Final = {16: Exc.MEM_MANAGE, 17: Exc.BUS_FAULT, 18: Exc.USAGE_FAULT}
_SHCSR_ACTIVE: Final = {
    0: Exc.MEM_MANAGE,
    1: Exc.BUS_FAULT,
    3: Exc.USAGE_FAULT,
    7: Exc.SVCALL,
    8: Exc.DEBUG_MONITOR,
    10: Exc.PENDSV,
    11: Exc.SYSTICK,
}
_SHCSR_PENDED: Final = {12: Exc.USAGE_FAULT, 13: Exc.MEM_MANAGE, 14: Exc.BUS_FAULT, 15: Exc.SVCALL}
_MPU_REGIONS: Final = 8


def _read_only(values: dict[int, tuple[str, int]]) -> Iterable[Register]:
    return (Register(offset, name, Access.READ_ONLY, value) for offset, (name, value) in values.items())


class SystemControlSpace(Peripheral):
    """Registers of the core. What they stand for lives in `Exceptions` and in the fields here.

    ``cpuid`` is the value of CPUID. ``debug`` lists the debug registers in
    the same page, and ``debug_access`` reads and writes them.
    """

    STATE = ("_systick_zero", "_systick_value", "_systick_flag", "mpu")
    CLOCKS = ("_systick_zero",)
    REGISTERS = (
        Register(0x008, "ACTLR"),
        Register(0x010, "SYST_CSR", Access.LIVE, on_write="_write_systick_csr", on_read="_read_systick_csr"),
        Register(0x014, "SYST_RVR", Access.ACTIVE, on_write="_write_systick_rvr"),
        Register(0x018, "SYST_CVR", Access.LIVE, on_write="_write_systick_cvr", on_read="_read_systick_cvr"),
        Register(0x01C, "SYST_CALIB", Access.READ_ONLY, 0xC0000000),
        Register(0x100, "NVIC_ISER", Access.LIVE, count=8, on_write="_write_iser", on_read="_read_enabled"),
        Register(0x180, "NVIC_ICER", Access.LIVE, count=8, on_write="_write_icer", on_read="_read_enabled"),
        Register(0x200, "NVIC_ISPR", Access.LIVE, count=8, on_write="_write_ispr", on_read="_read_pending"),
        Register(0x280, "NVIC_ICPR", Access.LIVE, count=8, on_write="_write_icpr", on_read="_read_pending"),
        Register(0x300, "NVIC_IABR", Access.LIVE, count=8, on_write="_ignore", on_read="_read_active"),
        Register(0x400, "NVIC_IPR", Access.ACTIVE, count=60, on_write="_write_ipr"),
        Register(0xD04, "ICSR", Access.LIVE, on_write="_write_icsr", on_read="_read_icsr"),
        Register(0xD08, "VTOR", Access.ACTIVE, on_write="_write_vtor"),
        Register(0xD0C, "AIRCR", Access.ACTIVE, _VECTKEYSTAT, on_write="_write_aircr"),
        Register(0xD10, "SCR"),
        Register(0xD14, "CCR", reset=0x200),
        Register(0xD18, "SHPR", Access.ACTIVE, count=3, on_write="_write_shpr"),
        Register(0xD24, "SHCSR", Access.LIVE, on_write="_write_shcsr", on_read="_read_shcsr"),
        Register(0xD28, "CFSR", Access.ACTIVE, on_write="_write_one_clears"),
        Register(0xD2C, "HFSR", Access.ACTIVE, on_write="_write_one_clears"),
        Register(0xD34, "MMFAR"),
        Register(0xD38, "BFAR"),
        Register(0xD3C, "AFSR"),
        Register(0xD88, "CPACR"),
        Register(0xD94, "MPU_CTRL", Access.ACTIVE, on_write="_write_mpu_ctrl"),
        Register(0xD98, "MPU_RNR"),
        Register(
            0xD9C, "MPU_RBAR", Access.LIVE, count=4, stride=8, on_write="_write_rbar", on_read="_read_rbar"
        ),
        Register(
            0xDA0, "MPU_RASR", Access.LIVE, count=4, stride=8, on_write="_write_rasr", on_read="_read_rasr"
        ),
        Register(0xF00, "STIR", Access.ACTIVE, on_write="_write_stir"),
        Register(0xF34, "FPCCR", reset=0xC0000000),
        Register(0xF38, "FPCAR"),
        Register(0xF3C, "FPDSCR"),
    )

    def __init__(
        self,
        system: System,
        exceptions: Exceptions,
        identification: dict[int, tuple[str, int]],
        debug: Iterable[Register],
        debug_access: tuple[Callable[[int], int], Callable[[int, int], None]],
    ) -> None:
        self.exceptions = exceptions
        self._identification, self._debug = identification, tuple(debug)
        self._debug_read, self._debug_write = debug_access
        self._systick_zero = self._systick_value = 0
        self._systick_flag = False
        self.mpu = [0] * (2 * _MPU_REGIONS)
        super().__init__(system, "SCS", _BASE)
        self._systick_alarm = system.alarm(self._systick_reached_zero, clock=True)

    def registers(self) -> Iterable[Register]:
        yield from self.REGISTERS
        yield from _read_only({0xD90: ("MPU_TYPE", _MPU_REGIONS << 8)})
        yield from _read_only({0x004: ("ICTR", (self.exceptions.irqs - 1) // 32)})
        yield from _read_only(self._identification)
        yield from self._debug

    def reset(self, kind: ResetKind) -> None:  # noqa: ARG002 - the core forgets the same at every reset
        """Core reset. What the debug registers stand for lives in `CoreDebug` and is not touched."""
        self.load_reset_values()
        self._systick_alarm.cancel()
        self._systick_value, self._systick_flag = 0, False
        self.mpu = [0] * (2 * _MPU_REGIONS)
        self.exceptions.reset()

    def debug_read(self, offset: int) -> int:
        """Read of a debug register."""
        return self._debug_read(offset)

    def debug_write(self, offset: int, value: int) -> None:
        """Write of a debug register."""
        self._debug_write(offset, value)

    def merge_base(self, offset: int) -> int:
        """What the other bytes of a word are when only some are written: 0 where writing 1 acts."""
        return self.words[offset >> 2] if 0x400 <= offset < 0x4F0 or 0xD08 <= offset < 0xD28 else 0

    # registers that other parts of the core use

    @property
    def vector_table(self) -> int:
        """VTOR."""
        return self.words[0xD08 >> 2]

    @property
    def sleeps_on_exit(self) -> bool:
        """SCR.SLEEPONEXIT."""
        return bool(self.words[0xD10 >> 2] & 2)

    @property
    def pending_is_event(self) -> bool:
        """SCR.SEVONPEND."""
        return bool(self.words[0xD10 >> 2] & 0x10)

    @property
    def aligns_stack(self) -> bool:
        """CCR.STKALIGN."""
        return bool(self.words[0xD14 >> 2] & 0x200)

    @property
    def fpu_enabled(self) -> bool:
        """CPACR gives access to CP10."""
        return bool(self.words[0xD88 >> 2] >> 20 & 1)

    def set_bits(self, offset: int, bits: int) -> None:
        """Set bits in a status register."""
        self.words[offset >> 2] |= bits

    # SysTick (B3.3): counts CPU cycles down to zero, then reloads

    def _systick_period(self) -> int:
        return self.words[0x014 >> 2] + 1

    def _systick_now(self) -> int:
        if not self.words[0x010 >> 2] & 1:
            return self._systick_value
        return max(self._systick_zero - self.system.now, 0)

    def _systick_reached_zero(self) -> None:
        self._systick_flag = True
        if self.words[0x010 >> 2] & 2:
            self.exceptions.pend(Exc.SYSTICK)
        if self.words[0x014 >> 2]:
            self._systick_zero += self._systick_period()
            if self._systick_zero <= self.system.now:  # a long stall: ticks are lost, as on silicon
                self._systick_zero = self.system.now + self._systick_period()
            self._systick_alarm.at(self._systick_zero)

    def _write_systick_csr(self, _offset: int, value: int) -> None:
        was, now_on = self.words[0x010 >> 2] & 1, value & 1
        current = self._systick_now()
        self.words[0x010 >> 2] = value & 7
        if now_on and not was:
            self._systick_zero = self.system.now + (current or self._systick_period())
            if self.words[0x014 >> 2]:
                self._systick_alarm.at(self._systick_zero)
        elif was and not now_on:
            self._systick_value = current
            self._systick_alarm.cancel()

    def _read_systick_csr(self, _offset: int) -> int:
        self.system.clock_was_read()
        value = self.words[0x010 >> 2] | self._systick_flag << 16
        self._systick_flag = False
        return value

    def _write_systick_rvr(self, _offset: int, value: int) -> None:
        self.words[0x014 >> 2] = value & 0xFFFFFF
        if self.words[0x010 >> 2] & 1 and self._systick_alarm.when < self.system.now:
            self._write_systick_cvr(0x018, 0)

    def _write_systick_cvr(self, _offset: int, _value: int) -> None:
        self._systick_flag, self._systick_value = False, 0
        if self.words[0x010 >> 2] & 1 and self.words[0x014 >> 2]:
            self._systick_zero = self.system.now + self._systick_period()
            self._systick_alarm.at(self._systick_zero)

    def _read_systick_cvr(self, _offset: int) -> int:
        self.system.clock_was_read()
        return self._systick_now() & 0xFFFFFF

    # NVIC (B3.4)

    def _ignore(self, _offset: int, _value: int) -> None:
        pass

    def _marked(self, offset: int, value: int) -> list[int]:
        first = Exc.IRQ0 + (offset & 0x1F) * 8
        last = Exc.IRQ0 + self.exceptions.irqs
        return [first + bit for bit in range(32) if value >> bit & 1 and first + bit < last]

    def _bits(self, offset: int, members: Iterable[int]) -> int:
        first = Exc.IRQ0 + (offset & 0x1F) * 8
        return sum(1 << number - first for number in members if first <= number < first + 32)

    def _write_iser(self, offset: int, value: int) -> None:
        self.exceptions.enabled.update(self._marked(offset, value))
        self.exceptions.update()

    def _write_icer(self, offset: int, value: int) -> None:
        self.exceptions.enabled.difference_update(self._marked(offset, value))
        self.exceptions.update()

    def _write_ispr(self, offset: int, value: int) -> None:
        for number in self._marked(offset, value):
            self.exceptions.pend(number)

    def _write_icpr(self, offset: int, value: int) -> None:
        for number in self._marked(offset, value):
            self.exceptions.unpend(number)
            if number in self.exceptions.levels:
                self.exceptions.pend(number)

    def _read_enabled(self, offset: int) -> int:
        return self._bits(offset, self.exceptions.enabled)

    def _read_pending(self, offset: int) -> int:
        return self._bits(offset, self.exceptions.pending)

    def _read_active(self, offset: int) -> int:
        return self._bits(offset, self.exceptions.active)

    def _write_priorities(self, offset: int, value: int, first: int) -> None:
        mask = self.exceptions.priority_mask
        kept = 0
        for byte in range(4):
            number = first + byte
            if number < len(self.exceptions.priorities):
                priority = value >> 8 * byte & mask
                self.exceptions.priorities[number] = priority
                kept |= priority << 8 * byte
        self.words[offset >> 2] = kept
        self.exceptions.update()

    def _write_ipr(self, offset: int, value: int) -> None:
        self._write_priorities(offset, value, Exc.IRQ0 + (offset - 0x400))

    def _write_shpr(self, offset: int, value: int) -> None:
        self._write_priorities(offset, value, 4 + (offset - 0xD18))

    def _write_stir(self, _offset: int, value: int) -> None:
        if value & 0x1FF < self.exceptions.irqs:
            self.exceptions.pend(Exc.IRQ0 + (value & 0x1FF))

    # SCB (B3.2)

    def _write_icsr(self, _offset: int, value: int) -> None:
        for bit, number in ((31, Exc.NMI), (28, Exc.PENDSV), (26, Exc.SYSTICK)):
            if value >> bit & 1:
                self.exceptions.pend(number)
        for bit, number in ((27, Exc.PENDSV), (25, Exc.SYSTICK)):
            if value >> bit & 1:
                self.exceptions.unpend(number)

    def _read_icsr(self, _offset: int) -> int:
        state = self.exceptions
        return (
            (state.active[-1] if state.active else 0)
            | (len(state.active) <= 1) << 11
            | (state.most_urgent() or 0) << 12
            | any(number >= Exc.IRQ0 for number in state.pending) << 22
            | (Exc.SYSTICK in state.pending) << 26
            | (Exc.PENDSV in state.pending) << 28
            | (Exc.NMI in state.pending) << 31
        )

    def _write_vtor(self, _offset: int, value: int) -> None:
        self.words[0xD08 >> 2] = value & 0xFFFFFF80

    def _write_aircr(self, _offset: int, value: int) -> None:
        if value >> 16 != _AIRCR_KEY:
            return
        self.words[0xD0C >> 2] = _VECTKEYSTAT | value & 0x700
        self.exceptions.set_grouping(value >> 8 & 7)
        if value & 4:
            self.system.request_reset(ResetKind.SOFT)
        elif value & 1:
            self.system.request_reset(ResetKind.DEBUG)

    def _read_shcsr(self, _offset: int) -> int:
        state = self.exceptions
        return (
            sum((number in state.enabled) << bit for bit, number in _SHCSR_ENABLES.items())
            | sum((number in state.active) << bit for bit, number in _SHCSR_ACTIVE.items())
            | sum((number in state.pending) << bit for bit, number in _SHCSR_PENDED.items())
        )

    def _write_shcsr(self, _offset: int, value: int) -> None:
        for bit, number in _SHCSR_ENABLES.items():
            (self.exceptions.enabled.add if value >> bit & 1 else self.exceptions.enabled.discard)(number)
        for bit, number in _SHCSR_PENDED.items():
            (self.exceptions.pending.add if value >> bit & 1 else self.exceptions.pending.discard)(number)
        self.exceptions.update()

    def _write_one_clears(self, offset: int, value: int) -> None:
        self.words[offset >> 2] &= ~value & 0xFFFFFFFF

    # MPU (B3.5): registers are there, regions are not enforced

    def _write_mpu_ctrl(self, offset: int, value: int) -> None:
        if value & 1:
            self.system.report(
                DiagnosticKind.UNMODELLED_FEATURE, _BASE + offset, value, "MPU regions are not enforced"
            )
        self.words[offset >> 2] = value & 7

    def _region(self) -> int:
        return self.words[0xD98 >> 2] % _MPU_REGIONS

    def _write_rbar(self, _offset: int, value: int) -> None:
        if value & 0x10:
            self.words[0xD98 >> 2] = value & 0xF
        self.mpu[2 * self._region()] = value & ~0x1F

    def _read_rbar(self, _offset: int) -> int:
        return self.mpu[2 * self._region()] | self._region()

    def _write_rasr(self, _offset: int, value: int) -> None:
        self.mpu[2 * self._region() + 1] = value

    def _read_rasr(self, _offset: int) -> int:
        return self.mpu[2 * self._region() + 1]
