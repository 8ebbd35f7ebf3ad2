"""Flash cells that an interrupted erase has left undecided: each read may find them either way."""

from __future__ import annotations

import ctypes
import hashlib
from typing import Any, Final

from unicorn import unicorn_const

from ._hot import add_hook, clear_it_bits, function_address, remove_hook
from ._memory import FlashArray

__all__ = ["WeakCells"]

_WORD: Final = 4
_READ = ctypes.CFUNCTYPE(
    None,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_uint64,
    ctypes.c_int,
    ctypes.c_int64,
    ctypes.c_void_p,
)


class WeakCells:
    """All programmed cells of one area, until it is erased as a whole.

    What a read finds depends on ``seed``, on the place and on how often the area was read before.
    Cells that read as erased are found erased for good if they are programmed meanwhile.
    """

    def __init__(self, engine: Any, array: FlashArray, address: int, size: int, seed: int) -> None:
        self.address, self.size = address, size
        self._array, self._offset, self._seed = array, address - array.base, seed
        self._solid = bytearray(array.view[self._offset : self._offset + size])
        self._count = 0
        self._on = True
        self._engine, self._callback = engine, _READ(self._on_read)
        self._hook = add_hook(
            engine,
            unicorn_const.UC_HOOK_MEM_READ,
            function_address(self._callback),
            0,
            begin=address,
            end=address + size - 1,
        )
        engine.ctl_flush_tb()

    def erased(self, address: int, size: int) -> None:
        """An area was erased: if it covers all the cells, they are decided."""
        if address <= self.address and self.address + self.size <= address + size:
            self._on = False

    def restore(self) -> None:
        """Show the cells as they were before the erase, and leave them alone for ever."""
        if self._on:
            self._array.view[self._offset : self._offset + self.size] = self._solid
        self._on = False
        remove_hook(self._engine, self._hook)
        self._engine.ctl_flush_tb()

    def _on_read(self, _engine: int, _kind: int, address: int, size: int, _value: int, _data: int) -> None:
        clear_it_bits(self._engine)
        if not self._on:
            return
        first = (address - self.address) // _WORD * _WORD
        last = min(-(-(address - self.address + size) // _WORD) * _WORD, self.size)
        self._count += 1
        text = f"{self._seed} {address} {self._count}".encode()
        noise = hashlib.shake_128(text).digest(last - first)
        shown = bytes(old | more for old, more in zip(self._solid[first:last], noise, strict=True))
        self._array.view[self._offset + first : self._offset + last] = shown
