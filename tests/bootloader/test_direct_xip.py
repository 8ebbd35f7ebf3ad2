"""Images that run from the slot they are in."""

from __future__ import annotations

import pytest

from harness.firmware import Region
from harness.mcuboot import SwapMode

from .contract import Offsets, magic, put_trailer
from .rig import IN_PLACE, SECTOR, Board, Flash, Image, fast_board, make_image
from .test_versions import needs

PLAIN, REVERTING = IN_PLACE


def at(area: Region, version: str, **options: object) -> Image:
    return make_image(area, version, size=600, **options)


def put(board: Board, *versions: str | None, number: int = 0, **options: object) -> Flash:
    """One image in each slot, marked for boot where that is needed."""
    return put_on(Flash(board), *versions, number=number, **options)


def put_on(flash: Flash, *versions: str | None, number: int = 0, **options: object) -> Flash:
    for area, version in zip(flash.board.areas[number], versions, strict=True):
        if version:
            flash.put(area.address, at(area, version, **options).data)
            if flash.board.mode is REVERTING:
                put_trailer(flash, area)
    return flash


def flag(flash: Flash, area: Region, name: str) -> int:
    return flash.area(area)[getattr(Offsets.of(flash.board, area.size), name)]


@pytest.mark.parametrize("mode", IN_PLACE)
def test_highest_version(mode: SwapMode) -> None:
    board = fast_board(mode)
    for versions, slot in (
        (("1.0.0", "2.0.0"), 1),
        (("2.0.0", "1.0.0"), 0),
        (("2.0.0", "2.0.0"), 0),
        (("1.0.0+1", "1.0.0+2"), 0),
        ((None, "0.0.1"), 1),
        (("0.0.1", None), 0),
    ):
        boot = put(board, *versions).boot()
        assert boot.started == board.areas[0][slot].address, boot.console


@pytest.mark.parametrize("mode", IN_PLACE)
def test_invalid_image_is_erased_whichever_slot_it_is_in(mode: SwapMode) -> None:
    board = fast_board(mode)
    for bad in (0, 1):
        versions = ("2.0.0", "1.0.0") if bad == 0 else ("1.0.0", "2.0.0")
        flash = put(board, *versions)
        area = board.areas[0][bad]
        flash.put(area.address + 0x80, b"\x00" * 8)
        boot = flash.boot()
        assert boot.started == board.areas[0][1 - bad].address
        assert flash.area(area) == b"\xff" * area.size
        assert flash.boot().started == (board.areas[0][1 - bad].address if mode is PLAIN else None)


def test_image_for_another_address() -> None:
    board = fast_board(PLAIN)
    primary, secondary = board.areas[0]
    flash = Flash(board).put(primary.address, at(primary, "1.0.0", rom_fixed=primary.address).data)
    wrong = at(secondary, "2.0.0", rom_fixed=primary.address)
    flash.put(secondary.address, wrong.data)
    boot = flash.boot()
    assert boot.started == primary.address, boot.console
    assert not boot.operations
    flash.put(secondary.address, at(secondary, "2.0.0", rom_fixed=secondary.address).data)
    assert flash.boot().started == secondary.address


def test_no_candidate() -> None:
    board = fast_board(PLAIN)
    flash = put(board, "1.0.0", "2.0.0")
    for area in board.areas[0]:
        flash.put(area.address + 0x80, b"\x00" * 8)
    assert flash.boot().started is None
    assert not flash.boot().operations


def test_not_bootable_is_skipped() -> None:
    boot = put(fast_board(PLAIN), "1.0.0", "2.0.0", non_bootable=True).boot()
    assert boot.started is None
    assert not boot.operations


def test_image_that_does_not_confirm_itself_gets_one_try() -> None:
    """Not confirmed: erased at the second boot, and the older image runs."""
    board = fast_board(REVERTING)
    primary, secondary = board.areas[0]
    flash = put(board, "1.0.0", "2.0.0")
    flash.put(primary.address + Offsets.of(board, primary.size).image_ok, b"\x01")
    boot = flash.boot()
    assert boot.started == secondary.address
    assert flag(flash, secondary, "copy_done") == 1
    assert flag(flash, primary, "copy_done") == 0xFF
    for _ in range(3):
        boot = flash.boot()
        assert boot.started == primary.address, boot.console
    assert flash.area(secondary) == b"\xff" * secondary.size


