"""Power cuts at every flash operation of an update, inside it too, on the target's own binary.

`prepare` records a scenario once; `sweep` cuts power at every operation of it, boots the emulated
chip from what is left in flash and judges what comes of that. Start with those two; `Plan` says
which points are tried, `Results` tells what was found, `replay` does one of the failures again.
See docs/power-cuts.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._api import Results, Subject, prepare, sweep, write_bench_report
    from ._bench import cut_on_bench
    from ._bench_report import BenchReport
    from ._dask import DaskExecutor
    from ._explore import Plan
    from ._recording import Recording
    from ._replay import Replay
    from ._report import Report, schema_text
    from ._run import Progress, SweepLog
    from ._scenarios import SCENARIOS, Options
    from ._tears import Tears
    from ._workers import Executor, InlineExecutor, LocalExecutor, executor_for

__all__ = [
    "SCENARIOS",
    "BenchReport",
    "DaskExecutor",
    "Executor",
    "InlineExecutor",
    "LocalExecutor",
    "Options",
    "Plan",
    "Progress",
    "Recording",
    "Replay",
    "Report",
    "Results",
    "Subject",
    "SweepLog",
    "Tears",
    "cut_on_bench",
    "executor_for",
    "prepare",
    "schema_text",
    "sweep",
    "write_bench_report",
]

_HOMES = {
    "SCENARIOS": "_scenarios",
    "BenchReport": "_bench_report",
    "cut_on_bench": "_bench",
    "DaskExecutor": "_dask",
    "Executor": "_workers",
    "InlineExecutor": "_workers",
    "LocalExecutor": "_workers",
    "executor_for": "_workers",
    "Options": "_scenarios",
    "Plan": "_explore",
    "Progress": "_run",
    "Recording": "_recording",
    "Replay": "_replay",
    "Report": "_report",
    "SweepLog": "_run",
    "Tears": "_tears",
    "schema_text": "_report",
}


def __getattr__(name: str) -> Any:
    """Look names up at first use: most of them load the emulator."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES.get(name, '_api')}", __name__), name)
    globals()[name] = value
    return value
