"""The hot path in C: the ctypes mirror of `_fastpath.c`."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from unicorn import arm_const, unicorn_const
from unicorn.unicorn_py3 import unicorn as binding

from ._hot import NEVER, Callbacks, StopReason, add_hook, function_address, map_devices, translate_addresses
from ._journal import Master, Operation, OperationKind
from ._memory import FlashArray, Ram

__all__ = ["NativeHotPath", "native_library"]

_DEVICE_SLOTS: Final = 256
_KNOWN_BLOCKS: Final = 4096


def native_library() -> Path:
    """Where the C part lies after installation; it may be absent."""
    suffix = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
    return Path(__file__).with_name(f"_fastpath{suffix}")


class _Record(ctypes.Structure):
    _fields_ = (
        ("instructions", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
        ("previous", ctypes.c_uint64),
        ("kind", ctypes.c_uint32),
        ("address", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("pc", ctypes.c_uint32),
        ("master", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    )


class _DevicePage(ctypes.Structure):
    _fields_ = (
        ("page", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("words", ctypes.c_void_p),
        ("quiet", ctypes.c_uint32 * 32),
        ("plain", ctypes.c_uint32 * 32),
    )


class _Array(ctypes.Structure):
    _fields_ = (
        ("base", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("page_shift", ctypes.c_uint32),
        ("write_limit", ctypes.c_uint32),
        ("memory", ctypes.c_void_p),
        ("executed", ctypes.c_void_p),
        ("writes", ctypes.c_void_p),
        ("gate", ctypes.c_void_p),
        ("gate_mask", ctypes.c_uint32),
        ("gate_value", ctypes.c_uint32),
        ("unit", ctypes.c_uint32),
        ("write_once", ctypes.c_uint32),
        ("held", ctypes.c_void_p),
        ("stall", ctypes.c_void_p),
    )


_LOAD = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32)
_STORE = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32)
_GROW = ctypes.CFUNCTYPE(None)
_WORN = ctypes.CFUNCTYPE(None, ctypes.c_uint32)


class _KnownBlock(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("pc", "size", "instructions", "generation"))


class _Hot(ctypes.Structure):
    _fields_ = (
        ("instructions", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("skipped", ctypes.c_uint64),
        ("block", ctypes.c_uint32),
        ("block_size", ctypes.c_uint32),
        ("stop", ctypes.c_uint32),
        ("reason", ctypes.c_uint32),
        ("waiting", ctypes.c_uint32),
        ("event", ctypes.c_uint32),
        ("group_mask", ctypes.c_uint32),
        ("generation", ctypes.c_uint32),
        ("entry", ctypes.c_uint32),
        ("entry_size", ctypes.c_uint32),
        ("operations", ctypes.c_uint64),
        ("cut", ctypes.c_uint64),
        ("cut_value", ctypes.c_uint64),
        ("cut_address", ctypes.c_uint32),
        ("cut_pc", ctypes.c_uint32),
        ("recording", ctypes.c_uint32),
        ("code_in_ram", ctypes.c_uint32),
        ("arrays", ctypes.c_uint64),
        ("used", ctypes.c_uint64),
        ("room", ctypes.c_uint64),
        ("journal", ctypes.c_void_p),
        ("array", ctypes.c_void_p),
        ("devices", ctypes.c_void_p),
        ("known", ctypes.c_void_p),
        ("ram", ctypes.c_void_p),
        ("ram_code", ctypes.c_void_p),
        ("ram_base", ctypes.c_uint32),
        ("ram_size", ctypes.c_uint32),
        ("emu_stop", ctypes.c_void_p),
        ("reg_read", ctypes.c_void_p),
        ("reg_write", ctypes.c_void_p),
        ("load", _LOAD),
        ("store", _STORE),
        ("grow", _GROW),
        ("worn", _WORN),
    )


class _Region(ctypes.Structure):
    _fields_ = (("hot", ctypes.c_void_p), ("base", ctypes.c_uint32))


class NativeHotPath(_Hot):
    """The hot path in C. Attribute access reads and writes the C structure itself."""

    reason: int

    def __init__(
        self, engine: Any, arrays: list[FlashArray], ram: Ram, callbacks: Callbacks, library: Path
    ) -> None:
        super().__init__(deadline=NEVER, cut=NEVER)
        self._library = ctypes.CDLL(str(library))
        if self._library.hot_size() != ctypes.sizeof(_Hot) or (
            arm_const.UC_ARM_REG_PC,
            arm_const.UC_ARM_REG_EPSR,
            arm_const.UC_ARM_REG_PRIMASK,
            arm_const.UC_ARM_REG_BASEPRI,
            arm_const.UC_ARM_REG_FAULTMASK,
        ) != (11, 121, 123, 124, 126):
            raise OSError(f"{library} was built for another version; reinstall the package")
        self._engine = engine
        self._records = (_Record * 4096)()
        self.room = len(self._records)
        self.journal = ctypes.addressof(self._records)
        self._arrays = (_Array * len(arrays))(
            *(
                _Array(
                    flash.base,
                    flash.size,
                    flash.page_size.bit_length() - 1,
                    flash.write_limit,
                    ctypes.addressof(flash.memory),
                    ctypes.addressof(flash.executed),
                    ctypes.addressof(flash.writes),
                    flash.gate.address,
                    flash.gate.mask,
                    flash.gate.value,
                    flash.unit,
                    flash.write_once,
                    ctypes.addressof(flash.held),
                    ctypes.addressof(flash.stall),
                )
                for flash in arrays
            )
        )
        self.arrays, self.array = len(arrays), ctypes.addressof(self._arrays)
        self._pages = (_DevicePage * _DEVICE_SLOTS)()
        self.devices = ctypes.addressof(self._pages)
        self._known = (_KnownBlock * _KNOWN_BLOCKS)()
        self.known, self.generation = ctypes.addressof(self._known), 1
        self._regions: list[_Region] = []
        self.ram_code = ctypes.addressof(ram.code)
        self.ram, self.ram_base, self.ram_size = ctypes.addressof(ram.memory), ram.base, ram.size
        self.emu_stop = function_address(binding.uclib.uc_emu_stop)
        self.reg_read = function_address(binding.uclib.uc_reg_read)
        self.reg_write = function_address(binding.uclib.uc_reg_write)
        self.load, self.store = _LOAD(callbacks.load), _STORE(callbacks.store)
        self.grow, self.worn = _GROW(self._grow), _WORN(callbacks.worn)
        here = ctypes.addressof(self)
        add_hook(engine, unicorn_const.UC_HOOK_BLOCK, function_address(self._library.hot_block), here)
        translate_addresses(engine, function_address(self._library.hot_translate), here)
        store = function_address(self._library.hot_store)
        for first, last in ram.elsewhere:
            add_hook(engine, unicorn_const.UC_HOOK_MEM_WRITE_PROT, store, here, begin=first, end=last)

    def _grow(self) -> None:
        larger = (_Record * (self.room * 2))()
        ctypes.memmove(larger, self._records, ctypes.sizeof(self._records))
        self._records = larger
        self.room = len(larger)
        self.journal = ctypes.addressof(larger)

    def map_devices(self, base: int, size: int) -> None:
        region = _Region(ctypes.addressof(self), base)
        self._regions.append(region)
        map_devices(
            self._engine,
            (base, size),
            function_address(self._library.hot_device_load),
            function_address(self._library.hot_device_store),
            ctypes.addressof(region),
        )

    def read_callback(self, base: int, words: memoryview) -> int | None:  # noqa: ARG002 - the hook knows
        return function_address(self._library.hot_flash_read)

    def describe_device(
        self, page: int, memory: Any, words: range, quiet: Iterable[int], plain: Iterable[int]
    ) -> None:
        slot = self._pages[(page + (page >> 10)) % _DEVICE_SLOTS]
        if slot.page not in {0, page}:
            return  # two pages share the slot: the slow way is right, only slower
        slot.words = ctypes.addressof(memory)
        for bits, marked in ((slot.quiet, quiet), (slot.plain, plain)):
            for word in words:
                bits[word >> 5] &= ~(1 << (word & 31))
            for word in marked:
                bits[word >> 5] |= 1 << (word & 31)
        slot.page = page

    def forget_code(self) -> None:
        self.generation = self.generation % 0xFFFFFFFF + 1

    def rewind(self, pc: int) -> None:
        self._library.hot_rewind(ctypes.byref(self), ctypes.c_uint32(pc))

    def append(self, operation: Operation) -> None:
        if self.used == self.room:
            self._grow()
        self._records[self.used] = _Record(
            operation.instructions,
            operation.value,
            operation.previous,
            operation.kind,
            operation.address,
            operation.size,
            operation.pc,
            operation.master,
        )
        self.used += 1

    def operations_recorded(self, start: int = 0) -> list[Operation]:
        return [
            Operation(
                OperationKind(r.kind),
                r.address,
                r.size,
                r.value,
                r.previous,
                r.instructions,
                r.pc,
                Master(r.master),
            )
            for r in self._records[start : self.used]
        ]

    def clear_journal(self) -> None:
        self.used = 0

    def halt_cpu(self, reason: StopReason) -> None:
        if not self.reason:
            self.reason = reason
        self._engine.emu_stop()
