"""GPIO, SYSCFG, EXTI, RNG and DBGMCU (RM0351 chapters 8, 9, 14, 27, 48), as far as updates need them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from ..._peripheral import Access, Peripheral, Register, ResetKind, System
from ._clock import Rcc

__all__ = ["Dbgmcu", "Exti", "Gpio", "Rng", "Syscfg"]


class _Kept(Peripheral):
    """A device that a core reset by the debugger leaves alone."""

    SIZE = 0x400

    def reset(self, kind: ResetKind) -> None:
        """To reset values, unless only the core is reset."""
        if kind is not ResetKind.DEBUG:
            super().reset(kind)


class Gpio(_Kept):
    """One port. Inputs are low unless pulled up. ``changed`` is called when the use of pins changes."""

    _MODES: Final = {"A": 0xABFFFFFF, "B": 0xFFFFFEBF, "H": 0x0000000F}
    _SPEEDS: Final = {"A": 0x0C000000}
    _PULLS: Final = {"A": 0x64000000, "B": 0x00000100}

    def __init__(self, system: System, port: str, base: int) -> None:
        self._port = port
        self.changed: list[Callable[[], None]] = []
        super().__init__(system, f"GPIO{port}", base)

    def registers(self) -> Iterable[Register]:
        port = self._port
        return (
            Register(0x00, "MODER", Access.ACTIVE, self._MODES.get(port, 0xFFFFFFFF), on_write="_write_use"),
            Register(0x04, "OTYPER"),
            Register(0x08, "OSPEEDR", reset=self._SPEEDS.get(port, 0)),
            Register(0x0C, "PUPDR", reset=self._PULLS.get(port, 0)),
            Register(0x10, "IDR", Access.LIVE, on_write="_ignore", on_read="_read_inputs"),
            Register(0x14, "ODR"),
            Register(0x18, "BSRR", Access.ACTIVE, on_write="_write_set_reset"),
            Register(0x1C, "LCKR"),
            Register(0x20, "AFR", Access.ACTIVE, count=2, on_write="_write_use"),
            Register(0x28, "BRR", Access.ACTIVE, on_write="_write_reset"),
            Register(0x2C, "ASCR"),
        )

    def _ignore(self, _offset: int, _value: int) -> None:
        pass

    def _write_use(self, offset: int, value: int) -> None:
        self.words[offset >> 2] = value
        for function in self.changed:
            function()

    def alternate_function(self, pin: int) -> int | None:
        """Which of its functions a pin has, if it has one."""
        if self.words[0] >> 2 * pin & 3 != 2:
            return None
        return self.words[0x20 + pin // 8 * 4 >> 2] >> pin % 8 * 4 & 0xF

    def _write_set_reset(self, _offset: int, value: int) -> None:
        self.words[0x14 >> 2] = self.words[0x14 >> 2] & ~(value >> 16) | value & 0xFFFF

    def _write_reset(self, _offset: int, value: int) -> None:
        self.words[0x14 >> 2] &= ~value & 0xFFFF

    def _read_inputs(self, _offset: int) -> int:
        modes, pulls, out = (self.words[offset >> 2] for offset in (0x00, 0x0C, 0x14))
        value = 0
        for pin in range(16):
            mode, pull = modes >> 2 * pin & 3, pulls >> 2 * pin & 3
            level = out >> pin & 1 if mode == 1 else mode != 3 and pull == 1
            value |= level << pin
        return value


class Syscfg(_Kept):
    """Settings that nothing here depends on."""

    REGISTERS = (
        Register(0x00, "MEMRMP"),
        Register(0x04, "CFGR1", reset=0x7C000001),
        Register(0x08, "EXTICR", count=4),
        Register(0x18, "SCSR"),
        Register(0x1C, "CFGR2"),
        Register(0x20, "SWPR"),
        Register(0x24, "SKR"),
    )

    def __init__(self, system: System, base: int) -> None:
        super().__init__(system, "SYSCFG", base)


class Exti(_Kept):
    """Masks and edges; no line ever changes."""

    REGISTERS = tuple(
        Register(start + offset, f"{name}{number}", access, reset)
        for number, start, mask in ((1, 0x00, 0xFF820000), (2, 0x20, 0xFFFFFF87))
        for offset, name, access, reset in (
            (0x00, "IMR", Access.PLAIN, mask),
            (0x04, "EMR", Access.PLAIN, 0),
            (0x08, "RTSR", Access.PLAIN, 0),
            (0x0C, "FTSR", Access.PLAIN, 0),
            (0x10, "SWIER", Access.PLAIN, 0),
            (0x14, "PR", Access.PLAIN, 0),
        )
    )

    def __init__(self, system: System, base: int) -> None:
        super().__init__(system, "EXTI", base)


class Rng(_Kept):
    """Random numbers that depend on the seed alone, so that a run can be repeated."""

    _CYCLES: Final = 40  # of the 48 MHz clock for one number (27.3.3)
    REGISTERS = (
        Register(0x00, "CR", Access.ACTIVE, on_write="_write_cr"),
        Register(0x04, "SR", Access.READ_ONLY),
        Register(0x08, "DR", Access.LIVE, on_write="_ignore", on_read="_read_number"),
    )
    STATE = ("_state",)

    def __init__(self, system: System, base: int, irq: int, rcc: Rcc, seed: int) -> None:
        self._seed = self._state = seed & 0xFFFFFFFFFFFFFFFF | 1
        super().__init__(system, "RNG", base, irq)
        self._rcc = rcc
        self._alarm = system.alarm(self._ready)

    def reset(self, kind: ResetKind) -> None:
        """Stopped; at power-on the sequence starts anew."""
        super().reset(kind)
        if kind is ResetKind.POWER_ON:
            self._state = self._seed
        if kind is not ResetKind.DEBUG:
            self._alarm.cancel()
            self._update_irq()

    def _ignore(self, _offset: int, _value: int) -> None:
        pass

    def _update_irq(self) -> None:
        assert self.irq is not None
        self.system.set_irq(self.irq, bool(self.words[0] & 8 and self.words[1] & 1))

    def _write_cr(self, _offset: int, value: int) -> None:
        started = value & 4 and not self.words[0] & 4
        self.words[0] = value & 0x2C
        if started:
            self._next()
        elif not value & 4:
            self._alarm.cancel()
            self.words[1] = 0
        self._update_irq()

    def _next(self) -> None:
        self._alarm.at(self.system.now + self._rcc.cycles(self._CYCLES, 48_000_000))

    def _ready(self) -> None:
        state = self._state  # xorshift64 (Marsaglia 2003)
        state ^= state << 13 & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 7
        state ^= state << 17 & 0xFFFFFFFFFFFFFFFF
        self._state = state
        self.words[1] = 1
        self._update_irq()

    def _read_number(self, _offset: int) -> int:
        if not self.words[1] & 1:
            return 0
        self.words[1] = 0
        self._update_irq()
        self._next()
        return self._state >> 16 & 0xFFFFFFFF


class Dbgmcu(Peripheral):
    """What a debugger knows the chip by. Time stands still while it holds the core, whatever is set here."""

    SIZE = 0x400
    REGISTERS = (
        Register(0x00, "IDCODE", Access.READ_ONLY, 0x10076415),
        Register(0x04, "CR"),
        Register(0x08, "APB1FZR1"),
        Register(0x0C, "APB1FZR2"),
        Register(0x10, "APB2FZR"),
    )

    def __init__(self, system: System, base: int) -> None:
        super().__init__(system, "DBGMCU", base)

    def reset(self, kind: ResetKind) -> None:
        """Lost without power only."""
        if kind is ResetKind.POWER_ON:
            super().reset(kind)
