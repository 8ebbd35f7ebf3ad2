"""Decides what a link does to each message. No I/O and no clock: callers say what time it is."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

from harness.protocols.badlink._conditions import LinkConditions

__all__ = ["Arrival", "Direction", "Fate", "LinkModel"]


class Direction(StrEnum):
    """Which way a message goes."""

    TO_DEVICE = "to device"
    TO_SERVER = "to server"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One copy of a message that reaches the other end: at which time, and as which bytes."""

    at: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one message; ``deeds`` says in words what was done to it, nothing if it just passed."""

    number: int
    direction: Direction
    sent: float
    arrivals: tuple[Arrival, ...]
    deeds: tuple[str, ...]


class LinkModel:
    """Applies conditions to messages.

    ``checked`` is true where a checksum below the messages drops damaged ones unseen, as
    that of UDP does. ``conditions`` may be changed at any time; silence begun with
    :meth:`silence` comes on top.
    """

    def __init__(self, conditions: LinkConditions, *, checked: bool) -> None:
        self.conditions = conditions
        self._checked = checked
        self._numbers = dict.fromkeys(Direction, 0)
        self._free = dict.fromkeys(Direction, 0.0)
        self._silent_until = 0.0

    def silence(self, until: float) -> None:
        """Lose everything that is sent before this time."""
        self._silent_until = until

    def fate(self, direction: Direction, data: bytes, now: float) -> Fate:
        """Decide what becomes of the next message of a direction, sent at ``now`` seconds."""
        its = self.conditions
        number = self._numbers[direction]
        self._numbers[direction] += 1
        # The same draws for every message, so that one more fault does not change all that follow.
        chance = random.Random(f"{its.seed} {direction} {number}")  # noqa: S311  faults, not secrets
        lost, twice, late, damaged, unseen, wobble, wait, again = (chance.random() for _ in range(8))
        if now < self._silent_until or any(start <= now < start + length for start, length in its.silences):
            return Fate(number, direction, now, (), ("lost in silence",))
        departure = max(now, self._free[direction])
        if its.bandwidth is not None:
            departure += len(data) / its.bandwidth
            self._free[direction] = departure
        if lost < its.loss:
            return Fate(number, direction, now, (), ("lost",))
        deeds: list[str] = []
        if data and damaged < its.corruption:
            if self._checked and unseen >= its.undetected:
                return Fate(number, direction, now, (), ("corrupted, dropped by the checksum below",))
            bits = sorted(chance.randrange(8 * len(data)) for _ in range(chance.randint(1, 3)))
            data = _flip(data, bits)
            deeds.append(f"corrupted at bit {', '.join(map(str, bits))}")
        arrival = departure + its.delay + its.jitter * wobble
        if late < its.reordering:
            arrival += its.hold * wait
            deeds.append("held back")
        arrivals = [Arrival(arrival, data)]
        if twice < its.duplication:
            arrivals.append(Arrival(arrival + its.hold * again, data))
            deeds.append("duplicated")
        return Fate(number, direction, now, tuple(arrivals), tuple(deeds))


def _flip(data: bytes, bits: list[int]) -> bytes:
    changed = bytearray(data)
    for bit in bits:
        changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
