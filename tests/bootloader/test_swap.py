"""Updates from request to confirmation or revert: both slots, trailers and scratch to the byte."""

from __future__ import annotations

import pytest

from harness.mcuboot import SwapMode

from .contract import PERMANENT, REVERT, TEST, Expected, confirm, differences, image_limit, request
from .rig import COPYING, SECTOR, SWAPPING, Board, Flash, fast_board, make_image

ALIGNMENTS = [(4, 8), (8, 8), (16, 16), (4, 32)]


def assert_test_and_revert(board: Board, old_size: int, new_size: int) -> None:
    """A test update runs, and is taken back because nobody confirms it."""
    primary = board.areas[0][0]
    old = make_image(primary, "1.0.0", total=old_size, sparse=True)
    new = make_image(primary, "2.0.0", total=new_size, sparse=True)
    flash = request(Flash(board).primary(old).secondary(new))
    tested = Expected(flash).update(TEST, old, new)
    boot = flash.boot()
    assert boot.started == primary.address, boot.console
    assert differences(flash, tested) == []
    assert not boot.findings

    reverted = Expected(flash).update(REVERT, new, old)
    boot = flash.boot()
    assert boot.started == primary.address, boot.console
    assert differences(flash, reverted) == []
    assert not boot.findings

    boot = flash.boot()
    assert boot.started == primary.address
    assert not boot.operations


@pytest.mark.parametrize("alignment", ALIGNMENTS, ids=str)
@pytest.mark.parametrize("mode", SWAPPING)
def test_unconfirmed_update_is_reverted(mode: SwapMode, alignment: tuple[int, int]) -> None:
    board = fast_board(mode, align=alignment[0], max_align=alignment[1])
    assert_test_and_revert(board, 1500, 9000)
    assert_test_and_revert(board, 9000, 5000)
    assert_test_and_revert(board, image_limit(board), 9000)


@pytest.mark.parametrize("mode", SWAPPING)
def test_trailers_of_several_sectors(mode: SwapMode) -> None:
    board = fast_board(mode, max_sectors=500)
    assert_test_and_revert(board, 5000, image_limit(board))
    assert_test_and_revert(board, image_limit(board), image_limit(board) - 100)


@pytest.mark.parametrize("scratch", [1, 4, 6])
def test_scratch_areas_of_any_size(scratch: int) -> None:
    board = fast_board(SwapMode.SCRATCH, scratch=scratch)
    assert_test_and_revert(board, 5000, 13000)
    assert_test_and_revert(board, image_limit(board), image_limit(board) - 5000)


@pytest.mark.parametrize("mode", SWAPPING)
def test_confirmed_update_stays(mode: SwapMode) -> None:
    """A test update that is confirmed stays, and makes way for the next one."""
    board = fast_board(mode)
    primary = board.areas[0][0]
    old, new, newest = (make_image(primary, version, sparse=True) for version in ("1.0.0", "2.0.0", "3.0.0"))
    flash = request(Flash(board).primary(old).secondary(new))
    flash.boot()
    confirm(flash)
    for _ in range(2):
        boot = flash.boot()
        assert boot.started == primary.address
        assert not boot.operations, boot.console
    secondary = board.areas[0][1]
    flash.put(secondary.address, b"\xff" * secondary.size).secondary(newest)
    again = Expected(request(flash)).update(TEST, new, newest)
    assert flash.boot().started == primary.address
    assert differences(flash, again) == []


@pytest.mark.parametrize("mode", SWAPPING)
def test_permanent_update_stays(mode: SwapMode) -> None:
    """A permanent update stays without anybody's confirmation."""
    board = fast_board(mode)
    primary = board.areas[0][0]
    old = make_image(primary, "1.0.0", size=5000, sparse=True)
    new = make_image(primary, "2.0.0", size=9000, sparse=True)
    flash = request(Flash(board).primary(old).secondary(new), permanent=True)
    installed = Expected(flash).update(PERMANENT, old, new)
    assert flash.boot().started == primary.address
    assert differences(flash, installed) == []
    boot = flash.boot()
    assert boot.started == primary.address
    assert not boot.operations, boot.console


