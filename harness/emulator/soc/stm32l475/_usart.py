"""USART and UART (RM0351 chapter 40): asynchronous, eight data bits, by polling, interrupts or DMA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..._diagnostics import DiagnosticKind
from ..._hot import NEVER
from ..._peripheral import Access, Peripheral, Register, ResetKind, System
from ..._uart import UartLine
from ._clock import Rcc
from ._dma import Channel
from ._misc import Gpio

__all__ = ["Usart", "Wiring"]

_CR1, _CR2, _CR3, _BRR, _RQR, _ISR, _ICR, _RDR, _TDR = 0x00, 0x04, 0x08, 0x0C, 0x18, 0x1C, 0x20, 0x24, 0x28
_UE, _RE, _TE, _OVER8 = 1, 1 << 2, 1 << 3, 1 << 15
_DMAR, _DMAT, _OVRDIS = 1 << 6, 1 << 7, 1 << 12
_ORE, _IDLE, _RXNE, _TC, _TXE, _BUSY, _TEACK, _REACK = 8, 16, 32, 64, 128, 1 << 16, 1 << 21, 1 << 22
_CLEARABLE: Final = 0x121B5F
#: flags that CR1 has an interrupt enable for, at the same place; ORE shares that of RXNE
_IN_CR1: Final = _IDLE | _RXNE | _TC | _TXE
_BITS: Final = 10  # start, eight data bits, stop
_UNPACED_NANOSECONDS: Final = 1000
_BATCH: Final = 64  # bytes that reach a DMA buffer as one event


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a port is connected to.

    ``selector`` is where CCIPR says what clocks it. Pins are (port, number), of which each
    has the serial port as its alternate function ``function``.
    """

    selector: int
    receivers: list[Channel]
    senders: list[Channel]
    receive_pins: list[tuple[Gpio, int]]
    send_pins: list[tuple[Gpio, int]]
    function: int

    def connected(self, pins: list[tuple[Gpio, int]]) -> bool:
        """Whether one of these pins is given to the port."""
        return any(port.alternate_function(pin) == self.function for port, pin in pins)


