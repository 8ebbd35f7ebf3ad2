"""Host memory behind the emulated address space: RAM, and flash that can only be programmed and erased."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import Any, Final

from ._diagnostics import DiagnosticKind

__all__ = ["NOTHING_HELD", "FlashArray", "Gate", "Latch", "PageCode", "Ram", "Took"]


#: `Latch.next` while no word waits
NOTHING_HELD: Final = 0xFFFFFFFF


class PageCode(IntEnum):
    """A flash page seen as code: whether the CPU's translation of it is there and current."""

    NOT_RUN = 0
    RUN = 1
    REWRITTEN = 2


@dataclass(frozen=True, slots=True)
class Gate:
    """A controller register that allows programming while ``word & mask == value``."""

    register: Any  # ctypes c_uint32 inside the controller's page
    mask: int
    value: int

    @property
    def address(self) -> int:
        """Host address of the register, for the C side."""
        return ctypes.addressof(self.register)

    @property
    def open(self) -> bool:
        """Whether a word may be programmed now."""
        return bool(self.register.value & self.mask == self.value)


class Took(Enum):
    """What became of a word that programs nothing by itself."""

    REFUSED = auto()
    HELD = auto()  # it waits for the rest of its unit


class Latch(ctypes.Structure):
    """Words that wait for the rest of their unit, by their place in it.

    ``next`` is the address at which the unit goes on, `NOTHING_HELD` if no word waits.
    """

    _fields_ = (("next", ctypes.c_uint32), ("words", ctypes.c_uint32 * 2))
    next: int


class FlashArray:
    """One array: bits go from 1 to 0 by programming units and back by erasing pages.

    Base, size and page size are in bytes. ``unit`` bytes are programmed at once, 4 or 8; the
    words of a unit have to come in order, and wait in ``held`` for the last one.
    ``write_once``: a unit that is not erased takes nothing but zeros. ``write_limit`` is how
    often a unit may be programmed between two erases (0: no limit), ``word_stall`` and
    ``page_stall`` how many CPU cycles the part stands still for a unit and a page.
    ``on_refused`` is asked why a store (address, size, value) programs nothing.
    """

    def __init__(
        self,
        name: str,
        base: int,
        size: int,
        page_size: int,
        gate: Gate,
        *,
        write_limit: int = 0,
        word_stall: int = 0,
        page_stall: int = 0,
        unit: int = 4,
        write_once: bool = False,
        held: Latch | None = None,
        on_refused: Callable[[int, int, int], tuple[DiagnosticKind, str]] | None = None,
    ) -> None:
        self.name, self.base, self.size, self.page_size = name, base, size, page_size
        self.gate, self.write_limit = gate, write_limit
        self.unit, self.write_once = unit, write_once
        self.stall, self.page_stall = ctypes.c_uint64(word_stall), page_stall
        self.held = held or Latch(NOTHING_HELD)
        self.why_refused = on_refused or _why_refused
        self.memory = (ctypes.c_uint8 * size)()
        self.executed = (ctypes.c_uint8 * max(1, size // page_size))()
        self.writes = (ctypes.c_uint8 * (size // 4))()
        self.view = memoryview(self.memory).cast("B")
        self.erase(0, size)

    def __contains__(self, address: int) -> bool:
        return self.base <= address < self.base + self.size

    def take(self, address: int, value: int) -> tuple[int, int] | Took:
        """Take an aligned word while programming is allowed: address and value of the unit it completes."""
        at, held = address % self.unit, self.held
        if held.next != (address if at else NOTHING_HELD):
            return Took.REFUSED
        start, wide = address - at, value
        if self.unit == 8:
            held.words[at >> 2] = value
            if not at:
                held.next = address + 4
                return Took.HELD
            wide = held.words[0] | value << 32
        if self.write_once and wide and self._unit_at(start) != (1 << 8 * self.unit) - 1:
            return Took.REFUSED
        return start, wide

    def _unit_at(self, address: int) -> int:
        offset = address - self.base
        return int.from_bytes(self.view[offset : offset + self.unit], "little")

    def program(self, address: int, value: int) -> int:
        """Program a unit; what was there before."""
        previous, offset = self._unit_at(address), address - self.base
        self.view[offset : offset + self.unit] = (previous & value).to_bytes(self.unit, "little")
        self.held.next = NOTHING_HELD
        return previous

    def erase(self, offset: int, size: int) -> None:
        """Set ``size`` bytes at ``offset`` to the erased value and forget their write counts."""
        ctypes.memset(ctypes.addressof(self.memory) + offset, 0xFF, size)
        ctypes.memset(ctypes.addressof(self.writes) + offset // 4, 0, size // 4)

    def mark_run(self, offset: int, size: int) -> None:
        """Note that code of the area has been translated; its last instruction may lie in two pages."""
        for at in (offset, offset + max(size, 1) - 1):
            page = at // self.page_size
            if at < self.size and self.executed[page] != PageCode.REWRITTEN:
                self.executed[page] = PageCode.RUN

    def mark_rewritten(self, offset: int, size: int) -> bool:
        """Note that the area's content changed; true if the CPU has run code from it."""
        first, last = offset // self.page_size, (offset + size - 1) // self.page_size
        hit = False
        for page in range(first, last + 1):
            if self.executed[page] == PageCode.RUN:
                self.executed[page] = PageCode.REWRITTEN
                hit = True
        return hit

    def changed_code(self, content: bytes) -> Iterator[tuple[int, int]]:
        """Address ranges of pages that the CPU has run code from and that differ from ``content``."""
        executed = bytes(self.executed)
        for page in range(len(executed)):
            area = slice(page * self.page_size, (page + 1) * self.page_size)
            if executed[page] and self.view[area] != content[area]:
                self.executed[page] = PageCode.NOT_RUN
                yield self.base + area.start, self.base + area.stop

    def take_rewritten(self) -> Iterator[tuple[int, int]]:
        """Address ranges of rewritten pages; they count as not run from now on."""
        page = -1
        while (page := bytes(self.executed).find(PageCode.REWRITTEN, page + 1)) >= 0:
            self.executed[page] = PageCode.NOT_RUN
            start = self.base + page * self.page_size
            yield start, start + self.page_size


def _why_refused(address: int, size: int, _value: int) -> tuple[DiagnosticKind, str]:
    aligned = size == 4 and not address & 3
    return DiagnosticKind.FLASH_NOT_ENABLED if aligned else DiagnosticKind.FLASH_ALIGNMENT, ""


class Ram:
    """Plain read-write memory."""

    PAGE: Final = 1024

    def __init__(self, base: int, size: int) -> None:
        self.base, self.size = base, size
        self.memory = (ctypes.c_uint8 * size)()
        self.view = memoryview(self.memory).cast("B")
        self.code = (ctypes.c_uint8 * (size // self.PAGE))()
        """Per page: 1 once the CPU has fetched from it."""

    def __contains__(self, address: int) -> bool:
        return self.base <= address < self.base + self.size

    @property
    def elsewhere(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """All other addresses, as (first, last).

        A memory hook that includes RAM keeps Unicorn from storing there directly: each store then
        takes several times as long, whether the hook is called or not.
        """
        return (0, self.base - 1), (self.base + self.size, 0xFFFFFFFF)

    def clear(self) -> None:
        """Lose everything, as without power; zero is what the model reads afterwards."""
        ctypes.memset(self.memory, 0, self.size)
