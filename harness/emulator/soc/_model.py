"""What a SoC model gives to the machine."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from .._memory import FlashArray, Ram
from .._peripheral import Peripheral, ResetKind, System
from .._probed import AccessPort
from .._uart import UartLine

__all__ = ["AccessPort", "Constant", "Parts", "Soc"]

#: an area that nobody can write: base address and content
Constant = tuple[int, "ctypes.Array[ctypes.c_uint8]"]


@dataclass(slots=True)
class Parts:
    """One SoC's memories and peripherals.

    ``regions`` are the (base, size) areas in which devices, modelled or not, answer; an
    access outside of memory and regions is a bus fault. ``lockup_resets`` tells whether
    a core lockup resets the chip. ``clock_hz`` tells how fast the CPU runs now, if that
    changes; ``is_off`` whether firmware has switched the chip off until a reset. ``rom_table``
    is what the CoreSight ROM table names: part and JEP106 designer.
    """

    arrays: list[FlashArray]
    ram: Ram
    constants: list[Constant]
    regions: list[tuple[int, int]]
    devices: list[Peripheral]
    uarts: list[UartLine]
    lockup_resets: bool = False
    access_ports: dict[int, AccessPort] = field(default_factory=dict)
    clock_hz: Callable[[], int] | None = None
    is_off: Callable[[], bool] = lambda: False
    rom_table: tuple[int, int] = (0x4C4, 0x43B)  # ARM's own for a Cortex-M4


class Chip(System, Protocol):
    """What a SoC's own parts may do beyond a plain peripheral."""

    def erase(self, flash: FlashArray, address: int, size: int, pc: int, *, at_once: bool = False) -> bool:
        """Erase an area as one flash operation; False if power was cut there.

        It takes the time of all its pages, or that of one page if it is done ``at_once``.
        """

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
