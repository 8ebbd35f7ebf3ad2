"""The hot path in Python, for installations without the C part."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from typing import Any, Final

from unicorn import arm_const, unicorn_const

from ._hot import (
    NEVER,
    Callbacks,
    CodeInRam,
    StopReason,
    add_hook,
    clear_it_bits,
    function_address,
    map_devices,
    translate_addresses,
)
from ._journal import Master, Operation, OperationKind
from ._memory import FlashArray, Ram, Took

__all__ = ["PythonHotPath"]

_DATA: Final = unicorn_const.UC_PROT_READ | unicorn_const.UC_PROT_WRITE
_BRANCH_TO_SELF: Final = 0xE7FE
_SEV: Final = 0xBF40
_WIDE: Final = 0xE800  # a first halfword at or above starts a 32-bit Thumb instruction (ARMv7-M A5.1)


def _count(code: memoryview) -> tuple[int, bool]:
    """Instructions in Thumb code and whether a SEV is among them."""
    words = code.cast("H")
    count = at = 0
    sev = False
    while at < len(words):
        sev |= words[at] == _SEV
        at += 2 if words[at] >= _WIDE else 1
        count += 1
    return count, sev


_BLOCK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p)
_WRITE = ctypes.CFUNCTYPE(
    ctypes.c_bool,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_uint64,
    ctypes.c_int,
    ctypes.c_int64,
    ctypes.c_void_p,
)


class _Translation(ctypes.Structure):
    _fields_ = (("physical", ctypes.c_uint64), ("permissions", ctypes.c_uint32))


_TRANSLATE = ctypes.CFUNCTYPE(
    ctypes.c_bool,
    ctypes.c_void_p,
    ctypes.c_uint64,
    ctypes.c_int,
    ctypes.POINTER(_Translation),
    ctypes.c_void_p,
)
_READ = ctypes.CFUNCTYPE(
    None,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_uint64,
    ctypes.c_int,
    ctypes.c_int64,
    ctypes.c_void_p,
)
_DEVICE_LOAD = ctypes.CFUNCTYPE(
    ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p
)
_DEVICE_STORE = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p
)


class PythonHotPath:
    """The hot path in Python: about ten times slower, for installations without the C part."""

    def __init__(self, engine: Any, arrays: list[FlashArray], ram: Ram, callbacks: Callbacks) -> None:
        self.instructions = self.skipped = self.block = self.block_size = 0
        self.deadline = self.cut = NEVER
        self.stop = self.reason = self.waiting = self.event = self.operations = self.recording = 0
        self.code_in_ram: int = CodeInRam.NONE
        self.group_mask = 0xFF
        self.entry = self.entry_size = 0
        self.cut_address = self.cut_value = self.cut_pc = 0
        self._engine, self._arrays, self._ram, self._callbacks = engine, arrays, ram, callbacks
        self._journal: list[Operation] = []
        self._quiet: dict[int, memoryview] = {}
        self._plain: dict[int, memoryview] = {}
        self._device_hooks: list[Any] = []
        self._blocks: dict[tuple[int, int], tuple[int, bool, bool]] = {}
        self._code = [(flash.base, flash.size, memoryview(flash.memory).cast("B")) for flash in arrays]
        self._code.append((ram.base, ram.size, memoryview(ram.memory).cast("B")))
        self._hooks = (_BLOCK(self._on_block), _WRITE(self._on_store), _TRANSLATE(self._on_translate))
        add_hook(engine, unicorn_const.UC_HOOK_BLOCK, function_address(self._hooks[0]), 0)
        translate_addresses(engine, function_address(self._hooks[2]), 0)
        store = function_address(self._hooks[1])
        for first, last in ram.elsewhere:
            add_hook(engine, unicorn_const.UC_HOOK_MEM_WRITE_PROT, store, 0, begin=first, end=last)

    def map_devices(self, base: int, size: int) -> None:
        quiet, plain, callbacks = self._quiet, self._plain, self._callbacks

        def load(_engine: int, offset: int, size: int, _data: int) -> int:
            register = quiet.get(base + offset) if size == 4 else None
            return callbacks.load(base + offset, size) if register is None else register[0]

        def store(_engine: int, offset: int, size: int, wide: int, _data: int) -> None:
            register = plain.get(base + offset) if size == 4 else None
            if register is None:
                callbacks.store(base + offset, size, wide & 0xFFFFFFFF)
            else:
                register[0] = wide & 0xFFFFFFFF

        hooks = (_DEVICE_LOAD(load), _DEVICE_STORE(store))
        self._device_hooks.append(hooks)
        load_at, store_at = (function_address(hook) for hook in hooks)
        map_devices(self._engine, (base, size), load_at, store_at, 0)

    def read_callback(self, base: int, words: memoryview) -> Any:
        def mark(_engine: int, _kind: int, address: int, size: int, _wide: int, _data: int) -> None:
            words[address - base >> 2] = 1
            words[address - base + size - 1 >> 2] = 1
            clear_it_bits(self._engine)

        return _READ(mark)

    def describe_device(
        self, page: int, memory: Any, words: range, quiet: Iterable[int], plain: Iterable[int]
    ) -> None:
        view = memoryview(memory).cast("B").cast("I")
        for table, marked in ((self._quiet, quiet), (self._plain, plain)):
            for word in words:
                table.pop(page << 12 | word << 2, None)
            for word in marked:
                table[page << 12 | word << 2] = view[word : word + 1]

    def rewind(self, pc: int) -> None:
        self.instructions = self._instructions_at(pc) - 1 if self._in_block(pc) else self.instructions
        self.block_size = 0

    def append(self, operation: Operation) -> None:
        self._journal.append(operation)

    def operations_recorded(self, start: int = 0) -> list[Operation]:
        return self._journal[start:]

    def clear_journal(self) -> None:
        self._journal.clear()

    def halt_cpu(self, reason: StopReason) -> None:
        if not self.reason:
            self.reason = reason
        self._engine.emu_stop()

    def _code_at(self, address: int, size: int) -> memoryview | None:
        for base, length, memory in self._code:
            if base <= address < base + length:
                return memory[address - base : address - base + size]
        return None

    def _unmasked(self) -> bool:
        read: Callable[[int], int] = self._engine.reg_read
        if read(arm_const.UC_ARM_REG_PRIMASK) or read(arm_const.UC_ARM_REG_FAULTMASK):
            return False
        threshold = read(arm_const.UC_ARM_REG_BASEPRI)
        return threshold == 0 or self.waiting - 1 < threshold & self.group_mask

    def _on_block(self, _engine: int, pc: int, size: int, _data: int) -> None:
        self.block, self.block_size = pc, 0
        known = self._blocks.get((pc, size)) or self._look_at(pc, size)
        if self.stop:
            self.halt_cpu(StopReason.ASKED)
            return
        if self.instructions >= self.deadline:
            self.halt_cpu(StopReason.DEADLINE)
            return
        if self.entry <= pc < self.entry + self.entry_size:
            self.halt_cpu(StopReason.ENTRY)
            return
        if self.waiting and self._unmasked():
            self.halt_cpu(StopReason.EXCEPTION)
            return
        if known is None:
            return
        count, sev, spins = known
        if spins:
            self.halt_cpu(StopReason.SPIN)
            return
        if sev:
            self.event = 1
        self.block_size = size
        self.instructions += count

    def _on_translate(self, _engine: int, address: int, access: int, entry: Any, _data: int) -> bool:
        to, ram = entry.contents, self._ram
        if access != unicorn_const.UC_MEM_FETCH:
            clear_it_bits(self._engine)
        never_executed = 0x40000000 <= address < 0x60000000 or address >= 0xA0000000
        to.physical, to.permissions = address, _DATA if never_executed else unicorn_const.UC_PROT_ALL
        if address in ram:
            page = (address - ram.base) // ram.PAGE
            if access == unicorn_const.UC_MEM_FETCH and not ram.code[page]:
                ram.code[page] = 1
                self.code_in_ram = CodeInRam.NEW
                self.stop = 1
            if not ram.code[page]:
                to.permissions = _DATA
        return True

    def _look_at(self, pc: int, size: int) -> tuple[int, bool, bool] | None:
        """Instructions of a block, whether SEV is among them, whether it branches to itself."""
        code = self._code_at(pc, size)
        if code is None:
            return None
        found = (*_count(code), size == 2 and code[0] | code[1] << 8 == _BRANCH_TO_SELF)
        for flash in self._arrays:
            if flash.base <= pc < flash.base + flash.size:
                flash.mark_run(pc - flash.base, size)
                self._blocks[pc, size] = found
        return found

    def forget_code(self) -> None:
        """Blocks are looked at again when they run next."""
        self._blocks.clear()

    def _in_block(self, pc: int) -> bool:
        return self.block <= pc < self.block + self.block_size

    def _instructions_at(self, pc: int) -> int:
        """Instructions executed when the one at ``pc`` is about to end."""
        code = self._code_at(pc, self.block + self.block_size - pc) if self._in_block(pc) else None
        return self.instructions if code is None else self.instructions - _count(code)[0] + 1

    def _on_store(self, _engine: int, _kind: int, address: int, size: int, wide: int, _data: int) -> bool:
        self._store(address, size, wide)
        clear_it_bits(self._engine)
        return True

    def _store(self, address: int, size: int, wide: int) -> None:
        value = wide & 0xFFFFFFFF
        if size == 4 and not address & 3:
            for flash in self._arrays:
                if flash.base <= address < flash.base + flash.size:
                    if flash.gate.open and self._program(flash, address, value):
                        return
                    break
        self._callbacks.store(address, size, value)

    def _program(self, flash: FlashArray, address: int, value: int) -> bool:
        """A word for the array; false if the part does not take it."""
        took = flash.take(address, value)
        if isinstance(took, Took):
            return took is Took.HELD
        pc = self._engine.reg_read(arm_const.UC_ARM_REG_PC)
        start, wide = took
        if self.operations == self.cut:
            self.cut_address, self.cut_value, self.cut_pc = start, wide, pc
            self.halt_cpu(StopReason.CUT)
            return True
        offset = start - flash.base
        previous = flash.program(start, wide)
        if flash.write_limit:
            if flash.writes[offset >> 2] >= flash.write_limit:
                self._callbacks.worn(start)
            else:
                flash.writes[offset >> 2] += 1
        self.operations += 1
        if self.recording:
            self._journal.append(
                Operation(
                    OperationKind.WRITE,
                    start,
                    flash.unit,
                    wide,
                    previous,
                    self._instructions_at(pc),
                    pc,
                    Master.CPU,
                )
            )
        if self.block not in self._ram:  # code in RAM runs on while flash is busy
            self.skipped += flash.stall.value
            self.deadline = max(self.deadline - flash.stall.value, 0)
        if previous & wide != previous:
            self.stop |= flash.mark_rewritten(offset, flash.unit)
        return True