@pytest.mark.parametrize("mode", [*SWAPPING, *COPYING])
def test_padded_by_imgtool(mode: SwapMode) -> None:
    """A trailer made on the host has no swap_info; the loader writes its own."""
    board = fast_board(mode)
    primary, secondary = board.areas[0]
    old, new = make_image(primary, "1.0.0"), make_image(primary, "2.0.0")
    room = secondary.size - (SECTOR if mode is SwapMode.OFFSET else 0)
    for permanent in (False, True):
        padded = make_image(
            primary,
            "2.0.0",
            slot_size=room,
            max_sectors=8,
            pad=True,
            confirm=permanent,
            overwrite_only=mode in COPYING,
        )
        flash = Flash(board).primary(old).secondary(padded)
        wanted = Expected(flash).update(PERMANENT if permanent else TEST, old, new)
        assert flash.boot().started == primary.address
        assert differences(flash, wanted) == []


@pytest.mark.parametrize("permanent", [False, True])
@pytest.mark.parametrize("mode", COPYING)
def test_copied_over(mode: SwapMode, permanent: bool) -> None:
    """Both kinds of request do the same: there is no way back."""
    for alignment in ALIGNMENTS[::2]:
        board = fast_board(mode, align=alignment[0], max_align=alignment[1])
        primary = board.areas[0][0]
        old = make_image(primary, "1.0.0", size=9000, sparse=True)
        for size in (5001, 2 * SECTOR, image_limit(board)):
            new = make_image(primary, "2.0.0", total=size, sparse=True)
            flash = request(Flash(board).primary(old).secondary(new), permanent=permanent)
            flash.put(primary.address + 2 * SECTOR, bytes(8))
            wanted = Expected(flash).update(TEST, old, new)
            boot = flash.boot()
            assert boot.started == primary.address, boot.console
            assert differences(flash, wanted) == []
            assert not boot.findings
            assert not flash.boot().operations


@pytest.mark.parametrize("mode", [*SWAPPING, *COPYING])
def test_two_images(mode: SwapMode) -> None:
    board = fast_board(mode, 2)
    old = [make_image(board.areas[n][0], f"1.0.{n}", size=4500, sparse=True) for n in range(2)]
    new = [make_image(board.areas[n][0], f"2.0.{n}", size=4200, sparse=True) for n in range(2)]
    flash = Flash(board)
    for number in range(2):
        flash.primary(old[number], number).secondary(new[number], number)
        request(flash, number=number)
    wanted = [Expected(flash, number).update(TEST, old[number], new[number]) for number in range(2)]
    wanted[0].scratch = wanted[1].scratch  # both use it, image 1 last
    boot = flash.boot()
    assert boot.started == board.areas[0][0].address
    assert differences(flash, *wanted) == []
    if mode in COPYING:
        return
    confirm(flash, 0)
    confirm(flash, 1)
    assert not flash.boot().operations


@pytest.mark.parametrize("mode", SWAPPING)
def test_words_are_programmed_once(mode: SwapMode) -> None:
    """But for magics that are made invalid in one write before the sector is erased."""
    board = fast_board(mode, max_sectors=500)
    primary = board.areas[0][0]
    old, new = (make_image(primary, v, total=image_limit(board), sparse=True) for v in ("1.0.0", "2.0.0"))
    flash = request(Flash(board).primary(old).secondary(new))
    for _ in range(2):
        written: set[int] = set()
        for operation in flash.boot().operations:
            place = set(range(operation.address, operation.address + operation.size, 4))
            if operation.size > 4:
                written -= place
            elif operation.value:
                assert not written & place, operation
                written |= place


def test_board_of_the_project_within_budget() -> None:
    """The standard flash map with real signatures: 64 KiB take 5 to 6 million instructions."""
    board = Board(SwapMode.SCRATCH, ((64, 64), (16, 16)), scratch=8, max_sectors=64)
    assert board.areas[1][1].address + board.areas[1][1].size == 0xAC000
    app, model = make_image(board.areas[0][0], size=48000), make_image(board.areas[1][0], size=16000)
    flash = Flash(board).primary(app, 0).primary(model, 1)
    boot = flash.boot()
    assert boot.started == 0xC000, boot.console
    alone = Board(SwapMode.SCRATCH, ((64, 64),), scratch=8, max_sectors=64)
    boot = Flash(alone).primary(make_image(alone.areas[0][0], size=65000)).boot()
    assert boot.started == 0xC000
    assert boot.instructions < 6_000_000
