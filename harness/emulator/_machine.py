"""One emulated chip: CPU, memories, peripherals, power, snapshots and power cuts."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from unicorn import arm_const
from unicorn import unicorn_const as uc
from unicorn.unicorn_py3.unicorn import Uc

from ._alarms import Alarm, Alarms
from ._bus import Bus
from ._core import Core, Outcome
from ._debug import SCS_IDENTIFICATION, BreakpointUnit, CoreDebug, RomTable, WatchpointUnit
from ._diagnostics import DiagnosticKind, Diagnostics
from ._exceptions import Exceptions
from ._fingerprint import digest_of
from ._hot import NEVER, HotPath, StopReason
from ._journal import Operation, OperationKind
from ._memory import FlashArray
from ._peripheral import Peripheral, ResetKind
from ._reads import FlashReads
from ._scs import SystemControlSpace
from ._stop import Stop, StopCause
from ._tear import Tear, TearWord
from ._weak import WeakCells
from .soc import soc_model

__all__ = ["Machine", "Snapshot", "Stop", "StopCause"]

_FPB, _DWT, _ROM_TABLE = 0xE0002000, 0xE0001000, 0xE00FF000
_SCS: Final = 0xE000E000
_MEDIA_FEATURES: Final = {0xF40: ("MVFR0", 0x10110021), 0xF44: ("MVFR1", 0x11000011)}
#: a lockup this soon after a lockup reset (cycles) means that there is nothing to run
_HOPELESS: Final = 1000


_CAUSES: Final = {
    Outcome.LIMIT: StopCause.LIMIT,
    Outcome.HALTED: StopCause.HALTED,
    Outcome.ASKED: StopCause.ASKED,
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All state of a machine but what the debugger has set up."""

    arrays: tuple[tuple[bytes, bytes], ...]
    ram: bytes
    context: Any
    hot: tuple[int, ...]
    alarms: tuple[int, ...]
    exceptions: Any
    devices: tuple[Any, ...]
    lines: tuple[bytes, ...]
    core: tuple[bool, ...]


def _new_engine() -> Any:
    engine: Any = Uc(uc.UC_ARCH_ARM, uc.UC_MODE_THUMB)
    engine.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
    return engine


def _new_hot_path(engine: Any, bus: Bus, *, native: bool | None) -> HotPath:
    from ._hot_native import NativeHotPath, native_library
    from ._hot_python import PythonHotPath

    library = native_library()
    if native or (native is None and library.exists()):
        return NativeHotPath(engine, bus.arrays, bus.ram, bus, library)
    return PythonHotPath(engine, bus.arrays, bus.ram, bus)


