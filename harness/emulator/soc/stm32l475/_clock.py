"""RCC, PWR and backup registers: clocks, clock gates, reset causes (RM0351 chapters 6, 5, 38)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..._diagnostics import DiagnosticKind
from ..._peripheral import Access, Peripheral, Register, ResetKind, System

__all__ = ["LSI_HZ", "BackupRegisters", "Pwr", "Rcc"]

LSI_HZ: Final = 32_000
_LSE_HZ: Final = 32_768
_HSI_HZ: Final = 16_000_000
_HSE_HZ: Final = 8_000_000  # what boards that have one mostly fit
_MSI_HZ: Final = (
    *(100_000, 200_000, 400_000, 800_000, 1_000_000, 2_000_000),
    *(4_000_000, 8_000_000, 16_000_000, 24_000_000, 32_000_000, 48_000_000),
)
_FASTEST: Final = 80_000_000
_HZ_PER_WAIT_STATE: Final = 16_000_000  # voltage range 1 (3.3.3, table "Number of wait states")

_CR, _CFGR, _PLLCFGR, _AHB1ENR, _CCIPR, _BDCR, _CSR = 0x00, 0x08, 0x0C, 0x48, 0x88, 0x90, 0x94
_RESETS_TO_ENABLES: Final = 0x48 - 0x28
_FLASH_ACR: Final = 0x40022000
#: CR: each oscillator's ON bit and the READY bit that follows it
_READY: Final = {0: 1, 8: 10, 16: 17, 24: 25, 26: 27, 28: 29}
_PLL_ON: Final = 1 << 24
#: CFGR.SW: the READY bit of CR that a system clock needs
_NEEDS: Final = (1 << 1, 1 << 10, 1 << 17, 1 << 25)
_PLL: Final = 3
_REMOVE_FLAGS: Final = 1 << 23
_FLAGS: Final = 0xFF000000
_PIN: Final = 1 << 26
#: CSR: every cause but a loss of power shows PINRSTF too, as the chip pulls its own reset pin (6.1.2)
_CAUSES: Final = {
    ResetKind.POWER_ON: 1 << 27 | _PIN,
    ResetKind.PIN: _PIN,
    ResetKind.SOFT: 1 << 28 | _PIN,
    ResetKind.WATCHDOG: 1 << 29 | _PIN,
    ResetKind.LOCKUP: _PIN,
    ResetKind.WAKE: 0,  # never: deep sleep is not modelled here
}


class Rcc(Peripheral):
    """Oscillators are ready at once. ``hclk`` and ``kernel_clock`` tell frequencies in Hz.

    Devices given to `gate` answer while their bit is set. Functions in ``changed`` are
    called with the HCLK frequency before a change.
    """

    SIZE = 0x400
    REGISTERS = (
        Register(_CR, "CR", Access.ACTIVE, 0x63, on_write="_write_cr"),
        Register(0x04, "ICSCR", reset=0x10000000),
        Register(_CFGR, "CFGR", Access.ACTIVE, on_write="_write_cfgr"),
        Register(_PLLCFGR, "PLLCFGR", Access.ACTIVE, 0x1000, on_write="_write_pllcfgr"),
        Register(0x10, "PLLSAI1CFGR", reset=0x1000),
        Register(0x14, "PLLSAI2CFGR", reset=0x1000),
        Register(0x18, "CIER"),
        Register(0x1C, "CIFR", Access.READ_ONLY),
        Register(0x20, "CICR"),
        Register(0x28, "AHBRSTR", Access.ACTIVE, count=3, on_write="_write_reset"),
        Register(0x38, "APBRSTR", Access.ACTIVE, count=3, on_write="_write_reset"),
        Register(_AHB1ENR, "AHB1ENR", Access.ACTIVE, 0x100, on_write="_write_enable"),
        Register(0x4C, "AHBENR", Access.ACTIVE, count=2, on_write="_write_enable"),
        Register(0x58, "APBENR", Access.ACTIVE, count=3, on_write="_write_enable"),
        Register(0x68, "AHB1SMENR", reset=0x11303),
        Register(0x6C, "AHB2SMENR", reset=0x532FF),
        Register(0x70, "AHB3SMENR", reset=0x101),
        Register(0x78, "APB1SMENR1", reset=0xF2FECA3F),
        Register(0x7C, "APB1SMENR2", reset=0x25),
        Register(0x80, "APB2SMENR", reset=0x1677C01),
        Register(_CCIPR, "CCIPR", Access.ACTIVE, on_write="_write_ccipr"),
        Register(_BDCR, "BDCR", Access.ACTIVE, on_write="_write_bdcr"),
        Register(_CSR, "CSR", Access.ACTIVE, 0x600, on_write="_write_csr"),
    )

    def __init__(self, system: System, base: int, pwr: Pwr, backup: BackupRegisters) -> None:
        super().__init__(system, "RCC", base)
        self._pwr, self._backup = pwr, backup
        self._gates: list[tuple[int, int, Peripheral]] = []
        self.changed: list[Callable[[int], None]] = []
        self.wait_states: Callable[[], int] = lambda: 4
        self.hclk = self._frequency()

    # clocks

    def _bits(self, offset: int, first: int, width: int) -> int:
        return self.words[offset >> 2] >> first & (1 << width) - 1

    def _msi(self) -> int:
        chosen = self._bits(_CR, 4, 4) if self._bits(_CR, 3, 1) else self._bits(_CSR, 8, 4)
        return _MSI_HZ[min(chosen, len(_MSI_HZ) - 1)]

    def _pll(self) -> int:
        source = (0, self._msi(), _HSI_HZ, _HSE_HZ)[self._bits(_PLLCFGR, 0, 2)]
        vco = source * self._bits(_PLLCFGR, 8, 7) // (self._bits(_PLLCFGR, 4, 3) + 1)
        return vco // (2 * self._bits(_PLLCFGR, 25, 2) + 2)

    def _sysclk(self) -> int:
        return (self._msi(), _HSI_HZ, _HSE_HZ, self._pll())[self._bits(_CFGR, 0, 2)] or self._msi()

    def _frequency(self) -> int:
        prescaler = self._bits(_CFGR, 4, 4)
        divider = (2, 4, 8, 16, 64, 128, 256, 512)[prescaler - 8] if prescaler >= 8 else 1
        return self._sysclk() // divider

    def _bus_clock(self, first: int) -> int:
        """PCLK1 or PCLK2, by where its divider stands in CFGR."""
        prescaler = self._bits(_CFGR, first, 3)
        return self.hclk // (2 << prescaler - 4 if prescaler >= 4 else 1)

    def kernel_clock(self, selector: int, *, second_bus: bool) -> int:
        """The clock that CCIPR chooses for a UART, by the place of its selector there."""
        choice = self._bits(_CCIPR, selector, 2)
        bus = self._bus_clock(11 if second_bus else 8)
        return (bus, self._sysclk(), _HSI_HZ, _LSE_HZ)[choice]

    def cycles(self, periods: int, hz: int) -> int:
        """CPU cycles until so many periods of another clock have passed, rounded up."""
        return -(-periods * self.hclk // hz)

    def _clocks_changed(self) -> None:
        before, self.hclk = self.hclk, self._frequency()
        if before != self.hclk:
            for function in self.changed:
                function(before)
        self.check_wait_states()

    def check_wait_states(self) -> None:
        """Report a CPU that is faster than the flash allows, or than any part is."""
        if self.hclk > _FASTEST:
            self._complain(_CFGR, f"{self.hclk} Hz is more than the part's {_FASTEST}")
        elif -(-self.hclk // _HZ_PER_WAIT_STATE) - 1 > self.wait_states():
            note = f"too few wait states for {self.hclk} Hz"
            self.system.report(DiagnosticKind.CLOCK_CONFLICT, _FLASH_ACR, None, note)

    def _complain(self, offset: int, note: str) -> None:
        value = self.words[offset >> 2]
        self.system.report(DiagnosticKind.CLOCK_CONFLICT, self.base + offset, value, note)

    # gates

    def gate(self, enable: int, bit: int, device: Peripheral) -> None:
        """A device has a clock while this bit of this enable register is set."""
        self._gates.append((enable, bit, device))
        device.clocked = bool(self.words[enable >> 2] >> bit & 1)

    def _apply_gates(self) -> None:
        for enable, bit, device in self._gates:
            device.set_clocked(bool(self.words[enable >> 2] >> bit & 1))

    def _write_enable(self, offset: int, value: int) -> None:
        self.words[offset >> 2] = value
        self._apply_gates()

    def _write_reset(self, offset: int, value: int) -> None:
        """Devices whose bit goes up are reset; holding them in reset makes no difference here."""
        started = value & ~self.words[offset >> 2]
        self.words[offset >> 2] = value
        for enable, bit, device in self._gates:
            if enable == offset + _RESETS_TO_ENABLES and started >> bit & 1:
                device.reset(ResetKind.SOFT)

    # registers

    def _write_cr(self, offset: int, value: int) -> None:
        in_use = 1 << (0, 8, 16, 24)[self._bits(_CFGR, 0, 2)]
        if not value & in_use:
            self._complain(offset, "the clock that the CPU runs on cannot be stopped")
            value |= in_use
        for on, ready in _READY.items():
            value = value & ~(1 << ready) | (value >> on & 1) << ready
        if value & _PLL_ON and not self._bits(_PLLCFGR, 0, 2):
            value &= ~(1 << 25)
        self.words[offset >> 2] = value
        self._clocks_changed()

    def _write_cfgr(self, offset: int, value: int) -> None:
        switch = value & 3
        if not self.words[_CR >> 2] & _NEEDS[switch]:
            self._complain(offset, "the new system clock is not ready")
            switch = self._bits(_CFGR, 0, 2)
        elif switch == _PLL and not self._bits(_PLLCFGR, 24, 1):
            self._complain(offset, "PLLREN does not let the PLL's clock out")
        self.words[offset >> 2] = value & ~0xF | switch << 2 | switch
        self._clocks_changed()

    def _write_pllcfgr(self, offset: int, value: int) -> None:
        fixed = 0x7FFF
        if self.words[_CR >> 2] & _PLL_ON and (value ^ self.words[offset >> 2]) & fixed:
            self._complain(offset, "the PLL cannot be set while it runs")
            return
        self.words[offset >> 2] = value
        self._clocks_changed()

    def _write_ccipr(self, offset: int, value: int) -> None:
        self.words[offset >> 2] = value

    def _write_bdcr(self, offset: int, value: int) -> None:
        if not self._pwr.backup_writable:
            self._complain(offset, "PWR_CR1.DBP does not allow it")
            return
        self.words[offset >> 2] = 0 if value >> 16 & 1 else value & ~2 | (value & 1) << 1
        if value >> 16 & 1:
            self._backup.reset(ResetKind.POWER_ON)

    def _write_csr(self, offset: int, value: int) -> None:
        flags = 0 if value & _REMOVE_FLAGS else self.words[offset >> 2] & _FLAGS
        self.words[offset >> 2] = flags | value & 0xF00 | (value & 1) * 3
        self._clocks_changed()

    def reset(self, kind: ResetKind) -> None:
        """CSR gains the cause; without power it is forgotten, and so is the backup domain."""
        if kind is ResetKind.DEBUG:
            return
        power_on = kind is ResetKind.POWER_ON
        flags = 0 if power_on else self.words[_CSR >> 2] & _FLAGS
        backup = 0 if power_on else self.words[_BDCR >> 2]
        super().reset(kind)
        self.words[_CSR >> 2] |= flags | _CAUSES[kind]
        self.words[_BDCR >> 2] = backup
        self._apply_gates()
        before, self.hclk = self.hclk, self._frequency()
        for function in self.changed:
            function(before)

    def restore(self, state: Any) -> None:
        """Put back what `save` gave. Alarms are restored as they were, so nobody is told of the clock."""
        super().restore(state)
        self.hclk = self._frequency()
        self._apply_gates()


class Pwr(Peripheral):
    """Voltage is always right; CR1.DBP guards the backup domain."""

    SIZE = 0x400
    REGISTERS = (
        Register(0x00, "CR1", reset=0x200),
        Register(0x04, "CR2"),
        Register(0x08, "CR3", reset=0x8000),
        Register(0x0C, "CR4"),
        Register(0x10, "SR1", Access.READ_ONLY),
        Register(0x14, "SR2", Access.READ_ONLY),
        Register(0x18, "SCR"),
        Register(0x20, "PULLS", count=16),
    )

    def __init__(self, system: System, base: int) -> None:
        super().__init__(system, "PWR", base)

    @property
    def backup_writable(self) -> bool:
        """CR1.DBP."""
        return bool(self.words[0] & 0x100)


class BackupRegisters(Peripheral):
    """The 32 words that the RTC keeps for programs. The clock itself is not there."""

    SIZE = 0x400
    REGISTERS = (Register(0x50, "BKPR", Access.ACTIVE, count=32, on_write="_write_word"),)

    def __init__(self, system: System, base: int, pwr: Pwr) -> None:
        self._pwr = pwr
        super().__init__(system, "RTC", base)

    def _write_word(self, offset: int, value: int) -> None:
        if self._pwr.backup_writable:
            self.words[offset >> 2] = value
        else:
            note = "PWR_CR1.DBP does not allow it"
            self.system.report(DiagnosticKind.CLOCK_CONFLICT, self.base + offset, value, note)

    def reset(self, kind: ResetKind) -> None:
        """Lost without power only, or by RCC_BDCR.BDRST."""
        if kind is ResetKind.POWER_ON:
            super().reset(kind)
