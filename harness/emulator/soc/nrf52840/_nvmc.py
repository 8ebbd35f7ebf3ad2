"""NVMC, the flash controller, and CTRL-AP, which erases from outside (PS chapters of these names)."""

from __future__ import annotations

import ctypes
from typing import Final

from ..._diagnostics import DiagnosticKind
from ..._memory import FlashArray, Gate
from ..._peripheral import Access, Peripheral, Register, ResetKind
from .._model import Chip
from ._common import CYCLES_PER_SECOND

__all__ = ["CtrlAp", "Nvmc"]

_READ, _WRITE, _ERASE = 0, 1, 2
_READY: Final = 0x400
_CONFIG: Final = 0x504
#: a word may be written twice between erases, in 41 us; a page erase takes 85 ms (PS, NVMC)
_WRITES_PER_WORD: Final = 2
_WORD_CYCLES: Final = 41 * CYCLES_PER_SECOND // 1_000_000
_PAGE_CYCLES: Final = 85 * CYCLES_PER_SECOND // 1_000
_ERASE_MILLISECONDS: Final = 85


#: how long READY stays low for code in RAM; shorter than on silicon, so that flash loaders are fast
_BUSY_CYCLES: Final = 6400


class Nvmc(Peripheral):
    """The controller at 0x4001E000 for flash and UICR.

    Erasing stalls code that runs from flash. Code in RAM goes on and has to wait for READY.
    """

    REGISTERS = (
        Register(_READY, "READY", Access.READ_ONLY, 1),
        Register(0x408, "READYNEXT", Access.READ_ONLY, 1),
        Register(_CONFIG, "CONFIG"),
        Register(0x508, "ERASEPAGE", Access.ACTIVE, on_write="_erase_page"),
        Register(0x50C, "ERASEALL", Access.ACTIVE, on_write="_erase_all"),
        Register(0x510, "ERASEPCR0", Access.ACTIVE, on_write="_erase_page"),
        Register(0x514, "ERASEUICR", Access.ACTIVE, on_write="_erase_uicr"),
        Register(0x518, "ERASEPAGEPARTIAL", Access.ACTIVE, on_write="_erase_page_partial"),
        Register(0x51C, "ERASEPAGEPARTIALCFG", reset=0xA),
        Register(0x540, "ICACHECNF"),
        Register(0x548, "IHIT"),
        Register(0x54C, "IMISS"),
    )
    STATE = ("_partial",)

    def __init__(self, chip: Chip, base: int) -> None:
        super().__init__(chip, "NVMC", base)
        self._chip = chip
        self._partial: dict[int, int] = {}
        self._ready_alarm = chip.alarm(self._ready)
        gate = Gate(ctypes.c_uint32.from_buffer(self.memory, _CONFIG), 3, _WRITE)
        self.flash = FlashArray(
            "flash",
            0,
            0x100000,
            0x1000,
            gate,
            write_limit=_WRITES_PER_WORD,
            word_stall=_WORD_CYCLES,
            page_stall=_PAGE_CYCLES,
        )
        self.uicr = FlashArray(
            "uicr",
            0x10001000,
            0x1000,
            0x1000,
            gate,
            write_limit=_WRITES_PER_WORD,
            word_stall=_WORD_CYCLES,
            page_stall=_PAGE_CYCLES,
        )

    def _may_erase(self, offset: int, value: int) -> bool:
        if self.words[_CONFIG >> 2] & 3 == _ERASE:
            return True
        self._chip.report(
            DiagnosticKind.FLASH_CONFLICT, self.base + offset, value, "erase while CONFIG.WEN is not Een"
        )
        return False

    def _page_of(self, offset: int, value: int) -> int | None:
        if value in self.flash:
            return value & -self.flash.page_size
        self._chip.report(DiagnosticKind.FLASH_CONFLICT, self.base + offset, value, "no flash page there")
        return None

    def _ready(self) -> None:
        self.words[_READY >> 2] = 1

    def _erase(self, flash: FlashArray, address: int, size: int, pc: int) -> bool:
        if not self._chip.erase(flash, address, size, pc):
            return False
        self.words[_READY >> 2] = 0
        self._ready_alarm.at(self._chip.now + _BUSY_CYCLES * (pc not in self.flash))
        return True

    def _erase_page(self, offset: int, value: int) -> None:
        page = self._page_of(offset, value)
        if page is not None and self._may_erase(offset, value):
            self._partial.pop(page, None)
            self._erase(self.flash, page, self.flash.page_size, self._chip.exact_pc())

    def _erase_all(self, offset: int, value: int) -> None:
        if value & 1 and self._may_erase(offset, value):
            pc = self._chip.exact_pc()
            if self._erase(self.flash, 0, self.flash.size, pc):
                self._erase(self.uicr, self.uicr.base, self.uicr.size, pc)

    def _erase_uicr(self, offset: int, value: int) -> None:
        if value & 1 and self._may_erase(offset, value):
            self._erase(self.uicr, self.uicr.base, self.uicr.size, self._chip.exact_pc())

    def _erase_page_partial(self, offset: int, value: int) -> None:
        """A page counts as erased once its steps add up to the full time; until then only a part of it is."""
        page = self._page_of(offset, value)
        if page is None or not self._may_erase(offset, value):
            return
        pc = self._chip.exact_pc()
        before = self._partial.get(page, 0)
        after = min(before + (self.words[0x51C >> 2] & 0x7F), _ERASE_MILLISECONDS)
        size = self.flash.page_size
        start, end = (size * spent // _ERASE_MILLISECONDS & ~3 for spent in (before, after))
        if self._chip.erase_part(self.flash, page + start, end - start, pc):
            self._partial[page] = after % _ERASE_MILLISECONDS

    def reset(self, kind: ResetKind) -> None:
        """Back to read-only; an interrupted partial erase is forgotten."""
        super().reset(kind)
        self._partial = {}
        self._ready_alarm.cancel()


class CtrlAp:
    """Access port 1: erase all, reset, and whether the memory access port is locked."""

    _IDR: Final = 0x02880000

    def __init__(self, chip: Chip, nvmc: Nvmc) -> None:
        self._chip, self._nvmc = chip, nvmc
        self._reset = 0

    def read(self, address: int) -> int:
        """RESET, ERASEALLSTATUS (always ready), APPROTECTSTATUS (1: not locked), IDR."""
        return {0x00: self._reset, 0x08: 0, 0x0C: 1, 0xFC: self._IDR}.get(address, 0)

    def write(self, address: int, value: int) -> None:
        """RESET or ERASEALL."""
        if address == 0x00:
            if self._reset and not value & 1:
                self._chip.reset_now(ResetKind.DEBUG)
            self._reset = value & 1
        elif address == 0x04 and value & 1:
            for flash in (self._nvmc.flash, self._nvmc.uicr):
                self._chip.erase(flash, flash.base, flash.size, 0)
