"""The flash controller (RM0351 chapter 3): double words onto erased flash, pages of 2 KiB in two banks."""

from __future__ import annotations

import ctypes
from typing import Any, Final

from ..._diagnostics import DiagnosticKind
from ..._memory import NOTHING_HELD, FlashArray, Gate, Latch
from ..._peripheral import Access, Peripheral, Register, ResetKind
from .._model import Chip
from ._clock import Rcc

__all__ = ["FlashController"]

_BASE, _SIZE, _PAGE, _UNIT = 0x08000000, 0x100000, 0x800, 8
_BANK: Final = _SIZE // 2
#: programming a double word, erasing a page or a bank (DS10969 table "Flash memory characteristics")
_UNIT_NANOSECONDS: Final = 81_690
_ERASE_MICROSECONDS: Final = 22_020
#: how long BSY stays up for code in RAM; shorter than on silicon, so that flash loaders are fast
_BUSY_CYCLES: Final = 1600

_ACR, _KEYR, _OPTKEYR, _SR, _CR, _OPTR = 0x00, 0x08, 0x0C, 0x10, 0x14, 0x20
_KEYS: Final = (0x45670123, 0xCDEF89AB)
_OPTION_KEYS: Final = (0x08192A3B, 0x4C5D6E7F)
_PROGERR, _PGAERR, _SIZERR, _PGSERR = 1 << 3, 1 << 5, 1 << 6, 1 << 7
_ERRORS: Final = 0xC3FA
_BSY: Final = 1 << 16
_PG, _PER, _MER1, _BKER, _MER2 = 1, 1 << 1, 1 << 2, 1 << 11, 1 << 15
_STRT, _OPTSTRT, _FSTPG, _EOPIE, _ERRIE, _OBL_LAUNCH = 1 << 16, 1 << 17, 1 << 18, 1 << 24, 1 << 25, 1 << 27
_OPTLOCK, _LOCK = 1 << 30, 1 << 31
_ERASES: Final = _PER | _MER1 | _MER2
_ERASE_KINDS: Final = {_PER, _MER1, _MER2, _MER1 | _MER2}
_UNMODELLED: Final = {
    _OPTSTRT: "option bytes cannot be programmed",
    _FSTPG: "fast programming",
    _EOPIE: "end of operation interrupts",
    _ERRIE: "error interrupts",
    _OBL_LAUNCH: "option bytes are never loaded again",
}
_ANY_UNMODELLED: Final = sum(_UNMODELLED)
#: words of the page behind the registers, where the state that decides about programming lives
_ARMED, _HELD = 0x3E0, 0x3E4


