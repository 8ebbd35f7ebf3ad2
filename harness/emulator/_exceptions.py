"""Which exception is enabled, pending, active, and which one comes next (ARMv7-M architecture, B1.5)."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

from ._hot import HotPath

__all__ = ["THREAD_PRIORITY", "Exc", "Exceptions", "Masks"]

THREAD_PRIORITY: Final = 256  # below every configurable priority


class Exc(IntEnum):
    """Exception numbers; external interrupt n is 16 + n."""

    RESET = 1
    NMI = 2
    HARD_FAULT = 3
    MEM_MANAGE = 4
    BUS_FAULT = 5
    USAGE_FAULT = 6
    SVCALL = 11
    DEBUG_MONITOR = 12
    PENDSV = 14
    SYSTICK = 15
    IRQ0 = 16


_FIXED: Final = {Exc.RESET: -3, Exc.NMI: -2, Exc.HARD_FAULT: -1}


class Masks:
    """PRIMASK, FAULTMASK and BASEPRI as the priority that they raise execution to."""

    __slots__ = ("basepri", "faultmask", "primask")

    def __init__(self, primask: int = 0, faultmask: int = 0, basepri: int = 0) -> None:
        self.primask, self.faultmask, self.basepri = primask, faultmask, basepri


class Exceptions:
    """The state of all exceptions. ``priority_bits`` is how many upper bits of a priority the part has."""

    def __init__(self, hot: HotPath, irqs: int, priority_bits: int) -> None:
        self._hot = hot
        self.irqs = irqs
        self.priority_mask = 0xFF << (8 - priority_bits) & 0xFF
        self.reset()

    def reset(self) -> None:
        """Nothing enabled, pending or active; all priorities 0."""
        self.enabled: set[int] = {Exc.NMI, Exc.HARD_FAULT, Exc.SVCALL, Exc.PENDSV, Exc.SYSTICK}
        self.pending: set[int] = set()
        self.levels: set[int] = set()
        self.active: list[int] = []
        self.priorities = [0] * (Exc.IRQ0 + self.irqs)
        self.group_mask = 0xFF
        self.update()

    def set_grouping(self, prigroup: int) -> None:
        """AIRCR.PRIGROUP: which priority bits decide about preemption."""
        self.group_mask = 0xFF << (prigroup + 1) & 0xFF
        self.update()

    def priority(self, exception: int) -> int:
        """Group priority; lower is more urgent."""
        fixed = _FIXED.get(Exc(exception)) if exception < Exc.MEM_MANAGE else None
        return self.priorities[exception] & self.group_mask if fixed is None else fixed

    def current_priority(self, masks: Masks | None = None) -> int:
        """Priority of what runs now, raised by the masks if they are given."""
        now = min((self.priority(exception) for exception in self.active), default=THREAD_PRIORITY)
        if masks is not None:
            if masks.basepri:
                now = min(now, masks.basepri & self.group_mask)
            if masks.primask:
                now = min(now, 0)
            if masks.faultmask:
                now = min(now, -1)
        return now

    def _key(self, exception: int) -> tuple[int, int, int]:
        return self.priority(exception), self.priorities[exception], exception

    def most_urgent(self) -> int | None:
        """The pending and enabled exception that would be next, whatever runs or masks now."""
        return min(self.pending & self.enabled, key=self._key, default=None)

    def next_to_take(self, masks: Masks) -> int | None:
        """The exception that preempts what runs now, if one does."""
        exception = self.most_urgent()
        if exception is None or self.priority(exception) >= self.current_priority(masks):
            return None
        return exception

    def wakes(self, masks: Masks) -> bool:
        """Whether WFI ends: something would preempt if PRIMASK were 0 (B1.5.19)."""
        return self.next_to_take(Masks(basepri=masks.basepri, faultmask=masks.faultmask)) is not None

    def update(self) -> None:
        """Tell the CPU's hooks what waits. To be called after every change."""
        self._hot.group_mask = self.group_mask
        exception = self.most_urgent() if self.pending else None
        waiting = 0
        if exception is not None:
            priority = self.priority(exception)
            if priority < 0:
                self._hot.stop = 1
            elif priority < self.current_priority():
                waiting = priority + 1
        self._hot.waiting = waiting

    def pend(self, exception: int) -> None:
        """Make pending."""
        self.pending.add(exception)
        self.update()

    def unpend(self, exception: int) -> None:
        """Clear the pending state; a level that is still high pends it again at the next change."""
        self.pending.discard(exception)
        self.update()

    def set_level(self, irq: int, level: bool) -> None:
        """Drive an interrupt line. A rising line pends it."""
        exception = Exc.IRQ0 + irq
        if level:
            if exception not in self.levels:
                self.levels.add(exception)
                if exception not in self.active:
                    self.pend(exception)
        else:
            self.levels.discard(exception)

    def enter(self, exception: int) -> None:
        """The exception becomes active."""
        self.pending.discard(exception)
        self.active.append(exception)
        self.update()

    def leave(self, exception: int) -> None:
        """The exception ends; a line that is still high pends it again."""
        self.active.remove(exception)
        if exception in self.levels:
            self.pending.add(exception)
        self.update()

    def save(self) -> Any:
        """A copy of all state."""
        return (
            frozenset(self.enabled),
            frozenset(self.pending),
            frozenset(self.levels),
            tuple(self.active),
            tuple(self.priorities),
            self.group_mask,
        )

    def restore(self, state: Any) -> None:
        """Put back what `save` gave."""
        enabled, pending, levels, active, priorities, self.group_mask = state
        self.enabled, self.pending, self.levels = set(enabled), set(pending), set(levels)
        self.active, self.priorities = list(active), list(priorities)
        self.update()
