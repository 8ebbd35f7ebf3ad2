"""CLOCK and POWER, which share the page at 0x40000000 (PS chapters CLOCK, POWER)."""

from __future__ import annotations

from typing import Final

from ..._diagnostics import DiagnosticKind
from ..._peripheral import Access, Register, ResetKind
from ._common import NrfPeripheral

__all__ = ["ClockPower"]

_RESETREAS, _SYSTEMOFF, _GPREGRET, _GPREGRET2 = 0x400, 0x500, 0x51C, 0x520
_REASONS: Final = {
    ResetKind.PIN: 1,
    ResetKind.WATCHDOG: 2,
    ResetKind.SOFT: 4,
    ResetKind.LOCKUP: 8,
    ResetKind.DEBUG: 4,
    ResetKind.WAKE: 1 << 18,  # DIF
}
#: resets that keep the retained registers (PS, "Reset behavior")
_RETAINING: Final = {ResetKind.SOFT, ResetKind.LOCKUP, ResetKind.DEBUG, ResetKind.WAKE}


class ClockPower(NrfPeripheral):
    """Clocks start at once; the reset reason adds up until firmware clears it or power goes."""

    TASKS = {
        0x000: "HFCLKSTART",
        0x004: "HFCLKSTOP",
        0x008: "LFCLKSTART",
        0x00C: "LFCLKSTOP",
        0x010: "CAL",
        0x014: "CTSTART",
        0x018: "CTSTOP",
        0x078: "CONSTLAT",
        0x07C: "LOWPWR",
    }
    EVENTS = {
        0x100: "HFCLKSTARTED",
        0x104: "LFCLKSTARTED",
        0x108: "POFWARN",
        0x10C: "DONE",
        0x110: "CTTO",
        0x114: "SLEEPENTER",
        0x118: "SLEEPEXIT",
        0x11C: "USBDETECTED",
        0x120: "USBREMOVED",
        0x124: "USBPWRRDY",
        0x128: "CTSTARTED",
        0x12C: "CTSTOPPED",
    }
    REGISTERS = (
        Register(_RESETREAS, "RESETREAS", Access.ACTIVE, on_write="_clear_reasons"),
        Register(0x408, "HFCLKRUN"),
        Register(0x40C, "HFCLKSTAT", Access.READ_ONLY),
        Register(0x414, "LFCLKRUN"),
        Register(0x418, "LFCLKSTAT", Access.READ_ONLY),
        Register(0x41C, "LFCLKSRCCOPY"),
        Register(0x428, "RAMSTATUS", Access.READ_ONLY, 0xF),
        Register(0x438, "USBREGSTATUS", Access.READ_ONLY),
        Register(_SYSTEMOFF, "SYSTEMOFF", Access.ACTIVE, on_write="_switch_off"),
        Register(0x510, "POFCON"),
        Register(0x518, "LFCLKSRC"),
        Register(_GPREGRET, "GPREGRET"),
        Register(_GPREGRET2, "GPREGRET2"),
        Register(0x528, "HFXODEBOUNCE", reset=0x10),
        Register(0x538, "CTIV"),
        Register(0x55C, "TRACECONFIG"),
        Register(0x578, "DCDCEN"),
        Register(0x580, "DCDCEN0"),
        Register(0x5B4, "LFRCMODE"),
        Register(0x640, "MAINREGSTATUS", Access.READ_ONLY),
        Register(0x900, "RAM_POWER", reset=0xFFFF, count=9, stride=16),
        Register(0x904, "RAM_POWERSET", count=9, stride=16),
        Register(0x908, "RAM_POWERCLR", count=9, stride=16),
    )

    def reset(self, kind: ResetKind) -> None:
        """RESETREAS gains the reason (power-on: clears); GPREGRET is kept where the part keeps it."""
        reasons = self.words[_RESETREAS >> 2]
        retained = self.words[_GPREGRET >> 2], self.words[_GPREGRET2 >> 2]
        super().reset(kind)
        if kind is not ResetKind.POWER_ON:
            self.words[_RESETREAS >> 2] = reasons | _REASONS[kind]
        if kind in _RETAINING:
            self.words[_GPREGRET >> 2], self.words[_GPREGRET2 >> 2] = retained

    @property
    def is_off(self) -> bool:
        """System OFF: nothing runs, time stands still. Pins do not change, so they do not wake the chip."""
        return bool(self.words[_SYSTEMOFF >> 2])

    def _switch_off(self, offset: int, value: int) -> None:
        """With a debugger the CPU goes on, on silicon as well (PS, "Emulated System OFF mode")."""
        if not value & 1:
            return
        if self.system.switch_off():
            self.words[offset >> 2] = 1
        else:
            note = "System OFF with a debugger connected: the CPU goes on, and nothing wakes it"
            self.system.report(DiagnosticKind.UNMODELLED_FEATURE, self.base + offset, value, note)

    def _clear_reasons(self, offset: int, value: int) -> None:
        self.words[offset >> 2] &= ~value & 0xFFFFFFFF

    def task_hfclkstart(self) -> None:
        """The crystal oscillator runs."""
        self.words[0x408 >> 2] = 1
        self.words[0x40C >> 2] = 0x10001
        self.fire(0x100)

    def task_hfclkstop(self) -> None:
        """Back to the internal oscillator."""
        self.words[0x408 >> 2] = self.words[0x40C >> 2] = 0

    def task_lfclkstart(self) -> None:
        """The 32.768 kHz clock runs from the source chosen in LFCLKSRC."""
        source = self.words[0x518 >> 2] & 3
        self.words[0x414 >> 2] = 1
        self.words[0x41C >> 2] = source
        self.words[0x418 >> 2] = 0x10000 | source
        self.fire(0x104)

    def task_lfclkstop(self) -> None:
        """The 32.768 kHz clock counts as stopped; the real-time counters of the model do not look at it."""
        self.words[0x414 >> 2] = self.words[0x418 >> 2] = 0

    def task_cal(self) -> None:
        """Calibration is done at once."""
        self.fire(0x10C)

    def task_ctstart(self) -> None:
        """The calibration timer starts; it never times out."""
        self.fire(0x128)

    def task_ctstop(self) -> None:
        """The calibration timer stops."""
        self.fire(0x12C)

    def task_constlat(self) -> None:
        """Constant latency mode: no difference here."""

    def task_lowpwr(self) -> None:
        """Low power mode: no difference here."""
