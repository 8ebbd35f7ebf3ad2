"""Emulated Cortex-M boards that run the target's own binary, with exact flash rules and power cuts."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._diagnostics import Diagnostic, DiagnosticKind
    from ._journal import Master, Operation, OperationKind
    from ._machine import Machine, Snapshot
    from ._peripheral import ResetKind
    from ._stop import Stop, StopCause
    from ._tear import Tear, TearWord
    from .soc import soc_names

__all__ = [
    "Diagnostic",
    "DiagnosticKind",
    "Machine",
    "Master",
    "Operation",
    "OperationKind",
    "ResetKind",
    "Snapshot",
    "Stop",
    "StopCause",
    "Tear",
    "TearWord",
    "soc_names",
]

# Names are looked up at first use: `harness.emulator.control` must not load Unicorn.
_HOMES = {
    "Diagnostic": "_diagnostics",
    "DiagnosticKind": "_diagnostics",
    "Master": "_journal",
    "Operation": "_journal",
    "OperationKind": "_journal",
    "ResetKind": "_peripheral",
    "Stop": "_stop",
    "StopCause": "_stop",
    "Tear": "_tear",
    "TearWord": "_tear",
    "soc_names": "soc",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES.get(name, '_machine')}", __name__), name)
    globals()[name] = value
    return value
