"""The memory map: who answers at which address, for the CPU, for DMA and for the debugger."""

from __future__ import annotations

import ctypes
from typing import Any, Final

from unicorn import unicorn_const as uc

from ._diagnostics import Diagnostic, DiagnosticKind, Diagnostics
from ._hot import Callbacks, CodeInRam, HotPath, StopReason, flush_tlb
from ._journal import Master, Operation, OperationKind
from ._memory import FlashArray, Ram, Took
from ._peripheral import Peripheral
from ._probed import BusError
from ._reads import FlashReads
from ._registers import Registers

__all__ = ["Bus", "BusError"]

_PAGE: Final = 0x1000
_BLOCK: Final = 0x400  # no device takes less of the map
_IT_REACH: Final = 2 + 4 * 4  # bytes of an IT instruction and of the four that it can cover


class _RepeatError(Exception):
    """The CPU must stop and repeat the access, so that its program counter is known."""


class Bus(Callbacks):
    """Memory and devices by address. Reads and writes raise `BusError` where nothing is.

    ``constants`` are (base, content) areas that nobody can write.
    """

    def __init__(
        self,
        engine: Any,
        arrays: list[FlashArray],
        ram: Ram,
        constants: list[tuple[int, Any]],
        diagnostics: Diagnostics,
    ) -> None:
        self._engine, self.arrays, self.ram, self.diagnostics = engine, arrays, ram, diagnostics
        self._constants = [(base, memoryview(content).cast("B")) for base, content in constants]
        self._devices: dict[int, Peripheral] = {}
        self._regions: list[tuple[int, int]] = []
        self._hot: HotPath | None = None
        self._registers = Registers(engine)
        self._failure: BaseException | None = None
        self._repeated: int | None = None
        self._master = Master.CPU
        self.cut_is_erase = False
        self.reads: FlashReads | None = None
        engine.mem_map_ptr(ram.base, ram.size, uc.UC_PROT_ALL, ram.memory)
        for flash in arrays:
            self._map_read_only(flash.base, flash.size, uc.UC_PROT_READ | uc.UC_PROT_EXEC, flash.memory)
        for base, content in constants:
            self._map_read_only(base, len(bytes(content)), uc.UC_PROT_READ, content)

    def _map_read_only(self, base: int, size: int, protection: int, memory: Any) -> None:
        """Map memory so that stores reach the hook alone: Unicorn drops them if protection comes second."""
        self._engine.mem_map_ptr(base, size, uc.UC_PROT_ALL, memory)
        self._engine.mem_protect(base, size, protection)

    def connect(self, hot: HotPath, regions: list[tuple[int, int]]) -> None:
        """Let the hot path answer the device regions (base, size)."""
        self._hot, self._regions = hot, regions
        for base, size in regions:
            hot.map_devices(base, size)

    @property
    def hot(self) -> HotPath:
        """The hot path."""
        assert self._hot is not None
        return self._hot

    def add(self, device: Peripheral) -> None:
        """Put a device into the map."""
        for block in range(device.base // _BLOCK, (device.base + device.SIZE) // _BLOCK):
            self._devices[block] = device
        self.access_changed(device)

    def access_changed(self, device: Peripheral) -> None:
        """Let the hot path answer for a device what it can, or nothing while it has no clock."""
        first = device.base % _PAGE >> 2
        quiet, plain = (device.quiet_words(), device.plain_words()) if device.clocked else ([], [])
        self.hot.describe_device(
            device.base // _PAGE,
            device.memory,
            range(first, first + (device.SIZE >> 2)),
            [first + word for word in quiet],
            [first + word for word in plain],
        )

    def _device_at(self, address: int) -> tuple[Peripheral | None, int]:
        """The device at an address, and the offset in it."""
        device = self._devices.get(address // _BLOCK)
        return device, 0 if device is None else address - device.base

    # what the CPU's hooks call

    def load(self, address: int, size: int) -> int:
        """A device read by the CPU; called inside the instruction."""
        try:
            return self._device_load(address, size)
        except _RepeatError:
            self.hot.halt_cpu(StopReason.DEVICE)
        except BaseException as error:  # ctypes would swallow it; raise_failure() raises it again
            self._fail(error)
        return 0

    def store(self, address: int, size: int, value: int) -> None:
        """A store by the CPU that is not plain; called inside the instruction."""
        try:
            if not self._read_only_store(address, size, value):
                self._device_store(address, size, value)
        except _RepeatError:
            self.hot.halt_cpu(StopReason.DEVICE)
        except BaseException as error:  # as above
            self._fail(error)

    def worn(self, address: int) -> None:
        """A flash word was programmed too often."""
        self._report(DiagnosticKind.FLASH_WORN, address, None, self._registers.pc)

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self.hot.halt_cpu(StopReason.DEVICE)

    def raise_failure(self) -> None:
        """Raise what went wrong inside a hook."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def repeat_at(self, pc: int) -> None:
        """The CPU stopped at ``pc`` and will repeat its access there."""
        self._repeated = pc

    def exact_pc(self) -> int:
        """Address of the instruction that makes the present device access.

        The engine knows it only at the start of a block. If the access is not the first
        instruction of one, the CPU is stopped and repeats it: the caller must not have
        changed anything yet. In a block with an IT block, which the engine does not leave
        before its end, it is the address of the block. 0 for a debugger's access.
        """
        if self._master is Master.DEBUG:
            return 0
        if self._repeated != self.hot.block and not self._near_it_block():
            raise _RepeatError
        self._repeated = None
        return self.hot.block

    def _near_it_block(self) -> bool:
        """Whether an IT instruction (ARMv7-M A7.7.38) is in the block, or so near that it reaches into it."""
        start, end = self.hot.block - _IT_REACH, self.hot.block + self.hot.block_size
        halfwords = (self.peek_halfword(address) for address in range(start, end, 2))
        return any(halfword & 0xFF00 == 0xBF00 and halfword & 0xF for halfword in halfwords)

    def _report(
        self,
        kind: DiagnosticKind,
        address: int,
        value: int | None = None,
        pc: int | None = None,
        note: str = "",
    ) -> None:
        self.diagnostics.add(Diagnostic(kind, address, pc, value, note))

    def report(self, kind: DiagnosticKind, address: int, value: int | None = None, note: str = "") -> None:
        """Report something about the present device access, with its program counter, once."""
        if self._master is Master.CPU and not self.diagnostics.known(kind, address):
            self._report(kind, address, value, self.exact_pc(), note)

    def _read_only_store(self, address: int, size: int, value: int) -> bool:
        for flash in self.arrays:
            if address in flash:
                kind, note = flash.why_refused(address, size, value)
                self._report(kind, address, value, self._registers.pc, note)
                return True
        for base, content in self._constants:
            if base <= address < base + len(content):
                self._report(DiagnosticKind.READ_ONLY_WRITE, address, value, self._registers.pc)
                return True
        return False

    def _device_load(self, address: int, size: int) -> int:
        device, offset = self._device_at(address)
        if device is None or not device.knows(offset):
            self.report(DiagnosticKind.UNMODELLED_READ, address)
            return 0
        if not device.clocked:
            self.report(DiagnosticKind.NO_CLOCK, address, None, device.name)
            return 0
        word = device.load(offset & ~3) >> 8 * (offset & 3)
        return word & ((1 << 8 * size) - 1)

    def _device_store(self, address: int, size: int, value: int) -> None:
        device, offset = self._device_at(address)
        if device is None or not device.knows(offset):
            self.report(DiagnosticKind.UNMODELLED_WRITE, address, value)
            return
        if not device.clocked:
            self.report(DiagnosticKind.NO_CLOCK, address, value, device.name)
            return
        if device.read_only(offset):
            self.report(DiagnosticKind.READ_ONLY_WRITE, address, value)
            return
        if size < 4:
            shift = 8 * (offset & 3)
            mask = (1 << 8 * size) - 1 << shift
            value = device.merge_base(offset & ~3) & ~mask | value << shift & mask
        device.store(offset & ~3, value)

    # what the core reads for itself

    def _memory_at(self, address: int, size: int) -> memoryview | None:
        memories: list[Ram | FlashArray] = [self.ram, *self.arrays]
        for memory in memories:
            if memory.base <= address and address + size <= memory.base + memory.size:
                return memory.view[address - memory.base : address - memory.base + size]
        for base, content in self._constants:
            if base <= address and address + size <= base + len(content):
                return content[address - base : address - base + size]
        return None

    def is_memory(self, address: int) -> bool:
        """Whether RAM or flash answers, so that reading twice is harmless."""
        return self._memory_at(address, 1) is not None

    def peek(self, address: int) -> int:
        """A word for the core itself; all ones where nothing answers, which faults when it is used."""
        if self.reads is not None:
            self.reads.mark(address)
        view = self._memory_at(address, 4)
        return 0xFFFFFFFF if view is None else int.from_bytes(view, "little")

    def peek_halfword(self, address: int) -> int:
        """A halfword of code; 0 where nothing answers."""
        view = self._memory_at(address, 2)
        return 0 if view is None else int.from_bytes(view, "little")

    def read_ram(self, address: int, size: int) -> bytes | None:
        """RAM content, or None if the area is not all RAM."""
        ram = self.ram
        if not (ram.base <= address and address + size <= ram.base + ram.size):
            return None
        return bytes(ram.view[address - ram.base : address - ram.base + size])

    def write_ram(self, address: int, data: bytes) -> bool:
        """Put data into RAM; False if the area is not all RAM."""
        ram = self.ram
        if not (ram.base <= address and address + len(data) <= ram.base + ram.size):
            return False
        ram.view[address - ram.base : address - ram.base + len(data)] = data
        return True

    # translated code

    def drop_code(self, start: int, end: int) -> None:
        """Forget translations of [start, end); the CPU must be stopped."""
        self._engine.ctl_remove_cache(start, end)
        self.hot.forget_code()

    def drop_code_in_ram(self) -> None:
        """Forget translations of RAM: it is data until code is fetched from it."""
        if self.hot.code_in_ram != CodeInRam.NONE:
            ctypes.memset(self.ram.code, 0, len(self.ram.code))
            self.hot.code_in_ram = CodeInRam.NONE
            self.drop_code(self.ram.base, self.ram.base + self.ram.size)
            flush_tlb(self._engine)

    def drop_rewritten_code(self) -> None:
        """Forget translations of flash pages whose content changed, and that a page of RAM was data."""
        if self.hot.code_in_ram == CodeInRam.NEW:
            self.hot.code_in_ram = CodeInRam.SOME
            flush_tlb(self._engine)  # stores under another execution priority have entries of their own
        for flash in self.arrays:
            for start, end in flash.take_rewritten():
                self.drop_code(start, end)

    # flash operations that are not word writes by the CPU

    def erase(
        self, flash: FlashArray, address: int, size: int, kind: OperationKind, pc: int, stall: int
    ) -> bool:
        """Erase an area as one operation that takes so many cycles; False if power is cut here instead."""
        hot = self.hot
        if hot.operations == hot.cut:
            hot.cut_address, hot.cut_value, hot.cut_pc = address, size, pc
            self.cut_is_erase = True
            hot.halt_cpu(StopReason.CUT)
            return False
        flash.erase(address - flash.base, size)
        hot.operations += 1
        if hot.recording:
            hot.append(Operation(kind, address, size, 0, 0, hot.instructions, pc, self._master))
        if pc not in self.ram:
            self.stall(stall)
        if flash.mark_rewritten(address - flash.base, size):
            hot.stop = 1
        return True

    def stall(self, cycles: int) -> None:
        """Time passes while the CPU stands still."""
        hot = self.hot
        hot.skipped += cycles
        hot.deadline = max(hot.deadline - cycles, 0)

    def _program_by_debugger(self, flash: FlashArray, address: int, value: int) -> None:
        took = flash.take(address, value) if flash.gate.open else Took.REFUSED
        if took is Took.REFUSED:
            flash.why_refused(address, 4, value)
        if isinstance(took, Took):
            return
        hot, (start, wide) = self.hot, took
        previous = flash.program(start, wide)
        hot.operations += 1
        if hot.recording:
            kind, size = OperationKind.WRITE, flash.unit
            hot.append(Operation(kind, start, size, wide, previous, hot.instructions, 0, Master.DEBUG))
        if flash.mark_rewritten(start - flash.base, flash.unit):
            hot.stop = 1

    # the debugger's bus master; the CPU is stopped meanwhile

    def read(self, address: int, size: int) -> int:
        """Read 1, 2 or 4 bytes as the debugger."""
        view = self._memory_at(address, size)
        if view is not None:
            return int.from_bytes(view, "little")
        self._require_device(address)
        self._master = Master.DEBUG
        try:
            return self._device_load(address, size)
        finally:
            self._master = Master.CPU

    def write(self, address: int, size: int, value: int) -> None:
        """Write 1, 2 or 4 bytes as the debugger."""
        if self.write_ram(address, value.to_bytes(size, "little")):
            self.drop_code(address, address + size)
            return
        for flash in self.arrays:
            if address in flash:
                if size == 4 and not address & 3:
                    self._program_by_debugger(flash, address, value)
                else:
                    flash.why_refused(address, size, value)
                return
        self._require_device(address)
        self._master = Master.DEBUG
        try:
            self._device_store(address, size, value)
        finally:
            self._master = Master.CPU

    def _require_device(self, address: int) -> None:
        if not any(base <= address < base + size for base, size in self._regions) and not any(
            base <= address < base + len(content) for base, content in self._constants
        ):
            raise BusError(address)

    def read_block(self, address: int, size: int) -> bytes:
        """Read any number of bytes as the debugger."""
        view = self._memory_at(address, size)
        if view is not None:
            return bytes(view)
        step = 4 if not (address | size) & 3 else 1
        return b"".join(self.read(address + at, step).to_bytes(step, "little") for at in range(0, size, step))

    def write_block(self, address: int, data: bytes) -> None:
        """Write any number of bytes as the debugger."""
        if self.write_ram(address, data):
            self.drop_code(address, address + len(data))
            return
        step = 4 if not (address | len(data)) & 3 else 1
        for at in range(0, len(data), step):
            self.write(address + at, step, int.from_bytes(data[at : at + step], "little"))
