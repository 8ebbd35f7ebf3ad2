"""IWDG, the independent watchdog (RM0351 chapter 36)."""

from __future__ import annotations

from typing import Final

from ..._diagnostics import DiagnosticKind
from ..._hot import NEVER
from ..._peripheral import Access, Peripheral, Register, ResetKind, System
from ._clock import LSI_HZ, Rcc

__all__ = ["Iwdg"]

_KR, _PR, _RLR, _SR, _WINR = 0x00, 0x04, 0x08, 0x0C, 0x10
_UNLOCK, _RELOAD, _START = 0x5555, 0xAAAA, 0xCCCC
_UPDATING: Final = {_PR: 1, _RLR: 2, _WINR: 4}
_UPDATE_TICKS: Final = 5
_OPEN_WINDOW: Final = 0xFFF


class Iwdg(Peripheral):
    """Counts LSI ticks down and resets at 0. Once started only a reset stops it."""

    SIZE = 0x400
    REGISTERS = (
        Register(_KR, "KR", Access.ACTIVE, on_write="_write_key"),
        Register(_PR, "PR", Access.ACTIVE, on_write="_write_setting"),
        Register(_RLR, "RLR", Access.ACTIVE, 0xFFF, on_write="_write_setting"),
        Register(_SR, "SR", Access.READ_ONLY),
        Register(_WINR, "WINR", Access.ACTIVE, 0xFFF, on_write="_write_setting"),
    )
    STATE = ("_unlocked", "_running")

    def __init__(self, system: System, base: int, rcc: Rcc) -> None:
        self._unlocked = self._running = False
        super().__init__(system, "IWDG", base)
        self._rcc = rcc
        self._alarm = system.alarm(lambda: system.request_reset(ResetKind.WATCHDOG), clock=True)
        self._update_alarm = system.alarm(self._updated, clock=True)
        rcc.changed.append(self._clock_changed)

    def reset(self, kind: ResetKind) -> None:
        """Stopped (the option bytes leave the start to software)."""
        if kind is ResetKind.DEBUG:
            return
        super().reset(kind)
        self._unlocked = self._running = False
        self._alarm.cancel()
        self._update_alarm.cancel()

    def _clock_changed(self, before: int) -> None:
        """The same time is another number of CPU cycles now."""
        now = self.system.now
        for alarm in (self._alarm, self._update_alarm):
            if alarm.when != NEVER:
                alarm.at(now + (alarm.when - now) * self._rcc.hclk // before)

    def _tick_cycles(self, ticks: int) -> int:
        """Prescaled ticks in CPU cycles."""
        return self._rcc.cycles(ticks << min(self.words[_PR >> 2] & 7, 6) + 2, LSI_HZ)

    def _write_key(self, _offset: int, value: int) -> None:
        key = value & 0xFFFF
        self._unlocked = key == _UNLOCK
        if key == _START:
            self._running = True
        if key in {_START, _RELOAD} and self._running:
            if key == _RELOAD and self._too_early():
                self.system.request_reset(ResetKind.WATCHDOG)
                return
            self._alarm.at(self.system.now + self._tick_cycles(self.words[_RLR >> 2] + 1))

    def _too_early(self) -> bool:
        window = self.words[_WINR >> 2]
        left = self._alarm.when - self.system.now
        return window < _OPEN_WINDOW and left > self._tick_cycles(window + 1)

    def _write_setting(self, offset: int, value: int) -> None:
        updating = _UPDATING[offset]
        if not self._unlocked or self.words[_SR >> 2] & updating:
            note = "KR does not hold 0x5555" if not self._unlocked else "SR says that an update is under way"
            self.system.report(DiagnosticKind.READ_ONLY_WRITE, self.base + offset, value, note)
            return
        self.words[offset >> 2] = value & (7 if offset == _PR else 0xFFF)
        self.words[_SR >> 2] |= updating
        self._update_alarm.at(self.system.now + self._rcc.cycles(_UPDATE_TICKS, LSI_HZ))
        if offset == _WINR and self._running:  # as the reference says, this reloads too
            self._alarm.at(self.system.now + self._tick_cycles(self.words[_RLR >> 2] + 1))

    def _updated(self) -> None:
        self.words[_SR >> 2] = 0
