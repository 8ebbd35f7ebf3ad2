"""What a SoC model gives to the machine."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from .._memory import FlashArray, Ram
from .._peripheral import Peripheral, ResetKind, System
from .._uart import UartLine

__all__ = ["AccessPort", "Constant", "Parts", "Soc"]

#: an area that nobody can write: base address and content
Constant = tuple[int, "ctypes.Array[ctypes.c_uint8]"]


class AccessPort(Protocol):
    """A debug access port of the vendor's own, beside the memory access port 0 (ADIv5 C2)."""

    def read(self, address: int) -> int:
        """Read the port's register at this byte address."""

    def write(self, address: int, value: int) -> None:
        """Write the port's register at this byte address."""


@dataclass(slots=True)
class Parts:
    """One SoC's memories and peripherals.

    ``regions`` are the (base, size) areas in which devices, modelled or not, answer; an
    access outside of memory and regions is a bus fault. ``lockup_resets`` tells whether
    a core lockup resets the chip.
    """

    arrays: list[FlashArray]
    ram: Ram
    constants: list[Constant]
    regions: list[tuple[int, int]]
    devices: list[Peripheral]
    uarts: list[UartLine]
    lockup_resets: bool = False
    access_ports: dict[int, AccessPort] = field(default_factory=dict)


class Chip(System, Protocol):
    """What a SoC's own parts may do beyond a plain peripheral."""

    def erase(self, flash: FlashArray, address: int, size: int, pc: int) -> bool:
        """Erase an area as one flash operation; False if power was cut there."""

    def erase_part(self, flash: FlashArray, address: int, size: int, pc: int) -> bool:
        """One step of a partial erase."""

    def reset_now(self, kind: ResetKind) -> None:
        """Reset while the CPU is stopped, for a debugger."""


class Soc(Protocol):
    """A SoC model. The numbers are the data sheet's; ``build`` makes fresh parts for one machine."""

    NAME: ClassVar[str]
    CLOCK_HZ: ClassVar[int]
    IRQS: ClassVar[int]
    PRIORITY_BITS: ClassVar[int]
    CPUID: ClassVar[int]

    def build(self, chip: Chip, seed: int) -> Parts:
        """Memories and devices; ``seed`` makes the device's identity and its random numbers."""
