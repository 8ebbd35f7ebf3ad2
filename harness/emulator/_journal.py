"""Flash operations as facts: what was written or erased, when, and by which instruction."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

__all__ = ["Master", "Operation", "OperationKind"]


class OperationKind(IntEnum):
    """What one flash operation does to the array."""

    WRITE = 1
    ERASE_PAGE = 2
    ERASE_ALL = 3
    ERASE_PARTIAL = 4


class Master(IntEnum):
    """Who is on the bus: the CPU, or a debugger through the access port."""

    CPU = 0
    DEBUG = 1


class Operation(NamedTuple):
    """One flash operation.

    ``size`` is in bytes: the part's unit for a write, the area for an erase. ``value`` is
    what was put on the bus (little-endian), ``previous`` the unit before it (0 for erases).
    ``instructions`` counts executed instructions since power-on, this one included.
    """

    kind: OperationKind
    address: int
    size: int
    value: int
    previous: int
    instructions: int
    pc: int
    master: Master
