"""The debug side of a Cortex-M4 that Renode does not model, as far as pyOCD looks at it.

Registers: ARMv7-M Architecture Reference Manual, C1.6 (DHCSR, DCRSR, DCRDR, DEMCR), C1.11 (FPB).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

__all__ = ["BREAKPOINTS", "CoreFace", "ProbedCore", "component_page"]

_KEY: Final = 0xA05F
_C_DEBUGEN, _C_HALT, _C_STEP = 1, 2, 4
_VC_CORERESET: Final = 1
_HALTED, _BKPT, _VCATCH = 1, 2, 8
_AIRCR_KEY: Final = 0x05FA
SCS: Final = 0xE000E000
_DWT, _FPB, _ROM = 0xE0001000, 0xE0002000, 0xE00FF000
_AIRCR, _DFSR, _DHCSR, _DCRSR, _DCRDR, _DEMCR = (
    SCS + offset for offset in (0xD0C, 0xD30, 0xDF0, 0xDF4, 0xDF8, 0xDFC)
)
BREAKPOINTS: Final = 6


class ProbedCore(Protocol):
    """The core as the debug registers move it."""

    def halt(self) -> None:
        """Stop before the next instruction."""

    def resume(self, breakpoints: frozenset[int]) -> None:
        """Run until something stops it; it stops at these addresses."""

    def step(self) -> None:
        """One instruction."""

    def stopped(self) -> bool:
        """Whether it has met a breakpoint since `resume`."""

    def read_register(self, selector: int) -> int:
        """A register by its DCRSR number, while the core stands."""

    def write_register(self, selector: int, value: int) -> None:
        """Set a register by its DCRSR number, while the core stands."""

    def activity(self) -> tuple[bool, bool]:
        """Whether the running core sleeps, and whether it has locked up."""

    def resets(self) -> int:
        """How often it was reset since power came."""

    def reset(self, *, catch: bool) -> None:
        """What SYSRESETREQ does; with ``catch`` the core then stands before its first instruction."""


def _identification(part: int, component_class: int, designer: int = 0x43B) -> Iterator[tuple[int, int]]:
    """CoreSight PIDR and CIDR; ``designer`` is a JEP106 code with its bank above bit 7."""
    yield 0xFD0, designer >> 8
    yield 0xFE0, part & 0xFF
    yield 0xFE4, (designer & 0xF) << 4 | part >> 8
    yield 0xFE8, 0x08 | designer >> 4 & 0x7
    yield from zip((0xFF0, 0xFF4, 0xFF8, 0xFFC), (0x0D, component_class << 4, 0x05, 0xB1), strict=True)


def component_page(base: int, part: int, component_class: int, designer: int = 0x43B) -> dict[int, int]:
    """Identification words of a component by address."""
    return {base + offset: value for offset, value in _identification(part, component_class, designer)}


class CoreFace:
    """The debug registers of one core, and the ROM table that lists them. Each word reads by its address.

    ``rom_table`` is part and JEP106 designer of the chip, as its ROM table names them. There are breakpoints,
    but no watchpoints.
    """

    def __init__(self, core: ProbedCore, *, rom_table: tuple[int, int]) -> None:
        self._core = core
        part, designer = rom_table
        self._constants = {
            **component_page(SCS, 0x00C, 0xE),
            **component_page(_DWT, 0x002, 0xE),
            **component_page(_FPB, 0x003, 0xE),
            **component_page(_ROM, part, 0x1, designer),
            _ROM + 0xFCC: 1,
            **{_ROM + 4 * n: page - _ROM & 0xFFFFF000 | 3 for n, page in enumerate((SCS, _DWT, _FPB))},
        }
        self.power_on()

    def power_on(self) -> None:
        """Lose everything, as the debug domain does without power."""
        self._control = self._data = self._catch = self._reasons = 0
        self._comparators = [0] * BREAKPOINTS
        self._fpb_enabled = False
        self.halted = False
        self._was_reset = True
        self._resets = 0

    def owns(self, address: int) -> bool:
        """Whether the word at this address is one of these; the rest of the page is Renode's."""
        if address & ~0xFFF == SCS:
            return address in self._constants or address in (_AIRCR, _DFSR, _DHCSR, _DCRSR, _DCRDR, _DEMCR)
        return address & ~0xFFF in (_DWT, _FPB, _ROM)

    @property
    def catches_reset(self) -> bool:
        """Whether a reset is to stop the core before its first instruction."""
        return bool(self._control & _C_DEBUGEN and self._catch & _VC_CORERESET)

    def was_reset(self, *, halted: bool) -> None:
        """The core was reset, and stands now or runs."""
        self._was_reset = True
        self._control &= ~(_C_HALT | _C_STEP)
        self._resets = self._core.resets()
        self.halted = halted
        if halted:
            self._control |= _C_HALT
            self._reasons |= _VCATCH

    @property
    def breakpoints(self) -> frozenset[int]:
        """Addresses at which comparators stop the core (FPB revision 1: half-words of a word)."""
        if not self._fpb_enabled:
            return frozenset()
        return frozenset(
            (value & 0x1FFFFFFC) + half
            for value in self._comparators
            if value & 1
            for bit, half in ((1, 0), (2, 2))
            if value >> 30 & bit
        )

    def read(self, address: int) -> int:
        """A word."""
        if address == _DHCSR:
            return self._status()
        if _FPB + 8 <= address < _FPB + 8 + 4 * BREAKPOINTS:
            return self._comparators[(address - _FPB - 8) // 4]
        self._look()
        values = {
            _AIRCR: 0xFA050000,
            _DFSR: self._reasons,
            _DCRDR: self._data,
            _DEMCR: self._catch,
            _FPB: BREAKPOINTS << 4 | self._fpb_enabled,
        }
        return values.get(address, self._constants.get(address, 0))

    def write(self, address: int, value: int) -> None:
        """Write a word."""
        if address == _DHCSR:
            if value >> 16 == _KEY:
                self._write_control(value & 0x2F)
        elif address == _DCRSR:
            self._look()
            if self.halted and value >> 16 & 1:
                self._core.write_register(value & 0x7F, self._data)
            elif self.halted:
                self._data = self._core.read_register(value & 0x7F)
        elif address == _DCRDR:
            self._data = value
        elif address == _DFSR:
            self._reasons &= ~value
        elif address == _DEMCR:
            self._catch = value & 0x010007F1
        elif address == _AIRCR:
            if value >> 16 == _AIRCR_KEY and value & 5:
                catch = self.catches_reset
                self._core.reset(catch=catch)
                self.was_reset(halted=catch)
        elif address == _FPB:
            if value & 2:
                self._fpb_enabled = bool(value & 1)
        elif _FPB + 8 <= address < _FPB + 8 + 4 * BREAKPOINTS:
            self._comparators[(address - _FPB - 8) // 4] = value

    def _look(self) -> None:
        """Notice that the core has stopped by itself."""
        if not self.halted and self._core.stopped():
            self.halted = True
            self._control |= _C_HALT
            self._reasons |= _BKPT

    def _status(self) -> int:
        self._look()
        sleeping = locked_up = False
        if not self.halted:
            sleeping, locked_up = self._core.activity()
            resets = self._core.resets()
            self._was_reset |= resets != self._resets
            self._resets = resets
        value = (
            self._control & 0xF
            | 1 << 16
            | self.halted << 17
            | sleeping << 18
            | locked_up << 19
            | (not self.halted) << 24
            | self._was_reset << 25
        )
        self._was_reset = False
        return value

    def _write_control(self, value: int) -> None:
        self._look()
        self._control = value if value & _C_DEBUGEN else 0
        if self.halted and not self._control & _C_HALT:
            if value & _C_DEBUGEN and value & _C_STEP:
                self._core.step()
                self._control |= _C_HALT
                self._reasons |= _HALTED
            else:
                self.halted = False
                self._core.resume(self.breakpoints)
        elif self._control & _C_HALT and not self.halted:
            self._core.halt()
            self.halted = True
            self._reasons |= _HALTED
