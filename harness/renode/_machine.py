"""The machine behind the probe, when it runs in Renode."""

from __future__ import annotations

import random
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..emulator.control import AccessPort, BusError, ProbedBus
from ._coresight import CoreFace
from ._gdb import GdbClient, GdbError
from ._platforms import Platform

__all__ = ["RenodeMachine"]

#: seconds that a look at the running core gives it to reach a breakpoint; asking Renode costs as much
_MOMENT: Final = 0.02
_SMALL: Final = 256  # bytes up to which a GDB packet is faster than a file
_FOLDER: Final = "harness-renode-"
_BLANK: Final = 0xFFFFFFFF
_SP, _LR, _PC = 13, 14, 15
_XPSR: Final = 16
_MSP, _PSP, _CFBP, _FPSCR, _S0 = 17, 18, 20, 33, 64
_RENODE_XPSR: Final = 25
_RENODE_OTHER_SP: Final = 22
_RENODE_CONTROL, _RENODE_BASEPRI, _RENODE_PRIMASK, _RENODE_FAULTMASK = 18, 19, 28, 30
_RENODE_D0: Final = 42
_BKPT: Final = 0xBE
_WAITS: Final = (0xBF20, 0xBF30)  # WFE, WFI


class _Core:
    """The core, moved through the GDB server. Renode ignores a BKPT: a breakpoint stands for it.

    ``patches`` are addresses where a debugger has put one.
    """

    def __init__(self, gdb: GdbClient, platform: Platform) -> None:
        self._gdb, self._platform = gdb, platform
        self._set: set[int] = set()
        self.patches: set[int] = set()
        self.running = self._met = False
        self.stuck = self._lost = False

    def halt(self) -> None:
        """Stop before the next instruction."""
        if self.running:
            # Let go while it stands, a core that was locked up would run for a moment only.
            if self._locked_up():
                self._gdb.order("sysbus.cpu IsHalted false")
            self._gdb.interrupt()
        self.running = self.stuck = False
        self._place(frozenset())

    def lock_up(self) -> None:
        """What a core does whose program has vanished. Renode would give it up."""
        self.halt()
        self.stuck = self._lost = True

    def resume(self, breakpoints: frozenset[int]) -> None:
        """Run until something stops it. A lost core stays locked up until a reset, or until PC is set."""
        if self._lost:
            self.stuck = True
            return
        # A debugger's call of a function ends at a BKPT that LR points to.
        back = self._gdb.read_register(_LR) & ~1
        try:
            if self._gdb.read_memory(back + 1, 1)[0] == _BKPT:
                breakpoints |= {back}
        except GdbError:
            pass  # LR holds no address
        self._place(breakpoints | self.patches)
        self._gdb.resume()
        self.running, self._met = True, False

    def _place(self, wanted: frozenset[int]) -> None:
        for address in sorted(self._set ^ wanted):
            self._gdb.breakpoint(address, insert=address in wanted)
        self._set = set(wanted)

    def step(self) -> None:
        """One instruction."""
        self._place(frozenset())
        self._gdb.step()

    def stopped(self) -> bool:
        """Whether it has met a breakpoint since `resume`."""
        if not self.running or not (self._met or self._gdb.stopped(_MOMENT)):
            return False
        if self._gdb.aborted:
            return False  # `core_gave_up` will say what becomes of it
        self.running = False
        self._place(frozenset())
        return True

    def activity(self) -> tuple[bool, bool]:
        """Whether it waits for an event, judged by the instruction before PC; whether it has locked up.

        The core is stopped for the look: asked for a register while it runs, Renode may translate code in two
        threads at once and give up.
        """
        if self.stuck or not self.running:
            return False, self.stuck
        if self._locked_up():
            return False, True
        self._gdb.interrupt()
        if self._gdb.stopped():
            return False, False  # the next look finds out why
        try:
            at = self._gdb.read_register(_PC)
            if at in self._set:  # the report of it is late, or was never sent; a resume would lose it
                self._met = True
                return False, False
            before = self._gdb.read_memory(at - 2, 2)
        except (GdbError, OverflowError):
            before = b""
        self._gdb.resume()
        return int.from_bytes(before, "little") in _WAITS, False

    def _locked_up(self) -> bool:
        """Whether the model that watches faults has stopped the core."""
        return self._gdb.monitor("sysbus.cpu IsHalted") == "True"

    def resets(self) -> int:
        """How often it was reset since power came."""
        return int(self._gdb.monitor(f"sysbus.{self._platform.power} Resets"), 0)

    def reset(self, *, catch: bool) -> None:
        """What SYSRESETREQ does."""
        self.restart(run=not catch)

    def restart(self, *, run: bool) -> None:
        """Reset the chip, for the reason that its power model was told. With an empty vector table the core
        locks up at once, and can be debugged.
        """
        self.halt()
        vectors = self._platform.flash[0][0]
        empty = self._gdb.read_memory(vectors, 8)
        blank = empty[4:] == b"\xff" * 4
        if blank:  # Renode gives up a core for good that finds no vectors
            ram, size = self._platform.ram[0]
            self._gdb.write_memory(vectors, struct.pack("<2I", ram + size, ram | 1))
        self._gdb.order("machine Reset")
        if blank:
            self._gdb.write_memory(vectors, empty)
        self._lost = blank
        self.stuck = blank and run
        if run and not blank:
            self.resume(frozenset())

    def read_register(self, selector: int) -> int:
        """A register by its DCRSR number."""
        gdb = self._gdb
        if selector <= _PC:
            return gdb.read_register(selector)
        if selector == _XPSR:
            return gdb.read_register(_RENODE_XPSR)
        if selector in (_MSP, _PSP):
            return gdb.read_register(self._stack(selector))
        if selector == _CFBP:
            numbers = (_RENODE_PRIMASK, _RENODE_BASEPRI, _RENODE_FAULTMASK, _RENODE_CONTROL)
            return sum((gdb.read_register(number) & 0xFF) << 8 * n for n, number in enumerate(numbers))
        if _S0 <= selector < _S0 + 32:
            pair = gdb.read_register(_RENODE_D0 + (selector - _S0) // 2)
            return pair >> 32 * (selector & 1) & 0xFFFFFFFF
        return 0

    def write_register(self, selector: int, value: int) -> None:
        """Set a register by its DCRSR number."""
        gdb = self._gdb
        self._lost &= selector != _PC
        if selector <= _PC:
            gdb.write_register(selector, value & ~1 if selector == _PC else value)
        elif selector == _XPSR:
            gdb.write_register(_RENODE_XPSR, value)
        elif selector in (_MSP, _PSP):
            gdb.write_register(self._stack(selector), value)
        elif selector == _CFBP:
            for n, number in enumerate(
                (_RENODE_PRIMASK, _RENODE_BASEPRI, _RENODE_FAULTMASK, _RENODE_CONTROL)
            ):
                gdb.write_register(number, value >> 8 * n & 0xFF)
        elif _S0 <= selector < _S0 + 32:
            number, shift = _RENODE_D0 + (selector - _S0) // 2, 32 * (selector & 1)
            pair = gdb.read_register(number) & ~(0xFFFFFFFF << shift)
            gdb.write_register(number, pair | value << shift, 8)

    def _stack(self, selector: int) -> int:
        """Renode's number of MSP or PSP: the stack pointer in use, or the other one."""
        process = self._gdb.read_register(_RENODE_CONTROL) >> 1 & 1
        return _SP if (selector == _PSP) == bool(process) else _RENODE_OTHER_SP


class RenodeMachine:
    """One board in Renode as a debug probe sees it. Its bus is this object itself.

    All calls come from one thread at a time. Bulk transfers go through short-lived files.
    """

    def __init__(self, gdb: GdbClient, platform: Platform, *, seed: int) -> None:
        self._gdb, self._platform = gdb, platform
        self._random = random.Random(seed)  # noqa: S311 - what RAM holds when power comes
        self.powered = False
        self._core = _Core(gdb, platform)
        self._face = CoreFace(self._core, rom_table=platform.rom_table)
        self.access_ports: Mapping[int, AccessPort] = platform.access_ports(
            self._order_of_port, self._reset_core
        )
        for command in platform.identity(seed):
            gdb.order(command)
        gdb.write_memory(platform.flash[0][0], b"\xff" * 8)  # what stood there let the core start

    @property
    def bus(self) -> ProbedBus:
        """What the memory access port reaches."""
        return self

    @property
    def halted(self) -> bool:
        """Whether a debugger holds the core."""
        return self._face.halted

    # power and reset

    def power_on(self, *, halted: bool = False) -> None:
        """Power comes: RAM holds anything; the core runs, or stands before its first instruction. Nothing
        happens if power is there.
        """
        if self.powered:
            return
        for address, size in self._platform.ram:
            self._load(address, self._random.randbytes(size))
        self._gdb.order(f"sysbus.{self._platform.power} PowerOn")
        self._face.power_on()
        self.powered = True
        self._core.restart(run=not halted)
        self._face.halted = halted

    def power_off(self) -> None:
        """Power goes: nothing runs, no port answers."""
        if self.powered:
            self._core.halt()
            self._core.patches.clear()
            self._face.power_on()
            self.powered = False

    def reset_pin(self) -> None:
        """Pull the reset pin and let go."""
        if not self.powered:
            return
        catch = self._face.catches_reset
        self._gdb.order(f"sysbus.{self._platform.power} PinReset")
        self._core.restart(run=not catch)
        self._face.was_reset(halted=catch)

    def core_gave_up(self) -> None:
        """The core ran to where nothing is, and Renode has ended it. Silicon locks up, and may reset."""
        if not self.powered or self._face.halted or not self._core.running:
            return
        self._core.lock_up()
        if self._gdb.monitor(f"sysbus.{self._platform.power} GiveUp") == "True":
            self._reset_core()

    def _reset_core(self) -> None:
        catch = self._face.catches_reset
        self._core.restart(run=not catch)
        self._face.was_reset(halted=catch)

    def _order_of_port(self, command: str) -> None:
        if not self._face.halted:
            self._core.lock_up()
        self._gdb.order(command)

    # snapshots: power is off, so that flash is all there is

    def save(self) -> list[bytes]:
        """What every flash area holds."""
        return [self._store(address, size) for address, size in self._platform.flash]

    def restore(self, content: list[bytes]) -> None:
        """Put it back."""
        for (address, _), data in zip(self._platform.flash, content, strict=True):
            self._load(address, data)

    def _load(self, address: int, data: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix=_FOLDER) as folder:
            path = Path(folder, "memory")
            path.write_bytes(data)
            self._gdb.order(f'harness_write "{path}" {address:#x}')

    def _store(self, address: int, size: int) -> bytes:
        with tempfile.TemporaryDirectory(prefix=_FOLDER) as folder:
            path = Path(folder, "memory")
            self._gdb.order(f'harness_read "{path}" {address:#x} {size:#x}')
            return path.read_bytes()

    # the bus

    def read(self, address: int, size: int) -> int:
        """Read 1, 2 or 4 bytes."""
        word = address & ~3
        if self._face.owns(word):
            return self._face.read(word) >> 8 * (address & 3) & (1 << 8 * size) - 1
        return int.from_bytes(self._read(address, size), "little")

    def write(self, address: int, size: int, value: int) -> None:
        """Write 1, 2 or 4 bytes."""
        if self._face.owns(address & ~3):
            self._face.write(address & ~3, value)
        else:
            self._write(address, value.to_bytes(size, "little"))

    def read_block(self, address: int, size: int) -> bytes:
        """Read any number of bytes."""
        if self._special(address, size):
            words = range(address & ~3, address + size, 4)
            data = b"".join(self.read(word, 4).to_bytes(4, "little") for word in words)
            return data[address & 3 : (address & 3) + size]
        if size > _SMALL and self._plain(address, size):
            return self._store(address, size)
        return b"".join(
            self._read(at, min(_SMALL, address + size - at)) for at in range(address, address + size, _SMALL)
        )

    def write_block(self, address: int, data: bytes) -> None:
        """Write any number of bytes."""
        if self._special(address, len(data)) and not (address | len(data)) & 3:
            for offset in range(0, len(data), 4):
                self.write(address + offset, 4, int.from_bytes(data[offset : offset + 4], "little"))
        elif len(data) > _SMALL and self._plain(address, len(data)):
            self._load(address, data)
        else:
            for offset in range(0, len(data), _SMALL):
                self._write(address + offset, data[offset : offset + _SMALL])

    def _special(self, address: int, size: int) -> bool:
        return address >= 0xE0000000 and any(
            self._face.owns(word) for word in range(address & ~3, address + size, 4)
        )

    def _plain(self, address: int, size: int) -> bool:
        """Whether this lies in memory, where the width of an access makes no difference."""
        areas = self._platform.flash + self._platform.ram
        return any(start <= address and address + size <= start + length for start, length in areas)

    def _read(self, address: int, size: int) -> bytes:
        try:
            return self._gdb.read_memory(address, size)
        except GdbError:
            raise BusError(address) from None

    def _write(self, address: int, data: bytes) -> None:
        if len(data) == 2:  # what a debugger's breakpoints in RAM are written with, and taken away
            (self._core.patches.add if data[1] == _BKPT else self._core.patches.discard)(address)
        if not self._plain(address, len(data)):
            self._read(address, 1)  # Renode says nothing of writes to nowhere
        self._gdb.write_memory(address, data)
