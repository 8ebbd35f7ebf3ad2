"""What changed between two reports, for assertion messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ._report import FlashReport

_ABSENT: Final = "-"


@dataclass(frozen=True, slots=True)
class Change:
    """One fact that differs; ``None`` on the side that lacks it."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class ReportDiff:
    """All differences, in the order of the report; false if there are none."""

    changes: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def to_text(self, before: str = "before", after: str = "after") -> str:
        """One block per fact, with the two sides below each other."""
        if not self.changes:
            return "no difference"
        width = max(len(before), len(after))
        lines = []
        for change in self.changes:
            old, new = change.before or _ABSENT, change.after or _ABSENT
            if len(change.name) + len(old) + len(new) < 100 and "\n" not in old + new:
                lines.append(f"{change.name}: {old} -> {new}")
                continue
            lines.append(change.name)
            for side, text in ((before, old), (after, new)):
                lines += [
                    f"  {side if not at else '':<{width}}  {line}"
                    for at, line in enumerate(text.splitlines())
                ]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.to_text()


def diff_reports(before: FlashReport, after: FlashReport) -> ReportDiff:
    """Compare two reports fact by fact; either may also be a report of what was expected."""
    old, new = before.facts(), after.facts()
    names = list(dict.fromkeys((*old, *new)))
    return ReportDiff(
        tuple(Change(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name))
    )
