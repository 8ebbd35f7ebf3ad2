"""What devices send by themselves: the Send operation.

Source: OMA-TS-LightweightM2M_Core-V1_1, section 6.4.6 (Send), and table 6.4.4-1 of the
transport specification: POST /dp, answered 2.04.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from harness._deadline import Deadline
from harness.protocols.content import Path, Value

__all__ = ["SendLog", "Sent"]

_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class Sent:
    """Values that a device sent; ``sequence`` counts all of them on one server, ``at`` is
    :func:`time.monotonic` of the arrival.
    """

    sequence: int
    endpoint: str
    values: Mapping[Path, Value]
    at: float


class SendLog:
    """The last 1000 sends of all devices, oldest first. Thread safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._kept: deque[Sent] = deque(maxlen=_KEPT)
        self._count = 0

    def add(self, endpoint: str, values: Mapping[Path, Value]) -> None:
        """Note what came."""
        with self._changed:
            self._count += 1
            self._kept.append(Sent(self._count, endpoint, values, time.monotonic()))
            self._changed.notify_all()

    def wait(self, endpoint: str | None, after: int, deadline: Deadline) -> Sent:
        """Wait for the first send later than a sequence number. Raises DeadlineExceeded."""

        def find() -> Sent | None:
            wanted = (s for s in self._kept if s.sequence > after and endpoint in (None, s.endpoint))
            return next(wanted, None)

        with self._changed:
            found = self._changed.wait_for(find, deadline.remaining)
            if found is not None:
                return found
            who = f"a Send of {endpoint!r}" if endpoint is not None else "a Send"
            last = self._kept[-1] if self._kept else None
            seen = f"{self._count} so far, the last from {last.endpoint!r}" if last else "nothing"
            raise deadline.exceeded(who, where="LwM2M server", seen=seen)
