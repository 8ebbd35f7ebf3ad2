"""The suite has teeth: for each planted defect a test of it fails, and its message names the cause."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from harness.firmware import sources_folder

from .verify import verify


@dataclass(frozen=True)
class Found:
    """Where a defect is found: a test of the suite (-k), what it says, and the board it is tried on."""

    by: str
    says: str
    board: str = "nrf52840dk"


_ROLLBACK = "nrf52840dk:rollback_protection=true"
_IN_PLACE = "nrf52840dk:swap_mode=direct-xip-revert"
_RECOVERY = "nrf52840dk:serial_recovery=true"
_CHECKS = "does not check hash or signature"

#: what power cuts bring to light is found by the sweep
BOOT_LOADER = {
    "ignore_missing_confirm": Found("unconfirmed_update_is and model", "ignores a missing confirm"),
    "ignore_unmet_dependency": Found("dependencies and unmet and installed", "ignores an unmet dependency"),
    "minor_version_ignored": Found("dependencies and minor", "ignores an unmet dependency"),
    "equal_version_not_enough": Found("dependencies and comes", "look at dependencies, versions"),
    "image_ok_never_written": Found("permanent_update and model", "nobody confirmed it"),
    "test_confirmed_at_once": Found("unconfirmed_update_is and model", "somebody confirmed the image before"),
    "revert_not_confirmed": Found("unconfirmed_update_is and model", "what was given up is not tried again"),
    "signature_not_checked": Found("damaged_image and model and signature", _CHECKS),
    "signature_optional": Found("damaged_image and model and nobody", _CHECKS),
    "digest_not_compared": Found("damaged_image and model and digest and bit", _CHECKS),
    "trailer_not_counted": Found("one_byte_too_large and model", "bytes are too large, at most"),
    "primary_not_validated": Found("in_the_primary and payload", "validated before each boot"),
    "boots_not_bootable": Found("says_it_cannot_boot and model", "NON_BOOTABLE is never installed"),
    "invalid_image_kept": Found(
        "damaged_image and model and payload and bit", "keeps an image that it has to erase"
    ),
    "leftover_request_kept": Found(
        "does_not_block and model", "a request without an image stays in the trailer"
    ),
    "half_magic_accepted": Found("half_a_magic and model", "does not compare all of the magic"),
    "stored_counter_ignored": Found("stored_counter and model", "accepts nothing below it", _ROLLBACK),
    "counter_raised_too_early": Found(
        "unconfirmed_update_does and model", "until then the old image", _ROLLBACK
    ),
    "tries_not_counted": Found("gets_one_try", "what was tried and not confirmed is given up", _IN_PLACE),
    "primary_preferred": Found("higher_version_runs and app", "with the higher version is used", _IN_PLACE),
    "load_address_ignored": Found("for_another_address", "names another address cannot run", _IN_PLACE),
    "recovery_offset_ignored": Found("piece_at_another", "compares the offset of a piece", _RECOVERY),
    "recovery_mark_kept": Found("hands_over_to_recovery", "removes the mark that it has found", _RECOVERY),
}
APPLICATION = {
    "false_success": Found("reports_a_failed_update", "reports an update that was not carried out"),
    "confirms_before_self_test": Found("is_given_up and self_test", "look at when the application confirms"),
    "wrong_image_ok_offset": Found("after_an_update_was_confirmed and pin", "what was confirmed stays"),
    "forgets_record": Found("reports_a_good_update", "should say 0/1"),
    "stale_result": Found("reports_a_failed_update", "should say 2/0"),
    "update_in_idle": Found("cancelled_download and model", "should refuse with 4.05"),
    "ignores_integrity": Found("notices_a_corrupt_download and app", "the device took a corrupt image"),
    "reset_keeps_state": Found("push_that_breaks_off and model", "a reset by package ends a push"),
    "takes_any_block": Found("block_out_of_order", "blocks of a push were answered"),
    "no_deduplication": Found("over_a_bad_link and push", "was not downloaded"),
    "keeps_old_trailer": Found("takes_back_an_earlier_request", "a request belongs to the image"),
    "unfinished_counts_as_downloaded": Found("middle_of_a_download and pin", "the device says 2/0"),
    "cancel_not_recorded": Found("cancelled_download and model", "the device says 2/0"),
    "success_before_confirm": Found("nobody_confirms_is_given_up", "should say 3/0"),
    "first_component_settled_only": Found("reports_a_good_update", "model: the device says 0/0"),
    "record_at_each_start": Found("boot_without_an_update", "of storage"),
    "record_with_each_block": Found("download_wears", "how often the application stores its record"),
    "crash_undoes_update": Found("fails_later_stays and hang", "a hang after the confirmation takes nothing"),
    "asks_for_good": Found("nobody_confirms_is_given_up", "expected swapped, found confirmed"),
    "ignores_instances": Found("outlasts_the_update_of", "expected unchanged, found confirmed"),
    "slot_size_ignored": Found("wrong_size and large", "flash was changed: sector 0 of"),
    "rest_of_package_ignored": Found("wrong_size and padded", "integrity check of the package failed"),
    "download_while_updating": Found("refused_while and model", "should refuse with 4.05"),
    "erases_blank_sectors": Found("download_wears", "erased 1 times by the application, needed: 0"),
    "old_sectors_kept": Found("abandoned_push", "was not downloaded"),
    "torn_sector_trusted": Found("pull_by_object_5", "integrity check of the package failed"),
    "pull_starts_over": Found("pull_by_object_5", "was fetched 2 times"),
    "requests_not_repeated": Found("silent_link", "connection lost while downloading"),
    "data_not_tested": Found("data_that_the_application", "expected rolled back, found confirmed"),
    "smp_offset_ignored": Found("piece_at_another_offset", "compares the offset of a piece"),
    "smp_confirm_not_written": Found("confirmation_keeps", "a confirmation that was answered is in"),
    "smp_image_number_ignored": Found("reaches_its_slot and model", "the image number of an upload"),
    "version_of_other_slot": Found("reports_a_good_update", "the device says that version none runs"),
}
CATALOGUE = BOOT_LOADER | APPLICATION


@pytest.mark.parametrize("defect", CATALOGUE)
def test_defect_is_found_and_named(defect: str) -> None:
    found = CATALOGUE[defect]
    options = ["-k", found.by, f"--hil-build-option=DEFECT_{defect}=1", "--hil-boot-seconds=5"]
    code, printed = verify(found.board, *options)
    assert code == 1, f"nothing notices {defect}\n{printed}"
    message = " ".join(line.removeprefix("E").strip() for line in printed.splitlines())
    assert found.says in re.sub(r"\s+", " ", message), f"the message names another cause\n{printed}"


def test_catalogue_names_defects_that_exist() -> None:
    header = (sources_folder() / "lib" / "defects.h").read_text(encoding="utf-8")
    assert CATALOGUE.keys() <= set(re.findall(r"#ifndef DEFECT_(\w+)", header))
