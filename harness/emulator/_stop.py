"""Why and where a run of the machine ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Stop", "StopCause"]


class StopCause(Enum):
    """Why `Machine.run` came back."""

    LIMIT = "the cycle limit was reached"
    IDLE = "the CPU sleeps and nothing is due"
    ASLEEP = "the CPU sleeps until the next event"
    HALTED = "the debugger holds the core"
    LOCKED_UP = "the core is locked up"
    POWER_CUT = "power was cut at a flash operation"
    POWER_OFF = "power is off"
    SYSTEM_OFF = "the firmware has switched the chip off; a reset ends that"
    ASKED = "the host asked"


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a run ended. ``cycle`` and ``pc`` are the CPU's."""

    cause: StopCause
    cycle: int
    pc: int