class Machine:
    """A chip by its SoC model's name, powered off and with erased flash at first.

    ``native`` chooses the hot path: C, Python, or (None) C if it was built. ``seed``
    makes the device's identity and its random numbers. Not thread-safe.
    """

    def __init__(
        self,
        soc: str = "nrf52840",
        *,
        seed: int = 1,
        native: bool | None = None,
        tracks_reads: bool = False,
    ) -> None:
        self.soc = soc_model(soc)
        self.diagnostics = Diagnostics()
        self._engine = _new_engine()
        self._alarms = Alarms()
        self._pages: dict[int, Any] = {}
        parts = self.soc.build(self, seed)
        self._parts = parts
        self.bus = Bus(self._engine, parts.arrays, parts.ram, parts.constants, self.diagnostics)
        self.hot = _new_hot_path(self._engine, self.bus, native=native)
        #: which flash words the CPU has loaded, if ``tracks_reads`` asked for that
        self.reads = FlashReads(self._engine, self.hot, parts.arrays) if tracks_reads else None
        self.bus.reads = self.reads
        self._alarms.connect(self.hot)
        self.bus.connect(self.hot, [*parts.regions, (0xE0000000, 0x100000)])
        self.debug = CoreDebug()
        self.debug.on_connect = self._wake
        self._exceptions = Exceptions(self.hot, self.soc.IRQS, self.soc.PRIORITY_BITS)
        scs = SystemControlSpace(
            self,
            self._exceptions,
            {0xD00: ("CPUID", self.soc.CPUID), **_MEDIA_FEATURES}
            | {register.offset: (register.name, register.reset) for register in SCS_IDENTIFICATION},
            self.debug.REGISTERS,
            (self.debug.read, self.debug.write),
        )
        self.core = Core(self._engine, self.hot, self._alarms, self.bus, self._exceptions, scs, self.debug)
        breakpoints = BreakpointUnit(self, _FPB, self.core.breakpoints_changed)
        watchpoints = WatchpointUnit(self, _DWT, self.core.watchpoints_changed)
        self.core.breakpoints, self.core.watchpoints = breakpoints, watchpoints
        table = RomTable(self, _ROM_TABLE, [_SCS, _DWT, _FPB], parts.rom_table)
        self._core_devices = [scs, breakpoints, watchpoints, table]
        for device in (*self._core_devices, *parts.devices):
            self.bus.add(device)
        self.uarts = parts.uarts
        self.access_ports = parts.access_ports
        self.powered = False
        self._pending_reset: ResetKind | None = None
        self._last_lockup = -_HOPELESS
        self._tear: Tear = TearWord()
        self._weak: list[WeakCells] = []
        #: `run` returns (ASKED) after each page erase, before the next block of instructions
        self.stops_after_erase = False

    # what peripherals use (System, Chip)

    @property
    def now(self) -> int:
        """CPU cycles since the machine was made; powered-off time does not count."""
        return self._alarms.now

    @property
    def clock_hz(self) -> int:
        """CPU cycles per second of emulated time."""
        return self._parts.clock_hz() if self._parts.clock_hz else self.soc.CLOCK_HZ

    def alarm(self, action: Callable[[], None], *, clock: bool = False) -> Alarm:
        """A new alarm; ``clock`` if it belongs to something that counts on its own."""
        return self._alarms.new(action, clock=clock)

    def clock_was_read(self) -> None:
        """The firmware learns the state of a running counter."""
        self._alarms.clock_events += 1

    def exact_pc(self) -> int:
        """Address of the instruction that makes the present device access."""
        return self.bus.exact_pc()

    def report(self, kind: DiagnosticKind, address: int, value: int | None = None, note: str = "") -> None:
        """Report something about the present access, once for each kind and address."""
        self.bus.report(kind, address, value, note)

    def set_irq(self, number: int, level: bool) -> None:
        """Drive an interrupt line."""
        self._exceptions.set_level(number, level)

    def request_reset(self, kind: ResetKind) -> None:
        """Reset the device before the next block of instructions."""
        self._pending_reset = kind
        self.core.reset_requested = True
        self.hot.stop = 1

    def switch_off(self) -> bool:
        """Stop everything until a reset; False if a debugger keeps the chip on."""
        if not self.debug.enabled:
            self.ask()
        return not self.debug.enabled

    def _wake(self) -> None:
        """A debugger connects, which ends deep sleep."""
        if self._parts.is_off():
            self.reset(ResetKind.WAKE)

    def read_memory(self, address: int, size: int) -> bytes:
        """DMA read; empty if the area is not all RAM."""
        return self.bus.read_ram(address, size) or b""

    def write_memory(self, address: int, data: bytes) -> None:
        """DMA write; dropped if the area is not all RAM."""
        self.bus.write_ram(address, data)

    def page(self, address: int) -> Any:
        """Host memory of the 4 KiB page at an address."""
        return self._pages.setdefault(address >> 12, (ctypes.c_uint32 * 1024)())

    def access_changed(self, device: Peripheral) -> None:
        """A device was given its clock, or lost it."""
        self.bus.access_changed(device)

    def erase(self, flash: FlashArray, address: int, size: int, pc: int, *, at_once: bool = False) -> bool:
        """Erase an area as one flash operation; False if power was cut there."""
        kind = OperationKind.ERASE_ALL if size == flash.size else OperationKind.ERASE_PAGE
        pages = 1 if at_once else max(1, size // flash.page_size)
        done = self.bus.erase(flash, address, size, kind, pc, pages * flash.page_stall)
        for cells in self._weak if done else ():
            cells.erased(address, size)
        if done and self.stops_after_erase:
            self.ask()
        return done

    def erase_part(self, flash: FlashArray, address: int, size: int, pc: int) -> bool:
        """One step of a partial erase."""
        return self.bus.erase(flash, address, size, OperationKind.ERASE_PARTIAL, pc, flash.page_stall)

    def reset_now(self, kind: ResetKind) -> None:
        """Reset while the CPU is stopped."""
        self.reset(kind)

    # power and reset

    def power_on(self) -> None:
        """Switch on: RAM holds nothing, the core starts from the vector table."""
        if not self.powered:
            self.powered = True
            self.reset(ResetKind.POWER_ON)

    def power_off(self) -> None:
        """Switch off. Flash and UICR stay as they are."""
        self.powered = False

    def forget_time(self) -> None:
        """Let cycles and instructions count from 0 again; the machine is off."""
        self.hot.instructions = self.hot.skipped = 0

    def power_cycle(self) -> None:
        """Off and on again."""
        self.power_off()
        self.power_on()

    def reset(self, kind: ResetKind) -> None:
        """Reset in one of the ways that the part knows; nothing happens without power."""
        if not self.powered:
            return
        self._pending_reset = None
        if kind in {ResetKind.POWER_ON, ResetKind.WAKE} or self._parts.is_off():
            self._parts.ram.clear()
        if kind is ResetKind.POWER_ON:
            self.debug.power_on()
        for device in (*self._core_devices, *self._parts.devices):
            device.reset(kind)
        self.bus.drop_rewritten_code()
        self.bus.drop_code_in_ram()
        self.core.reset()

    # running

    def run(self, cycles: int | None = None, *, sleep_until: int = NEVER) -> Stop:
        """Run for so many cycles, or until nothing more can happen.

        A sleeping CPU jumps to the next event at once, but not beyond the cycle
        ``sleep_until``: then the call returns (ASLEEP), and the caller lets real time pass.
        """
        limit = NEVER if cycles is None else self.now + cycles
        while self.powered:
            outcome = Outcome.ASKED if self._parts.is_off() else self.core.run(limit)
            if self._parts.is_off() and outcome is not Outcome.CUT:
                return self._stop(StopCause.SYSTEM_OFF)
            if outcome is Outcome.RESET:
                self.reset(self._pending_reset or ResetKind.SOFT)
            elif outcome is Outcome.LOCKED_UP:
                due = min(self._alarms.next, limit)
                if self._leave_lockup():
                    continue
                if self._alarms.next == NEVER or self.now >= limit:
                    return self._stop(StopCause.LOCKED_UP)
                if due > sleep_until:
                    return self._stop(StopCause.ASLEEP)
                self.skip_to(due)  # a watchdog may end it
            elif outcome is Outcome.ASLEEP:
                due = min(self._alarms.next, limit)
                if due > sleep_until:
                    return self._stop(StopCause.ASLEEP)
                if due == NEVER:
                    return self._stop(StopCause.IDLE)
                self.skip_to(due)
            elif outcome is Outcome.CUT:
                self._tear_operation()
                self.power_off()
                return self._stop(StopCause.POWER_CUT)
            else:
                return self._stop(_CAUSES[outcome])
        return self._stop(StopCause.POWER_OFF)

    def _stop(self, cause: StopCause) -> Stop:
        return Stop(cause, self.now, self.core.registers.pc)

    @property
    def can_run(self) -> bool:
        """Whether `run` would do anything."""
        dead = self.core.locked_up and not self.debug.stepping and self._alarms.next == NEVER
        stuck = self.debug.halted or dead
        return self.powered and not self._parts.is_off() and (self.core.reset_requested or not stuck)

    @property
    def next_event(self) -> int:
        """Cycle of the next thing that will happen by itself, `NEVER` (2**63 - 1) if there is none."""
        return self._alarms.next

    def skip_to(self, cycle: int) -> None:
        """Let time pass without instructions, while the CPU sleeps."""
        self.hot.skipped += max(cycle - self.now, 0)

    def ask(self) -> None:
        """From another thread or a line's sink: make `run` return soon, with cause ASKED."""
        self.core.asked = True
        self.hot.stop = 1

    def ask_at_entry(self, start: int, end: int) -> None:
        """From now on `run` returns (ASKED) before code in [start, end) runs; an empty area ends that."""
        self.hot.entry, self.hot.entry_size = start, end - start

    def _leave_lockup(self) -> bool:
        """A lockup resets the chip, unless a debugger is there or the reset leads straight back to it."""
        hopeless = self.now - self._last_lockup < _HOPELESS
        self._last_lockup = self.now
        if self.debug.enabled or not self._parts.lockup_resets or hopeless:
            return False
        self.reset(ResetKind.LOCKUP)
        return True

    # flash

    @property
    def flash(self) -> FlashArray:
        """The main flash array."""
        return self._parts.arrays[0]

    def program(self, address: int, data: bytes) -> None:
        """Put content into flash or UICR from outside, without the flash controller and its journal."""
        for array in self._parts.arrays:
            if address in array and address + len(data) <= array.base + array.size:
                offset = address - array.base
                array.view[offset : offset + len(data)] = data
                if data and array.mark_rewritten(offset, len(data)):
                    self.bus.drop_rewritten_code()
                return
        raise ValueError(f"{len(data)} bytes at {address:#x} are not all in one flash array")

    def load(self, address: int, data: bytes) -> None:
        """`program` whole words that count as not written since their erase."""
        self.program(address, data)
        array = next(array for array in self._parts.arrays if address in array)
        ctypes.memset(ctypes.addressof(array.writes) + (address - array.base) // 4, 0, len(data) // 4)

    def weaken(self, address: int, size: int, *, seed: int = 0) -> None:
        """Leave the programmed cells of an area undecided, as an erase does that loses power in it.

        They read differently each time, until the area is erased or `strengthen` puts them back.
        """
        array = next(array for array in self._parts.arrays if address in array)
        self._weak.append(WeakCells(self._engine, array, address, size, seed))

    def strengthen(self) -> None:
        """Undecided cells that were not erased are as they were before."""
        while self._weak:
            self._weak.pop().restore()

    def start_journal(self) -> None:
        """Record every flash operation from now on, after forgetting the earlier ones."""
        self.hot.clear_journal()
        self.hot.recording = 1

    def recorded(self, start: int = 0) -> list[Operation]:
        """The operations recorded so far, from this index on."""
        return self.hot.operations_recorded(start)

    def stop_journal(self) -> list[Operation]:
        """Stop recording; the operations recorded."""
        self.hot.recording = 0
        return self.hot.operations_recorded()

    @property
    def operations(self) -> int:
        """Flash operations so far: the index of the next one."""
        return self.hot.operations

    def cut_power_at(self, operation: int | None, tear: Tear | None = None) -> None:
        """Lose power at the flash operation of this index (see `operations`), before it or inside it.

        ``tear`` says what the operation leaves behind; None: it did not start. ``operation`` None takes
        the cut back. `run` then returns POWER_CUT and the machine is off.
        """
        self.hot.cut = NEVER if operation is None else operation
        self._tear = tear or TearWord()

    def _tear_operation(self) -> None:
        """Leave the array as the failing operation leaves it."""
        hot = self.hot
        hot.cut = NEVER
        is_erase, self.bus.cut_is_erase = self.bus.cut_is_erase, False
        for flash in self._parts.arrays:
            if hot.cut_address in flash:
                offset = hot.cut_address - flash.base
                if hot.reason == StopReason.CUT and is_erase:
                    area = slice(offset, offset + hot.cut_value)
                    flash.view[area] = self._tear.erase(bytes(flash.view[area]))
                    flash.mark_rewritten(offset, hot.cut_value)
                else:
                    for at in range(0, flash.unit, 4):
                        area = slice(offset + at, offset + at + 4)
                        previous = int.from_bytes(flash.view[area], "little")
                        word = hot.cut_value >> 8 * at & 0xFFFFFFFF
                        flash.view[area] = self._tear.word(previous, word).to_bytes(4, "little")
                    flash.mark_rewritten(offset, flash.unit)
        self.bus.drop_rewritten_code()

    # state

    @property
    def clock_events(self) -> int:
        """How often the firmware could have seen what time it is: timer events, and reads of counters."""
        return self._alarms.clock_events

    @property
    def clocks(self) -> tuple[int, ...]:
        """Cycles until each running counter makes an event next, -1 for those that make none."""
        return self._alarms.ahead(clock=True)

    def fingerprint(self) -> bytes:
        """Digest of everything that decides what the machine does next, but for flash and `clocks`.

        Two machines that agree in it, in flash content and in the bytes on their way to the UARTs do the
        same until a clock makes an event or is read.
        """
        core = self.core
        rest = (
            self._alarms.ahead(clock=False),
            self._exceptions.save(),
            [line.save() for line in self.uarts],
            (self.powered, core.sleeping, core.waits_for_event, core.locked_up, self.hot.event),
            [bytes(array.held) for array in self._parts.arrays],
        )
        devices = (self._core_devices[0], *self._parts.devices)
        return digest_of(self._parts.ram, core.registers.everything(), devices, rest)

    _HOT_FIELDS: Final = ("instructions", "skipped", "waiting", "event", "operations")

    def snapshot(self) -> Snapshot:
        """All state, while the CPU is stopped."""
        return Snapshot(
            arrays=tuple((bytes(array.memory), bytes(array.writes)) for array in self._parts.arrays),
            ram=bytes(self._parts.ram.memory),
            context=self._engine.context_save(),
            hot=tuple(getattr(self.hot, name) for name in self._HOT_FIELDS),
            alarms=self._alarms.save(),
            exceptions=self._exceptions.save(),
            devices=tuple(device.save() for device in (self._core_devices[0], *self._parts.devices)),
            lines=tuple(line.save() for line in self.uarts),
            core=(self.powered, self.core.sleeping, self.core.waits_for_event, self.core.locked_up),
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot of this machine. Breakpoints and the journal stay as they are."""
        for array, (content, writes) in zip(self._parts.arrays, snapshot.arrays, strict=True):
            for start, end in array.changed_code(content):
                self.bus.drop_code(start, end)
            ctypes.memmove(array.memory, content, array.size)
            ctypes.memmove(array.writes, writes, len(writes))
        ram = self._parts.ram
        ctypes.memmove(ram.memory, snapshot.ram, ram.size)
        self.bus.drop_code_in_ram()
        self._engine.context_restore(snapshot.context)
        for name, value in zip(self._HOT_FIELDS, snapshot.hot, strict=True):
            setattr(self.hot, name, value)
        self._exceptions.restore(snapshot.exceptions)
        for device, state in zip(
            (self._core_devices[0], *self._parts.devices), snapshot.devices, strict=True
        ):
            device.restore(state)
        for line, state in zip(self.uarts, snapshot.lines, strict=True):
            line.restore(state)
        self._alarms.load(snapshot.alarms)
        self.powered, self.core.sleeping, self.core.waits_for_event, self.core.locked_up = snapshot.core
        self.core.reset_requested, self._pending_reset = False, None
        self.hot.stop, self.hot.block_size = 0, 0
