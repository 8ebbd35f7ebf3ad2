"""Boards in Renode: its process, its GDB server behind the pyOCD probe plugin, and models of its own.

What Renode lacks for firmware updates - flash controllers, reset causes, watchdogs - is in `models/`.
"""

from __future__ import annotations

from ._board import RenodeBoard
from ._find import RenodeMissingError, find_renode
from ._platforms import platform_names

__all__ = ["RenodeBoard", "RenodeMissingError", "find_renode", "platform_names"]
