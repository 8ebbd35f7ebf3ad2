"""RTC, TIMER and WDT (PS chapters of these names)."""

from __future__ import annotations

from typing import Final

from ..._diagnostics import DiagnosticKind
from ..._peripheral import Access, Register, ResetKind, System
from ._common import CYCLES_PER_SECOND, LF_HZ, NrfPeripheral, Ppi, lf_ticks_to_cycles

__all__ = ["Rtc", "Timer", "Watchdog"]

_COMPARE: Final = 0x140
_CC: Final = 0x540
_RTC_MASK: Final = 0xFFFFFF


class Rtc(NrfPeripheral):
    """Real-time counter: 24 bits at 32.768 kHz divided by PRESCALER + 1."""

    TASKS = {0x000: "START", 0x004: "STOP", 0x008: "CLEAR", 0x00C: "TRIGOVRFLW"}
    EVENTS = {
        0x100: "TICK",
        0x104: "OVRFLW",
        0x140: "COMPARE0",
        0x144: "COMPARE1",
        0x148: "COMPARE2",
        0x14C: "COMPARE3",
    }
    REGISTERS = (
        Register(0x340, "EVTEN", Access.ACTIVE, on_write="_write_evten"),
        Register(0x344, "EVTENSET", Access.LIVE, on_write="_write_evtenset", on_read="_read_evten"),
        Register(0x348, "EVTENCLR", Access.LIVE, on_write="_write_evtenclr", on_read="_read_evten"),
        Register(0x504, "COUNTER", Access.LIVE, on_write="_ignore", on_read="_read_counter"),
        Register(0x508, "PRESCALER"),
        Register(_CC, "CC", Access.ACTIVE, count=4, on_write="_write_cc"),
    )
    STATE = ("interrupts", "_running", "_base", "_start")
    CLOCKS = ("_start",)

    def __init__(self, system: System, index: int, base: int, irq: int, ppi: Ppi) -> None:
        self._running = False
        self._base = 0  # counter value when it was started
        self._start = 0  # LF tick at which it was
        super().__init__(system, f"RTC{index}", base, irq, ppi)
        self._compare_alarms = [
            system.alarm(lambda n=n: self._compared(n), clock=True)  # type: ignore[misc]
            for n in range(4)
        ]
        self._tick_alarm = system.alarm(self._ticked, clock=True)
        self._overflow_alarm = system.alarm(self._overflowed, clock=True)

    def reset(self, kind: ResetKind) -> None:
        """Stopped at 0."""
        super().reset(kind)
        self._running, self._base, self._start = False, 0, 0
        for alarm in (*self._compare_alarms, self._tick_alarm, self._overflow_alarm):
            alarm.cancel()

    def _lf_now(self) -> int:
        return self.system.now * LF_HZ // CYCLES_PER_SECOND

    def _divider(self) -> int:
        return (self.words[0x508 >> 2] & 0xFFF) + 1

    def _elapsed(self) -> int:
        return (self._lf_now() - self._start) // self._divider() if self._running else 0

    def _read_counter(self, _offset: int) -> int:
        self.system.clock_was_read()
        return self._base + self._elapsed() & _RTC_MASK

    def _ignore(self, _offset: int, _value: int) -> None:
        pass

    def _cycle_of(self, elapsed: int) -> int:
        """CPU cycle at which the counter has made this many steps since its start."""
        return lf_ticks_to_cycles(self._start + elapsed * self._divider())

    def _used(self, offset: int) -> bool:
        bit = offset - 0x100 >> 2
        return bool((self.interrupts | self.words[0x340 >> 2]) >> bit & 1)

    def _schedule(self) -> None:
        elapsed = self._elapsed()
        now = self._base + elapsed
        for index, alarm in enumerate(self._compare_alarms):
            steps = (self.words[(_CC >> 2) + index] - now - 1 & _RTC_MASK) + 1
            self._set(alarm, _COMPARE + 4 * index, elapsed + steps)
        self._set(self._tick_alarm, 0x100, elapsed + 1)
        self._set(self._overflow_alarm, 0x104, elapsed + _RTC_MASK + 1 - (now & _RTC_MASK))

    def _set(self, alarm, offset: int, elapsed: int) -> None:  # type: ignore[no-untyped-def]
        if self._running and (self._used(offset) or offset >= _COMPARE):
            alarm.at(self._cycle_of(elapsed))
        else:
            alarm.cancel()

    def _compared(self, index: int) -> None:
        self.fire(_COMPARE + 4 * index)
        self._schedule()

    def _ticked(self) -> None:
        self.fire(0x100)
        self._schedule()

    def _overflowed(self) -> None:
        self.fire(0x104)
        self._schedule()

    def fire(self, offset: int, times: int = 1) -> None:
        """Raise an event, if it is routed to the interrupt or to PPI."""
        if self._used(offset):
            super().fire(offset, times)

    def _write_inten(self, offset: int, value: int) -> None:
        super()._write_inten(offset, value)
        self._schedule()

    def _write_evten(self, _offset: int, value: int) -> None:
        self.words[0x340 >> 2] = value
        self._schedule()

    def _write_evtenset(self, _offset: int, value: int) -> None:
        self._write_evten(0, self.words[0x340 >> 2] | value)

    def _write_evtenclr(self, _offset: int, value: int) -> None:
        self._write_evten(0, self.words[0x340 >> 2] & ~value)

    def _read_evten(self, _offset: int) -> int:
        return self.words[0x340 >> 2]

    def _write_cc(self, offset: int, value: int) -> None:
        self.words[offset >> 2] = value & _RTC_MASK
        self._schedule()

    def _restart_from(self, value: int) -> None:
        self._base, self._start = value, self._lf_now()
        self._schedule()

    def task_start(self) -> None:
        """Count on."""
        if not self._running:
            self._running = True
            self._restart_from(self._base)

    def task_stop(self) -> None:
        """Stand still."""
        value = self._read_counter(0)
        self._running = False
        self._restart_from(value)

    def task_clear(self) -> None:
        """Count from 0."""
        self._restart_from(0)

    def task_trigovrflw(self) -> None:
        """Count from 16 before the overflow."""
        self._restart_from(0xFFFFF0)


