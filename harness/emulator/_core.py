"""The CPU: runs the engine and does what Unicorn leaves out (exceptions, faults, sleep, debug)."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any, Final

from unicorn import arm_const as arm
from unicorn import unicorn_const as uc
from unicorn.unicorn_py3 import unicorn as binding

from ._alarms import Alarms
from ._bus import Bus
from ._debug import (
    DFSR_BKPT,
    DFSR_DWTTRAP,
    DFSR_HALTED,
    DFSR_VCATCH,
    BreakpointUnit,
    CoreDebug,
    WatchpointUnit,
)
from ._diagnostics import Diagnostic, DiagnosticKind
from ._exceptions import Exc, Exceptions, Masks
from ._hot import NEVER, HotPath, StopReason, clear_it_bits
from ._registers import Registers
from ._scs import SystemControlSpace

__all__ = ["Core", "Outcome"]

_UNTIL: Final = 1  # an address that never runs: instructions are at even ones
_INTR_SVC, _INTR_BKPT, _INTR_EXCEPTION_RETURN = 2, 7, 8
_WFI, _WFE = 0xBF30, 0xBF20
_CFSR, _HFSR, _BFAR = 0xD28, 0xD2C, 0xD38
_FORCED, _VECTTBL, _DEBUGEVT = 1 << 30, 1 << 1, 1 << 31
# CFSR bits (ARMv7-M B3.2.15)
_IACCVIOL, _IBUSERR, _PRECISERR, _UNSTKERR, _STKERR, _BFARVALID = 1, 1 << 8, 1 << 9, 1 << 11, 1 << 12, 1 << 15
_UNDEFINSTR, _INVSTATE, _INVPC = 1 << 16, 1 << 17, 1 << 18
_ITSTATE: Final = 0x0600FC00
_THUMB: Final = 1 << 24
_FLOAT_FRAME: Final = 26
_BASIC_FRAME: Final = 8


class Outcome(Enum):
    """Why `Core.run` came back."""

    LIMIT = auto()
    ASLEEP = auto()
    HALTED = auto()
    LOCKED_UP = auto()
    RESET = auto()
    CUT = auto()
    ASKED = auto()


class _Fault(Exception):  # noqa: N818 - an event of the emulated core, not an error of this program
    """An access made on behalf of the core failed."""


class Core:
    """One Cortex-M4 with its exceptions and debug unit."""

    def __init__(
        self,
        engine: Any,
        hot: HotPath,
        alarms: Alarms,
        bus: Bus,
        exceptions: Exceptions,
        scs: SystemControlSpace,
        debug: CoreDebug,
    ) -> None:
        self._engine, self._hot, self._alarms, self._bus = engine, hot, alarms, bus
        self._exceptions, self._scs, self.debug = exceptions, scs, debug
        self.breakpoints: BreakpointUnit | None = None
        self.watchpoints: WatchpointUnit | None = None
        self.registers = Registers(engine)
        self.sleeping = self.waits_for_event = self.locked_up = False
        self.reset_requested = self.asked = self._not_thumb = False
        self._interrupt: int | None = None
        self._bad_address: int | None = None
        self._hit: int | None = None
        self._armed: dict[int, int] = {}
        self._watch_hooks: list[int] = []
        self._past_watch = False
        engine.hook_add(uc.UC_HOOK_INTR, self._on_interrupt)
        bad = uc.UC_HOOK_MEM_UNMAPPED | uc.UC_HOOK_MEM_FETCH_PROT
        for first, last in bus.ram.elsewhere:
            engine.hook_add(bad, self._on_bad_access, begin=first, end=last)
        self._cold = engine.context_save()
        debug.target = self

    # debug access by register number

    def read_register(self, selector: int) -> int:
        """A core register by its DCRSR number."""
        value = self.registers.by_selector(selector)
        return value & ~_THUMB if selector == 16 and self._not_thumb else value

    def write_register(self, selector: int, value: int) -> None:
        """Set a core register by its DCRSR number."""
        self.registers.set_by_selector(selector, value)
        if selector == 15:
            self.sleeping = self.locked_up = False
        elif selector == 16:
            self._not_thumb = not value & _THUMB

    # reset

    def reset(self) -> None:
        """Take the reset exception: registers to known values, SP and PC from the vector table at 0."""
        self._engine.context_restore(self._cold)
        self.sleeping = self.locked_up = self.reset_requested = False
        self._hot.event = self._hot.reason = 0
        registers = self.registers
        stack, start = (self._bus.peek(address) for address in (0, 4))
        registers.lr = 0xFFFFFFFF
        registers.sp = stack
        registers.set_xpsr(0)
        registers.pc = start
        self._not_thumb = not start & 1
        self.debug.core_reset()

    # running

    def run(self, until: int) -> Outcome:
        """Run until the cycle ``until`` or until something needs the caller."""
        hot, alarms = self._hot, self._alarms
        while True:
            if hot.stop:
                hot.stop = 0
                self._bus.drop_rewritten_code()
                if self.asked:
                    self.asked = False
                    return Outcome.ASKED
            alarms.run_due()
            if self.reset_requested:
                return Outcome.RESET
            if self.debug.halted:
                self.sleeping = False  # entering debug state ends WFI and WFE
                return Outcome.HALTED
            if self.locked_up:
                if not self.debug.stepping:
                    return Outcome.LOCKED_UP
                self.debug.halt(DFSR_HALTED)
                continue
            if self._not_thumb:  # the first instruction faults: reset to an even address, or xPSR.T cleared
                self._not_thumb = False
                self._escalate(_INVSTATE)
                continue
            if self.debug.stepping:
                self._step()
                continue
            if hot.waiting or self._exceptions.pending:
                if self._take_exception():
                    continue
                if self.sleeping:
                    self._wake()
            if self.sleeping and self.waits_for_event and hot.event:
                hot.event, self.sleeping = 0, False
            if alarms.now >= until:
                return Outcome.LIMIT
            if self.sleeping:
                return Outcome.ASLEEP
            if self.debug.masks_interrupts:
                hot.waiting = 0
            hot.deadline = min(alarms.next, until) - hot.skipped
            outcome = self._execute()
            if outcome is not None:
                return outcome

    def _execute(self, count: int = 0) -> Outcome | None:
        """Let the engine run until it stops, and deal with why it did."""
        hot, registers = self._hot, self.registers
        self._forget_stop()
        status = binding.uclib.uc_emu_start(self._engine._uch, registers.pc | 1, _UNTIL, 0, count)
        self._bus.raise_failure()
        if self._hit is not None:
            hot.rewind(registers.pc)
            self._halt_on_hit(self._hit)
        elif hot.reason == StopReason.CUT:
            return Outcome.CUT
        elif hot.reason == StopReason.ENTRY:
            return Outcome.ASKED
        elif hot.reason == StopReason.SPIN:
            return Outcome.ASLEEP
        elif hot.reason == StopReason.DEVICE:
            hot.rewind(registers.pc)
            self._bus.repeat_at(registers.pc)
        elif self._interrupt is not None:
            self._software_event(self._interrupt)
        elif status != uc.UC_ERR_OK:
            self._failed_instruction(status)
        elif hot.reason == StopReason.NONE and self._halfword(registers.pc - 2) == _WFI:
            hot.block_size = 0
            self._fall_asleep(for_event=False)
        return None

    def _forget_stop(self) -> None:
        self._hot.reason = StopReason.NONE
        self._interrupt = self._bad_address = self._hit = None

    def _fall_asleep(self, *, for_event: bool) -> None:
        self.sleeping, self.waits_for_event = True, for_event
        self._wake()

    def _wake(self) -> None:
        pending_is_event = self.waits_for_event and self._scs.pending_is_event and self._exceptions.pending
        if self._exceptions.wakes(self._masks()) or pending_is_event:
            self.sleeping = False

    def _software_event(self, number: int) -> None:
        hot, registers = self._hot, self.registers
        if number == _INTR_EXCEPTION_RETURN:
            hot.block_size = 0
            self._return(registers.pc | 0xFF000001)
        elif number == _INTR_SVC:
            hot.block_size = 0
            self._take_now(Exc.SVCALL)
        elif number == _INTR_BKPT:
            hot.rewind(registers.pc)
            if self.debug.enabled:
                self.debug.halt(DFSR_BKPT)
            else:
                self._scs.set_bits(_HFSR, _DEBUGEVT)
                self._hard_fault()
        else:
            hot.rewind(registers.pc)
            self._fault(Exc.USAGE_FAULT, _UNDEFINSTR)

    def _failed_instruction(self, status: int) -> None:
        hot, registers = self._hot, self.registers
        pc = registers.pc
        if status == uc.UC_ERR_INSN_INVALID and pc == hot.block + hot.block_size:
            hot.block_size = 0  # a hint instruction ends its block and stops behind itself
            if self._halfword(pc - 2) == _WFE:
                if hot.event:
                    hot.event = 0
                else:
                    self._fall_asleep(for_event=True)
            return
        hot.rewind(pc)
        if status == uc.UC_ERR_INSN_INVALID:
            self._fault(Exc.USAGE_FAULT, _UNDEFINSTR)
        elif status in {uc.UC_ERR_READ_UNMAPPED, uc.UC_ERR_WRITE_UNMAPPED}:
            if self._bad_address is not None:
                self._scs.words[_BFAR >> 2] = self._bad_address
            self._fault(Exc.BUS_FAULT, _PRECISERR | _BFARVALID)
        elif status == uc.UC_ERR_FETCH_UNMAPPED:
            self._fault(Exc.BUS_FAULT, _IBUSERR)
        elif status in {uc.UC_ERR_FETCH_PROT, uc.UC_ERR_EXCEPTION}:  # not executable; the latter by the TLB
            self._fault(Exc.MEM_MANAGE, _IACCVIOL)
        else:
            self._fault(Exc.USAGE_FAULT, _INVSTATE)

    def _halfword(self, address: int) -> int:
        return self._bus.peek_halfword(address)

    # hooks

    def _on_interrupt(self, engine: Any, number: int, _data: object) -> None:
        self._interrupt = number
        engine.emu_stop()

    def _on_bad_access(
        self, _engine: Any, _kind: int, address: int, _size: int, _value: int, _data: object
    ) -> bool:
        self._bad_address = address
        return False

    # exceptions (ARMv7-M B1.5)

    def _masks(self) -> Masks:
        get = self.registers.get
        return Masks(get(arm.UC_ARM_REG_PRIMASK), get(arm.UC_ARM_REG_FAULTMASK), get(arm.UC_ARM_REG_BASEPRI))

    def _take_exception(self) -> bool:
        if self.debug.masks_interrupts:
            return False
        exception = self._exceptions.next_to_take(self._masks())
        if exception is None:
            return False
        self._enter(exception)
        return True

    def _take_now(self, exception: int) -> None:
        """A synchronous exception: taken at once, or a HardFault if it may not preempt."""
        if self._exceptions.priority(exception) < self._exceptions.current_priority(self._masks()):
            self._enter(exception)
        else:
            self._scs.set_bits(_HFSR, _FORCED)
            self._hard_fault()

    def _fault(self, exception: int, status: int) -> None:
        self._scs.set_bits(_CFSR, status)
        may_run = exception in self._exceptions.enabled and self._exceptions.priority(
            exception
        ) < self._exceptions.current_priority(self._masks())
        if may_run:
            self._enter(exception)
        else:
            self._scs.set_bits(_HFSR, _FORCED)
            self._hard_fault()

    def _escalate(self, status: int) -> None:
        """A fault that leaves nothing but HardFault."""
        self._scs.set_bits(_CFSR, status)
        self._scs.set_bits(_HFSR, _FORCED)
        self._hard_fault()

    def _hard_fault(self) -> None:
        if self._exceptions.current_priority(self._masks()) < 0:
            self.locked_up = True
        else:
            self._enter(Exc.HARD_FAULT)

    def _enter(self, exception: int) -> None:
        """Stack the context, then start the handler."""
        registers = self.registers
        control = registers.control
        process_stack = bool(control & 2) and registers.ipsr == 0
        floating = bool(control & 4)
        if floating and not self._scs.fpu_enabled:
            self._bus.diagnostics.add(Diagnostic(DiagnosticKind.FPU_DISABLED, 0, registers.pc))
        try:
            self._push(floating=floating)
        except _Fault:
            self._scs.set_bits(_CFSR, _STKERR)
            self._scs.set_bits(_HFSR, _FORCED)
            exception = Exc.HARD_FAULT
        code = 0xFFFFFFF1 if registers.ipsr else 0xFFFFFFFD if process_stack else 0xFFFFFFF9
        self._start_handler(exception, code & ~(floating << 4))

    def _start_handler(self, exception: int, return_code: int) -> None:
        registers = self.registers
        self.sleeping = False
        self._hot.event = 1
        vector = self._bus.peek(self._scs.vector_table + 4 * exception)
        registers.set_mode(exception, process_stack=False, floating=False)
        registers.set_xpsr(registers.xpsr & ~_ITSTATE)
        registers.lr = return_code
        registers.pc = vector
        self._exceptions.enter(exception)
        if self.debug.catches(exception):
            self.debug.halt(DFSR_VCATCH)
        if not vector & 1:
            self._fault(Exc.USAGE_FAULT, _INVSTATE)

    def _push(self, *, floating: bool) -> None:
        registers = self.registers
        frame = registers.frame.read()
        frame[7] = registers.xpsr
        words = _FLOAT_FRAME if floating else _BASIC_FRAME
        stack = registers.sp
        align = stack >> 2 & 1 if self._scs.aligns_stack or floating else 0
        bottom = stack - 4 * words - 4 * align & 0xFFFFFFFF
        frame[7] = frame[7] & ~0x200 | align << 9
        if floating:
            frame += [*registers.floats.read(), registers.get(arm.UC_ARM_REG_FPSCR), 0]
        self._write_words(bottom, frame)
        registers.sp = bottom

    def _write_words(self, address: int, words: list[int]) -> None:
        data = b"".join(word.to_bytes(4, "little") for word in words)
        if not self._bus.write_ram(address, data):
            raise _Fault

    def _return(self, code: int) -> None:
        """Exception return with this EXC_RETURN value (B1.5.8)."""
        registers, exceptions = self.registers, self._exceptions
        exception = registers.ipsr
        if exception not in exceptions.active or code & 0xF not in {1, 9, 0xD}:
            self._hot.block_size = 0
            if exception in exceptions.active:
                exceptions.leave(exception)
            registers.lr = 0xF0000000 | code
            self._fault(Exc.USAGE_FAULT, _INVPC)
            return
        if exception != Exc.NMI:
            registers.set(arm.UC_ARM_REG_FAULTMASK, 0)
        exceptions.leave(exception)
        self._hot.event = 1
        tail = None if self.debug.masks_interrupts else exceptions.next_to_take(self._masks())
        if tail is not None:
            self._start_handler(tail, code)
            return
        to_thread = code & 0xF != 1
        previous = exceptions.active[-1] if exceptions.active else 0
        floating = not code & 0x10
        registers.set_mode(0 if to_thread else previous, process_stack=code & 0xF == 0xD, floating=floating)
        try:
            self._pop(floating=floating)
        except _Fault:
            self._fault(Exc.BUS_FAULT, _UNSTKERR)
            return
        if to_thread and self._scs.sleeps_on_exit:
            self._fall_asleep(for_event=False)

    def _pop(self, *, floating: bool) -> None:
        registers = self.registers
        bottom = registers.sp
        words = _FLOAT_FRAME if floating else _BASIC_FRAME
        data = self._bus.read_ram(bottom, 4 * words)
        if data is None:
            raise _Fault
        frame = [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]
        xpsr, pc = frame[7], frame[6]
        registers.popped.write([*frame[:6], pc | 1])
        if floating:
            registers.floats.write(frame[8:24])
            registers.set(arm.UC_ARM_REG_FPSCR, frame[24])
        registers.sp = bottom + 4 * words + 4 * (xpsr >> 9 & 1)
        exception = registers.ipsr
        registers.set_xpsr(xpsr & ~0x3FF | exception)
        registers.pc = pc

    # debugging

    def _step(self) -> None:
        """Run one instruction (or enter one exception), then halt again."""
        hot = self._hot
        if not self.debug.masks_interrupts and self._exceptions.next_to_take(self._masks()) is not None:
            self._take_exception()
        outcome = self._execute_one()
        if outcome is Outcome.ASLEEP:
            hot.instructions += 1
        if self.sleeping:
            self.sleeping = False
        if not self.debug.halted:
            self.debug.halt(DFSR_HALTED)

    def _execute_one(self) -> Outcome | None:
        """Run exactly one instruction, whatever else wants the CPU to stop."""
        hot = self._hot
        waiting, hot.waiting = hot.waiting, 0
        while True:
            hot.deadline, hot.stop = NEVER, 0
            outcome = self._execute(count=1)
            if hot.reason not in {StopReason.ASKED, StopReason.DEVICE}:
                break
        hot.waiting, hot.stop = waiting, 1
        hot.rewind(self.registers.pc)
        return outcome

    def breakpoints_changed(self) -> None:
        """Arm the comparators that are on and disarm the others."""
        wanted = self.breakpoints.addresses() if self.breakpoints is not None else set()
        for address in self._armed.keys() - wanted:
            self._engine.hook_del(self._armed.pop(address))
            self._bus.drop_code(address, address + 4)
        for address in wanted - self._armed.keys():
            self._armed[address] = self._engine.hook_add(
                uc.UC_HOOK_CODE, self._on_breakpoint, begin=address, end=address
            )
            self._bus.drop_code(address, address + 4)

    def _on_breakpoint(self, engine: Any, address: int, _size: int, _data: object) -> None:
        if address in self._armed and self.debug.enabled:
            self._hit = DFSR_BKPT
            engine.emu_stop()

    def watchpoints_changed(self) -> None:
        """Watch the data addresses of the comparators that are on."""
        for hook in self._watch_hooks:
            self._engine.hook_del(hook)
        self._watch_hooks.clear()
        for comparator, first, last, on_read, on_write in (
            self.watchpoints.watched() if self.watchpoints else ()
        ):
            kinds = uc.UC_HOOK_MEM_READ * on_read | uc.UC_HOOK_MEM_WRITE * on_write
            self._watch_hooks.append(
                self._engine.hook_add(kinds, self._on_watched, user_data=comparator, begin=first, end=last)
            )

    def _on_watched(
        self, engine: Any, _kind: int, address: int, _size: int, _value: int, comparator: int
    ) -> None:
        if not self.debug.enabled or self.watchpoints is None or self._past_watch:
            clear_it_bits(engine)
            return
        self.watchpoints.matched(comparator)
        if self._bus.is_memory(address):
            self._hit = DFSR_DWTTRAP
            engine.emu_stop()
        else:  # an access with side effects cannot be repeated: halt behind its block
            clear_it_bits(engine)
            self.debug.halt(DFSR_DWTTRAP)
            self._hot.stop = 1

    def _halt_on_hit(self, reason: int) -> None:
        """Halt before the instruction of a breakpoint, but behind the one of a watchpoint, as DWT does."""
        if reason == DFSR_DWTTRAP:
            self._past_watch = True
            self._execute_one()
            self._past_watch = False
        self.debug.halt(reason)
