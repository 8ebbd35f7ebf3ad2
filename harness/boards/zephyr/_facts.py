"""Settings with the place they come from, and the list of what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic, TypeVar

from .._problems import Problem

__all__ = ["Fact", "Findings", "read_text"]

T_co = TypeVar("T_co", covariant=True)
_LARGEST: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class Fact(Generic[T_co]):
    """A value, and the file and line that say it."""

    value: T_co
    file: Path
    line: int

    @property
    def where(self) -> str:
        """``file:line``."""
        return f"{self.file}:{self.line}"


@dataclass(slots=True)
class Findings:
    """``problems`` keep a board file from being written, ``notes`` do not."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    def refuse(
        self,
        at: Fact[object] | Path,
        what: str,
        *,
        name: str = "",
        found: str = "",
        expected: str = "",
        remedy: str = "",
    ) -> None:
        """Add a problem; ``name`` is the setting or field it is about."""
        self.problems.append(_problem(at, name, what, found, expected, remedy))

    def note(
        self, at: Fact[object] | Path, what: str, *, name: str = "", found: str = "", remedy: str = ""
    ) -> None:
        """Add a note."""
        self.notes.append(_problem(at, name, what, found, "", remedy))

    def differ(self, name: str, facts: Iterable[Fact[object]], *, remedy: str) -> None:
        """Add a problem if not all of them have the same value."""
        first, *others = facts
        for other in others:
            if other.value != first.value:
                self.refuse(
                    other,
                    f"contradicts {first.where}",
                    name=name,
                    found=str(other.value),
                    expected=str(first.value),
                    remedy=remedy,
                )


def _problem(
    at: Fact[object] | Path, name: str, what: str, found: str, expected: str, remedy: str
) -> Problem:
    file, line = (at.file, at.line) if isinstance(at, Fact) else (at, 1)
    return Problem(str(file), line, name, what, found, expected, remedy)


def read_text(path: Path, findings: Findings) -> str | None:
    """A text file; ``None`` after having said why not."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        findings.refuse(path, f"cannot be read: {reason}", remedy="name a finished build folder")
        return None
    if len(data) > _LARGEST:
        findings.refuse(path, "larger than any such file", found=f"over {_LARGEST} bytes")
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        findings.refuse(Fact(None, path, line), "not UTF-8 text", found=f"byte {data[error.start]:#04x}")
        return None
