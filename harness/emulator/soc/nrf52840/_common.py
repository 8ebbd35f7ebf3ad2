"""What all nRF52 peripherals share: tasks, events, shorts, interrupt enables, and PPI between them.

Nordic nRF52840 Product Specification v1.7, chapter "Peripheral interface".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from ..._peripheral import Access, Peripheral, Register, ResetKind, System

__all__ = ["CYCLES_PER_SECOND", "LF_HZ", "NrfPeripheral", "Ppi", "lf_ticks_to_cycles"]

CYCLES_PER_SECOND: Final = 64_000_000
LF_HZ: Final = 32_768
_EVENTS: Final = 0x100
_SHORTS, _INTEN, _INTENSET, _INTENCLR = 0x200, 0x300, 0x304, 0x308


def lf_ticks_to_cycles(ticks: int) -> int:
    """CPU cycles until this many ticks of the 32.768 kHz clock have passed, rounded up."""
    return -(-ticks * CYCLES_PER_SECOND // LF_HZ)


class NrfPeripheral(Peripheral):
    """Tasks call methods, events raise flags, shorts join the two.

    ``TASKS`` and ``EVENTS`` map byte offsets to names; the method of task ``NAME`` is
    ``task_name``. ``SHORT_TABLE`` maps a bit of SHORTS to (event offset, task offset).
    """

    TASKS: ClassVar[dict[int, str]] = {}
    EVENTS: ClassVar[dict[int, str]] = {}
    SHORT_TABLE: ClassVar[dict[int, tuple[int, int]]] = {}
    STATE: ClassVar[tuple[str, ...]] = ("interrupts",)

    def __init__(
        self, system: System, name: str, base: int, irq: int | None = None, ppi: Ppi | None = None
    ) -> None:
        self.interrupts = 0
        self._ppi = ppi
        self._task_methods = {
            offset: getattr(self, f"task_{name.lower()}") for offset, name in self.TASKS.items()
        }
        super().__init__(system, name, base, irq)
        if ppi is not None:
            ppi.attach(self)

    def registers(self) -> Iterable[Register]:
        for offset, name in self.TASKS.items():
            yield Register(offset, f"TASKS_{name}", Access.ACTIVE, on_write="_write_task")
        for offset, name in self.EVENTS.items():
            yield Register(offset, f"EVENTS_{name}", Access.ACTIVE, on_write="_write_event")
        if self.SHORT_TABLE:
            yield Register(_SHORTS, "SHORTS")
        if self.EVENTS:
            yield Register(_INTEN, "INTEN", Access.LIVE, on_write="_write_inten", on_read="_read_inten")
            yield Register(
                _INTENSET, "INTENSET", Access.LIVE, on_write="_write_intenset", on_read="_read_inten"
            )
            yield Register(
                _INTENCLR, "INTENCLR", Access.LIVE, on_write="_write_intenclr", on_read="_read_inten"
            )
        yield from self.REGISTERS

    def reset(self, kind: ResetKind) -> None:
        """Registers to reset values, interrupt line down."""
        super().reset(kind)
        self.interrupts = 0
        self.update_irq()

    def trigger(self, offset: int) -> None:
        """Start a task, as a write of 1, a short or PPI does."""
        self._task_methods[offset]()

    def trigger_often(self, offset: int, times: int) -> None:
        """Start a task several times in a row."""
        for _ in range(times):
            self.trigger(offset)

    def fire(self, offset: int, times: int = 1) -> None:
        """Raise an event, with everything that hangs on it; ``times`` in a row as one."""
        self.words[offset >> 2] = 1
        self.update_irq()
        if self.SHORT_TABLE:
            shorts = self.words[_SHORTS >> 2]
            for bit, (event, task) in self.SHORT_TABLE.items():
                if event == offset and shorts >> bit & 1:
                    self.trigger(task)
        if self._ppi is not None:
            self._ppi.signal(self.base + offset, times)

    def update_irq(self) -> None:
        """Drive the interrupt line from events and enables."""
        if self.irq is None:
            return
        level = any(
            self.words[offset >> 2] and self.interrupts >> (offset - _EVENTS >> 2) & 1
            for offset in self.EVENTS
        )
        self.system.set_irq(self.irq, level)

    def _write_task(self, offset: int, value: int) -> None:
        if value & 1:
            self.trigger(offset)

    def _write_event(self, offset: int, value: int) -> None:
        if value & 1:
            self.fire(offset)
        else:
            self.words[offset >> 2] = 0
            self.update_irq()

    def _write_inten(self, _offset: int, value: int) -> None:
        self.interrupts = value
        self.update_irq()

    def _write_intenset(self, _offset: int, value: int) -> None:
        self._write_inten(0, self.interrupts | value)

    def _write_intenclr(self, _offset: int, value: int) -> None:
        self._write_inten(0, self.interrupts & ~value)

    def _read_inten(self, _offset: int) -> int:
        return self.interrupts


class Ppi(Peripheral):
    """Programmable peripheral interconnect: 20 free channels with forks, six groups.

    The twelve pre-programmed channels belong to the radio, which is not modelled.
    """

    CHANNELS: Final = 20
    REGISTERS = (
        Register(0x000, "TASKS_CHG", Access.ACTIVE, count=12, on_write="_write_group_task"),
        Register(0x500, "CHEN", Access.ACTIVE, on_write="_write_enable"),
        Register(0x504, "CHENSET", Access.LIVE, on_write="_write_enable_set", on_read="_read_enable"),
        Register(0x508, "CHENCLR", Access.LIVE, on_write="_write_enable_clear", on_read="_read_enable"),
        Register(0x510, "CH", Access.ACTIVE, count=2 * CHANNELS, on_write="_write_route"),
        Register(0x800, "CHG", count=6),
        Register(0x910, "FORK", Access.ACTIVE, count=32, on_write="_write_route"),
    )

    def __init__(self, system: System, base: int) -> None:
        super().__init__(system, "PPI", base)
        self._tasks: dict[int, tuple[NrfPeripheral, int]] = {}
        self._routes: dict[int, list[tuple[NrfPeripheral, int]]] = {}

    def reset(self, kind: ResetKind) -> None:
        """All channels off."""
        super().reset(kind)
        self._routes = {}

    def restore(self, state: Any) -> None:
        """Put back what `save` gave."""
        super().restore(state)
        self._find_routes()

    def attach(self, device: NrfPeripheral) -> None:
        """Let channels reach the tasks of a device."""
        for offset in device.TASKS:
            self._tasks[device.base + offset] = (device, offset)

    def signal(self, event: int, times: int = 1) -> None:
        """An event was raised at this address."""
        for device, task in self._routes.get(event, ()):
            device.trigger_often(task, times)

    def _find_routes(self) -> None:
        enabled = self.words[0x500 >> 2]
        self._routes = {}
        for channel in range(self.CHANNELS):
            if enabled >> channel & 1:
                event, task = self.words[(0x510 >> 2) + 2 * channel : (0x510 >> 2) + 2 * channel + 2]
                for address in (task, self.words[(0x910 >> 2) + channel]):
                    if address in self._tasks:
                        self._routes.setdefault(event, []).append(self._tasks[address])

    def _write_route(self, offset: int, value: int) -> None:
        self.words[offset >> 2] = value
        self._find_routes()

    def _write_enable(self, _offset: int, value: int) -> None:
        self._write_route(0x500, value)

    def _write_enable_set(self, _offset: int, value: int) -> None:
        self._write_route(0x500, self.words[0x500 >> 2] | value)

    def _write_enable_clear(self, _offset: int, value: int) -> None:
        self._write_route(0x500, self.words[0x500 >> 2] & ~value)

    def _read_enable(self, _offset: int) -> int:
        return self.words[0x500 >> 2]

    def _write_group_task(self, offset: int, value: int) -> None:
        if value & 1:
            group = self.words[(0x800 >> 2) + offset // 8]
            (self._write_enable_clear if offset & 4 else self._write_enable_set)(0, group)
