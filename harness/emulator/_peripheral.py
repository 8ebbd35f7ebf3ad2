"""What every peripheral model is made of: a page of registers with rules, alarms, and an interrupt line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any, ClassVar, Final, Protocol

from ._alarms import Alarm
from ._diagnostics import DiagnosticKind

__all__ = ["Access", "Peripheral", "Register", "ResetKind", "System"]

_PAGE: Final = 0x1000


class ResetKind(IntEnum):
    """How a device comes to start again. Flash survives all of them; RAM all but a power cycle."""

    POWER_ON = 0
    PIN = 1
    SOFT = 2
    WATCHDOG = 3
    LOCKUP = 4
    DEBUG = 5
    WAKE = 6


class Access(Enum):
    """What a register does by itself when the bus touches it."""

    PLAIN = "rw"  # stores and gives back
    READ_ONLY = "ro"
    ACTIVE = "active"  # a write calls the model; a read gives the stored word
    LIVE = "live"  # both call the model


@dataclass(frozen=True, slots=True)
class Register:
    """A register, or ``count`` of them ``stride`` bytes apart, at a byte offset in the page.

    ``on_write`` and ``on_read`` name methods of the peripheral: ``on_write(offset, value)``
    and ``on_read(offset) -> value``.
    """

    offset: int
    name: str
    access: Access = Access.PLAIN
    reset: int = 0
    count: int = 1
    stride: int = 4
    on_write: str = ""
    on_read: str = ""

    def offsets(self) -> range:
        """Byte offsets of all its instances."""
        return range(self.offset, self.offset + self.count * self.stride, self.stride)


class System(Protocol):
    """What a peripheral may use of the machine around it."""

    @property
    def now(self) -> int:
        """The CPU cycle."""

    def alarm(self, action: Callable[[], None], *, clock: bool = False) -> Alarm:
        """A new alarm; ``clock`` if it belongs to something that counts on its own."""

    def clock_was_read(self) -> None:
        """The firmware learns the state of a running counter."""

    def exact_pc(self) -> int:
        """Address of the instruction that makes the present access; call it before changing anything."""

    def report(self, kind: DiagnosticKind, address: int, value: int | None = None, note: str = "") -> None:
        """Report something about the present access, once for each kind and address."""

    def set_irq(self, number: int, level: bool) -> None:
        """Drive an interrupt line."""

    def request_reset(self, kind: ResetKind) -> None:
        """Reset the device before the next block of instructions."""

    def switch_off(self) -> bool:
        """Stop everything until a reset; False if a debugger keeps the chip on."""

    def read_memory(self, address: int, size: int) -> bytes:
        """Read as a DMA master (RAM and flash)."""

    def write_memory(self, address: int, data: bytes) -> None:
        """Write as a DMA master (RAM only)."""

    def page(self, address: int) -> Any:
        """Host memory of the 4 KiB page at an address: what the devices in it share."""

    def access_changed(self, device: Peripheral) -> None:
        """A device was given its clock, or lost it (`Peripheral.clocked`)."""


class Peripheral:
    """Base of all models. A subclass lists `REGISTERS`, and in `STATE` the attributes a snapshot keeps.

    `SIZE` is how much of the address space it takes, in bytes; several may share a 4 KiB page.
    While it is not `clocked` it does not answer.

    `CLOCKS` are those of `STATE` that say when a running counter was started.
    """

    REGISTERS: ClassVar[tuple[Register, ...]] = ()
    STATE: ClassVar[tuple[str, ...]] = ()
    SIZE: ClassVar[int] = _PAGE
    CLOCKS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, system: System, name: str, base: int, irq: int | None = None) -> None:
        self.system, self.name, self.base, self.irq = system, name, base, irq
        self.clocked = True
        self.memory = system.page(base)
        start = base % _PAGE
        self.words = memoryview(self.memory).cast("B")[start : start + self.SIZE].cast("I")
        self._by_offset: dict[int, Register] = {}
        self._writers: dict[int, Callable[[int, int], None]] = {}
        self._readers: dict[int, Callable[[int], int]] = {}
        for register in self.registers():
            for offset in register.offsets():
                self._by_offset[offset] = register
                if register.on_write:
                    self._writers[offset] = getattr(self, register.on_write)
                if register.on_read:
                    self._readers[offset] = getattr(self, register.on_read)
        for offset, register in self._by_offset.items():
            self.words[offset >> 2] = register.reset
        self._at_reset = bytes(self.words)

    def registers(self) -> Iterable[Register]:
        """All registers; a subclass may add to the table."""
        return self.REGISTERS

    def load_reset_values(self) -> None:
        """Put every register to its reset value."""
        self.words.cast("B")[:] = self._at_reset

    def reset(self, kind: ResetKind) -> None:  # noqa: ARG002 - subclasses tell kinds apart
        """The device resets. The default: registers to their reset values."""
        self.load_reset_values()

    def quiet_words(self) -> list[int]:
        """Word indices that the CPU may read without asking the model."""
        return [offset >> 2 for offset in self._by_offset if offset not in self._readers]

    def plain_words(self) -> list[int]:
        """Word indices that the CPU may write without asking the model."""
        return [
            offset >> 2 for offset, register in self._by_offset.items() if register.access is Access.PLAIN
        ]

    def set_clocked(self, on: bool) -> None:
        """Switch its clock on or off; registers keep what they hold."""
        if on != self.clocked:
            self.clocked = on
            self.system.access_changed(self)

    def knows(self, offset: int) -> bool:
        """Whether the word at this byte offset is modelled."""
        return offset & ~3 in self._by_offset

    def read_only(self, offset: int) -> bool:
        """Whether a write to the word at this byte offset is against the part's rules."""
        register = self._by_offset.get(offset & ~3)
        return register is not None and register.access is Access.READ_ONLY

    def merge_base(self, offset: int) -> int:
        """What the other bytes of a word are when only some of them are written."""
        return self.words[offset >> 2]

    def load(self, offset: int) -> int:
        """A 32-bit read by any master."""
        reader = self._readers.get(offset)
        return reader(offset) if reader else self.words[offset >> 2]

    def store(self, offset: int, value: int) -> None:
        """A 32-bit write by any master."""
        writer = self._writers.get(offset)
        if writer:
            writer(offset, value)
        else:
            self.words[offset >> 2] = value

    def save(self) -> Any:
        """A copy of all state, registers included; alarms are saved by the machine."""
        return bytes(self.words), tuple(_copied(getattr(self, name)) for name in self.STATE)

    def changed_words(self) -> bytes:
        """The registers with their address, empty while they are as after a reset."""
        words = bytes(self.words)
        return b"" if words == self._at_reset else self.base.to_bytes(4, "little") + words

    def timeless(self) -> tuple[Any, ...]:
        """The state itself, but registers and what depends on the time of day of a running counter."""
        return tuple([getattr(self, name) for name in self.STATE if name not in self.CLOCKS])

    def restore(self, state: Any) -> None:
        """Put back what `save` gave."""
        words, values = state
        self.words.cast("B")[:] = words
        for name, value in zip(self.STATE, values, strict=True):
            setattr(self, name, _copied(value))


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, (bytearray, list, dict, set)) else value
