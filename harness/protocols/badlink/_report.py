"""What a link did to which message."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from harness.protocols.badlink._model import Direction, Fate
from harness.protocols.badlink._words import Protocol, in_words

__all__ = ["LinkEvent", "LinkReport", "Passage"]

_KEPT: Final = 20_000


@dataclass(frozen=True, slots=True)
class Passage:
    """One message on its way: what it was, and what the link did to it."""

    fate: Fate
    data: bytes
    protocol: Protocol = "coap"

    @property
    def message(self) -> str:
        """The message in words, or its size if it is none."""
        return in_words(self.protocol, self.data)

    @property
    def outcome(self) -> str:
        """What became of it: when it arrived, and what was done to it."""
        times = [f"after {1000 * (arrival.at - self.fate.sent):.1f} ms" for arrival in self.fate.arrivals]
        return ", ".join([*self.fate.deeds, *times])

    def __str__(self) -> str:
        return f"{self.fate.sent:9.3f} s  {self.fate.direction:<9} {self.message}: {self.outcome}"


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """Something that happened to the link itself, such as a new address; ``at`` in seconds."""

    at: float
    what: str

    def __str__(self) -> str:
        return f"{self.at:9.3f} s  {self.what}"


class LinkReport:
    """All that happened on a link; thread safe. All messages are counted, the last 20,000 are kept."""

    def __init__(self, protocol: Protocol = "coap") -> None:
        self.protocol: Final = protocol
        self._lock = threading.Lock()
        self._entries: deque[Passage | LinkEvent] = deque(maxlen=_KEPT)
        self._messages: Counter[Direction] = Counter()
        self._deeds: Counter[tuple[Direction, str]] = Counter()
        self._bytes: Counter[Direction] = Counter()

    def add(self, fate: Fate, data: bytes) -> None:
        """Note what became of a message."""
        with self._lock:
            self._entries.append(Passage(fate, data, self.protocol))
            self._messages[fate.direction] += 1
            self._bytes[fate.direction] += len(data)
            for deed in fate.deeds:
                self._deeds[fate.direction, _kind(deed)] += 1

    def note(self, at: float, what: str) -> None:
        """Note what happened to the link."""
        with self._lock:
            self._entries.append(LinkEvent(at, what))

    def count(self, direction: Direction, deed: str | None = None) -> int:
        """How many messages went this way, or met this, such as ``lost`` or ``held back``."""
        with self._lock:
            return self._messages[direction] if deed is None else self._deeds[direction, deed]

    @property
    def entries(self) -> tuple[Passage | LinkEvent, ...]:
        """Messages and events in order."""
        with self._lock:
            return tuple(self._entries)

    def harmed(self) -> tuple[Passage, ...]:
        """The messages that something was done to."""
        return tuple(entry for entry in self.entries if isinstance(entry, Passage) and entry.fate.deeds)

    def summary(self) -> str:
        """One line for each direction."""
        return "\n".join(self._line(direction) for direction in Direction)

    def _line(self, direction: Direction) -> str:
        with self._lock:
            deeds = [f"; {n} {deed}" for (way, deed), n in sorted(self._deeds.items()) if way is direction]
            sizes = f"{self._messages[direction]} messages, {self._bytes[direction]} bytes"
            return f"{direction}: {sizes}{''.join(deeds)}"

    def as_json(self) -> dict[str, Any]:
        """The same for machines; shapes are those of the classes."""
        return {
            "summary": {
                direction.value: {
                    "messages": self.count(direction),
                    "bytes": self._bytes[direction],
                    **{deed: n for (way, deed), n in sorted(self._deeds.items()) if way is direction},
                }
                for direction in Direction
            },
            "entries": [_json(entry) for entry in self.entries],
        }

    def __str__(self) -> str:
        return "\n".join([self.summary(), *_lines(self.entries)])


def _lines(entries: Iterable[Passage | LinkEvent]) -> list[str]:
    """Events, and the messages that something was done to."""
    return [str(entry) for entry in entries if isinstance(entry, LinkEvent) or entry.fate.deeds]


def _json(entry: Passage | LinkEvent) -> dict[str, Any]:
    if isinstance(entry, LinkEvent):
        return {"at": entry.at, "event": entry.what}
    return {
        "at": entry.fate.sent,
        "direction": entry.fate.direction.value,
        "number": entry.fate.number,
        "message": entry.message,
        "size": len(entry.data),
        "deeds": list(entry.fate.deeds),
        "arrivals": [arrival.at for arrival in entry.fate.arrivals],
    }


def _kind(deed: str) -> str:
    return deed.partition(" at bit ")[0].partition(",")[0]
