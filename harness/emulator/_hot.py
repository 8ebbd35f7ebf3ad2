"""The emulator's hot path: counting instructions and programming flash words, in C or in Python.

`NativeHotPath` (`_hot_native.py`, `_fastpath.c`) and `PythonHotPath` (`_hot_python.py`) install
one hook before each block and one on stores to protected memory, answer accesses to devices, and
keep their state in fields of the same names, so that the rest of the emulator does not know
which one runs. Both keep the same journal to the bit.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, Final, Protocol

from unicorn import arm_const, unicorn_const
from unicorn.unicorn_py3 import unicorn as binding

from ._journal import Operation

__all__ = [
    "NEVER",
    "Callbacks",
    "CodeInRam",
    "HotPath",
    "StopReason",
    "add_hook",
    "clear_it_bits",
    "flush_tlb",
    "function_address",
    "map_devices",
    "remove_hook",
    "translate_addresses",
]

NEVER: Final = 2**63 - 1


class StopReason(IntEnum):
    """Why the CPU stopped between two instructions."""

    NONE = 0
    DEADLINE = 1
    ASKED = 2
    EXCEPTION = 3
    SPIN = 4
    DEVICE = 5
    CUT = 6
    ENTRY = 7


class CodeInRam(IntEnum):
    """Whether the CPU has fetched from RAM."""

    NONE = 0
    NEW = 1
    SOME = 2


class Callbacks(Protocol):
    """What the hot path hands to the rest of the emulator; called inside a CPU store."""

    def load(self, address: int, size: int) -> int:
        """A read of a device register that is more than fetching its word."""

    def store(self, address: int, size: int, value: int) -> None:
        """A store that is neither an allowed word to flash nor to a plain register."""

    def worn(self, address: int) -> None:
        """A word was programmed more often since its erase than the part allows."""


class HotPath(Protocol):
    """State that the CPU's hooks and the main loop share."""

    instructions: int
    deadline: int
    skipped: int
    block: int
    block_size: int
    stop: int
    reason: int
    waiting: int
    event: int
    group_mask: int
    entry: int
    entry_size: int
    operations: int
    cut: int
    cut_address: int
    cut_value: int
    cut_pc: int
    recording: int
    code_in_ram: int

    def map_devices(self, base: int, size: int) -> None:
        """Answer the CPU's accesses to a device region."""

    def read_callback(self, base: int, words: memoryview) -> Any:
        """A function for Unicorn to call before each load from an array: it marks the word."""

    def describe_device(
        self, page: int, memory: Any, words: range, quiet: Iterable[int], plain: Iterable[int]
    ) -> None:
        """Name those ``words`` (indices) of a page whose reads only fetch, and whose writes only store."""

    def forget_code(self) -> None:
        """Code in flash changed: forget what is known of it."""

    def rewind(self, pc: int) -> None:
        """Count only what ran before ``pc`` in the block that was left there."""

    def append(self, operation: Operation) -> None:
        """Add an operation that did not come from a CPU store."""

    def operations_recorded(self, start: int = 0) -> list[Operation]:
        """The journal from this index on, oldest first."""

    def clear_journal(self) -> None:
        """Forget recorded operations; the running number goes on."""

    def halt_cpu(self, reason: StopReason) -> None:
        """From inside a hook: stop the CPU before its next instruction."""


def map_devices(engine: Any, area: tuple[int, int], load: int | None, store: int | None, data: int) -> None:
    """Let C-callable functions answer every access to an area (base, size)."""
    status = binding.uclib.uc_mmio_map(
        engine._uch,
        ctypes.c_uint64(area[0]),
        ctypes.c_size_t(area[1]),
        ctypes.c_void_p(load),
        ctypes.c_void_p(data),
        ctypes.c_void_p(store),
        ctypes.c_void_p(data),
    )
    if status != unicorn_const.UC_ERR_OK:
        raise binding.UcError(status)


def function_address(function: Any) -> int | None:
    """Address of a ctypes function or callback."""
    return ctypes.cast(function, ctypes.c_void_p).value


def add_hook(
    engine: Any, kind: int, callback: int | None, user_data: int, *, begin: int = 1, end: int = 0
) -> int:
    """Install a C-callable function on [begin, end] or everywhere, past the binding's slower wrapper.

    The result is for `remove_hook`; whoever lets go of the function before that crashes the process.
    """
    handle = ctypes.c_size_t()
    status = binding.uclib.uc_hook_add(
        engine._uch,
        ctypes.byref(handle),
        ctypes.c_int(kind),
        ctypes.c_void_p(callback),
        ctypes.c_void_p(user_data),
        ctypes.c_uint64(begin),
        ctypes.c_uint64(end),
    )
    if status != unicorn_const.UC_ERR_OK:
        raise binding.UcError(status)
    return handle.value


def translate_addresses(engine: Any, callback: int | None, user_data: int) -> None:
    """Let a C-callable function fill the TLB."""
    engine.ctl_set_tlb_mode(unicorn_const.UC_TLB_VIRTUAL)
    add_hook(engine, unicorn_const.UC_HOOK_TLB_FILL, callback, user_data)


def clear_it_bits(engine: Any) -> None:
    """To be called in a hook on an access of the CPU that goes on.

    Unicorn sets the IT bits before such a hook as they are there, for faults, and the block that goes on
    does not take them back: the next one would begin in an IT block. Inside a block they are 0.
    """
    engine.reg_write(arm_const.UC_ARM_REG_EPSR, 1 << 24)


def flush_tlb(engine: Any) -> None:
    """Let every address be translated again."""
    engine.ctl(unicorn_const.UC_CTL_TLB_FLUSH, unicorn_const.UC_CTL_IO_WRITE)


def remove_hook(engine: Any, handle: int) -> None:
    """Take away what `add_hook` has installed."""
    binding.uclib.uc_hook_del(engine._uch, ctypes.c_size_t(handle))
