"""What a debug probe needs of the machine behind it, whatever that machine is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

__all__ = ["AccessPort", "BusError", "ProbedBus", "ProbedMachine"]


class BusError(Exception):
    """Nothing answers at an address; ``address`` says where."""

    def __init__(self, address: int) -> None:
        super().__init__(f"nothing answers at {address:#010x}")
        self.address = address


class AccessPort(Protocol):
    """A debug access port of the vendor's own, beside the memory access port 0 (ADIv5 C2)."""

    def read(self, address: int) -> int:
        """Read the port's register at this byte address."""

    def write(self, address: int, value: int) -> None:
        """Write the port's register at this byte address."""


class ProbedBus(Protocol):
    """Memory and devices, debug registers of the core included. All raise `BusError` where nothing is."""

    def read(self, address: int, size: int) -> int:
        """Read 1, 2 or 4 bytes."""

    def write(self, address: int, size: int, value: int) -> None:
        """Write 1, 2 or 4 bytes."""

    def read_block(self, address: int, size: int) -> bytes:
        """Read any number of bytes, in words where that is possible."""

    def write_block(self, address: int, data: bytes) -> None:
        """Write any number of bytes, in words where that is possible."""


class ProbedMachine(Protocol):
    """The machine behind a probe: access ports by number, and the bus behind port 0."""

    @property
    def powered(self) -> bool:
        """Whether it has power; without, no port answers."""

    @property
    def access_ports(self) -> Mapping[int, AccessPort]:
        """Ports beside port 0."""

    @property
    def bus(self) -> ProbedBus:
        """What port 0 reaches."""