class Timer(NrfPeripheral):
    """Timer or counter: 16 MHz divided by 2 ** PRESCALER, 8 to 32 bits, four or six compare registers."""

    COMPARES: Final = 6
    TASKS = {
        0x000: "START",
        0x004: "STOP",
        0x008: "COUNT",
        0x00C: "CLEAR",
        0x010: "SHUTDOWN",
        **{0x040 + 4 * n: f"CAPTURE{n}" for n in range(COMPARES)},
    }
    EVENTS = {_COMPARE + 4 * n: f"COMPARE{n}" for n in range(6)}
    SHORT_TABLE = {
        **{n: (_COMPARE + 4 * n, 0x00C) for n in range(6)},
        **{n + 8: (_COMPARE + 4 * n, 0x004) for n in range(6)},
    }
    REGISTERS = (
        Register(0x504, "MODE"),
        Register(0x508, "BITMODE"),
        Register(0x510, "PRESCALER", reset=4),
        Register(_CC, "CC", Access.ACTIVE, count=COMPARES, on_write="_write_cc"),
    )
    STATE = ("interrupts", "_running", "_base", "_start")
    CLOCKS = ("_start",)

    def __init__(self, system: System, index: int, base: int, irq: int, ppi: Ppi) -> None:
        self._running = False
        self._base = self._start = 0
        for n in range(self.COMPARES):
            setattr(self, f"task_capture{n}", lambda n=n: self._capture(n))
        super().__init__(system, f"TIMER{index}", base, irq, ppi)
        self._alarms = [
            system.alarm(lambda n=n: self._compared(n), clock=True)  # type: ignore[misc]
            for n in range(self.COMPARES)
        ]

    def reset(self, kind: ResetKind) -> None:
        """Stopped at 0."""
        super().reset(kind)
        self._running, self._base, self._start = False, 0, 0
        for alarm in self._alarms:
            alarm.cancel()

    def _mask(self) -> int:
        return (0xFFFF, 0xFF, 0xFFFFFF, 0xFFFFFFFF)[self.words[0x508 >> 2] & 3]

    def _cycles_per_step(self) -> int:
        return 4 << min(self.words[0x510 >> 2] & 0xF, 9)

    def _counts(self) -> bool:
        return self.words[0x504 >> 2] != 0

    def _value(self) -> int:
        if not self._running or self._counts():
            return self._base & self._mask()
        return self._base + (self.system.now - self._start) // self._cycles_per_step() & self._mask()

    def _restart_from(self, value: int) -> None:
        self._base, self._start = value, self.system.now
        self._schedule()

    def _schedule(self) -> None:
        now, mask, step = self._value(), self._mask(), self._cycles_per_step()
        phase = (self.system.now - self._start) % step
        for index, alarm in enumerate(self._alarms):
            if self._running and not self._counts():
                distance = (self.words[(_CC >> 2) + index] - now - 1 & mask) + 1
                alarm.at(self.system.now - phase + distance * step)
            else:
                alarm.cancel()

    def _compared(self, index: int) -> None:
        self.fire(_COMPARE + 4 * index)
        self._schedule()

    def _write_cc(self, offset: int, value: int) -> None:
        self.words[offset >> 2] = value & self._mask()
        self._schedule()

    def _capture(self, index: int) -> None:
        self.system.clock_was_read()
        self.words[(_CC >> 2) + index] = self._value()
        if not self._counts():
            self._schedule()

    def task_start(self) -> None:
        """Run."""
        if not self._running:
            self._running = True
            self._restart_from(self._base)

    def task_stop(self) -> None:
        """Stand still."""
        value = self._value()
        self._running = False
        self._restart_from(value)

    def task_shutdown(self) -> None:
        """Stop and forget the value."""
        self._running = False
        self._restart_from(0)

    def task_clear(self) -> None:
        """Back to 0."""
        self._restart_from(0)

    def task_count(self) -> None:
        """One step, in counter mode."""
        self._step(1)

    def trigger_often(self, offset: int, times: int) -> None:
        """Steps of the counter are taken together."""
        if offset == 0x008:
            self._step(times)
        else:
            super().trigger_often(offset, times)

    def _step(self, times: int) -> None:
        if self._running and self._counts():
            before, mask = self._base, self._mask()
            self._base = before + times & mask
            for index, compare in enumerate(self.words[_CC >> 2 : (_CC >> 2) + self.COMPARES]):
                if 0 < (compare - before & mask) <= times:
                    self.fire(_COMPARE + 4 * index)