class Usart(Peripheral):
    """One serial port, as ``wiring`` says. Without a pin it sends to nobody and receives nothing.

    A byte that arrives while the one before it was not read is lost, as on silicon, but only
    if the line keeps its baud rate: otherwise it waits.
    """

    SIZE = 0x400
    REGISTERS = (
        Register(_CR1, "CR1", Access.ACTIVE, on_write="_write_cr1"),
        Register(_CR2, "CR2"),
        Register(_CR3, "CR3", Access.ACTIVE, on_write="_write_cr3"),
        Register(_BRR, "BRR", Access.ACTIVE, on_write="_write_brr"),
        Register(0x10, "GTPR"),
        Register(0x14, "RTOR"),
        Register(_RQR, "RQR", Access.ACTIVE, on_write="_write_rqr"),
        Register(_ISR, "ISR", Access.READ_ONLY, _TC | _TXE),
        Register(_ICR, "ICR", Access.ACTIVE, on_write="_write_icr"),
        Register(_RDR, "RDR", Access.LIVE, on_write="_ignore", on_read="_read_rdr"),
        Register(_TDR, "TDR", Access.ACTIVE, on_write="_write_tdr"),
    )
    STATE = ("_line_active", "_due")
    CLOCKS = ("_due",)

    def __init__(
        self,
        system: System,
        name: str,
        base: int,
        irq: int,
        rcc: Rcc,
        wiring: Wiring,
    ) -> None:
        self._line_active = False  # something arrived since the line was idle
        self._due = 0  # when what arrives now is complete
        super().__init__(system, name, base, irq)
        self._rcc, self._wiring, self._second_bus = rcc, wiring, base >= 0x40010000
        for group, sends in ((wiring.receivers, False), (wiring.senders, True)):
            for channel in group:
                channel.client = (self, sends)
        for port, _ in wiring.receive_pins:
            port.changed.append(self._schedule_receive)
        self.line = UartLine(name.lower())
        self.line.arrived = self._schedule_receive
        self._receive_alarm = system.alarm(self._receive)
        self._idle_alarm = system.alarm(self._became_idle)
        self._sent_alarm = system.alarm(self._sent)

    def reset(self, kind: ResetKind) -> None:
        """Off; bytes that the host has sent stay on the wire."""
        if kind is ResetKind.DEBUG:
            return
        super().reset(kind)
        self._line_active = False
        for alarm in (self._receive_alarm, self._idle_alarm, self._sent_alarm):
            alarm.cancel()
        self._update_irq()

    # state

    def _on(self, what: int) -> bool:
        """Whether receiver or transmitter is on."""
        return self.words[_CR1 >> 2] & (_UE | what) == _UE | what

    def _byte_cycles(self) -> int:
        if not self.line.paced:
            return self._rcc.cycles(_UNPACED_NANOSECONDS, 1_000_000_000)
        divider = self.words[_BRR >> 2] & 0xFFFF
        kernel = self._rcc.kernel_clock(self._wiring.selector, second_bus=self._second_bus)
        if self.words[_CR1 >> 2] & _OVER8:
            divider = divider & 0xFFF0 | divider << 1 & 0xF
            kernel *= 2
        return max(1, self._rcc.cycles(_BITS * divider, kernel))

    def _set_flags(self, flags: int) -> None:
        self.words[_ISR >> 2] |= flags
        self._update_irq()

    def _clear_flags(self, flags: int) -> None:
        self.words[_ISR >> 2] &= ~flags
        self._update_irq()

    def _update_irq(self) -> None:
        flags, control = self.words[_ISR >> 2], self.words[_CR1 >> 2]
        wanted = flags & _IN_CR1 | (flags & _ORE) << 2
        assert self.irq is not None
        self.system.set_irq(self.irq, bool(wanted & control & _IN_CR1))

    def _ignore(self, _offset: int, _value: int) -> None:
        pass

    # settings

    def _write_cr1(self, offset: int, value: int) -> None:
        self.words[offset >> 2] = value
        self._clear_flags(_TEACK | _REACK)
        self._set_flags(_TEACK * self._on(_TE) | _REACK * self._on(_RE))
        if not value & _UE:
            self._clear_flags(_RXNE | _ORE | _IDLE)
            self._set_flags(_TXE | _TC)
            self._sent_alarm.cancel()
        self._schedule_receive()
        self.dma_ready()

    def _write_cr3(self, offset: int, value: int) -> None:
        self.words[offset >> 2] = value
        self.dma_ready()

    def _write_brr(self, offset: int, value: int) -> None:
        if self.words[_CR1 >> 2] & _UE:
            note = "the baud rate cannot be changed while the port is on"
            self.system.report(DiagnosticKind.READ_ONLY_WRITE, self.base + offset, value, note)
            return
        self.words[offset >> 2] = value & 0xFFFF

    def _write_rqr(self, _offset: int, value: int) -> None:
        self._clear_flags(_RXNE * (value >> 3 & 1))

    def _write_icr(self, _offset: int, value: int) -> None:
        self._clear_flags(value & _CLEARABLE)

    # receiving

    def _receiver(self) -> Channel | None:
        if not self.words[_CR3 >> 2] & _DMAR:
            return None
        channels = self._wiring.receivers
        return next((channel for channel in channels if channel.serves(self, sends=False)), None)

    def _arriving(self) -> int:
        """How many bytes the next receive event brings."""
        channel = self._receiver()
        if channel is None:
            held_up = self.words[_ISR >> 2] & _RXNE and not self.line.paced
            return 0 if held_up else min(len(self.line), 1)
        return min(len(self.line), channel.left, _BATCH)

    def _schedule_receive(self, begin: int | None = None) -> None:
        """Bytes that wait come in one after the other, from ``begin`` on, or from now."""
        if self._on(_RE) and self._receive_alarm.when == NEVER:
            count = self._arriving()
            if count and self._wiring.connected(self._wiring.receive_pins):
                self._idle_alarm.cancel()
                start = self.system.now if begin is None else begin
                self._due = start + count * self._byte_cycles()
                self._receive_alarm.at(self._due)

    def _receive(self) -> None:
        if not self._on(_RE) or not self.clocked:
            return
        self._line_active = True
        channel = self._receiver()
        if channel is not None:
            channel.give(self.line.take(self._arriving()))
        else:
            self._receive_byte()
        self._schedule_receive(self._due)  # the line went on while the CPU stood still
        if self._receive_alarm.when == NEVER:
            self._idle_alarm.at(self._due + self._byte_cycles())

    def _receive_byte(self) -> None:
        data = self.line.take(1)
        if self.words[_ISR >> 2] & _RXNE and not self.words[_CR3 >> 2] & _OVRDIS:
            self._set_flags(_ORE)
        elif data:
            self.words[_RDR >> 2] = data[0]
            self._set_flags(_RXNE)

    def _became_idle(self) -> None:
        if self._line_active and self._on(_RE):
            self._line_active = False
            self._set_flags(_IDLE)

    def _read_rdr(self, offset: int) -> int:
        self._clear_flags(_RXNE)
        self._schedule_receive()
        return self.words[offset >> 2]

    # sending: TDR and the shift register behind it

    def dma_ready(self) -> None:
        """A channel was switched on, or the port: whatever can be moved now is."""
        self._schedule_receive()
        if self._on(_TE) and self.words[_CR3 >> 2] & _DMAT:
            for channel in self._wiring.senders:
                if channel.serves(self, sends=True):
                    self._send(channel.fetch())

    def _send(self, data: bytes) -> None:
        if self._wiring.connected(self._wiring.send_pins):
            self.line.send(data)
        else:
            self.system.report(DiagnosticKind.NOT_CONNECTED, self.base + _TDR, None, self.name)
        self._clear_flags(_TC)
        begin = self.system.now if self._sent_alarm.when == NEVER else self._sent_alarm.when
        self._sent_alarm.at(begin + len(data) * self._byte_cycles())

    def _write_tdr(self, offset: int, value: int) -> None:
        if not self._on(_TE):
            return
        if not self.words[_ISR >> 2] & _TXE:
            note = "TDR is full: the byte in it is lost"
            self.system.report(DiagnosticKind.UNMODELLED_FEATURE, self.base + offset, value, note)
            return
        if self._sent_alarm.when == NEVER:
            self._send(bytes([value & 0xFF]))
        else:
            self.words[_TDR >> 2] = value & 0xFF
            self._clear_flags(_TXE)

    def _sent(self) -> None:
        """The shift register is empty: TDR moves up, or all is sent."""
        if self.words[_ISR >> 2] & _TXE:
            self._set_flags(_TC)
        else:
            self._set_flags(_TXE)
            self._send(bytes([self.words[_TDR >> 2]]))
