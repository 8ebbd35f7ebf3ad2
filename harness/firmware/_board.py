"""A board file's facts in the form that the C sources are built with."""

from __future__ import annotations

from typing import Final

from .._errors import BuildError
from ..boards import Board
from ..mcuboot import FlashArea, KeyType, SwapMode
from ._layout import Component, FirmwareLayout, Region
from ._reference import chip_ram

__all__ = ["REFERENCE_MODES", "bootloader_layout", "firmware_layout"]

#: what the reference bootloader can be built for
REFERENCE_MODES: Final = (
    SwapMode.SCRATCH,
    SwapMode.MOVE,
    SwapMode.OFFSET,
    SwapMode.OVERWRITE_ONLY,
    SwapMode.OVERWRITE_ONLY_FAST,
    SwapMode.DIRECT_XIP,
    SwapMode.DIRECT_XIP_REVERT,
)
_STORAGE = "storage"
_ED25519_BYTES = 32  # a SubjectPublicKeyInfo ends with the raw key (RFC 8410)


def bootloader_layout(board: Board) -> FirmwareLayout:
    """`firmware_layout` for the reference bootloader. Raises `BuildError` where that cannot serve."""
    if board.public_key.type is not KeyType.ED25519:
        raise BuildError(
            "the reference bootloader checks Ed25519 signatures only",
            where=f"{board.file}: mcuboot.signature.type",
            found=str(board.public_key.type),
            remedy="use an Ed25519 key, or name a bootloader of your own in mcuboot.bootloader",
        )
    if not board.mcuboot.validate_primary:
        raise BuildError(
            "the reference bootloader validates the primary slot at every boot",
            where=f"{board.file}: mcuboot.validate_primary",
            found="false",
            remedy="leave the field out, or name a bootloader of your own in mcuboot.bootloader",
        )
    if board.mcuboot.swap_mode not in REFERENCE_MODES:
        raise BuildError(
            "the reference bootloader does not know this swap mode",
            where=f"{board.file}: mcuboot.swap_mode",
            expected=", ".join(REFERENCE_MODES),
            found=board.mcuboot.swap_mode,
            remedy="name a bootloader of your own in mcuboot.bootloader",
        )
    return firmware_layout(board)


def firmware_layout(board: Board) -> FirmwareLayout:
    """What the reference firmware must know of a board. Raises `BuildError` for a chip without a port."""
    settings = board.boot_settings()
    key = board.public_key
    console = next((port for port in board.serial if "console" in port.carries), None)
    return FirmwareLayout(
        board=board.name,
        soc=board.soc.lower(),
        ram=chip_ram(board.soc.lower()),
        bootloader=_region(board.partition(board.mcuboot.partition)),
        scratch=_region(settings.scratch) if settings.scratch else None,
        storage=_region(board.partition(_STORAGE)),
        components=[
            Component(
                component.name,
                component.image if component.lwm2m_instance is None else component.lwm2m_instance,
                _region(board.partition(component.primary)),
                _region(board.partition(component.secondary or component.primary)),
            )
            for component in board.components
        ],
        mode=board.mcuboot.swap_mode,
        sector_size=board.flash.sector_size,
        write_alignment=board.flash.write_alignment,
        max_alignment=board.mcuboot.max_alignment,
        max_sectors=board.mcuboot.max_sectors,
        header_size=board.mcuboot.header_size,
        public_key=key.der[-_ED25519_BYTES:] if key.type is KeyType.ED25519 else None,
        key_hash=key.hash(),
        console_baud=console.baud if console else 115200,
        downgrade_prevention=board.mcuboot.downgrade_prevention,
        rollback_protection=board.mcuboot.rollback_protection,
        serial_recovery=board.mcuboot.serial_recovery,
    )


def _region(area: FlashArea) -> Region:
    return Region(area.address, area.size)
