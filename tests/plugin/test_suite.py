"""The regression suite on the emulated board: it passes, and notices defects and names their cause."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import harness.suite
from harness.boards import find_board

from .._boards import BOARD
from .conftest import Runner

FILES = sorted(file.stem for file in Path(harness.suite.__file__).parent.glob("test_*.py"))


def _suite(run: Runner, *arguments: str) -> pytest.RunResult:
    return run.pytester.runpytest_subprocess(
        *("--pyargs", "-p", "no:cacheprovider", "--hil-board", BOARD, *arguments), timeout=600
    )


@pytest.mark.parametrize("module", FILES)
def test_holds_on_the_emulated_board(run: Runner, module: str):
    result = _suite(run, "-W", "error", "-rs", f"harness.suite.{module}")
    outcomes = result.parseoutcomes()
    assert outcomes
    assert not set(outcomes) - {"passed", "skipped"}
    missing = set(re.findall(rf"board {BOARD} has no (\S+)", result.stdout.str()))
    assert not missing & find_board(BOARD).capabilities


@pytest.mark.parametrize(
    ("defect", "test", "cause"),
    [
        (
            "ignore_missing_confirm",
            "test_unconfirmed_update_is_rolled_back and model",
            "model: expected rolled back, found swapped"
            "[^\n]*\n[E ]*the boot loader kept an image that nobody confirmed: it ignores a missing confirm",
        ),
        (
            "ignore_unmet_dependency",
            "test_dependencies and unmet and installed",
            "app: expected pending, found (swapped|confirmed)"
            "[^\n]*\n[E ]*the boot loader installed an image although what it depends on is not there:"
            " it ignores an unmet dependency",
        ),
        (
            "false_success",
            "test_device_tells_that_a_wrongly_signed_update_failed and model",
            r"model: the device reports success [^\n]* but flash holds model 1\.0\.0:"
            " the application reports an update that was not carried out",
        ),
    ],
)
def test_planted_defect_is_noticed_and_named(run: Runner, defect: str, test: str, cause: str):
    result = _suite(run, "harness.suite", "-k", test, "--hil-build-option", f"DEFECT_{defect}=1")
    outcomes = result.parseoutcomes()
    assert outcomes.pop("deselected") > 1
    assert outcomes == {"failed": 1}
    assert re.search(cause, result.stdout.str())
