"""The one way in which this project bounds a wait.

A wait takes a :class:`Deadline` or a number of seconds and turns either into a
deadline with :meth:`Deadline.of`. A deadline passed down through several calls
keeps running, so that the sum of the inner waits never exceeds the outer one.
"""

from __future__ import annotations

import math
import time

from harness._errors import DeadlineExceeded

__all__ = ["Deadline"]


class Deadline:
    """A point on the monotonic clock, ``seconds`` after it was made.

    Raises ValueError for a number that is negative or not finite: a wait without
    an end is never what a test wants.
    """

    __slots__ = ("_end", "seconds")

    def __init__(self, seconds: float) -> None:
        if not math.isfinite(seconds) or seconds < 0:
            raise ValueError(f"a deadline is a finite number of seconds from now, not {seconds}")
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @classmethod
    def of(cls, value: float | Deadline) -> Deadline:
        """Return ``value`` itself when it is a deadline, else one that many seconds from now."""
        return value if isinstance(value, Deadline) else cls(value)

    @property
    def remaining(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self._end - time.monotonic())

    @property
    def expired(self) -> bool:
        """True once no time is left."""
        return time.monotonic() >= self._end

    def pause(self, seconds: float) -> None:
        """Let ``seconds`` pass between two looks at a condition, but not beyond the deadline."""
        time.sleep(min(seconds, self.remaining))

    def exceeded(
        self, waited_for: str, *, seen: str, where: str | None = None, remedy: str | None = None
    ) -> DeadlineExceeded:
        """Build the error for a wait that ran out.

        ``waited_for`` is a noun phrase, ``seen`` says what came instead of it
        ("nothing" when nothing did).
        """
        return DeadlineExceeded(
            "time ran out",
            where=where,
            expected=f"{waited_for} within {self.seconds:g} s",
            found=seen,
            remedy=remedy,
        )

    def __repr__(self) -> str:
        return f"Deadline({self.seconds:g}, remaining={self.remaining:.3f})"
