"""Images and flashes for the tests of this folder."""

from __future__ import annotations

import functools
from typing import Any

from harness.mcuboot import (
    BootPlan,
    BootSettings,
    FlashArea,
    FlashReport,
    FlashView,
    ImageAreas,
    KeyType,
    SigningKey,
    SigningOptions,
    SwapInfo,
    SwapMode,
    Trailer,
    Version,
    build_trailer,
    sign,
)

SECTOR = 1024
START = 0x8000

SWAPS = (SwapMode.SCRATCH, SwapMode.MOVE, SwapMode.OFFSET)
OVERWRITES = (SwapMode.OVERWRITE_ONLY, SwapMode.OVERWRITE_ONLY_FAST)
SELECTS = (SwapMode.DIRECT_XIP, SwapMode.DIRECT_XIP_REVERT, SwapMode.RAM_LOAD, SwapMode.RAM_LOAD_REVERT)


@functools.cache
def key(type_: KeyType = KeyType.ED25519, number: int = 0) -> SigningKey:
    """One key per type and number, made when first asked for."""
    return SigningKey.generate(type_)


def image(version: str = "1.0.0", size: int = 3000, **options: Any) -> bytes:
    """A signed image whose payload depends on its version."""
    if "key" not in options:
        options["key"] = key()
    options.setdefault("align", 1)
    options.setdefault("max_sectors", 16)
    options.setdefault("slot_size", 48 * SECTOR)
    payload = (version.encode() + b"|") * (size // len(version) + 1)
    return sign(payload[:size], SigningOptions(version=Version.parse(version), **options))


def boot_settings(
    mode: SwapMode, images: int = 1, *, scratch_sectors: int = 4, **options: Any
) -> BootSettings:
    """Slots of 48 sectors of 1 KiB, with the extra sector that move and offset like."""
    at, slots = START, []
    for number in range(images):
        primary = FlashArea(at, (48 + (mode is SwapMode.MOVE)) * SECTOR)
        secondary = FlashArea(primary.end, (48 + (mode is SwapMode.OFFSET)) * SECTOR)
        single = mode is SwapMode.SINGLE
        slots.append(ImageAreas(primary, None if single else secondary, ("app", "model", "third")[number]))
        at = secondary.end
    scratch = FlashArea(at, scratch_sectors * SECTOR) if mode is SwapMode.SCRATCH else None
    options = {"max_sectors": 64, "keys": (key().public,), "sector_size": SECTOR} | options
    return BootSettings(mode=mode, images=tuple(slots), scratch=scratch, **options)


class Flash:
    """A flash being filled; everything else reads as erased."""

    def __init__(self, settings: BootSettings) -> None:
        self.settings = settings
        self.view = FlashView.from_bytes(bytes([settings.erased_value]) * (1 << 20))

    def area(self, slot: str, number: int = 0) -> FlashArea:
        if slot == "scratch":
            assert self.settings.scratch
            return self.settings.scratch
        areas = self.settings.images[number]
        found = areas.primary if slot == "primary" else areas.secondary
        assert found
        return found

    def put(self, slot: str, data: bytes, number: int = 0, *, offset: int | None = None) -> Flash:
        """Put bytes at the place of an image: one sector up in swap-offset's secondary."""
        if offset is None:
            offset = SECTOR if self.settings.mode is SwapMode.OFFSET and slot == "secondary" else 0
        self.view = self.view.with_bytes(self.area(slot, number).address + offset, data)
        return self

    def trailer(self, slot: str, number: int = 0, **fields: Any) -> Flash:
        """Plant a trailer, see `build_trailer`."""
        area = self.area(slot, number)
        layout = self.settings.scratch_layout if slot == "scratch" else self.settings.layout(area)
        assert layout
        self.view = self.view.with_bytes(area.address + layout.status, build_trailer(layout, **fields))
        return self

    def pending(self, number: int = 0, *, permanent: bool = False) -> Flash:
        """What the application's request leaves in the secondary."""
        info = SwapInfo.build(3 if permanent else 2, number)
        return self.trailer("secondary", number, magic=True, image_ok=permanent, swap_info=info)

    def read(self, slot: str, number: int = 0) -> bytes:
        area = self.area(slot, number)
        data = self.view.read(area.address, area.size)
        assert data is not None
        return data

    def read_trailer(self, slot: str, number: int = 0) -> Trailer:
        return Trailer.parse(self.read(slot, number), self.settings.layout(self.area(slot, number)))

    def report(self) -> FlashReport:
        return FlashReport.build(self.view, self.settings)

    def plan(self) -> BootPlan:
        return self.report().plan
