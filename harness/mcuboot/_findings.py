"""What a tolerant reader noticed about bytes that it did not refuse."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.IntEnum):
    """How much a finding matters to MCUboot."""

    INFO = 1
    """Worth knowing; MCUboot does not care."""
    WARNING = 2
    """Legal, but probably not what somebody wanted."""
    ERROR = 3
    """MCUboot refuses the image, or reads something else than was meant."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One observation.

    ``offset`` counts bytes from the start of what was parsed (image or slot);
    ``None`` if no single place is meant. ``expected`` and ``found`` are texts.
    """

    severity: Severity
    what: str
    offset: int | None = None
    expected: str | None = None
    found: str | None = None

    def __str__(self) -> str:
        place = "" if self.offset is None else f"+{self.offset:#x}: "
        text = f"{self.severity.name.lower()}: {place}{self.what}"
        if self.expected is not None and self.found is not None:
            return f"{text} (expected {self.expected}, found {self.found})"
        if self.expected is not None:
            return f"{text} (expected {self.expected})"
        if self.found is not None:
            return f"{text} ({self.found})"
        return text

    def to_dict(self) -> dict[str, object]:
        """JSON-able form; absent parts are left out."""
        parts: dict[str, object] = {"severity": self.severity.name.lower(), "what": self.what}
        for name in ("offset", "expected", "found"):
            value = getattr(self, name)
            if value is not None:
                parts[name] = value
        return parts
