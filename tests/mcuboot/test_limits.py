from __future__ import annotations

import pytest

from harness import BoardError, ImageError
from harness.mcuboot import (
    BootSettings,
    FlashArea,
    ImageAreas,
    SwapMode,
    max_image_size,
    slot_image_limit,
    slots_problem,
)

from ._build import SECTOR, Flash, boot_settings, image

ALIGN = {1: 8, 4: 8, 8: 8, 32: 32}


@pytest.mark.parametrize(
    ("mode", "write", "limit"),
    [
        (SwapMode.MOVE, 1, 48128),
        (SwapMode.MOVE, 4, 48128),
        (SwapMode.MOVE, 8, 47104),
        (SwapMode.MOVE, 32, 41984),
        (SwapMode.OFFSET, 1, 48128),
        (SwapMode.OFFSET, 4, 48128),
        (SwapMode.OFFSET, 8, 47104),
        (SwapMode.OFFSET, 32, 44032),
        (SwapMode.SCRATCH, 1, 48912),
        (SwapMode.SCRATCH, 4, 48336),
        (SwapMode.SCRATCH, 8, 47568),
        (SwapMode.SCRATCH, 32, 42752),
        (SwapMode.OVERWRITE_ONLY, 4, 49112),
        (SwapMode.OVERWRITE_ONLY, 32, 49024),
        (SwapMode.OVERWRITE_ONLY_FAST, 8, 49112),
        (SwapMode.DIRECT_XIP, 1, 49112),
        (SwapMode.DIRECT_XIP_REVERT, 32, 49024),
        (SwapMode.RAM_LOAD, 4, 49112),
        (SwapMode.SINGLE, 4, 49104),
        (SwapMode.SINGLE, 32, 48992),
    ],
)
def test_largest_image(mode: SwapMode, write: int, limit: int) -> None:
    settings = boot_settings(mode, write_align=write, max_align=ALIGN[write])
    assert max_image_size(settings) == limit


@pytest.mark.parametrize(("mode", "equal"), [(SwapMode.MOVE, 47104), (SwapMode.OFFSET, 47104)])
def test_without_the_extra_sector_a_sector_of_image_space_is_lost(mode: SwapMode, equal: int) -> None:
    area = FlashArea(0, 48 * SECTOR)
    pair = ImageAreas(area, FlashArea(area.end, area.size))
    settings = BootSettings(mode=mode, images=(pair,), sector_size=SECTOR, max_sectors=64)
    assert slots_problem(settings) is None
    assert max_image_size(settings) == equal


def test_selecting_modes_have_a_limit_per_slot() -> None:
    pair = ImageAreas(FlashArea(0, 48 * SECTOR), FlashArea(0x20000, 40 * SECTOR))
    settings = BootSettings(mode=SwapMode.DIRECT_XIP, images=(pair,), sector_size=SECTOR, max_sectors=64)
    assert slots_problem(settings) is None
    assert slot_image_limit(settings, pair.primary) == 48 * SECTOR - 40
    assert max_image_size(settings) == 40 * SECTOR - 40


def slots(
    mode: SwapMode, ours: int, theirs: int, sectors: int = 64, scratch: int = 4 * SECTOR
) -> BootSettings:
    primary = FlashArea(0, ours)
    pair = ImageAreas(primary, FlashArea(primary.end, theirs))
    area = FlashArea(0x40000, scratch) if mode is SwapMode.SCRATCH else None
    return BootSettings(mode=mode, images=(pair,), scratch=area, sector_size=SECTOR, max_sectors=sectors)


@pytest.mark.parametrize(
    ("mode", "difference", "usable"),
    [
        (SwapMode.SCRATCH, 0, True),
        (SwapMode.SCRATCH, 1, False),
        (SwapMode.SCRATCH, -1, False),
        (SwapMode.MOVE, 0, True),
        (SwapMode.MOVE, 1, True),
        (SwapMode.MOVE, 2, False),
        (SwapMode.MOVE, -1, False),
        (SwapMode.OFFSET, 0, True),
        (SwapMode.OFFSET, -1, True),
        (SwapMode.OFFSET, -2, False),
        (SwapMode.OFFSET, 1, False),
        (SwapMode.OVERWRITE_ONLY, 0, True),
        (SwapMode.OVERWRITE_ONLY, 1, False),
        (SwapMode.DIRECT_XIP, 5, True),
    ],
)
def test_which_slots_go_together(mode: SwapMode, difference: int, usable: bool) -> None:
    settings = slots(mode, (48 + difference) * SECTOR, 48 * SECTOR)
    assert (slots_problem(settings) is None) is usable
    if not usable:
        with pytest.raises(ImageError, match="sectors"):
            max_image_size(settings)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        (slots(SwapMode.MOVE, 48 * SECTOR + 512, 48 * SECTOR + 512), "no whole number"),
        (slots(SwapMode.SCRATCH, 48 * SECTOR, 48 * SECTOR, sectors=47), "built for 47"),
        (
            slots(SwapMode.SCRATCH, 48 * SECTOR, 48 * SECTOR, scratch=SECTOR // 2 + 512 + 8),
            "scratch is no whole",
        ),
        (slots(SwapMode.MOVE, SECTOR, SECTOR), "no sector for an image"),
    ],
)
def test_slots_that_are_never_updated(settings: BootSettings, what: str) -> None:
    problem = slots_problem(settings)
    assert problem is not None
    assert what in problem


def test_an_image_one_byte_too_large_is_refused_and_erased() -> None:
    """imgtool is told of no sectors here and signs both."""
    settings = boot_settings(SwapMode.SCRATCH, write_align=32, max_align=32)
    limit = max_image_size(settings)
    overhead = len(image(size=1000)) - 1000
    for size, taken in ((limit - overhead, True), (limit - overhead + 1, False)):
        data = image("2.0.0", size)
        assert len(data) == size + overhead
        flash = Flash(settings).put("primary", image()).put("secondary", data).pending()
        plan = flash.plan()
        assert (plan.images[0].action == "test") is taken
        assert bool(plan.erased) is not taken
        assert ("image is too large" in str(flash.report())) is not taken


def test_only_swap_scratch_has_a_scratch_trailer() -> None:
    pair = ImageAreas(FlashArea(0, 0x8000), FlashArea(0x8000, 0x8000))
    for mode in SwapMode:
        settings = BootSettings(mode=mode, images=(pair,), scratch=FlashArea(0x10000, 0x1000))
        assert (settings.scratch_layout is not None) is (mode is SwapMode.SCRATCH)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"images": ()}, "at least one image"),
        ({"scratch": None}, "needs a scratch area"),
        ({"sector_size": 0}, "sector size"),
        ({"images": (ImageAreas(FlashArea(0, 0x8000)),)}, "no secondary"),
        ({"write_align": 3}, "write alignment"),
        ({"images": (ImageAreas(FlashArea(0, 0x200), FlashArea(0x200, 0x200)),)}, "smaller than its trailer"),
    ],
)
def test_settings_no_boot_loader_can_have(change: dict[str, object], what: str) -> None:
    pair = ImageAreas(FlashArea(0, 0x8000), FlashArea(0x8000, 0x8000))
    good: dict[str, object] = {
        "mode": SwapMode.SCRATCH,
        "images": (pair,),
        "scratch": FlashArea(0x10000, 0x1000),
    }
    with pytest.raises(BoardError, match=what):
        BootSettings(**(good | change))  # type: ignore[arg-type]
