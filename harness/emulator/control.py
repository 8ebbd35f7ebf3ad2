"""Emulated boards in processes of their own: find them, start them, talk to them.

Kept apart from `harness.emulator` so that a client needs neither Unicorn nor the models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._control import ControlClient, TransferError
from ._dap import DebugAccessPort
from ._probed import AccessPort, BusError, ProbedBus, ProbedMachine
from ._process import BoardProcess, EmulatedBoard, serve_child
from ._registry import Entry, running_boards
from ._serving import ControlServer

if TYPE_CHECKING:
    from ._server import BoardServer

__all__ = [
    "AccessPort",
    "BoardProcess",
    "BoardServer",
    "BusError",
    "ControlClient",
    "ControlServer",
    "DebugAccessPort",
    "EmulatedBoard",
    "Entry",
    "ProbedBus",
    "ProbedMachine",
    "TransferError",
    "running_boards",
    "serve_child",
]


def __getattr__(name: str) -> Any:
    if name != "BoardServer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ._server import BoardServer

    return BoardServer
