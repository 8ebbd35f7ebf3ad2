"""Host memory behind the emulated address space: RAM, and flash that can only be programmed and erased."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

__all__ = ["FlashArray", "Gate", "PageCode", "Ram"]


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


class FlashArray:
    """One array: bits go from 1 to 0 by programming words and back by erasing pages.

    Base, size and page size are in bytes. ``write_limit`` is how often one word may be
    programmed between two erases (0: no limit), ``word_stall`` and ``page_stall`` how
    many CPU cycles the part stands still for a word and a page.
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
    ) -> None:
        self.name, self.base, self.size, self.page_size = name, base, size, page_size
        self.gate, self.write_limit = gate, write_limit
        self.word_stall, self.page_stall = word_stall, page_stall
        self.memory = (ctypes.c_uint8 * size)()
        self.executed = (ctypes.c_uint8 * max(1, size // page_size))()
        self.writes = (ctypes.c_uint8 * (size // 4))()
        self.view = memoryview(self.memory).cast("B")
        self.erase(0, size)

    def __contains__(self, address: int) -> bool:
        return self.base <= address < self.base + self.size

    def erase(self, offset: int, size: int) -> None:
        """Set ``size`` bytes at ``offset`` to the erased value and forget their write counts."""
        ctypes.memset(ctypes.addressof(self.memory) + offset, 0xFF, size)
        ctypes.memset(ctypes.addressof(self.writes) + offset // 4, 0, size // 4)

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


class Ram:
    """Plain read-write memory."""

    def __init__(self, base: int, size: int) -> None:
        self.base, self.size = base, size
        self.memory = (ctypes.c_uint8 * size)()
        self.view = memoryview(self.memory).cast("B")

    def __contains__(self, address: int) -> bool:
        return self.base <= address < self.base + self.size

    def clear(self) -> None:
        """Lose everything, as without power; zero is what the model reads afterwards."""
        ctypes.memset(self.memory, 0, self.size)