class FlashController(Peripheral):
    """The controller at 0x40022000 with its array.

    A page erase stands still for code that runs from flash, whichever bank it is in; code
    in RAM goes on and has to wait for BSY. Error correction is not modelled: what power
    loss leaves reads as it is.
    """

    SIZE = 0x400
    REGISTERS = (
        Register(_ACR, "ACR", Access.ACTIVE, 0x600, on_write="_write_acr"),
        Register(0x04, "PDKEYR"),
        Register(_KEYR, "KEYR", Access.ACTIVE, on_write="_write_key"),
        Register(_OPTKEYR, "OPTKEYR", Access.ACTIVE, on_write="_write_option_key"),
        Register(_SR, "SR", Access.ACTIVE, on_write="_write_sr"),
        Register(_CR, "CR", Access.ACTIVE, _LOCK | _OPTLOCK, on_write="_write_cr"),
        Register(0x18, "ECCR"),
        Register(_OPTR, "OPTR", Access.READ_ONLY, 0xFFEFF8AA),
        Register(0x24, "PCROP1SR", Access.READ_ONLY, 0xFFFFFFFF),
        Register(0x28, "PCROP1ER", Access.READ_ONLY, 0x0FFF0000),
        Register(0x2C, "WRP1AR", Access.READ_ONLY, 0xFF00FFFF),
        Register(0x30, "WRP1BR", Access.READ_ONLY, 0xFF00FFFF),
        Register(0x44, "PCROP2SR", Access.READ_ONLY, 0xFFFFFFFF),
        Register(0x48, "PCROP2ER", Access.READ_ONLY, 0xFFFF0000),
        Register(0x4C, "WRP2AR", Access.READ_ONLY, 0xFF00FFFF),
        Register(0x50, "WRP2BR", Access.READ_ONLY, 0xFF00FFFF),
    )
    STATE = ("_key", "_option_key", "_blocked")

    def __init__(self, chip: Chip, base: int, rcc: Rcc) -> None:
        self._key = self._option_key = 0
        self._blocked = False
        super().__init__(chip, "FLASH", base)
        self._chip, self._rcc = chip, rcc
        self._ready_alarm = chip.alarm(self._ready)
        start = base % 0x1000
        self.flash = FlashArray(
            "flash",
            _BASE,
            _SIZE,
            _PAGE,
            Gate(ctypes.c_uint32.from_buffer(self.memory, start + _ARMED), 1, 1),
            unit=_UNIT,
            write_once=True,
            held=Latch.from_buffer(self.memory, start + _HELD),
            on_refused=self._refuse,
        )
        self._settle()
        self._retime(0)
        rcc.changed.append(self._retime)
        rcc.wait_states = lambda: self.words[_ACR >> 2] & 7

    def _retime(self, _before: int) -> None:
        """How many cycles the part's times are at the present clock."""
        self.flash.stall.value = self._rcc.cycles(_UNIT_NANOSECONDS, 1_000_000_000)
        self.flash.page_stall = self._rcc.cycles(_ERASE_MICROSECONDS, 1_000_000)

    def _settle(self) -> None:
        """Programming is allowed or not, after a change of CR or SR; a word that waits is forgotten."""
        control, status = self.words[_CR >> 2], self.words[_SR >> 2]
        wrong = control & (_LOCK | _FSTPG | _ERASES) or status & (_ERRORS | _BSY)
        self.words[_ARMED >> 2] = bool(control & _PG and not wrong)
        self.words[_HELD >> 2] = NOTHING_HELD

    def _fail(self, error: int) -> None:
        self.words[_SR >> 2] |= error
        self._settle()

    def _refuse(self, address: int, size: int, _value: int) -> tuple[DiagnosticKind, str]:
        """A store that programs nothing: the error flag that it sets, and what to say."""
        control, status = self.words[_CR >> 2], self.words[_SR >> 2]
        if status & _ERRORS:
            error, note = _PGSERR, f"PGSERR: errors of before are not cleared, SR is {status:#x}"
        elif status & _BSY:
            error, note = _PGSERR, "the controller is busy"
        elif control & _LOCK:
            error, note = _PGSERR, "PGSERR: CR is locked"
        elif not self.words[_ARMED >> 2]:
            error, note = _PGSERR, f"PGSERR: CR does not say to program, it is {control:#x}"
        elif size != 4 or address & 3:
            error, note = _SIZERR, "SIZERR: flash takes two words that make a double word"
        elif self.flash.held.next != (address if address & 4 else NOTHING_HELD):
            error, note = _PGAERR, "PGAERR: the two words are not of one double word, lower one first"
        else:
            error, note = _PROGERR, "PROGERR: the double word is not erased"
        self._fail(error)
        kinds = {
            _PGSERR: DiagnosticKind.FLASH_NOT_ENABLED,
            _PROGERR: DiagnosticKind.FLASH_NOT_ERASED,
        }
        return kinds.get(error, DiagnosticKind.FLASH_ALIGNMENT), note

    def _conflict(self, offset: int, value: int, note: str) -> None:
        self._chip.report(DiagnosticKind.FLASH_CONFLICT, self.base + offset, value, note)

    # registers

    def _write_acr(self, offset: int, value: int) -> None:
        self.words[offset >> 2] = value
        self._rcc.check_wait_states()

    def _write_key(self, offset: int, value: int) -> None:
        if self._blocked or not self.words[_CR >> 2] & _LOCK:
            return
        if value != _KEYS[self._key]:
            self._conflict(offset, value, "wrong key: locked until the next reset")
            self._blocked, self._key = True, 0
            return
        self._key = (self._key + 1) % len(_KEYS)
        if not self._key:
            self.words[_CR >> 2] &= ~_LOCK
            self._settle()

    def _write_option_key(self, _offset: int, value: int) -> None:
        self._option_key = self._option_key + 1 if value == _OPTION_KEYS[self._option_key] else 0
        if self._option_key == len(_OPTION_KEYS):
            self._option_key = 0
            self.words[_CR >> 2] &= ~_OPTLOCK

    def _write_sr(self, offset: int, value: int) -> None:
        self.words[offset >> 2] &= ~(value & ~_BSY) & 0xFFFFFFFF
        self._settle()

    def _write_cr(self, offset: int, value: int) -> None:
        before = self.words[offset >> 2]
        if before & _LOCK:
            if value != before:
                self._conflict(offset, value, "CR is locked")
            return
        if value & ~before & _ANY_UNMODELLED:
            for bit, what in _UNMODELLED.items():
                if value & ~before & bit:
                    self._chip.report(DiagnosticKind.UNMODELLED_FEATURE, self.base + offset, value, what)
        wanted = value & (_ERASES | _PG)
        pc: int | None = None
        if value & _STRT:
            if self.words[_SR >> 2] & _ERRORS or wanted not in _ERASE_KINDS:
                self._conflict(offset, value, "PGSERR: errors of before, or not one kind of erase alone")
                self.words[_SR >> 2] |= _PGSERR
            else:
                pc = self._chip.exact_pc()
        self.words[offset >> 2] = value & ~_STRT | before & _OPTLOCK
        if pc is not None:
            self._erase(value, pc)
        self._settle()

    def _erase(self, value: int, pc: int) -> None:
        wanted = value & _ERASES
        if wanted == _PER:
            page = _BASE + _BANK * bool(value & _BKER) + (value >> 3 & 0xFF) * _PAGE
            done = self._chip.erase(self.flash, page, _PAGE, pc)
        else:
            first = _BASE if wanted & _MER1 else _BASE + _BANK
            size = _SIZE if wanted == _MER1 | _MER2 else _BANK
            done = self._chip.erase(self.flash, first, size, pc, at_once=True)
        if done and pc and pc not in self.flash:
            self.words[_SR >> 2] |= _BSY
            self.words[_CR >> 2] |= _STRT
            self._ready_alarm.at(self._chip.now + _BUSY_CYCLES)

    def _ready(self) -> None:
        self.words[_SR >> 2] &= ~_BSY
        self.words[_CR >> 2] &= ~_STRT
        self._settle()

    def reset(self, kind: ResetKind) -> None:
        """Locked again, and free of errors."""
        if kind is ResetKind.DEBUG:
            return
        super().reset(kind)
        self._key = self._option_key = 0
        self._blocked = False
        self._ready_alarm.cancel()
        self._settle()

    def restore(self, state: Any) -> None:
        """Put back what `save` gave; the clock controller was restored before."""
        super().restore(state)
        self._retime(0)
