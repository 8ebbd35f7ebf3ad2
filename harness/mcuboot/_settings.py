"""What one has to know of a boot loader to read the flash it works on."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from harness._errors import BoardError

from ._keys import PublicKey
from ._layout import TrailerLayout
from ._modes import SwapMode


class DowngradePrevention(enum.StrEnum):
    """What a boot loader compares before it installs an image (build option)."""

    NONE = "none"
    VERSION = "version"
    SECURITY_COUNTER = "security_counter"
    """Swap modes compare TLV 0x50 of both images. Overwrite-only compares versions all the same."""


@dataclass(frozen=True, slots=True)
class FlashArea:
    """A range of flash: absolute address and size in bytes."""

    address: int
    size: int

    @property
    def end(self) -> int:
        """First address behind the area."""
        return self.address + self.size

    def __str__(self) -> str:
        return f"{self.address:#010x}..{self.end - 1:#010x}"


@dataclass(frozen=True, slots=True)
class ImageAreas:
    """The slots of one image. ``name`` is what people call the image."""

    primary: FlashArea
    secondary: FlashArea | None = None
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootSettings:
    """Build options and flash map of a boot loader. Sizes and alignments are bytes.

    Raises:
        BoardError: areas are missing, or no boot loader can be built like this.
    """

    mode: SwapMode
    images: tuple[ImageAreas, ...]
    """Slots by image number."""
    scratch: FlashArea | None = None
    sector_size: int = 4096
    write_align: int = 4
    max_align: int = 8
    max_sectors: int = 128
    erased_value: int = 0xFF
    keys: tuple[PublicKey, ...] = ()
    """Keys the boot loader knows; without any, only digests are checked."""
    hash_algorithm: str = "sha256"
    pure_signature: bool = False
    """Built for signatures over the image itself (entry 0x25 required)."""
    encryption_key_size: int = 0
    """See :class:`TrailerLayout`; not 0 means that encrypted images are accepted."""
    compression: bool = False
    downgrade_prevention: DowngradePrevention = DowngradePrevention.NONE
    rollback_protection: bool = False
    """Hardware rollback protection: TLV 0x50 is required and compared with a stored value."""
    stored_counters: tuple[int | None, ...] = ()
    """Stored security counters by image number, where known. They lie outside of what a dump shows."""
    validate_primary: bool = True
    bootstrap: bool = False
    """An unusable primary is filled from a valid secondary, requested or not."""
    minimal_scramble: bool = False
    """Refused slots lose header and trailer only, instead of all their sectors."""
    compare_build_number: bool = False
    flash_base: int = 0
    """Address of the flash device: ROM-fixed images store offsets from it."""
    executable_ram: FlashArea | None = None
    """RAM that RAM-load images may be copied to, if known."""

    def __post_init__(self) -> None:
        if not self.images:
            raise BoardError("a boot loader has at least one image", where="boot settings")
        if self.mode is SwapMode.SCRATCH and self.scratch is None:
            raise BoardError("swap-scratch needs a scratch area", where="boot settings")
        if self.sector_size <= 0:
            raise BoardError("impossible sector size", where="boot settings", found=str(self.sector_size))
        for number, areas in enumerate(self.images):
            if areas.secondary is None and self.mode is not SwapMode.SINGLE:
                raise BoardError(
                    f"image {number} has no secondary slot", where="boot settings", found=str(self.mode)
                )
        for _, area in self.areas():  # refuses impossible alignments and slots without room for a trailer
            self.layout(area)

    def areas(self) -> Iterator[tuple[str, FlashArea]]:
        """Name and place of all slots."""
        for number, areas in enumerate(self.images):
            yield f"image {number} primary", areas.primary
            if areas.secondary:
                yield f"image {number} secondary", areas.secondary

    def layout(self, area: FlashArea) -> TrailerLayout:
        """Trailer layout of a slot."""
        return TrailerLayout(
            area.size,
            self.mode,
            self.write_align,
            self.max_align,
            self.max_sectors,
            self.erased_value,
            self.encryption_key_size,
        )

    @property
    def refused_extent(self) -> str:
        """How much of a refused slot is erased, as a phrase."""
        return "header and trailer" if self.minimal_scramble else "whole slot"

    @property
    def scratch_layout(self) -> TrailerLayout | None:
        """Trailer layout of the scratch area, in swap-scratch."""
        if self.mode is not SwapMode.SCRATCH or self.scratch is None:
            return None
        return self.layout(self.images[0].primary).for_scratch(self.scratch.size)

    def name(self, number: int) -> str:
        """``image 1``, or ``image 1 (model)``."""
        name = self.images[number].name
        return f"image {number} ({name})" if name else f"image {number}"

    def stored_counter(self, number: int) -> int | None:
        """The stored security counter of an image, if known."""
        return self.stored_counters[number] if number < len(self.stored_counters) else None
