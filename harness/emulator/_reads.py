"""Which words of flash the CPU has loaded: what a run depended on."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from unicorn import unicorn_const
from unicorn.unicorn_py3 import unicorn as binding

from ._hot import HotPath, add_hook, function_address
from ._memory import FlashArray

__all__ = ["FlashReads"]


class _Reads(ctypes.Structure):
    _fields_ = (
        ("base", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("words", ctypes.c_void_p),
        ("reg_write", ctypes.c_void_p),
    )


class FlashReads:
    """Marks each word that the CPU loads. Code that it runs is not marked; loads get slower."""

    def __init__(self, engine: Any, hot: HotPath, arrays: Sequence[FlashArray]) -> None:
        self._marks = [(array, (ctypes.c_uint8 * (array.size // 4))()) for array in arrays]
        self._keep: list[Any] = []
        for array, words in self._marks:
            write = function_address(binding.uclib.uc_reg_write)
            reads = _Reads(array.base, 0, ctypes.addressof(words), write)
            callback = hot.read_callback(array.base, memoryview(words).cast("B"))
            self._keep += [reads, callback]
            add_hook(
                engine,
                unicorn_const.UC_HOOK_MEM_READ,
                callback if isinstance(callback, int) else function_address(callback),
                ctypes.addressof(reads),
                begin=array.base,
                end=array.base + array.size - 1,
            )

    def clear(self) -> None:
        """Forget all marks."""
        for _, words in self._marks:
            ctypes.memset(words, 0, len(words))

    def mark(self, address: int) -> None:
        """The core itself has read this word."""
        for array, words in self._marks:
            if address in array:
                words[(address - array.base) // 4] = 1

    def words(self, address: int, size: int) -> bytes:
        """A byte for each word of an area: 1 if it was loaded, else 0."""
        for array, words in self._marks:
            if address in array:
                first = (address - array.base) // 4
                return bytes(memoryview(words)[first : first + size // 4])
        raise ValueError(f"no flash at {address:#x}")
