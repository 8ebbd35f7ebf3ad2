"""The debug side of the core: halting, stepping, register access, breakpoints and watchpoints.

Registers and behaviour: ARMv7-M architecture, C1.6 (DHCSR, DCRSR, DCRDR, DEMCR),
C1.8 (DWT) and C1.11 (FPB).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from ._exceptions import Exc
from ._peripheral import Access, Peripheral, Register, ResetKind, System

__all__ = ["BreakpointUnit", "CoreDebug", "DebugTarget", "RomTable", "WatchpointUnit"]

_KEY: Final = 0xA05F
_C_DEBUGEN: Final = 1
_C_HALT: Final = 2
_C_STEP: Final = 4
_C_MASKINTS: Final = 8
DFSR_HALTED: Final = 1
DFSR_BKPT: Final = 2
DFSR_DWTTRAP: Final = 4
DFSR_VCATCH: Final = 8
_DFSR: Final = 0xD30
_ARM: Final = 0x43B
VC_CORERESET: Final = 1
#: DEMCR vector catch bit of each exception that can be caught (the usage fault kinds share one here)
VECTOR_CATCH: Final = {
    Exc.MEM_MANAGE: 1 << 4,
    Exc.USAGE_FAULT: 1 << 5 | 1 << 6 | 1 << 7,
    Exc.BUS_FAULT: 1 << 8,
    Exc.HARD_FAULT: 1 << 10,
}


class DebugTarget(Protocol):
    """What the debug unit needs of the core."""

    @property
    def sleeping(self) -> bool:
        """The core waits in WFI or WFE."""

    @property
    def locked_up(self) -> bool:
        """The core is in lockup."""

    def read_register(self, selector: int) -> int:
        """A core register by its DCRSR number."""

    def write_register(self, selector: int, value: int) -> None:
        """Set a core register by its DCRSR number."""


class CoreDebug:
    """DFSR, DHCSR, DCRSR, DCRDR and DEMCR, registers of the System Control Space page."""

    REGISTERS: Final = (
        Register(_DFSR, "DFSR", Access.LIVE, on_write="debug_write", on_read="debug_read"),
        Register(0xDF0, "DHCSR", Access.LIVE, on_write="debug_write", on_read="debug_read"),
        Register(0xDF4, "DCRSR", Access.LIVE, on_write="debug_write", on_read="debug_read"),
        Register(0xDF8, "DCRDR", Access.LIVE, on_write="debug_write", on_read="debug_read"),
        Register(0xDFC, "DEMCR", Access.LIVE, on_write="debug_write", on_read="debug_read"),
    )

    def __init__(self) -> None:
        self.target: DebugTarget | None = None
        self.on_connect: Callable[[], None] = lambda: None
        self.control = self.data = self.catch = 0
        self.halted = False
        self.stepping = False
        self.was_reset = True
        self.retired = False
        self.reasons = 0

    @property
    def enabled(self) -> bool:
        """A debugger is in control (C_DEBUGEN)."""
        return bool(self.control & _C_DEBUGEN)

    @property
    def masks_interrupts(self) -> bool:
        """Interrupts are held back while stepping (C_MASKINTS)."""
        return bool(self.enabled and self.control & _C_MASKINTS)

    def power_on(self) -> None:
        """Lose everything, as the debug domain does without power."""
        self.control = self.data = self.catch = self.reasons = 0
        self.halted = self.stepping = False
        self.was_reset = True

    def core_reset(self) -> None:
        """The core was reset; it halts before its first instruction if that is caught."""
        self.was_reset = True
        self.control &= ~(_C_HALT | _C_STEP)
        self.halted = self.stepping = False
        if self.enabled and self.catch & VC_CORERESET:
            self.halt(DFSR_VCATCH)

    def halt(self, reason: int) -> None:
        """Stop the core before its next instruction and say why in DFSR."""
        self.halted, self.stepping = True, False
        self.control |= _C_HALT
        self.reasons |= reason

    def catches(self, exception: int) -> bool:
        """Whether entering this exception halts the core."""
        return (
            self.enabled and exception < Exc.IRQ0 and bool(self.catch & VECTOR_CATCH.get(Exc(exception), 0))
        )

    def read(self, offset: int) -> int:
        """Read of one of the registers."""
        if offset == 0xDF0:
            return self._status()
        return {_DFSR: self.reasons, 0xDF8: self.data, 0xDFC: self.catch}.get(offset, 0)

    def _status(self) -> int:
        running = None if self.halted else self.target
        value = (
            self.control & 0xF
            | 1 << 16
            | self.halted << 17
            | (running is not None and running.sleeping) << 18
            | (running is not None and running.locked_up) << 19
            | self.retired << 24
            | self.was_reset << 25
        )
        self.was_reset = self.retired = False
        return value

    def write(self, offset: int, value: int) -> None:
        """Write of one of the registers."""
        if offset == 0xDF0:
            if value >> 16 == _KEY:
                self._write_control(value & 0x2F)
        elif offset == 0xDF4:
            if self.target is not None and self.halted:
                if value >> 16 & 1:
                    self.target.write_register(value & 0x7F, self.data)
                else:
                    self.data = self.target.read_register(value & 0x7F)
        elif offset == 0xDF8:
            self.data = value
        elif offset == _DFSR:
            self.reasons &= ~value
        else:
            self.catch = value & 0x010007F1

    def _write_control(self, value: int) -> None:
        if value & _C_DEBUGEN and not self.enabled:
            self.on_connect()
        self.control = value
        if not value & _C_DEBUGEN:
            self.control = 0
            self.halted = self.stepping = False
        elif value & _C_HALT:
            if not self.halted:
                self.halt(DFSR_HALTED)
        elif self.halted:
            self.halted, self.stepping = False, bool(value & _C_STEP)


def _identification(
    part: int, component_class: int, revision: int = 0, designer: int = _ARM
) -> Iterable[Register]:
    """CoreSight PIDR and CIDR; ``designer`` is a JEP106 code with its bank above bit 7."""
    values = {
        0xFD0: designer >> 8,
        0xFE0: part & 0xFF,
        0xFE4: (designer & 0xF) << 4 | part >> 8,
        0xFE8: revision << 4 | 0x08 | designer >> 4 & 0x7,
        0xFF0: 0x0D,
        0xFF4: component_class << 4,
        0xFF8: 0x05,
        0xFFC: 0xB1,
    }
    for offset in (*range(0xFD0, 0x1000, 4),):
        yield Register(offset, "ID", Access.READ_ONLY, values.get(offset, 0))


#: identification of the SCS of a Cortex-M4
SCS_IDENTIFICATION: Final = tuple(_identification(0x00C, 0xE))


class RomTable(Peripheral):
    """The CoreSight ROM table, which lists the debug components that exist."""

    def __init__(
        self, system: System, base: int, components: Iterable[int], identity: tuple[int, int]
    ) -> None:
        self._components, self._identity = tuple(components), identity
        super().__init__(system, "ROM table", base)

    def registers(self) -> Iterable[Register]:
        for index, component in enumerate(self._components):
            entry = (component - self.base) & 0xFFFFF000 | 3
            yield Register(4 * index, f"ENTRY{index}", Access.READ_ONLY, entry)
        yield Register(4 * len(self._components), "END", Access.READ_ONLY, 0)
        yield Register(0xFCC, "MEMTYPE", Access.READ_ONLY, 1)
        part, designer = self._identity
        yield from _identification(part, 0x1, designer=designer)


class BreakpointUnit(Peripheral):
    """FPB revision 1: six instruction comparators, and two literal ones that match nothing."""

    COMPARATORS: Final = 8
    INSTRUCTION_COMPARATORS: Final = 6
    REGISTERS = (
        Register(0x000, "FP_CTRL", Access.ACTIVE, reset=0x260, on_write="_write_control"),
        Register(0x004, "FP_REMAP"),
        Register(0x008, "FP_COMP", Access.ACTIVE, count=COMPARATORS, on_write="_write_comparator"),
        *_identification(0x003, 0xE, 2),
    )

    def __init__(self, system: System, base: int, changed: Callable[[], None]) -> None:
        self._changed = changed
        super().__init__(system, "FPB", base)

    def reset(self, kind: ResetKind) -> None:
        """Breakpoints survive every reset but power-on."""
        if kind is ResetKind.POWER_ON:
            self.load_reset_values()
            self._changed()

    def _write_control(self, offset: int, value: int) -> None:
        if value & 2:
            self.words[offset >> 2] = 0x260 | value & 1
            self._changed()

    def _write_comparator(self, offset: int, value: int) -> None:
        self.words[offset >> 2] = value
        self._changed()

    def addresses(self) -> set[int]:
        """Instruction addresses at which the core halts."""
        if not self.words[0] & 1:
            return set()
        found = set()
        for index in range(self.INSTRUCTION_COMPARATORS):
            value = self.words[2 + index]
            if value & 1:
                word = value & 0x1FFFFFFC
                replace = value >> 30
                found |= {word + half for bit, half in ((1, 0), (2, 2)) if replace & bit}
        return found


class WatchpointUnit(Peripheral):
    """DWT: the cycle counter and four data comparators."""

    COMPARATORS: Final = 4
    STATE = ("_cycle_base",)
    REGISTERS = (
        Register(0x000, "DWT_CTRL", reset=0x40000000),
        Register(0x004, "DWT_CYCCNT", Access.LIVE, on_write="_write_cycles", on_read="_read_cycles"),
        Register(0x008, "DWT_CPICNT", count=5),
        Register(0x01C, "DWT_PCSR", Access.READ_ONLY, 0xFFFFFFFF),
        Register(0x020, "DWT_COMP", Access.ACTIVE, count=4, stride=16, on_write="_write_comparator"),
        Register(0x024, "DWT_MASK", Access.ACTIVE, count=4, stride=16, on_write="_write_comparator"),
        Register(0x028, "DWT_FUNCTION", Access.ACTIVE, count=4, stride=16, on_write="_write_comparator"),
        *_identification(0x002, 0xE, 3),
    )

    def __init__(self, system: System, base: int, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._cycle_base = 0
        super().__init__(system, "DWT", base)

    def reset(self, kind: ResetKind) -> None:
        """Comparators survive every reset but power-on."""
        if kind is ResetKind.POWER_ON:
            self.load_reset_values()
            self._cycle_base = 0
            self._changed()

    def _read_cycles(self, _offset: int) -> int:
        return self.system.now - self._cycle_base & 0xFFFFFFFF

    def _write_cycles(self, _offset: int, value: int) -> None:
        self._cycle_base = self.system.now - value

    def _write_comparator(self, offset: int, value: int) -> None:
        self.words[offset >> 2] = value
        self._changed()

    def matched(self, comparator: int) -> None:
        """Note in FUNCTION.MATCHED that this comparator hit."""
        self.words[0x28 + 16 * comparator >> 2] |= 1 << 24

    def watched(self) -> list[tuple[int, int, int, bool, bool]]:
        """(comparator, first address, last address, on read, on write) for each that is on."""
        found = []
        for index in range(self.COMPARATORS):
            compare, mask, function = (self.words[0x20 + 16 * index + 4 * n >> 2] for n in range(3))
            if function & 0xF in {5, 6, 7}:
                size = 1 << (mask & 0x1F)
                start = compare & ~(size - 1)
                found.append((index, start, start + size - 1, bool(function & 1), bool(function & 2)))
        return found