def test_confirmed_image_stays() -> None:
    board = fast_board(REVERTING)
    secondary = board.areas[0][1]
    flash = put(board, "1.0.0", "2.0.0")
    flash.boot()
    flash.put(secondary.address + Offsets.of(board, secondary.size).image_ok, b"\x01")
    for _ in range(3):
        boot = flash.boot()
        assert boot.started == secondary.address
        assert not boot.operations


def test_image_without_a_mark_is_erased() -> None:
    board = fast_board(REVERTING)
    primary = board.areas[0][0]
    flash = Flash(board).put(primary.address, at(primary, "1.0.0").data)
    assert flash.boot().started is None
    assert flash.area(primary) == b"\xff" * primary.size


def test_last_image_unconfirmed_is_erased_too() -> None:
    flash = put(fast_board(REVERTING), "1.0.0", None)
    assert flash.boot().started is not None
    assert flash.boot().started is None


def test_torn_mark_of_a_try_counts_as_none() -> None:
    """Power lost while copy_done was written: the try was not had yet."""
    board = fast_board(REVERTING)
    primary = board.areas[0][0]
    flash = put(board, "1.0.0", None)
    flash.put(primary.address + Offsets.of(board, primary.size).copy_done, b"\x7d")
    assert flash.boot().started == primary.address
    assert flag(flash, primary, "copy_done") == 1
    assert flash.boot().started is None


@pytest.mark.parametrize("mode", IN_PLACE)
def test_two_images(mode: SwapMode) -> None:
    board = fast_board(mode, 2)
    flash = put(board, "1.0.0", "2.0.0")
    assert flash.copy().boot().started is None  # every image needs a slot
    put_on(flash, "1.0.0", None, number=1)
    assert flash.copy().boot().started == board.areas[0][1].address


def test_dependencies_choose_another_slot() -> None:
    """Version 2 of image 0 needs what is not there: version 1 runs, and nothing is erased."""
    board = fast_board(PLAIN, 2)
    flash = put_on(Flash(board), "1.0.0", None, number=1)
    primary, secondary = board.areas[0]
    flash.put(primary.address, at(primary, "1.0.0").data)
    flash.put(secondary.address, at(secondary, "2.0.0", **needs(1, "1.0.1")).data)
    boot = flash.boot()
    assert boot.started == primary.address, boot.console
    assert not boot.operations
    put_on(flash, None, "1.0.1", number=1)
    assert flash.boot().started == secondary.address


def test_largest_image() -> None:
    board = fast_board(PLAIN)
    primary = board.areas[0][0]
    limit = Offsets.of(board, primary.size).swap_info
    for size, runs in ((limit, True), (limit + 1, False)):
        image = make_image(primary, total=size, sparse=True)
        flash = Flash(board).put(primary.address, image.data)
        assert (flash.boot().started is not None) == runs
        assert (flash.area(primary)[: image.size] == image.data) == runs


def test_image_that_lies_over_its_own_trailer() -> None:
    """It is refused as any that is too large, whichever of the flags' bytes are its own."""
    board = fast_board(REVERTING)
    primary, secondary = board.areas[0]
    offsets = Offsets.of(board, secondary.size)
    for size in range(offsets.swap_info + 1, offsets.magic, 5):
        flash = put(board, "1.0.0", None)
        flash.put(secondary.address, make_image(secondary, "2.0.0", total=size, sparse=True).data)
        flash.put(secondary.address + offsets.magic, magic(board.max_align))
        boot = flash.boot()
        assert boot.started == primary.address, boot.console
        assert flash.area(secondary) == b"\xff" * secondary.size


def test_slots_of_different_size() -> None:
    board = Board(PLAIN, ((6, 3),))
    assert put(board, "1.0.0", "2.0.0").boot().started == board.areas[0][1].address
    assert board.areas[0][1].size == 3 * SECTOR
