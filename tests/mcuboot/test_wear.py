"""Wear as counted on a Cortex-M0 that ran MCUboot 2.4.0: 1 KiB sectors, 64 at most, write alignment 4."""

from __future__ import annotations

import pytest

from harness import ImageError
from harness.mcuboot import SwapMode, boot_wear

from ._build import SECTOR, boot_settings

NEW, OLD, SMALL = 11_980, 6_860, 4_000


@pytest.mark.parametrize(
    ("mode", "update", "revert"),
    [
        (SwapMode.SCRATCH, 42, 42),
        (SwapMode.MOVE, 38, 39),
        (SwapMode.OFFSET, 22, 25),
        (SwapMode.OVERWRITE_ONLY, 50, None),
        (SwapMode.OVERWRITE_ONLY_FAST, 15, None),
    ],
)
def test_erases_of_one_image(mode: SwapMode, update: int, revert: int | None):
    settings = boot_settings(mode)
    assert sum(boot_wear(settings, 0, primary=OLD, secondary=NEW).erases.values()) == update
    if revert is not None:
        back = boot_wear(settings, 0, primary=NEW, secondary=OLD, revert=True)
        assert sum(back.erases.values()) == revert


@pytest.mark.parametrize(
    ("mode", "both"),
    [
        (SwapMode.SCRATCH, 60),
        (SwapMode.MOVE, 52),
        (SwapMode.OVERWRITE_ONLY_FAST, 22),
    ],
)
def test_erases_of_two_images_add_up(mode: SwapMode, both: int):
    settings = boot_settings(mode, 2)
    wears = [
        boot_wear(settings, 0, primary=OLD, secondary=NEW),
        boot_wear(settings, 1, primary=SMALL, secondary=SMALL),
    ]
    assert sum(times for wear in wears for times in wear.erases.values()) == both


def test_sectors_of_a_move():
    settings = boot_settings(SwapMode.MOVE)
    wear = boot_wear(settings, 0, primary=1, secondary=2 * SECTOR)
    ours, theirs = settings.images[0].primary, settings.images[0].secondary
    assert theirs is not None
    start, other = ours.address, theirs.address
    assert wear.erases == {
        start: 1,
        start + SECTOR: 2,
        start + 2 * SECTOR: 1,
        ours.end - SECTOR: 1,
        other: 1,
        other + SECTOR: 1,
        theirs.end - SECTOR: 1,
    }
    assert wear.copied == 6 * SECTOR


def test_selecting_a_slot_moves_nothing():
    wear = boot_wear(boot_settings(SwapMode.DIRECT_XIP), 0, primary=OLD, secondary=NEW)
    assert (wear.erases, wear.copied) == ({}, 0)


def test_images_that_reach_into_the_trailer_are_not_counted():
    with pytest.raises(ImageError, match="expected: at most 47 sectors"):
        boot_wear(boot_settings(SwapMode.SCRATCH), 0, primary=1, secondary=48 * SECTOR)
