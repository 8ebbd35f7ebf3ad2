"""Every defect that can be planted in the bootloader is found by what the other tests assert."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from harness.firmware import BootMode, sources_folder

from . import test_direct_xip as xip
from . import test_power as power
from . import test_requests as requests
from . import test_swap as swap
from . import test_validation as validation
from . import test_versions as versions
from .contract import TEST
from .rig import Board, board_for, fast_board, make_image

SCRATCH, MOVE, OFFSET = BootMode.SCRATCH, BootMode.MOVE, BootMode.OFFSET
GOOD, UNSET, BAD = requests.GOOD, requests.UNSET, requests.BAD

Check = Callable[[Board], None]


def request_with_bad_flag(board: Board) -> None:
    requests.assert_request_is_understood(board, (UNSET, UNSET, UNSET), (GOOD, BAD, UNSET))


def request_with_bad_magic(board: Board) -> None:
    requests.assert_request_is_understood(board, (UNSET, UNSET, UNSET), (BAD, UNSET, UNSET))


def refuses(spoil: Callable[[validation.Image], validation.Image]) -> Check:
    return lambda board: validation.assert_refused(board, spoil(make_image(board.areas[0][0], "2.0.0")))


def survives(kind: str, old_size: int = 4500, new_size: int = 700) -> Check:
    return lambda board: power.assert_update_survives(board, kind, old_size, new_size)


def versions_board(mode: BootMode, images: int = 1, **options: int) -> Board:
    return fast_board(mode, images).with_options(options)


DOWNGRADE, ROLLBACK = {"BOOT_DOWNGRADE_VERSION": 1}, {"BOOT_HARDWARE_ROLLBACK": 1}

#: defect -> build, and what must hold in it
FOUND_BY: dict[str, tuple[Board, Check]] = {
    "ignore_missing_confirm": (
        fast_board(SCRATCH),
        lambda board: swap.assert_test_and_revert(board, 700, 5000),
    ),
    "ignore_unmet_dependency": (fast_board(MOVE, 2), versions.assert_unmet_dependency_stops_all),
    "equal_version_not_enough": (fast_board(OFFSET, 2), versions.assert_met_by_equal_version),
    "minor_version_ignored": (
        versions_board(SCRATCH, **DOWNGRADE),
        lambda board: versions.assert_downgrade_refused(board, "1.2.3", "1.1.9"),
    ),
    "updated_images_reverted": (fast_board(SCRATCH, 2), versions.assert_updated_image_waits_for_the_other),
    "image_ok_never_written": (fast_board(SCRATCH), swap.assert_permanent),
    "revert_not_confirmed": (fast_board(OFFSET), lambda board: swap.assert_test_and_revert(board, 700, 5000)),
    "test_confirmed_at_once": (fast_board(MOVE), lambda board: swap.assert_test_and_revert(board, 700, 5000)),
    "primary_preferred": (fast_board(BootMode.DIRECT_XIP), xip.assert_highest_version_runs),
    "tries_not_counted": (fast_board(BootMode.DIRECT_XIP_REVERT), xip.assert_gets_one_try),
    "signature_not_checked": (board_for(SCRATCH), refuses(validation.foreign_signature)),
    "signature_optional": (board_for(SCRATCH), refuses(validation.without_signature)),
    "digest_not_compared": (fast_board(SCRATCH), refuses(validation.wrong_body)),
    "trailer_not_counted": (fast_board(MOVE), validation.assert_limit),
    "primary_not_validated": (
        fast_board(SCRATCH),
        lambda board: validation.assert_not_booted(
            board, validation.wrong_body(make_image(board.areas[0][0]))
        ),
    ),
    "boots_not_bootable": (fast_board(SCRATCH), validation.assert_not_bootable_is_left),
    "load_address_ignored": (fast_board(BootMode.DIRECT_XIP), xip.assert_wrong_address_is_skipped),
    "stored_counter_ignored": (versions_board(SCRATCH, **ROLLBACK), versions.assert_lower_counter_is_refused),
    "counter_raised_too_early": (
        versions_board(SCRATCH, **ROLLBACK),
        versions.assert_counter_waits_for_the_confirmation,
    ),
    "invalid_image_kept": (fast_board(SCRATCH), refuses(validation.wrong_body)),
    "leftover_request_kept": (fast_board(SCRATCH), requests.assert_leftover_request_is_removed),
    "any_value_sets_flag": (fast_board(SCRATCH), request_with_bad_flag),
    "half_magic_accepted": (fast_board(SCRATCH), request_with_bad_magic),
    "status_before_copy": (fast_board(SCRATCH), survives("test")),
    "resumes_at_next_sector": (fast_board(SCRATCH), survives("test")),
    "swap_size_lost": (fast_board(MOVE), survives("test", 9000, 700)),
    "resumed_as_test": (fast_board(SCRATCH), survives("revert")),
    "announced_swap_ignored": (
        fast_board(MOVE),
        lambda board: requests.assert_announced_swap_is_done(board, TEST),
    ),
    "header_from_wrong_slot": (fast_board(OFFSET), survives("test", 17000, 700)),
    "copy_done_too_early": (fast_board(SCRATCH), survives("permanent")),
    "torn_end_ignored": (fast_board(SCRATCH), power.assert_torn_end_is_mended),
    "request_erased_too_early": (fast_board(MOVE), survives("test")),
    "revert_not_announced": (fast_board(MOVE), survives("revert")),
    "secondary_erased_too_early": (fast_board(BootMode.OVERWRITE_ONLY), survives("test")),
    "scratch_erased_too_early": (fast_board(SCRATCH), survives("revert")),
    "scratch_withdrawn_too_early": (fast_board(SCRATCH, scratch=6), survives("test", 24000, 700)),
    "scratch_of_any_image": (fast_board(SCRATCH, 2), versions.assert_scratch_of_the_other_image_is_let_alone),
}


@pytest.mark.parametrize("defect", sorted(FOUND_BY))
def test_defect_is_found(defect: str) -> None:
    board, check = FOUND_BY[defect]
    with pytest.raises(AssertionError):
        check(board.planted(defect))


@pytest.mark.parametrize("defect", sorted(FOUND_BY))
def test_nothing_is_found_without_it(defect: str) -> None:
    board, check = FOUND_BY[defect]
    check(board)


def test_every_defect_is_here() -> None:
    text = (sources_folder() / "lib" / "defects.h").read_text()
    catalogue = set(re.findall(r"/\* bootloader: [^*]*\*/\n#ifndef DEFECT_(\w+)", text))
    assert catalogue == set(FOUND_BY)
