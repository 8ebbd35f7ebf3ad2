"""The outcome as a table: a behaviour in each row, a component in each column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Outcome", "table"]

_MARKS: Final = {"passed": "yes", "failed": "NO", "error": "ERROR", "skipped": "-"}
_WORST: Final = ("error", "failed", "passed", "skipped")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one test ended: for which behaviour and component (empty: the client as a whole), and why."""

    behaviour: str
    component: str
    outcome: str
    case: str
    reason: str


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """Lines of the table, and below it what differs and what was not tried, with reasons."""
    columns = sorted({outcome.component for outcome in outcomes}, key=_order)
    behaviours = list(dict.fromkeys(outcome.behaviour for outcome in outcomes))
    width = max((len(behaviour) for behaviour in behaviours), default=0)
    heads = [column or "client" for column in columns]
    lines = ["  ".join([" " * width, *heads])]
    for behaviour in behaviours:
        cells = []
        for column, head in zip(columns, heads, strict=True):
            found = [o for o in outcomes if o.behaviour == behaviour and o.component == column]
            cells.append(_cell(found).ljust(len(head)))
        lines.append("  ".join([behaviour.ljust(width), *cells]).rstrip())
    lines += _reasons("differs", [o for o in outcomes if o.outcome in ("failed", "error")])
    lines += _reasons("not tried", [o for o in outcomes if o.outcome == "skipped"])
    return lines


def _cell(found: Sequence[Outcome]) -> str:
    if not found:
        return ""
    worst = min((outcome.outcome for outcome in found), key=_WORST.index)
    return _MARKS[worst]


def _reasons(title: str, outcomes: Iterable[Outcome]) -> list[str]:
    by_reason: dict[tuple[str, str], list[str]] = {}
    for outcome in outcomes:
        where = " ".join(filter(None, [outcome.component, outcome.case]))
        by_reason.setdefault((outcome.behaviour, outcome.reason), []).append(where)
    if not by_reason:
        return []
    lines = ["", f"{title}:"]
    for (behaviour, reason), places in by_reason.items():
        lines.append(f"  {behaviour} ({', '.join(filter(None, places)) or 'client'}): {reason}")
    return lines


def _order(component: str) -> tuple[int, ...]:
    return tuple(int(part) for part in component.split("/") if part)
