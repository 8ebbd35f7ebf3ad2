"""DMA1 and DMA2 (RM0351 chapter 11): bytes between memory and the data registers of the UARTs."""

from __future__ import annotations

from typing import Final, Protocol

from ..._diagnostics import DiagnosticKind
from ..._peripheral import Access, Peripheral, Register, ResetKind, System

__all__ = ["Channel", "Dma", "DmaClient"]

_CHANNELS: Final = 7
_ISR, _IFCR, _FIRST, _STRIDE, _CSELR = 0x00, 0x04, 0x08, 0x14, 0xA8
_EN, _TO_DEVICE, _CIRC, _PINC, _MINC, _MEM2MEM = 1, 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 14
_SIZES: Final = 0xF00
_DONE, _HALF = 1 << 1, 1 << 2  # as flags of a channel in ISR, and as their enables in CCR
_UART_REQUEST: Final = 2  # CSELR: what all UARTs answer to


class DmaClient(Protocol):
    """A device whose requests a channel serves."""

    def dma_ready(self) -> None:
        """A channel for this device was switched on."""


class Channel:
    """One channel, by the registers of its controller. ``number`` counts from 0."""

    def __init__(self, dma: Dma, number: int, irq: int) -> None:
        self._dma, self.number, self.irq = dma, number, irq
        self.client: tuple[DmaClient, bool] | None = None  # and whether it sends

    @property
    def _words(self) -> slice:
        first = _FIRST + _STRIDE * self.number >> 2
        return slice(first, first + 4)

    @property
    def control(self) -> int:
        """CCR."""
        return self._dma.words[self._words][0]

    @property
    def left(self) -> int:
        """CNDTR."""
        return self._dma.words[self._words][1]

    @property
    def size(self) -> int:
        """What CNDTR was when the channel was switched on, and is again after a round."""
        return self._dma.sizes[self.number]

    def serves(self, client: DmaClient, *, sends: bool) -> bool:
        """Whether the channel is on and moves this client's data in this direction."""
        selected = self._dma.words[_CSELR >> 2] >> 4 * self.number & 0xF == _UART_REQUEST
        control = self.control
        right_way = bool(control & _TO_DEVICE) is sends
        return (client, sends) == self.client and selected and right_way and bool(control & _EN and self.left)

    def give(self, data: bytes) -> int:
        """Put bytes from the device into memory; how many were taken."""
        taken = 0
        while taken < len(data) and self.left:
            count = min(len(data) - taken, self.left)
            self._dma.system.write_memory(self._address(), data[taken : taken + count])
            taken += count
            self._advance(count)
        return taken

    def fetch(self) -> bytes:
        """All that memory still holds for the device."""
        count = self.left
        data = self._dma.system.read_memory(self._address(), count)
        if len(data) < count:
            self._dma.complain(self.number, "DMA reaches SRAM1 only; nothing is sent")
        self._advance(count)
        return data

    def _address(self) -> int:
        return self._dma.words[self._words][3] + (self.size - self.left) * bool(self.control & _MINC)

    def _advance(self, count: int) -> None:
        before = self.left
        left = before - count
        flags = _HALF * (before > self.size // 2 >= left) | _DONE * (left == 0)
        if not left and self.control & _CIRC:
            left = self.size
        self._dma.words[self._words][1] = left
        self._dma.raise_flags(self.number, flags)


class Dma(Peripheral):
    """One controller; ``irqs`` are the interrupts of its seven channels."""

    SIZE = 0x400
    REGISTERS = (
        Register(_ISR, "ISR", Access.READ_ONLY),
        Register(_IFCR, "IFCR", Access.ACTIVE, on_write="_write_ifcr"),
        Register(0x08, "CCR", Access.ACTIVE, count=_CHANNELS, stride=_STRIDE, on_write="_write_ccr"),
        Register(0x0C, "CNDTR", Access.ACTIVE, count=_CHANNELS, stride=_STRIDE, on_write="_write_setting"),
        Register(0x10, "CPAR", Access.ACTIVE, count=_CHANNELS, stride=_STRIDE, on_write="_write_setting"),
        Register(0x14, "CMAR", Access.ACTIVE, count=_CHANNELS, stride=_STRIDE, on_write="_write_setting"),
        Register(_CSELR, "CSELR"),
    )

    STATE = ("sizes",)

    def __init__(self, system: System, index: int, base: int, irqs: tuple[int, ...]) -> None:
        self.sizes = [0] * _CHANNELS
        super().__init__(system, f"DMA{index}", base)
        self.channels = [Channel(self, number, irq) for number, irq in enumerate(irqs)]

    def reset(self, kind: ResetKind) -> None:
        """All channels off."""
        if kind is ResetKind.DEBUG:
            return
        super().reset(kind)
        self.sizes = [0] * _CHANNELS
        self._update_irqs()

    def complain(self, channel: int, note: str) -> None:
        """Report what the model does not do."""
        address = self.base + _FIRST + _STRIDE * channel
        self.system.report(DiagnosticKind.UNMODELLED_FEATURE, address, None, note)

    def raise_flags(self, channel: int, flags: int) -> None:
        """Set flags of a channel."""
        if flags:
            self.words[_ISR >> 2] |= (flags | 1) << 4 * channel
            self._update_irqs()

    def _update_irqs(self) -> None:
        for channel in self.channels:
            flags = self.words[_ISR >> 2] >> 4 * channel.number & 0xF
            self.system.set_irq(channel.irq, bool(flags & channel.control & 0xE))

    def _write_ifcr(self, _offset: int, value: int) -> None:
        flags = self.words[_ISR >> 2] & ~value
        for channel in range(_CHANNELS):
            if value >> 4 * channel & 1:
                flags &= ~(0xF << 4 * channel)
            elif not flags >> 4 * channel & 0xE:
                flags &= ~(1 << 4 * channel)
        self.words[_ISR >> 2] = flags
        self._update_irqs()

    def _write_setting(self, offset: int, value: int) -> None:
        channel = self.channels[(offset - _FIRST) // _STRIDE]
        if channel.control & _EN:
            self.system.report(DiagnosticKind.READ_ONLY_WRITE, self.base + offset, value, "the channel is on")
            return
        self.words[offset >> 2] = value & 0xFFFF if (offset - _FIRST) % _STRIDE == 4 else value

    def _write_ccr(self, offset: int, value: int) -> None:
        channel = self.channels[(offset - _FIRST) // _STRIDE]
        started = value & ~self.words[offset >> 2] & _EN
        if started and value & (_MEM2MEM | _PINC | _SIZES):
            self.complain(channel.number, "only bytes, from or to a device's data register, are moved")
        self.words[offset >> 2] = value & 0x7FFF
        if started:
            self.sizes[channel.number] = channel.left
        self._update_irqs()
        if started and channel.client:
            channel.client[0].dma_ready()
