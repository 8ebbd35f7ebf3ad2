"""What trailers ask for: every state that the loader tells apart, in every mode that updates."""

from __future__ import annotations

import itertools

import pytest

from harness.firmware import REFERENCE_MODES
from harness.mcuboot import SwapMode

from .contract import PERMANENT, REVERT, TEST, Expected, Offsets, differences, magic, put_trailer, request
from .rig import COPYING, SECTOR, SWAPPING, Board, Boot, Flash, Image, fast_board, make_image

GOOD, UNSET, BAD, SET = "good", "unset", "bad", "set"
MAGICS, FLAGS = (GOOD, BAD, UNSET), (SET, UNSET, BAD)
FLAG_BYTES = {SET: 1, UNSET: None, BAD: 0x55}


def wanted_type(mode: SwapMode, primary: tuple[str, str, str], secondary: tuple[str, str, str]) -> int | None:
    """The table of swap types; a state is (magic, image_ok, copy_done)."""
    magic_state, image_ok, copy_done = secondary
    if magic_state == GOOD and image_ok == UNSET:
        return REVERT if mode is SwapMode.OFFSET and copy_done == SET else TEST
    if magic_state == GOOD and image_ok == SET:
        return PERMANENT
    return REVERT if primary == (GOOD, UNSET, SET) else None


def put_state(flash: Flash, slot: int, state: tuple[str, str, str]) -> None:
    magic_state, image_ok, copy_done = state
    # the first word is right, so that a loader that looks no further is found out
    wrong = magic(flash.board.max_align)[:4] + bytes(12)
    put_trailer(
        flash,
        flash.board.areas[0][slot],
        good=magic_state == GOOD,
        magic_bytes=wrong if magic_state == BAD else None,
        image_ok=FLAG_BYTES[image_ok],
        copy_done=FLAG_BYTES[copy_done],
    )


def assert_request_is_understood(
    board: Board, primary: tuple[str, str, str], secondary: tuple[str, str, str]
) -> None:
    slot = board.areas[0][0]
    old, new = make_image_once(slot.address, "1.0.0"), make_image_once(slot.address, "2.0.0")
    kind = wanted_type(board.mode, primary, secondary)
    flash = Flash(board).primary(old)
    place = 0 if kind == REVERT or board.mode is not SwapMode.OFFSET else SECTOR
    flash.put(board.areas[0][1].address + place, new.data)
    put_state(flash, 0, primary)
    put_state(flash, 1, secondary)
    expected = Expected(flash)
    if kind is not None:
        expected.update(kind, old, new)
    boot = flash.boot()
    assert boot.started == slot.address, boot.console
    assert differences(flash, expected) == [], f"{primary} {secondary}: {boot.console}"


_images: dict[tuple[int, str], Image] = {}


def make_image_once(address: int, version: str) -> Image:
    from harness.firmware import Region

    return _images.setdefault(
        (address, version), make_image(Region(address, 0), version, size=300, sparse=True)
    )


@pytest.mark.parametrize("secondary_magic", MAGICS)
@pytest.mark.parametrize("mode", [SwapMode.SCRATCH, SwapMode.OFFSET])
def test_all_729_states(mode: SwapMode, secondary_magic: str) -> None:
    board = fast_board(mode)
    for primary in itertools.product(MAGICS, FLAGS, FLAGS):
        for flags in itertools.product(FLAGS, FLAGS):
            if primary[0] == GOOD and primary[2] == UNSET and secondary_magic != GOOD:
                continue  # a swap in progress that has no status: test_resume.py
            assert_request_is_understood(board, primary, (secondary_magic, *flags))


@pytest.mark.parametrize("mode", [SwapMode.MOVE, *COPYING])
def test_states_without_copy_done_in_the_secondary(mode: SwapMode) -> None:
    board = fast_board(mode)
    for primary in itertools.product((GOOD, BAD), FLAGS, FLAGS):
        for state in itertools.product((GOOD, BAD), FLAGS):
            if mode is SwapMode.MOVE or wanted_type(mode, primary, (*state, UNSET)) != REVERT:
                assert_request_is_understood(board, primary, (*state, UNSET))


@pytest.mark.parametrize("mode", SWAPPING)
def test_image_written_with_a_trailer_is_left_alone(mode: SwapMode) -> None:
    """A magic in the primary alone, as imgtool pads images, is no swap that was interrupted."""
    board = fast_board(mode)
    flash = Flash(board).primary(make_image(board.areas[0][0]))
    put_trailer(flash, board.areas[0][0])
    boot = flash.boot()
    assert boot.started == board.areas[0][0].address
    assert not boot.operations


@pytest.mark.parametrize("kind", [TEST, PERMANENT, REVERT])
@pytest.mark.parametrize("mode", SWAPPING)
def test_announced_swap(mode: SwapMode, kind: int) -> None:
    """swap_info in the primary is enough to begin a swap, with no request in the secondary at all."""
    board = fast_board(mode)
    slot = board.areas[0][0]
    old, new = make_image(slot, "1.0.0"), make_image(slot, "2.0.0")
    flash = Flash(board).primary(old)
    place = 0 if kind == REVERT or board.mode is not SwapMode.OFFSET else SECTOR
    flash.put(board.areas[0][1].address + place, new.data)
    put_trailer(flash, slot, info=0x10 | kind)  # the image number in the primary's trailer does not count
    expected = Expected(flash).update(kind, old, new)
    if board.mode is not SwapMode.SCRATCH:
        info = Offsets.of(board, slot.size).swap_info
        expected.primary[info] |= 0x10  # move and offset leave the trailer as they found it
    boot = flash.boot()
    assert boot.started == slot.address
    assert differences(flash, expected) == []


