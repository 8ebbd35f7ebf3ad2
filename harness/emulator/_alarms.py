"""Virtual time: events that fall due at a CPU cycle."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from ._hot import NEVER, HotPath

__all__ = ["Alarm", "Alarms"]

_when = attrgetter("when")


class Alarm:
    """One future event of one peripheral. ``when`` is its CPU cycle, `NEVER` while it is off.

    ``clock`` marks an event of something that counts on its own, whatever the firmware does.
    """

    __slots__ = ("_alarms", "action", "clock", "when")

    def __init__(self, alarms: Alarms, action: Callable[[], None], *, clock: bool = False) -> None:
        self._alarms, self.action, self.clock, self.when = alarms, action, clock, NEVER

    def at(self, cycle: int) -> None:
        """Fall due at ``cycle`` (or at once, if that is past), instead of whenever it was set to before."""
        self.when = cycle
        self._alarms.sooner(cycle)

    def cancel(self) -> None:
        """Do not fall due."""
        self.when = NEVER


class Alarms:
    """All alarms of a machine. Those due at the same cycle run in the order in which they were made.

    ``next`` is a cycle before which nothing falls due; after a `cancel` it may be too early.
    ``clock_events`` counts how often the firmware could see what time it is: alarms of clocks,
    and reads of counters.
    """

    def __init__(self) -> None:
        self._hot: HotPath | None = None
        self._all: list[Alarm] = []
        self.next = NEVER
        self.clock_events = 0

    def connect(self, hot: HotPath) -> None:
        """From now on time is what the hot path counts."""
        self._hot = hot

    @property
    def now(self) -> int:
        """Cycles since power-on: executed instructions and time spent asleep or stalled."""
        return self._hot.instructions + self._hot.skipped if self._hot is not None else 0

    def new(self, action: Callable[[], None], *, clock: bool = False) -> Alarm:
        """An alarm that calls ``action`` when it falls due; off at first."""
        alarm = Alarm(self, action, clock=clock)
        self._all.append(alarm)
        return alarm

    def sooner(self, cycle: int) -> None:
        """Have the CPU stop for an event at this cycle, if none comes before it."""
        if cycle < self.next:
            self.next = cycle
            self._stop_in_time()

    def _stop_in_time(self) -> None:
        if self._hot is not None:
            self._hot.deadline = min(self._hot.deadline, max(self.next - self._hot.skipped, 0))

    def run_due(self) -> None:
        """Call what has fallen due, earliest first."""
        if self.next > self.now:
            return
        while (due := min(self._all, key=_when)).when <= self.now:
            due.when = NEVER
            self.clock_events += due.clock
            due.action()
        self.next = due.when
        self._stop_in_time()

    def ahead(self, *, clock: bool) -> tuple[int, ...]:
        """Cycles from now to each alarm, of clocks or of everything else; -1 for one that is off."""
        now = self.now
        return tuple(
            alarm.when - now if alarm.when != NEVER else -1 for alarm in self._all if alarm.clock is clock
        )

    def save(self) -> tuple[int, ...]:
        """When each alarm falls due, in the order they were made."""
        return tuple(alarm.when for alarm in self._all)

    def load(self, state: tuple[int, ...]) -> None:
        """Put back what `save` gave."""
        for alarm, when in zip(self._all, state, strict=True):
            alarm.when = when
        self.next = min(state, default=NEVER)
        self._stop_in_time()
