"""Every defect that can be planted in the bootloader makes a test fail that passes without it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.firmware import sources_folder
from harness.mcuboot import SwapMode

from . import test_direct_xip as xip
from . import test_power as power
from . import test_recovery as recovery
from . import test_requests as requests
from . import test_swap as swap
from . import test_validation as validation
from . import test_versions as versions
from .contract import TEST
from .rig import planted

SCRATCH, MOVE, OFFSET = SwapMode.SCRATCH, SwapMode.MOVE, SwapMode.OFFSET

#: defect -> a test and its arguments
FOUND_BY: dict[str, tuple[Callable[..., None], dict[str, Any]]] = {
    "ignore_missing_confirm": (
        swap.test_unconfirmed_update_is_reverted,
        {"mode": SCRATCH, "alignment": (4, 8)},
    ),
    "ignore_unmet_dependency": (versions.test_unmet_dependency, {"mode": MOVE}),
    "equal_version_not_enough": (versions.test_dependency_met_by_what_is_there, {"mode": OFFSET}),
    "minor_version_ignored": (versions.test_downgrade_by_version, {"mode": SCRATCH}),
    "updated_images_reverted": (versions.test_power_lost_between_two_swaps, {"mode": SCRATCH}),
    "image_ok_never_written": (swap.test_permanent_update_stays, {"mode": SCRATCH}),
    "revert_not_confirmed": (
        swap.test_unconfirmed_update_is_reverted,
        {"mode": OFFSET, "alignment": (4, 8)},
    ),
    "test_confirmed_at_once": (
        swap.test_unconfirmed_update_is_reverted,
        {"mode": MOVE, "alignment": (4, 8)},
    ),
    "primary_preferred": (xip.test_highest_version, {"mode": xip.PLAIN}),
    "tries_not_counted": (xip.test_image_that_does_not_confirm_itself_gets_one_try, {}),
    "signature_not_checked": (
        validation.test_signature_by_another_key_for_the_right_one,
        {"mode": SCRATCH},
    ),
    "signature_optional": (validation.test_missing_entries, {}),
    "digest_not_compared": (validation.test_wrong_body, {"mode": SCRATCH}),
    "trailer_not_counted": (
        validation.test_largest_image,
        {"mode": MOVE, "align": 4, "max_align": 8, "max_sectors": 8},
    ),
    "primary_not_validated": (validation.test_good_secondary_alone_does_not_help, {"mode": SCRATCH}),
    "boots_not_bootable": (validation.test_not_bootable, {}),
    "load_address_ignored": (xip.test_image_for_another_address, {}),
    "stored_counter_ignored": (versions.test_lower_counter, {"mode": SCRATCH}),
    "counter_raised_too_early": (versions.test_counter_of_a_tested_image, {"mode": SCRATCH}),
    "invalid_image_kept": (validation.test_wrong_body, {"mode": SCRATCH}),
    "leftover_request_kept": (requests.test_request_without_image_is_removed, {"mode": SCRATCH}),
    "any_value_sets_flag": (
        requests.test_all_729_states,
        {"mode": SCRATCH, "secondary_magic": requests.GOOD},
    ),
    "half_magic_accepted": (
        requests.test_all_729_states,
        {"mode": SCRATCH, "secondary_magic": requests.BAD},
    ),
    "status_before_copy": (power.test_every_operation, {"mode": SCRATCH, "kind": power.TEST}),
    "resumes_at_next_sector": (power.test_every_operation, {"mode": SCRATCH, "kind": power.TEST}),
    "swap_size_lost": (power.test_every_operation, {"mode": MOVE, "kind": power.TEST}),
    "resumed_as_test": (power.test_every_operation, {"mode": SCRATCH, "kind": power.REVERT}),
    "announced_swap_ignored": (requests.test_announced_swap, {"mode": MOVE, "kind": TEST}),
    "header_from_wrong_slot": (power.test_every_operation, {"mode": OFFSET, "kind": power.TEST}),
    "magic_half_written": (power.test_every_operation, {"mode": MOVE, "kind": power.TEST}),
    "copy_done_too_early": (power.test_every_operation, {"mode": SCRATCH, "kind": power.PERMANENT}),
    "torn_end_ignored": (power.test_torn_copy_done_is_completed, {"mode": SCRATCH}),
    "request_erased_too_early": (power.test_every_operation, {"mode": MOVE, "kind": power.TEST}),
    "revert_not_announced": (power.test_every_operation, {"mode": MOVE, "kind": power.REVERT}),
    "secondary_erased_too_early": (
        power.test_every_operation_of_a_copy,
        {"mode": SwapMode.OVERWRITE_ONLY},
    ),
    "scratch_erased_too_early": (power.test_every_operation, {"mode": SCRATCH, "kind": power.REVERT}),
    "scratch_withdrawn_too_early": (
        power.test_every_operation_with_trailer_sectors_shared,
        {"kind": power.TEST},
    ),
    "scratch_of_any_image": (versions.test_scratch_of_the_other_image, {}),
    "recovery_offset_ignored": (recovery.test_piece_at_another_offset_is_not_taken, {}),
    "recovery_mark_kept": (recovery.test_reset_that_asks_for_recovery_gets_it_once, {}),
}


@pytest.mark.parametrize("defect", sorted(FOUND_BY))
def test_defect_is_found(defect: str) -> None:
    test, arguments = FOUND_BY[defect]
    with planted(defect), pytest.raises(AssertionError):
        test(**arguments)


def _parameters(test: Callable[..., None]) -> Iterator[tuple[tuple[str, ...], list[tuple[object, ...]]]]:
    """Names and values of each `parametrize` of a test."""
    for mark in getattr(test, "pytestmark", []):
        names, values = mark.args
        if isinstance(names, str):
            yield (names,), [(value,) for value in values]
        else:
            yield tuple(names), [tuple(value) for value in values]


@pytest.mark.parametrize("defect", sorted(FOUND_BY))
def test_the_same_is_run_without_the_defect(defect: str) -> None:
    test, arguments = FOUND_BY[defect]
    assert set(inspect.signature(test).parameters) == set(arguments)
    for names, values in _parameters(test):
        assert tuple(arguments[name] for name in names) in values


def test_every_defect_is_here() -> None:
    text = (sources_folder() / "lib" / "defects.h").read_text()
    catalogue = set(re.findall(r"/\* bootloader: [^*]*\*/\n#ifndef DEFECT_(\w+)", text))
    assert catalogue == set(FOUND_BY)
