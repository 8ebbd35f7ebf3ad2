"""Updates that the boot loader does not begin, or judges by other bytes than one would think."""

from __future__ import annotations

import pytest

from harness.mcuboot import BootAction, DowngradePrevention, SwapMode, Version

from ._build import OVERWRITES, SECTOR, Flash, boot_settings, image

NEEDING_ROOM = (SwapMode.MOVE, SwapMode.OFFSET)


def pending(mode: SwapMode, primary_sectors: int) -> Flash:
    """An update of an image that fills so many sectors of the primary."""
    old = image("1.0.0", primary_sectors * SECTOR - 700, slot_size=64 * SECTOR)
    found = Flash(boot_settings(mode)).put("primary", old).put("secondary", image("2.0.0"))
    return found.pending()


@pytest.mark.parametrize("mode", [*NEEDING_ROOM, *OVERWRITES])
def test_a_primary_too_large_to_be_moved_stops_move_and_offset(mode: SwapMode) -> None:
    """`swap_run` of both counts sectors before it begins; the others replace what does not boot anyway."""
    plan = pending(mode, 48).plan()
    if mode in NEEDING_ROOM:
        assert plan.images[0].action is BootAction.KEEP
        assert "leave no room" in plan.images[0].reason
        assert "copy_done" in plan.images[0].notes[0]
        assert plan.boots is False
    else:
        assert plan.version == Version(2)


@pytest.mark.parametrize("mode", NEEDING_ROOM)
def test_the_largest_primary_that_is_accepted_has_room(mode: SwapMode) -> None:
    plan = pending(mode, 47).plan()
    assert plan.images[0].action is BootAction.TEST
    assert plan.version == Version(2)


def test_rubbish_where_offset_wants_the_header_is_not_looked_at() -> None:
    """Without a header there, the start of the slot is judged: erased, so that only the trailer goes."""
    found = Flash(boot_settings(SwapMode.OFFSET)).put("primary", image()).put("secondary", b"\x00" * 64)
    plan = found.pending().plan()
    assert plan.version == Version(1)
    assert [erased.extent for erased in plan.erased] == ["trailer"]


def test_the_counter_of_a_primary_that_cannot_be_searched_does_not_count() -> None:
    """Neither does the swap begin then, but it is not the rule against downgrades that stops it."""
    rule = DowngradePrevention.SECURITY_COUNTER
    found = Flash(boot_settings(SwapMode.SCRATCH, downgrade_prevention=rule))
    old = bytearray(image("1.0.0", security_counter=9))
    old[old.index(b"\x07\x69")] = 0
    plan = (
        found.put("primary", bytes(old)).put("secondary", image("2.0.0", security_counter=1)).pending().plan()
    )
    assert plan.images[0].action is BootAction.PANIC
    assert plan.erased == ()
