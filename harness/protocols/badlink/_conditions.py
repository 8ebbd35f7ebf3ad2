"""What a bad link does, as numbers; and the text form of it that options take."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Final

__all__ = ["LinkConditions"]

_TIME: Final = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|)")
_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)(baud|B/s|kB/s|)")
_SHARE: Final = re.compile(r"(\d+(?:\.\d+)?)(%|)")
_PARTS: Final = {"%": "0.01", "": "1"}
_SECONDS: Final = {"us": "0.000001", "ms": "0.001", "s": "1", "": "1"}
#: a serial byte takes ten bit times: start, eight data bits, stop
_BYTES_A_SECOND: Final = {"baud": "0.1", "B/s": "1", "kB/s": "1000", "": "1"}

_SHARES: Final = ("loss", "duplication", "reordering", "corruption", "undetected")
_TIMES: Final = ("delay", "jitter", "hold")


@dataclass(frozen=True, slots=True)
class LinkConditions:
    """What happens to messages on a link, the same in both directions; the default is a perfect link.

    ``loss``, ``duplication``, ``reordering`` and ``corruption`` are shares of all messages,
    0 to 1. A reordered message, and the second of two duplicates, comes up to ``hold``
    seconds late. A corrupted message has one to three bits flipped: on a serial line they
    reach the receiver, whose checksum finds them; of UDP datagrams, whose checksum is the
    network stack's, only the share ``undetected`` arrives.

    All messages take ``delay`` seconds and up to ``jitter`` more, after they have waited for
    their turn at ``bandwidth`` bytes a second (None: no limit). ``silences`` are (start, length)
    in seconds since the link was made, in which everything is lost; at the times ``moves`` the
    device's address changes (UDP only). What happens to the n-th message of a direction depends
    on ``seed`` and n alone.

    Raises ValueError for values that are none.
    """

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    corruption: float = 0.0
    undetected: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    hold: float = 0.05
    bandwidth: float | None = None
    silences: tuple[tuple[float, float], ...] = ()
    moves: tuple[float, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share from 0 to 1 (or 0% to 100%), not {getattr(self, name)}")
        times = [(name, getattr(self, name)) for name in _TIMES]
        times += [("silence", time) for silence in self.silences for time in silence]
        times += [("move", time) for time in self.moves]
        for name, time in times:
            if not (math.isfinite(time) and time >= 0):
                raise ValueError(f"{name} is a time in seconds, not {time}")
        if self.bandwidth is not None and not (math.isfinite(self.bandwidth) and self.bandwidth > 0):
            raise ValueError(f"bandwidth is bytes a second, more than 0, not {self.bandwidth}")

    @classmethod
    def parse(cls, text: str) -> LinkConditions:
        """Read ``loss=20%,delay=5ms,bandwidth=115200baud,silence=2s+500ms,move=3s,seed=7``.

        ``silence`` and ``move`` may be repeated. Raises ValueError that names the bad part.
        """
        values: dict[str, Any] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals:
                raise ValueError(f"{part!r} is not NAME=VALUE")
            if name in ("silence", "move"):
                several = values.setdefault(f"{name}s", ())
                values[f"{name}s"] = (*several, _silence(value) if name == "silence" else _time(name, value))
                continue
            if name in values:
                raise ValueError(f"{name} is given twice")
            values[name] = _value(name, value)
        return cls(**values)

    def __str__(self) -> str:
        parts = [f"{name}={getattr(self, name):.6g}" for name in _SHARES if getattr(self, name)]
        parts += [f"{name}={getattr(self, name):g}s" for name in ("delay", "jitter") if getattr(self, name)]
        parts += [f"bandwidth={self.bandwidth:.9g}B/s"] if self.bandwidth is not None else []
        parts += [f"hold={self.hold:g}s"] if self.hold != type(self)().hold else []
        parts += [f"silence={start:g}s+{length:g}s" for start, length in self.silences]
        parts += [f"move={at:g}s" for at in self.moves]
        return ",".join([*parts, f"seed={self.seed}"])


def _value(name: str, text: str) -> float | int:
    if name in _SHARES:
        return _number(name, text, _SHARE, _PARTS, "20% or 0.2")
    if name in _TIMES:
        return _time(name, text)
    if name == "bandwidth":
        return _number(name, text, _RATE, _BYTES_A_SECOND, "115200baud or 10kB/s")
    if name == "seed":
        if not re.fullmatch(r"[0-9]{1,18}", text):
            raise ValueError(f"seed={text!r} is no whole number")
        return int(text)
    every = {field.name for field in fields(LinkConditions)}
    known = sorted(every - {"silences", "moves"} | {"silence", "move"})
    raise ValueError(f"{name!r} is nothing that a link does; known are {', '.join(known)}")


def _time(name: str, text: str) -> float:
    return _number(name, text, _TIME, _SECONDS, "5ms or 2s")


def _silence(text: str) -> tuple[float, float]:
    start, plus, length = text.partition("+")
    if not plus:
        raise ValueError(f"silence={text!r} is not START+LENGTH, such as 2s+500ms")
    return _time("silence", start), _time("silence", length)


def _number(name: str, text: str, pattern: re.Pattern[str], units: dict[str, str], example: str) -> float:
    match = pattern.fullmatch(text)
    if match is None:
        raise ValueError(f"{name}={text!r} is not of the form {example}")
    return float(Decimal(match[1]) * Decimal(units[match[2]]))
