"""Devices that stopped answering, with the evidence, until they are proved well."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from .._errors import QuarantineError
from ._locks import owner
from ._state import Record

__all__ = ["Evidence", "check_quarantine", "end_quarantine", "evidence", "quarantine"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a device is in quarantine. ``at`` is in seconds since 1970."""

    what: str
    owner: str
    at: float
    console: str = ""

    def __str__(self) -> str:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.at))
        tail = f"\n  last console lines:\n{self.console}" if self.console else ""
        return f"since {stamp}, found by {self.owner}: {self.what}{tail}"


def evidence(key: str) -> Evidence | None:
    """The evidence against the device with this probe id; ``None`` if it is in no quarantine."""
    content = Record(key, "quarantine").read()
    if content is None:
        return None
    try:
        return Evidence(
            str(content["what"]), str(content["owner"]), float(content["at"]), str(content.get("console", ""))
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return Evidence("the record of it is damaged", "unknown", 0.0)


def quarantine(key: str, what: str, *, console: str = "") -> None:
    """Keep everybody from the device until it is recovered."""
    Record(key, "quarantine").write(asdict(Evidence(what, owner(), time.time(), console)))


def end_quarantine(key: str) -> None:
    """The device is well."""
    Record(key, "quarantine").remove()


def check_quarantine(key: str, *, name: str) -> None:
    """Raise `QuarantineError` if the device is in quarantine."""
    found = evidence(key)
    if found is not None:
        raise QuarantineError(
            "the device is in quarantine",
            where=key,
            found=str(found),
            remedy=f"mend it, then: harness bench recover {name}",
        )