@pytest.mark.parametrize("mode", SWAPPING)
def test_announced_swap_without_an_image_confirms_the_primary(mode: SwapMode) -> None:
    board = fast_board(mode)
    slot = board.areas[0][0]
    flash = Flash(board).primary(make_image(slot))
    put_trailer(flash, slot, info=TEST)
    boot = flash.boot()
    assert boot.started == slot.address
    assert flash.area(slot)[Offsets.of(board, slot.size).image_ok] == 1
    assert not flash.boot().operations


@pytest.mark.parametrize("mode", SWAPPING)
def test_announced_failure_confirms_the_primary(mode: SwapMode) -> None:
    """Swap type 5 in swap_info: the loader has given up, and what runs stays. Other numbers mean nothing."""
    board = fast_board(mode)
    slot = board.areas[0][0]
    for info in (5, 7, 0):
        flash = Flash(board).primary(make_image(slot)).secondary(make_image(slot, "2.0.0"))
        put_trailer(flash, slot, info=info)
        expected = Expected(flash)
        if info == 5:
            expected.primary[Offsets.of(board, slot.size).image_ok] = 1
        assert flash.boot().started == slot.address
        assert differences(flash, expected) == []


def _request_without_image(board: Board) -> tuple[Flash, Boot]:
    flash = request(Flash(board).primary(make_image(board.areas[0][0])))
    return flash, flash.boot()


def assert_leftover_request_is_removed(board: Board) -> None:
    flash, boot = _request_without_image(board)
    assert boot.started == board.areas[0][0].address
    secondary = flash.area(board.areas[0][1])
    assert secondary == b"\xff" * len(secondary)
    assert not flash.boot().operations


@pytest.mark.parametrize("mode", SWAPPING)
def test_request_without_image_is_removed(mode: SwapMode) -> None:
    assert_leftover_request_is_removed(fast_board(mode))
    assert_leftover_request_is_removed(fast_board(mode, max_sectors=500))


@pytest.mark.parametrize("mode", COPYING)
def test_request_without_image_stays_when_copying(mode: SwapMode) -> None:
    _, boot = _request_without_image(fast_board(mode))
    assert boot.started is not None
    assert not boot.operations


@pytest.mark.parametrize("mode", SWAPPING)
def test_revert_without_image(mode: SwapMode) -> None:
    """The new image stays. Move forgets the revert; the others find the same again at each boot."""
    board = fast_board(mode)
    slot = board.areas[0][0]
    flash = Flash(board).primary(make_image(slot))
    put_trailer(flash, slot, copy_done=1, info=TEST)
    before = bytes(flash.data)
    boot = flash.boot()
    assert boot.started == slot.address
    if mode is SwapMode.MOVE:
        first = Offsets.of(board, slot.size).first_sector
        assert flash.area(slot)[first:] == b"\xff" * (slot.size - first)
    else:
        assert bytes(flash.data[0xC000:]) == before[0xC000:]
    assert not flash.boot().operations


def test_offset_upload_over_the_image_to_go_back_to() -> None:
    """Nothing to go back to: the next upload came before the confirmation."""
    board = fast_board(SwapMode.OFFSET)
    slot, secondary = board.areas[0]
    flash = request(Flash(board).primary(make_image(slot)).secondary(make_image(slot, "2.0.0")))
    flash.boot()
    flash.put(secondary.address, b"\xff" * secondary.size).secondary(make_image(slot, "3.0.0"))
    expected = Expected(flash)
    for _ in range(2):
        assert flash.boot().started == slot.address
        assert differences(flash, expected) == []
    put_trailer(flash, slot, image_ok=1)
    request(flash).boot()
    assert flash.area(slot)[20] == 3


def test_offset_wants_uploads_one_sector_up() -> None:
    board = fast_board(SwapMode.OFFSET)
    slot, secondary = board.areas[0]
    flash = Flash(board).primary(make_image(slot)).put(secondary.address, make_image(slot, "2.0.0").data)
    boot = request(flash).boot()
    assert boot.started == slot.address
    assert flash.area(secondary) == b"\xff" * secondary.size


@pytest.mark.parametrize("mode", [*SWAPPING, *COPYING])
def test_empty_primary(mode: SwapMode) -> None:
    """Scratch and overwrite-only install into it; move and offset only ever exchange two images."""
    board = fast_board(mode)
    slot = board.areas[0][0]
    flash = request(Flash(board).secondary(make_image(slot)))
    boot = flash.boot()
    if mode in (SwapMode.MOVE, SwapMode.OFFSET):
        assert boot.started is None
        assert not boot.operations
    else:
        assert boot.started == slot.address


@pytest.mark.parametrize("mode", REFERENCE_MODES)
def test_nothing_there(mode: SwapMode) -> None:
    boot = Flash(fast_board(mode)).boot()
    assert boot.started is None
    assert not boot.operations
    assert "no bootable image" in boot.console
