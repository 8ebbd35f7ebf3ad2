"""Emulated boards in processes of their own: find them, start them, talk to them.

Kept apart from `harness.emulator` so that a client needs neither Unicorn nor the models.
"""

from __future__ import annotations

from ._control import ControlClient, TransferError
from ._process import EmulatedBoard
from ._registry import Entry, running_boards

__all__ = ["ControlClient", "EmulatedBoard", "Entry", "TransferError", "running_boards"]
