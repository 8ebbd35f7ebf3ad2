"""Power lost at every flash operation of an update, before it and inside it."""

from __future__ import annotations

import pytest

from harness.emulator import StopCause
from harness.mcuboot import SwapMode

from .contract import confirm, image_limit, magic, request
from .power import SeededTear, cuts, slots_of, sweep, tear
from .rig import COPYING, PATIENCE, SECTOR, SWAPPING, Board, Boot, Flash, apply, fast_board, make_image, rig

TEST, REVERT, PERMANENT = "test", "revert", "permanent"


def before(board: Board, kind: str, old_size: int = 9000, new_size: int = 700) -> Flash:
    """The flash right before the boot that carries out this kind of update."""
    primary = board.areas[0][0]
    old = make_image(primary, "1.0.0", total=old_size, sparse=True)
    new = make_image(primary, "2.0.0", total=new_size, sparse=True)
    flash = request(Flash(board).primary(old).secondary(new), permanent=kind == PERMANENT)
    if kind == REVERT:
        flash.boot()
    return flash


def assert_survives(flash: Flash, **options: int) -> None:
    result = sweep(flash, (0, 1 + flash.board.align), first_only=True, **options)
    assert result.failures == []
    assert result.points > 10


@pytest.mark.parametrize("kind", [TEST, REVERT, PERMANENT])
@pytest.mark.parametrize("mode", SWAPPING)
def test_every_operation(mode: SwapMode, kind: str) -> None:
    assert_survives(before(fast_board(mode), kind))


@pytest.mark.parametrize("kind", [TEST, REVERT])
def test_every_operation_with_trailer_sectors_shared(kind: str) -> None:
    """Images that reach into the trailer's sector: scratch keeps the status for a while."""
    board = fast_board(SwapMode.SCRATCH, scratch=6, align=8, max_sectors=200)
    limit = image_limit(board)
    assert_survives(before(board, kind, limit, limit - 3000), every=2)


@pytest.mark.parametrize("mode", COPYING)
def test_every_operation_of_a_copy(mode: SwapMode) -> None:
    assert_survives(before(fast_board(mode), TEST))


@pytest.mark.parametrize("mode", SWAPPING)
def test_cut_again_while_recovering(mode: SwapMode) -> None:
    board = fast_board(mode, align=16, max_align=16)
    for kind in (TEST, REVERT):
        flash = before(board, kind)
        result = sweep(flash, (0, 1, 2, 3, 4, 5), every=29, recovery_cuts=3)
        assert result.failures == []


@pytest.mark.parametrize("mode", SWAPPING)
def test_two_images(mode: SwapMode) -> None:
    board = fast_board(mode, 2)
    flash = Flash(board)
    for number in range(2):
        primary = board.areas[number][0]
        flash.primary(make_image(primary, "1.0.0", size=600, sparse=True), number)
        flash.secondary(make_image(primary, "2.0.0", size=4500, sparse=True), number)
        request(flash, number=number)
    assert_survives(flash, every=9)
    flash.boot()
    assert_survives(flash, every=9)


@pytest.mark.parametrize("mode", SWAPPING)
def test_update_after_an_update(mode: SwapMode) -> None:
    """The trailer of the last update is still in the primary."""
    board = fast_board(mode)
    flash = before(board, TEST)
    flash.boot()
    confirm(flash)
    primary, secondary = board.areas[0]
    flash.put(secondary.address, b"\xff" * secondary.size)
    request(flash.secondary(make_image(primary, "3.0.0", total=4500, sparse=True)))
    assert_survives(flash, every=2)


@pytest.mark.parametrize("mode", SWAPPING)
def test_cut_right_behind_copy_done_uses_up_the_test(mode: SwapMode) -> None:
    """All is done but nobody ran: the boot loader cannot tell, and reverts."""
    flash = before(fast_board(mode), TEST)
    whole = flash.copy()
    boot = whole.boot()
    reverted = whole.copy()
    reverted.boot()
    data = bytearray(flash.data)
    for _ in apply(data, boot.operations):
        pass
    cut = Flash(flash.board, data)
    assert slots_of(cut) == slots_of(whole)
    assert cut.boot().started is not None
    assert slots_of(cut) == slots_of(reverted)


@pytest.mark.parametrize("mode", SWAPPING)
def test_torn_copy_done_is_completed(mode: SwapMode) -> None:
    """Half-written it counts as bad, and an image that nobody confirms would stay for ever."""
    board = fast_board(mode)
    flash = before(board, TEST)
    whole = flash.copy()
    operations = whole.boot().operations
    data = bytearray(flash.data)
    for operation in apply(data, operations):
        if operation is operations[-1]:
            break
    for value in (0x7F, 0x03, 0x81):
        torn = Flash(board, bytearray(data))
        torn.data[operations[-1].address] = value
        torn.boot()
        assert slots_of(torn) == slots_of(whole)


@pytest.mark.parametrize("mode", SWAPPING)
def test_refused_image(mode: SwapMode) -> None:
    """Cut while an invalid image is being erased."""
    board = fast_board(mode)
    primary = board.areas[0][0]
    bad = bytearray(make_image(primary, "2.0.0", size=6000, sparse=True).data)
    bad[0x400] ^= 1
    flash = request(
        Flash(board).primary(make_image(primary, "1.0.0", size=600, sparse=True)).secondary(bytes(bad))
    )
    boot = flash.copy().boot()
    for _, content in cuts(flash, boot, (0, 1, 2, 3, 4, 5)):
        cut = Flash(board, bytearray(content))
        assert cut.boot().started == primary.address
        assert cut.area(primary) == flash.area(primary)
        assert cut.area(board.areas[0][1])[-16:] != magic(board.max_align)
        assert not cut.boot().operations


def test_direct_xip_with_revert() -> None:
    """The older image runs in the end, wherever the erase of the one that failed is cut."""
    from .test_direct_xip import put

    board = fast_board(SwapMode.DIRECT_XIP_REVERT)
    primary, secondary = board.areas[0]
    flash = put(board, "1.0.0", "2.0.0")
    flash.put(primary.address + primary.size - 24, b"\x01")
    first = flash.copy()
    for _, content in cuts(flash, first.boot(), (0, 1, 2, 3)):
        assert Flash(board, bytearray(content)).boot().started == secondary.address
    again = first.copy()
    for _, content in cuts(first, again.boot(), (0, 1, 2, 3, 4)):
        cut = Flash(board, bytearray(content))
        assert cut.boot().started == primary.address
        assert cut.boot().started == primary.address


@pytest.mark.parametrize("seed", [0, 1, 3, 4])
def test_emulator_cuts_as_these_tests_do(seed: int) -> None:
    """The chip itself loses power: the flash is what the sweeps work out from the journal."""
    board = fast_board(SwapMode.MOVE)
    flash = before(board, TEST)
    boot: Boot = flash.copy().boot()
    chip = rig()
    for number in (0, 1, 5, 40, len(boot.operations) - 1):
        chip.load(board)
        machine = chip.machine
        machine.program(0xC000, bytes(flash.data[0xC000:]))
        machine.cut_power_at(machine.operations + number, SeededTear(seed))
        machine.power_on()
        assert machine.run(PATIENCE, sleep_until=0).cause is StopCause.POWER_CUT
        data = bytearray(flash.data)
        for at, operation in enumerate(apply(data, boot.operations)):
            if at == number:
                assert tear(data, operation, seed)[0xC000:] == bytes(machine.flash.view)[0xC000 : board.end]
                break
    assert len(boot.operations) > 40
    assert machine.flash.page_size == SECTOR
