"""The suite has teeth: for each planted defect a test of it fails, and its message names the cause."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass

import pytest

from harness.firmware import sources_folder

_SECONDS = 120


@dataclass(frozen=True)
class Found:
    """Where a defect is found: a test of the suite (-k), what it says, and the board it is tried on."""

    by: str
    says: str
    board: str = "nrf52840dk"


_ROLLBACK = "nrf52840dk:rollback_protection=true"
_CHECKS = "does not check hash or signature"

#: what power cuts bring to light is found by the sweep, what direct-xip does wrong by the boot loader's tests
CATALOGUE = {
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
}


@pytest.mark.parametrize("defect", CATALOGUE)
def test_defect_is_found_and_named(defect: str) -> None:
    found = CATALOGUE[defect]
    result = _verify(found, f"--hil-build-option=DEFECT_{defect}=1")
    assert result.returncode == 1, f"nothing notices {defect}\n{result.stdout}\n{result.stderr}"
    message = " ".join(line.removeprefix("E").strip() for line in result.stdout.splitlines())
    assert found.says in re.sub(r"\s+", " ", message), f"the message names another cause\n{result.stdout}"


def test_sound_build_is_not_accused() -> None:
    boards = {found.board for found in CATALOGUE.values()}
    for board in boards:
        tests = " or ".join(f"({found.by})" for found in CATALOGUE.values() if found.board == board)
        result = _verify(Found(tests, "", board))
        assert result.returncode == 0, result.stdout + result.stderr
        assert " failed" not in result.stdout


def test_catalogue_names_defects_that_exist() -> None:
    header = (sources_folder() / "lib" / "defects.h").read_text(encoding="utf-8")
    assert CATALOGUE.keys() <= set(re.findall(r"#ifndef DEFECT_(\w+)", header))


def _verify(found: Found, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "harness",
        "verify",
        "--board",
        found.board,
        "-k",
        found.by,
        "-q",
        *options,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
