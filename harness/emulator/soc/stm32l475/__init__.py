"""The STM32L475xG: 1 MiB flash in two banks, 96 KiB SRAM1, and what updates and serial ports need."""

from __future__ import annotations

import ctypes
import struct
from typing import ClassVar, Final

from ..._memory import Ram
from .._model import Chip, Constant, Parts
from ._clock import BackupRegisters, Pwr, Rcc
from ._dma import Dma
from ._flash import FlashController
from ._misc import Dbgmcu, Exti, Gpio, Rng, Syscfg
from ._usart import Usart, Wiring
from ._watchdog import Iwdg

__all__ = ["MODEL", "Stm32l475"]

_AHB1ENR, _AHB2ENR, _APB1ENR1, _APB2ENR = 0x48, 0x4C, 0x58, 0x60
_SYSTEM_MEMORY: Final = 0x1FFF7000
#: name, base, interrupt, where its clock is chosen in CCIPR, and its clock gate
_UARTS: Final = (
    ("USART1", 0x40013800, 37, 0, (_APB2ENR, 14)),
    ("USART2", 0x40004400, 38, 2, (_APB1ENR1, 17)),
    ("USART3", 0x40004800, 39, 4, (_APB1ENR1, 18)),
    ("UART4", 0x40004C00, 52, 6, (_APB1ENR1, 19)),
    ("UART5", 0x40005000, 53, 8, (_APB1ENR1, 20)),
)
#: DMA channels (controller, channel) that receive and send (RM0351 tables "DMA requests")
_CHANNELS: Final = {
    "USART1": ([(1, 5), (2, 7)], [(1, 4), (2, 6)]),
    "USART2": ([(1, 6)], [(1, 7)]),
    "USART3": ([(1, 3)], [(1, 2)]),
    "UART4": ([(2, 5)], [(2, 3)]),
    "UART5": ([(2, 2)], [(2, 1)]),
}
#: pins that receive and send, and their alternate function for it (DS10969 tables "Alternate function")
_PINS: Final[dict[str, tuple[list[str], list[str], int]]] = {
    "USART1": (["A10", "B7", "G10"], ["A9", "B6", "G9"], 7),
    "USART2": (["A3", "D6"], ["A2", "D5"], 7),
    "USART3": (["B11", "C5", "C11", "D9"], ["B10", "C4", "C10", "D8"], 7),
    "UART4": (["A1", "C11"], ["A0", "C10"], 8),
    "UART5": (["D2"], ["C12"], 8),
}


def _system_memory(seed: int) -> Constant:
    """Unique id, flash size and option bytes (RM0351 chapter 49, 3.4.1); the id comes from the seed."""
    content = bytearray(b"\xff" * 0x1000)
    struct.pack_into("<III", content, 0x590, seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF, 0x20363358)
    struct.pack_into("<H", content, 0x5E0, 1024)
    struct.pack_into("<II", content, 0x800, 0xFFEFF8AA, ~0xFFEFF8AA & 0xFFFFFFFF)
    return _SYSTEM_MEMORY, (ctypes.c_uint8 * 0x1000).from_buffer(content)


class Stm32l475:
    """RM0351 (reference manual of the STM32L4x5 and L4x6) and DS10969."""

    NAME: ClassVar[str] = "stm32l475"
    CLOCK_HZ: ClassVar[int] = 4_000_000
    IRQS: ClassVar[int] = 82
    PRIORITY_BITS: ClassVar[int] = 4
    CPUID: ClassVar[int] = 0x410FC241  # Cortex-M4 r0p1

    def build(self, chip: Chip, seed: int) -> Parts:
        """Fresh parts for one machine. Whoever has a clock comes before who depends on it."""
        pwr = Pwr(chip, 0x40007000)
        backup = BackupRegisters(chip, 0x40002800, pwr)
        rcc = Rcc(chip, 0x40021000, pwr, backup)
        rcc.gate(_APB1ENR1, 28, pwr)
        dma = {
            1: Dma(chip, 1, 0x40020000, (11, 12, 13, 14, 15, 16, 17)),
            2: Dma(chip, 2, 0x40020400, (56, 57, 58, 59, 60, 68, 69)),
        }
        for index, controller in dma.items():
            rcc.gate(_AHB1ENR, index - 1, controller)
        flash = FlashController(chip, 0x40022000, rcc)
        ports = {}
        for number, letter in enumerate("ABCDEFGH"):
            ports[letter] = Gpio(chip, letter, 0x48000000 + 0x400 * number)
            rcc.gate(_AHB2ENR, number, ports[letter])
        uarts = []
        for name, base, irq, selector, gate in _UARTS:
            receivers, senders = (
                [dma[n].channels[channel - 1] for n, channel in way] for way in _CHANNELS[name]
            )
            receive, send, function = _PINS[name]
            inputs, outputs = ([(ports[pin[0]], int(pin[1:])) for pin in way] for way in (receive, send))
            wiring = Wiring(selector, receivers, senders, inputs, outputs, function)
            uarts.append(Usart(chip, name, base, irq, rcc, wiring))
            rcc.gate(*gate, uarts[-1])
        rng = Rng(chip, 0x50060800, 80, rcc, seed)
        rcc.gate(_AHB2ENR, 18, rng)
        syscfg = Syscfg(chip, 0x40010000)
        rcc.gate(_APB2ENR, 0, syscfg)
        return Parts(
            arrays=[flash.flash],
            ram=Ram(0x20000000, 0x18000),
            # After reset flash shows at 0, too; code is always linked for 0x08000000.
            constants=[_system_memory(seed), (0, flash.flash.memory)],
            regions=[
                (0x40000000, 0x17000),
                (0x40020000, 0x5000),
                (0x48000000, 0x2000),
                (0x50000000, 0x61000),
            ],
            devices=[
                *(pwr, backup, rcc, *dma.values(), flash, *uarts, *ports.values(), rng, syscfg),
                Exti(chip, 0x40010400),
                Iwdg(chip, 0x40003000, rcc),
                Dbgmcu(chip, 0xE0042000),
            ],
            uarts=[uart.line for uart in uarts],
            clock_hz=lambda: rcc.hclk,
            rom_table=(0x415, 0x020),
        )


MODEL = Stm32l475