class Watchdog(NrfPeripheral):
    """WDT: once started it can be fed, but neither stopped nor changed. It runs on over a soft reset."""

    _RELOAD: Final = 0x6E524635
    TASKS = {0x000: "START"}
    EVENTS = {0x100: "TIMEOUT"}
    REGISTERS = (
        Register(0x400, "RUNSTATUS", Access.READ_ONLY),
        Register(0x404, "REQSTATUS", Access.READ_ONLY, 1),
        Register(0x504, "CRV", Access.ACTIVE, 0xFFFFFFFF, on_write="_write_setting"),
        Register(0x508, "RREN", Access.ACTIVE, 1, on_write="_write_setting"),
        Register(0x50C, "CONFIG", Access.ACTIVE, 1, on_write="_write_setting"),
        Register(0x600, "RR", Access.ACTIVE, count=8, on_write="_write_reload"),
    )

    def __init__(self, system: System, base: int, irq: int, ppi: Ppi) -> None:
        super().__init__(system, "WDT", base, irq, ppi)
        self._alarm = system.alarm(self._timed_out, clock=True)
        self._reset_alarm = system.alarm(lambda: system.request_reset(ResetKind.WATCHDOG), clock=True)

    def reset(self, kind: ResetKind) -> None:
        """Soft reset and lockup do not touch it (PS, "Reset behavior")."""
        if kind in {ResetKind.SOFT, ResetKind.LOCKUP, ResetKind.DEBUG} and self.words[0x400 >> 2]:
            return
        super().reset(kind)
        self._alarm.cancel()
        self._reset_alarm.cancel()

    def _write_setting(self, offset: int, value: int) -> None:
        if self.words[0x400 >> 2]:
            self.system.report(
                DiagnosticKind.READ_ONLY_WRITE,
                self.base + offset,
                value,
                "the running watchdog cannot be changed",
            )
        else:
            self.words[offset >> 2] = value

    def task_start(self) -> None:
        """Run from CRV down."""
        if not self.words[0x400 >> 2]:
            self.words[0x400 >> 2] = 1
            self._reload()

    def _reload(self) -> None:
        self.words[0x404 >> 2] = self.words[0x508 >> 2]
        self._alarm.at(self.system.now + lf_ticks_to_cycles(self.words[0x504 >> 2] + 1))

    def _write_reload(self, offset: int, value: int) -> None:
        if value == self._RELOAD and self.words[0x400 >> 2]:
            self.words[0x404 >> 2] &= ~(1 << (offset - 0x600 >> 2))
            if not self.words[0x404 >> 2]:
                self._reload()

    def _timed_out(self) -> None:
        self.fire(0x100)
        self._reset_alarm.at(self.system.now + lf_ticks_to_cycles(2))
