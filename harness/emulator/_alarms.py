"""Virtual time: events that fall due at a CPU cycle."""

from __future__ import annotations

from collections.abc import Callable

from ._hot import NEVER, HotPath

__all__ = ["Alarm", "Alarms"]


class Alarm:
    """One future event of one peripheral. ``when`` is its CPU cycle, `NEVER` while it is off."""

    __slots__ = ("_alarms", "action", "when")

    def __init__(self, alarms: Alarms, action: Callable[[], None]) -> None:
        self._alarms, self.action, self.when = alarms, action, NEVER

    def at(self, cycle: int) -> None:
        """Fall due at ``cycle`` (or at once, if that is past), instead of whenever it was set to before."""
        self.when = cycle
        self._alarms.changed()

    def cancel(self) -> None:
        """Do not fall due."""
        if self.when != NEVER:
            self.when = NEVER
            self._alarms.changed()


class Alarms:
    """All alarms of a machine. Those due at the same cycle run in the order in which they were made."""

    def __init__(self) -> None:
        self._hot: HotPath | None = None
        self._all: list[Alarm] = []
        self.next = NEVER

    def connect(self, hot: HotPath) -> None:
        """From now on time is what the hot path counts."""
        self._hot = hot

    @property
    def now(self) -> int:
        """Cycles since power-on: executed instructions and time spent asleep or stalled."""
        return self._hot.instructions + self._hot.skipped if self._hot is not None else 0

    def new(self, action: Callable[[], None]) -> Alarm:
        """An alarm that calls ``action`` when it falls due; off at first."""
        alarm = Alarm(self, action)
        self._all.append(alarm)
        return alarm

    def changed(self) -> None:
        """Find the next event again, and have the CPU stop for it."""
        self.next = min((alarm.when for alarm in self._all), default=NEVER)
        if self._hot is not None:
            self._hot.deadline = min(self._hot.deadline, max(self.next - self._hot.skipped, 0))

    def run_due(self) -> None:
        """Call what has fallen due, earliest first."""
        while self.next <= (now := self.now):
            due = min(self._all, key=lambda alarm: alarm.when)
            if due.when > now:
                self.changed()
                return
            due.when = NEVER
            due.action()
            self.changed()

    def save(self) -> tuple[int, ...]:
        """When each alarm falls due, in the order they were made."""
        return tuple(alarm.when for alarm in self._all)

    def load(self, state: tuple[int, ...]) -> None:
        """Put back what `save` gave."""
        for alarm, when in zip(self._all, state, strict=True):
            alarm.when = when
        self.changed()
