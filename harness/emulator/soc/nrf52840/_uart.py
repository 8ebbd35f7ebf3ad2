"""UART and UARTE on one page each (PS chapters UART, UARTE)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..._diagnostics import DiagnosticKind
from ..._hot import NEVER
from ..._peripheral import Access, Register, ResetKind, System
from ..._uart import UartLine
from ._common import CYCLES_PER_SECOND, NrfPeripheral, Ppi

__all__ = ["Uart"]

_CTS, _NCTS, _RXDRDY, _ENDRX, _TXDRDY, _ENDTX, _ERROR = 0x100, 0x104, 0x108, 0x110, 0x11C, 0x120, 0x124
_RXTO, _RXSTARTED, _TXSTARTED, _TXSTOPPED = 0x144, 0x14C, 0x150, 0x158
_ENABLE, _RXD, _TXD, _BAUDRATE = 0x500, 0x518, 0x51C, 0x524
_RX_PTR, _RX_MAXCNT, _RX_AMOUNT, _TX_PTR, _TX_MAXCNT, _TX_AMOUNT = 0x534, 0x538, 0x53C, 0x544, 0x548, 0x54C
_UART_ON, _UARTE_ON = 4, 8
_FIFO: Final = 6
_UNPACED_BYTE: Final = 64  # cycles for one byte when the baud rate is not kept: one microsecond
_BATCH: Final = 64  # bytes that reach a DMA buffer as one event; half a millisecond at 1 Mbaud
_BAUD_UNIT: Final = 16_000_000 / 2**32  # BAUDRATE = baud / this


class Uart(NrfPeripheral):
    """One serial port. ``legacy`` adds the UART without DMA, which only port 0 has."""

    TASKS = {
        0x000: "STARTRX",
        0x004: "STOPRX",
        0x008: "STARTTX",
        0x00C: "STOPTX",
        0x01C: "SUSPEND",
        0x02C: "FLUSHRX",
    }
    EVENTS = {
        _CTS: "CTS",
        _NCTS: "NCTS",
        _RXDRDY: "RXDRDY",
        _ENDRX: "ENDRX",
        _TXDRDY: "TXDRDY",
        _ENDTX: "ENDTX",
        _ERROR: "ERROR",
        _RXTO: "RXTO",
        _RXSTARTED: "RXSTARTED",
        _TXSTARTED: "TXSTARTED",
        _TXSTOPPED: "TXSTOPPED",
    }
    SHORT_TABLE = {5: (_ENDRX, 0x000), 6: (_ENDRX, 0x004)}
    REGISTERS = (
        Register(0x480, "ERRORSRC"),
        Register(_ENABLE, "ENABLE", Access.ACTIVE, on_write="_write_enable"),
        Register(0x508, "PSEL_RTS", reset=0xFFFFFFFF),
        Register(0x50C, "PSEL_TXD", reset=0xFFFFFFFF),
        Register(0x510, "PSEL_CTS", reset=0xFFFFFFFF),
        Register(0x514, "PSEL_RXD", reset=0xFFFFFFFF),
        Register(_BAUDRATE, "BAUDRATE", reset=0x04000000),
        Register(_RX_PTR, "RXD_PTR"),
        Register(_RX_MAXCNT, "RXD_MAXCNT"),
        Register(_RX_AMOUNT, "RXD_AMOUNT", Access.READ_ONLY),
        Register(_TX_PTR, "TXD_PTR"),
        Register(_TX_MAXCNT, "TXD_MAXCNT"),
        Register(_TX_AMOUNT, "TXD_AMOUNT", Access.READ_ONLY),
        Register(0x56C, "CONFIG"),
    )
    STATE = ("interrupts", "_receiving", "_sending", "_pointer", "_room", "_fifo", "_stopping")

    def __init__(self, system: System, index: int, base: int, irq: int, ppi: Ppi, *, legacy: bool) -> None:
        self._legacy = legacy
        self._receiving = self._sending = self._stopping = False
        self._pointer = self._room = 0
        self._fifo = b""
        super().__init__(system, f"UARTE{index}", base, irq, ppi)
        self.line = UartLine(f"uart{index}")
        self.line.arrived = self._schedule_receive
        self._receive_alarm = system.alarm(self._receive)
        self._sent_alarm = system.alarm(self._sent)
        self._timeout_alarm = system.alarm(self._receive_timed_out)

    def registers(self) -> Iterable[Register]:
        yield from super().registers()
        if self._legacy:
            yield Register(_RXD, "RXD", Access.LIVE, on_write="_ignore", on_read="_read_rxd")
            yield Register(_TXD, "TXD", Access.ACTIVE, on_write="_write_txd")

    def reset(self, kind: ResetKind) -> None:
        """Stop; bytes that the host has sent stay on the wire."""
        super().reset(kind)
        self._receiving = self._sending = self._stopping = False
        self._pointer = self._room = 0
        self._fifo = b""
        for alarm in (self._receive_alarm, self._sent_alarm, self._timeout_alarm):
            alarm.cancel()

    def _ignore(self, _offset: int, _value: int) -> None:
        pass

    def _write_enable(self, offset: int, value: int) -> None:
        self.words[offset >> 2] = value & 0xF
        if not value & 0xF:
            self._receiving = self._sending = False

    @property
    def _dma(self) -> bool:
        return self.words[_ENABLE >> 2] == _UARTE_ON

    def _byte_cycles(self) -> int:
        if not self.line.paced:
            return _UNPACED_BYTE
        baud = self.words[_BAUDRATE >> 2] * _BAUD_UNIT
        return round(10 * CYCLES_PER_SECOND / baud) if baud else _UNPACED_BYTE

    # receiving

    def task_startrx(self) -> None:
        """Take bytes: into the DMA buffer, or into the FIFO of the UART."""
        self._receiving, self._stopping = True, False
        if self._dma:
            self._pointer = self.words[_RX_PTR >> 2]
            self._room = self.words[_RX_MAXCNT >> 2] & 0xFFFF
            self.words[_RX_AMOUNT >> 2] = 0
            self.fire(_RXSTARTED)
        self._schedule_receive()

    def task_stoprx(self) -> None:
        """Stop taking bytes; RXTO follows when the receiver is at rest, about five bytes' time later."""
        if self._receiving:
            self._stopping = True
            self._timeout_alarm.at(self.system.now + 5 * self._byte_cycles())

    def task_flushrx(self) -> None:
        """Nothing is ever left in the FIFO of the DMA receiver: bytes wait on the host's side."""
        if self._dma:
            self.words[_RX_AMOUNT >> 2] = 0
            self.fire(_ENDRX)

    def task_suspend(self) -> None:
        """Suspend: the UART without flow control does not stop for it."""

    def _arriving(self) -> int:
        """How many bytes the next receive event brings."""
        return min(len(self.line), self._room, _BATCH) if self._dma else min(len(self.line), 1)

    def _schedule_receive(self) -> None:
        if self._receiving and not self._stopping and self._receive_alarm.when == NEVER:
            count = self._arriving()
            if count:
                self._receive_alarm.at(self.system.now + count * self._byte_cycles())

    def _receive(self) -> None:
        if not self._receiving or self._stopping:
            return
        if self._dma:
            self._receive_dma(self.line.take(self._arriving()))
        elif len(self._fifo) < _FIFO:
            self._fifo += self.line.take(1)
            self.fire(_RXDRDY)
        if self._dma or len(self._fifo) < _FIFO:
            self._schedule_receive()

    def _receive_dma(self, data: bytes) -> None:
        self.system.write_memory(self._pointer, data)
        self._pointer += len(data)
        self._room -= len(data)
        self.words[_RX_AMOUNT >> 2] += len(data)
        self.fire(_RXDRDY, len(data))
        if not self._room and self._receiving:
            self._receiving = False
            self.fire(_ENDRX)

    def _receive_timed_out(self) -> None:
        was_receiving, self._receiving, self._stopping = self._receiving, False, False
        if self._dma and was_receiving:
            self.fire(_ENDRX)
        self.fire(_RXTO)

    def _read_rxd(self, _offset: int) -> int:
        if not self._fifo:
            return 0
        value, self._fifo = self._fifo[0], self._fifo[1:]
        if self._fifo:
            self.fire(_RXDRDY)
        self._schedule_receive()
        return value

    # sending

    def task_starttx(self) -> None:
        """Send the DMA buffer, or let TXD send."""
        self._sending = True
        if self._dma:
            self.fire(_TXSTARTED)
            count = self.words[_TX_MAXCNT >> 2] & 0xFFFF
            pointer = self.words[_TX_PTR >> 2]
            data = self.system.read_memory(pointer, count)
            if len(data) < count:
                self.system.report(
                    DiagnosticKind.UNMODELLED_FEATURE,
                    self.base + _TX_PTR,
                    pointer,
                    "EasyDMA reaches RAM only; nothing is sent",
                )
            self.line.send(data)
            self.words[_TX_AMOUNT >> 2] = len(data)
            self._sent_alarm.at(self.system.now + max(1, len(data)) * self._byte_cycles())

    def task_stoptx(self) -> None:
        """Stop sending. What the DMA has taken is sent already."""
        self._sending = False
        if self._dma:
            self.fire(_TXSTOPPED)

    def _sent(self) -> None:
        self.fire(_TXDRDY)
        if self._dma:
            self.fire(_ENDTX)

    def _write_txd(self, offset: int, value: int) -> None:
        self.words[offset >> 2] = value & 0xFF
        if self._sending and self.words[_ENABLE >> 2] == _UART_ON:
            self.line.send(bytes([value & 0xFF]))
            self._sent_alarm.at(self.system.now + self._byte_cycles())
