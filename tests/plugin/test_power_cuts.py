"""The fixture `hil_power_cuts` on the emulated board."""

from __future__ import annotations

from pathlib import Path

from .._boards import BOARD, board_file
from .conftest import Runner

FAST = ["--hil-board", BOARD, "--hil-build-option", "DEFECT_signature_not_checked=1"]
TEST = """
    import pytest
    from harness.sweep import Plan, Tears

    PLAN = Plan(Tears(inside=False), pairs=10, chains=0)

    def test_survives(hil_power_cuts):
        results = hil_power_cuts("test", plan=PLAN, size=16, old_size=16, workers=1)
        results.expect_survived()
        assert results.sweep.complete and results.sweep.tally.points > 100
"""


def test_sound_bootloader(run: Runner):
    run(TEST, *FAST, "-W", "error", passed=1)


def test_planted_defect(run: Runner):
    planted = ["--hil-build-option", "DEFECT_status_before_copy=1"]
    printed = run(TEST.replace("workers=1", "workers=1, first_failure=True"), *FAST, *planted, failed=1)
    assert "power cuts were not survived" in printed
    assert "power lost at operation" in printed
    assert "port_flash" in printed
    assert "next boot" in printed


def test_board_without_emulator_is_skipped(run: Runner, tmp_path: Path):
    file = board_file(tmp_path, emulator="")
    run(TEST, "--hil-board", str(file), "--hil-backend", "hardware", skipped=1)
