"""What must be known of a SoC to run it in Renode, beside the models in `models/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from .._errors import EmulatorError
from ..emulator.control import AccessPort

__all__ = ["Platform", "find_platform", "model_file", "platform_names"]

#: runs a monitor command that says nothing; a core that a debugger does not hold has no program afterwards
Order = Callable[[str], None]
#: resets the core alone
ResetCore = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Platform:
    """A SoC. ``flash`` and ``ram`` are (address, size); ``flash`` is all that a snapshot keeps.

    ``uarts`` are Renode's names of the serial lines, ``power`` that of the model which knows why the
    chip was reset: it has ``Resets``, ``PowerOn``, ``PinReset`` and ``GiveUp``. ``identity`` gives monitor
    commands that make a chip individual, ``rom_table`` what the CoreSight ROM table names: part and
    JEP106 designer.
    """

    name: str
    flash: tuple[tuple[int, int], ...]
    ram: tuple[tuple[int, int], ...]
    rom_table: tuple[int, int]
    uarts: tuple[str, ...] = ("uart0",)
    power: str = "power"
    identity: Callable[[int], tuple[str, ...]] = lambda _seed: ()
    access_ports: Callable[[Order, ResetCore], Mapping[int, AccessPort]] = lambda _order, _reset: {}


class _CtrlAp:
    """nRF52 access port 1: erase all, reset; it is never locked (PS, "CTRL-AP")."""

    _IDR: Final = 0x02880000

    def __init__(self, order: Order, reset: ResetCore) -> None:
        self._order, self._reset_core = order, reset
        self._reset = 0

    def read(self, address: int) -> int:
        """RESET, ERASEALLSTATUS (always ready), APPROTECTSTATUS (1: not locked), IDR."""
        return {0x00: self._reset, 0x08: 0, 0x0C: 1, 0xFC: self._IDR}.get(address, 0)

    def write(self, address: int, value: int) -> None:
        """RESET or ERASEALL."""
        if address == 0x00:
            if self._reset and not value & 1:
                self._reset_core()
            self._reset = value & 1
        elif address == 0x04 and value & 1:
            self._order("sysbus.nvmc EraseAll")


def _nrf52840_identity(seed: int) -> tuple[str, ...]:
    """FICR of an nRF52840-QIAA (PS chapter FICR), and the part number that start-up code reads."""
    words = {
        0x10000010: 0x1000,  # CODEPAGESIZE
        0x10000014: 0x100,  # CODESIZE, in pages
        0x10000060: seed & 0xFFFFFFFF,  # DEVICEID
        0x10000064: seed >> 32 & 0xFFFFFFFF,
        0x10000100: 0x52840,  # INFO.PART
        0x10000104: 0x41414330,  # INFO.VARIANT: AAC0
        0x10000108: 0x2004,  # INFO.PACKAGE: QIxx
        0x1000010C: 0x100,  # INFO.RAM, KiB
        0x10000110: 0x400,  # INFO.FLASH, KiB
    }
    return tuple(f"sysbus WriteDoubleWord {at:#x} {value:#x}" for at, value in words.items())


def _stm32l475_identity(seed: int) -> tuple[str, ...]:
    """Unique id, flash size and option bytes (RM0351 chapter 49, 3.4.1)."""
    words = {
        0x1FFF7590: seed & 0xFFFFFFFF,
        0x1FFF7594: seed >> 32 & 0xFFFFFFFF,
        0x1FFF7598: 0x20363358,
        0x1FFF75E0: 1024,
        0x1FFF7800: 0xFFEFF8AA,
    }
    return tuple(f"sysbus WriteDoubleWord {at:#x} {value:#x}" for at, value in words.items())


@cache
def _platforms() -> Mapping[str, Platform]:
    known = (
        Platform(
            "nrf52840",
            flash=((0, 0x100000), (0x10001000, 0x1000)),
            ram=((0x20000000, 0x40000),),
            rom_table=(0x008, 0x244),
            identity=_nrf52840_identity,
            access_ports=lambda order, reset: {1: _CtrlAp(order, reset)},
        ),
        Platform(
            "stm32l475",
            flash=((0x08000000, 0x100000),),
            ram=((0x20000000, 0x18000),),
            rom_table=(0x415, 0x020),
            uarts=("usart1",),
            power="rcc",
            identity=_stm32l475_identity,
        ),
    )
    return {platform.name: platform for platform in known}


def platform_names() -> list[str]:
    """Names that a board file may give as ``renode``."""
    return sorted(_platforms())


def find_platform(name: str) -> Platform:
    """The platform of this name. Raises `EmulatorError`."""
    try:
        return _platforms()[name]
    except KeyError:
        raise EmulatorError(
            f"no Renode platform is called {name!r}",
            expected=", ".join(platform_names()),
            remedy="correct 'renode' in the board file, or add the platform: docs/renode.md",
        ) from None


def model_file(name: str) -> Path:
    """A file of `models/`."""
    return Path(str(resources.files(__package__))) / "models" / name
