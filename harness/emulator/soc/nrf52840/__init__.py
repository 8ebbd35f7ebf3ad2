"""The nRF52840: 1 MiB flash, 256 KiB RAM and the peripherals that updates, threads and serial ports need."""

from __future__ import annotations

import ctypes
import struct
from typing import ClassVar, Final

from ..._memory import Ram
from ..._peripheral import Peripheral
from .._model import Chip, Constant, Parts
from ._clock_power import ClockPower
from ._common import CYCLES_PER_SECOND, Ppi
from ._misc import Gpio, Rng, Temp
from ._nvmc import CtrlAp, Nvmc
from ._timers import Rtc, Timer, Watchdog
from ._uart import Uart

__all__ = ["MODEL", "Nrf52840"]

_APB: Final = 0x40000000


def _irq(base: int) -> int:
    """An APB peripheral's interrupt number is its ID, which its address holds (PS, "Peripheral ID")."""
    return base - _APB >> 12


def _page(values: dict[int, int]) -> ctypes.Array[ctypes.c_uint8]:
    content = bytearray(b"\xff" * 0x1000)
    for offset, value in values.items():
        struct.pack_into("<I", content, offset, value)
    return (ctypes.c_uint8 * 0x1000).from_buffer(content)


def _factory_information(seed: int) -> Constant:
    """FICR of an nRF52840-QIAA (PS chapter FICR); the device id comes from the seed."""
    return 0x10000000, _page(
        {
            0x010: 0x1000,  # CODEPAGESIZE
            0x014: 0x100,  # CODESIZE, in pages
            0x060: seed & 0xFFFFFFFF,  # DEVICEID
            0x064: seed >> 32 & 0xFFFFFFFF,
            0x100: 0x52840,  # INFO.PART
            0x104: 0x41414330,  # INFO.VARIANT: AAC0
            0x108: 0x2004,  # INFO.PACKAGE: QIxx
            0x10C: 0x100,  # INFO.RAM, KiB
            0x110: 0x400,  # INFO.FLASH, KiB
            0x130: 0x8,  # part and revision, as start-up code reads them to pick errata
            0x134: 0x2,
        }
    )


def _part_number_table() -> Constant:
    """The manufacturer's ROM table, from which start-up code tells the part (errata 36, 66 and others)."""
    return 0xF0000000, _page({0xFE0: 0x08, 0xFE4: 0x40, 0xFE8: 0x2C, 0xFEC: 0x00, 0xFD0: 0x02})


class Nrf52840:
    """Nordic nRF52840 Product Specification v1.7."""

    NAME: ClassVar[str] = "nrf52840"
    CLOCK_HZ: ClassVar[int] = CYCLES_PER_SECOND
    IRQS: ClassVar[int] = 48
    PRIORITY_BITS: ClassVar[int] = 3
    CPUID: ClassVar[int] = 0x410FC241  # Cortex-M4 r0p1

    def build(self, chip: Chip, seed: int) -> Parts:
        """Fresh parts for one machine."""
        ppi = Ppi(chip, _APB + 0x1F000)
        nvmc = Nvmc(chip, _APB + 0x1E000)
        uarts = [
            Uart(chip, 0, _APB + 0x2000, _irq(_APB + 0x2000), ppi, legacy=True),
            Uart(chip, 1, _APB + 0x28000, _irq(_APB + 0x28000), ppi, legacy=False),
        ]
        clock_power = ClockPower(chip, "CLOCK/POWER", _APB, 0, ppi)
        devices: list[Peripheral] = [
            clock_power,
            *uarts,
            Temp(chip, _APB + 0xC000, _irq(_APB + 0xC000), ppi),
            Rng(chip, _APB + 0xD000, _irq(_APB + 0xD000), ppi, seed),
            Watchdog(chip, _APB + 0x10000, _irq(_APB + 0x10000), ppi),
            *(
                Rtc(chip, index, base, _irq(base), ppi)
                for index, base in enumerate((_APB + 0xB000, _APB + 0x11000, _APB + 0x24000))
            ),
            *(
                Timer(chip, index, base, _irq(base), ppi)
                for index, base in enumerate(
                    _APB + offset for offset in (0x8000, 0x9000, 0xA000, 0x1A000, 0x1B000)
                )
            ),
            nvmc,
            ppi,
            Gpio(chip, 0x50000000),
        ]
        return Parts(
            arrays=[nvmc.flash, nvmc.uicr],
            ram=Ram(0x20000000, 0x40000),
            constants=[_factory_information(seed), _part_number_table()],
            regions=[(_APB, 0x40000), (0x50000000, 0x1000)],
            devices=devices,
            uarts=[uart.line for uart in uarts],
            lockup_resets=True,
            access_ports={1: CtrlAp(chip, nvmc)},
            is_off=lambda: clock_power.is_off,
        )


MODEL = Nrf52840
