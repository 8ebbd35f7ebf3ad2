"""`harness verify` and `harness demo`: what they show, and their exit codes."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
from pathlib import Path

import pytest

from harness.boards import find_board
from harness.firmware import bootloader_program, compile_program, firmware_layout

from .._boards import BOARD, board_file
from .conftest import Outcome, finish, spawn

STEPS = ("first boot", "update both components", "update to the bad images", "reset once more")


def verify(*arguments: str) -> Outcome:
    return finish(spawn("verify", "--board", BOARD, *arguments))


def test_verify_passes(tmp_path: Path):
    file = tmp_path / "junit.xml"
    arguments = ("-k", "first_boot_runs", "-W", "error", f"--junitxml={file}", "--hil-speed", "9")
    printed = verify("--backend", "embedded", *arguments).ended(0)
    assert f"boards under test: {BOARD} (embedded)" in printed
    assert "1 passed" in printed
    assert "hil.swap_mode" in file.read_text(encoding="utf-8")


def test_verify_fails_if_a_verdict_does_not_hold():
    printed = verify(
        "-k",
        "test_dependencies and unmet and installed",
        "--hil-build-option",
        "DEFECT_ignore_unmet_dependency=1",
    ).ended(1)
    assert "ignores an unmet dependency" in printed


def test_verify_hands_bench_options_on():
    bench = ("--backend", "hardware", "--probe", "no-such-probe", "--port", "console=socket://host:1")
    printed = verify(*bench, "-k", "first_boot_runs").ended(1)
    assert "no-such-probe: no such debug probe" in printed
    assert "1 error" in printed
    assert "the bench is broken" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--board", "nrf52841dk"), "did you mean nrf52840dk?"),
        (("--backend", "software"), "'software' is not one of"),
        (("--probe", "1"), "--hil-probe is for --hil-backend hardware"),
        (("-k", "no_such_test"), "deselected"),
        (("--no-such-option",), "unrecognized arguments: --no-such-option"),
    ],
)
def test_verify_used_wrongly(arguments: tuple[str, ...], said: str):
    outcome = verify(*arguments)
    assert outcome.code == 2
    assert said in outcome.output + outcome.errors
    assert "Traceback" not in outcome.output + outcome.errors


def _table(text: str) -> dict[str, str]:
    rows = re.findall(
        r"^[^\w]*([a-z0-9 ]+?)\s*[^\w\s]\s+(.+?)\s*[^\w\s]\s+(held|did not hold)", text, re.MULTILINE
    )
    return {step: verdict for step, _, verdict in rows}


def test_demo_holds(tmp_path: Path):
    printed = finish(spawn("demo")).ended(0)
    assert _table(printed) == dict.fromkeys(STEPS, "held"), printed
    assert "image 1: 2.0.0, magic good, image_ok set, copy_done set" in printed
    assert not list((tmp_path / "here").iterdir())
    assert not list((tmp_path / "state").rglob("*.json"))


def _with_half_a_bootloader(folder: Path) -> Path:
    """A board file that names a boot loader which knows the first component only."""
    layout = firmware_layout(find_board(BOARD))
    program = bootloader_program(dataclasses.replace(layout, components=layout.components[:1]))
    (folder / "bootloader.elf").write_bytes(compile_program(program).read_bytes())
    return board_file(folder, bootloader="bootloader.elf")


def test_demo_fails_if_a_verdict_does_not_hold(tmp_path: Path):
    printed = finish(spawn("demo", "--board", _with_half_a_bootloader(tmp_path))).ended(1)
    held = {"first boot": "held", "update both components": "did not hold"}
    assert _table(printed) == held, printed
    assert "model: expected confirmed, found unchanged" in printed
    assert (
        "nothing was installed: the request did not reach the trailer, or the boot loader did not" in printed
    )


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize("ending", ["SIGINT", "SIGTERM"])
def test_demo_that_is_interrupted_leaves_nothing(tmp_path: Path, ending: str):
    process = spawn("demo")
    assert process.stdout is not None
    assert any("first boot" in line for line in process.stdout)
    assert len(list((tmp_path / "state").rglob("*.json"))) == 1
    process.send_signal(getattr(signal, ending))
    outcome = finish(process)
    assert outcome.code == 130
    assert outcome.errors.split() == ["interrupted"]
    assert not list((tmp_path / "state").rglob("*.json"))
