"""Which chip is really there: read before anything is erased.

Sources: Nordic product specifications, chapter FICR (INFO.PART 0x100, DEVICEID 0x60; from the nRF53 on
INFO at 0x200); ST reference manuals, chapters DBGMCU (IDCODE) and "Unique device ID register".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from .._errors import ProbeError, WrongDeviceError
from ._debug_port import DebugPort

__all__ = ["Identity", "check_identity", "identify"]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a chip says of itself; ``None`` where nobody knows where it would say it."""

    part: str | None
    """As the chip names itself, for example ``nRF52840`` or ``STM32 0x415``."""
    device_id: str | None
    """Unique number, hexadecimal, as the vendor's tools print it."""


@dataclass(frozen=True, slots=True)
class _Family:
    """Where parts of a family tell what they are: addresses, and what the part register should read."""

    part: int
    mask: int
    unique: int
    words: int
    nordic: bool


_NRF52: Final = {
    rf"nrf{part}.*": int(part, 16) for part in ("52805", "52810", "52811", "52820", "52833", "52840")
} | {r"nrf52(832)?": 0x52832}
_NRF53_91: Final = {
    r"nrf5340.*": (0x00FF0000 + 0x20C, 0x5340, 0x00FF0000 + 0x204),
    r"nrf91(60)?.*": (0x00FF0000 + 0x20C, 0x9160, 0x00FF0000 + 0x204),
}
_STM32: Final[dict[str, tuple[int, int, int]]] = {
    r"stm32l4[3]\d.*": (0xE0042000, 0x435, 0x1FFF7590),
    r"stm32l4[78]\d.*": (0xE0042000, 0x415, 0x1FFF7590),
    r"stm32f4(05|07|15|17).*": (0xE0042000, 0x413, 0x1FFF7A10),
    r"stm32g071.*": (0x40015800, 0x460, 0x1FFF7590),
}


def _family(target: str) -> tuple[_Family, int] | None:
    """The family and what its part register reads for this pyOCD target."""
    name = target.lower()
    for pattern, value in _NRF52.items():
        if re.fullmatch(pattern, name):
            return _Family(0x10000100, 0xFFFFFFFF, 0x10000060, 2, nordic=True), value
    for pattern, (part, value, unique) in _NRF53_91.items():
        if re.fullmatch(pattern, name):
            return _Family(part, 0xFFFFFFFF, unique, 2, nordic=True), value
    for pattern, (part, value, unique) in _STM32.items():
        if re.fullmatch(pattern, name):
            return _Family(part, 0xFFF, unique, 3, nordic=False), value
    return None


def identify(debug: DebugPort) -> Identity:
    """Ask the chip. Raises `ProbeError` if it does not answer at all."""
    known = _family(debug.target_type)
    if known is None:
        return Identity(None, None)
    family, _ = known
    part = _part_name(int.from_bytes(debug.read(family.part, 4), "little") & family.mask, family)
    try:
        raw = debug.read(family.unique, 4 * family.words)
    except ProbeError:  # not every part lets a debugger read it
        return Identity(part, None)
    words = [raw[at : at + 4][::-1].hex() for at in range(0, len(raw), 4)]
    return Identity(part, "".join(reversed(words)))


def _part_name(value: int, family: _Family) -> str:
    return f"nRF{value:x}" if family.nordic else f"STM32 {value:#x}"


def check_identity(debug: DebugPort, *, board: str, device_id: str | None = None) -> Identity:
    """Refuse a chip that is not the board's part, or not this very device.

    Raises:
        WrongDeviceError: says what was found; nothing has been written.
    """
    found = identify(debug)
    known = _family(debug.target_type)
    if known is not None:
        expected = _part_name(known[1], known[0])
        if found.part != expected:
            raise WrongDeviceError(
                f"the part behind the probe is not that of board {board}; nothing was written",
                where=debug.unique_id,
                expected=f"{expected} (target {debug.target_type})",
                found=found.part,
                remedy="connect the probe to the right board, or correct debug.target of the board file",
            )
    if device_id is not None and found.device_id != _plain(device_id):
        raise WrongDeviceError(
            f"another device than the bench file says is behind the probe of {board}; nothing was written",
            where=debug.unique_id,
            expected=f"device id {_plain(device_id)}",
            found=found.device_id or f"none: nobody knows where target {debug.target_type} keeps it",
            remedy="connect the right device, or correct device_id in the bench file",
        )
    return found


def _plain(device_id: str) -> str:
    return device_id.lower().removeprefix("0x").replace("-", "").replace(":", "")
