"""What the C sources must know of a board, as one generated header."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..mcuboot import DowngradePrevention, SwapMode

__all__ = ["Component", "FirmwareLayout", "Region"]


@dataclass(frozen=True, slots=True)
class Region:
    """A flash area: absolute address and size in bytes."""

    address: int
    size: int


@dataclass(frozen=True, slots=True)
class Component:
    """What is updated on its own: its name, LwM2M instance and two slots."""

    name: str
    lwm2m_instance: int
    primary: Region
    secondary: Region


@dataclass(frozen=True, slots=True)
class FirmwareLayout:
    """Everything that `board_config.h` says.

    ``components`` are in the order of their image numbers. ``public_key`` are the raw 32
    bytes of an Ed25519 key, None for a key of another kind, which the reference bootloader cannot use.
    ``key_hash`` is the SHA-256 of the key's DER SubjectPublicKeyInfo.
    """

    board: str
    soc: str
    ram: Region
    bootloader: Region
    scratch: Region | None
    storage: Region
    components: Sequence[Component]
    mode: SwapMode
    sector_size: int
    write_alignment: int
    max_alignment: int
    max_sectors: int
    header_size: int
    public_key: bytes | None
    key_hash: bytes
    console_baud: int
    watchdog_ms: int = 1000
    downgrade_prevention: DowngradePrevention = DowngradePrevention.NONE
    rollback_protection: bool = False
    serial_recovery: bool = False

    def header(self) -> str:
        """Text of `board_config.h`."""
        areas = [area for c in self.components for area in (c.primary, c.secondary)]
        pairs = [f"{area.address:#x}u, {area.size:#x}u" for area in areas]
        slots = ", ".join(f"{{{primary}, {secondary}}}" for primary, secondary in _in_pairs(pairs))
        values = {
            "BOARD_NAME": f'"{self.board}"',
            "CONSOLE_BAUD": f"{self.console_baud}u",
            "WATCHDOG_MS": f"{self.watchdog_ms}u",
            "FLASH_SECTOR_SIZE": f"{self.sector_size:#x}u",
            "FLASH_WRITE_ALIGNMENT": f"{self.write_alignment}u",
            f"BOOT_MODE_{self.mode.upper().replace('-', '_')}": "1",
            "BOOT_MAX_ALIGNMENT": f"{self.max_alignment}u",
            "BOOT_MAX_SECTORS": f"{self.max_sectors}u",
            "BOOT_HEADER_SIZE": f"{self.header_size:#x}u",
            "BOOT_IMAGES": f"{len(self.components)}",
            "BOOT_SLOTS": f"{{{slots}}}",
            "BOOT_SCRATCH_ADDRESS": f"{self.scratch.address if self.scratch else 0:#x}u",
            "BOOT_SCRATCH_SIZE": f"{self.scratch.size if self.scratch else 0:#x}u",
            "BOOT_KEY_HASH": _bytes(self.key_hash),
            "STORAGE_ADDRESS": f"{self.storage.address:#x}u",
            "STORAGE_SIZE": f"{self.storage.size:#x}u",
            "COMPONENT_NAMES": "{" + ", ".join(f'"{c.name}"' for c in self.components) + "}",
            "COMPONENT_INSTANCES": "{" + ", ".join(str(c.lwm2m_instance) for c in self.components) + "}",
        }
        if self.public_key is not None:
            values["BOOT_PUBLIC_KEY"] = _bytes(self.public_key)
        values |= dict.fromkeys(self._options(), "1")
        lines = [f"#define {name} {value}" for name, value in values.items()]
        return (
            "/* Made from the board file; the only place where firmware learns of the board. */\n"
            + "\n".join(["#ifndef BOARD_CONFIG_H", "#define BOARD_CONFIG_H", *lines, "#endif", ""])
        )

    def _options(self) -> Iterator[str]:
        """Rules that are built in only if asked for."""
        if self.downgrade_prevention is DowngradePrevention.VERSION:
            yield "BOOT_DOWNGRADE_VERSION"
        if self.downgrade_prevention is DowngradePrevention.SECURITY_COUNTER:
            yield "BOOT_DOWNGRADE_COUNTER"
        if self.rollback_protection:
            yield "BOOT_HARDWARE_ROLLBACK"
        if self.serial_recovery:
            yield "BOOT_SERIAL_RECOVERY"


def _in_pairs(items: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Items two by two."""
    return zip(items[::2], items[1::2], strict=True)


def _bytes(data: bytes) -> str:
    return "{" + ", ".join(f"{byte:#04x}" for byte in data) + "}"
