"""Shared by the benchmarks: repeat, take the median, print one line a figure with its limit beside it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

__all__ = ["Figures", "seconds"]


def seconds(action: Callable[[], object], *, repeat: int = 5) -> list[float]:
    """How long ``action`` takes, ``repeat`` times after one run that does not count."""
    action()
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return times


class Figures:
    """Prints figures of one benchmark: median, spread, and what to compare them with."""

    def __init__(self, title: str) -> None:
        print(f"\n{title}")

    def show(self, name: str, values: list[float], unit: str, *, beside: str = "") -> None:
        """One line: ``values`` are in ``unit``."""
        low, middle, high = min(values), statistics.median(values), max(values)
        comparison = f"   [{beside}]" if beside else ""
        print(f"  {name:<52} {middle:>10.4g} {unit:<8} ({low:.4g} .. {high:.4g}){comparison}")
