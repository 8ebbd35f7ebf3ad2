"""What is there without Renode: platforms and their models, and what is said when Renode is missing."""

from __future__ import annotations

from contextlib import closing

import pytest

from harness._deadline import Deadline
from harness._errors import EmulatorError
from harness.boards import find_board, shipped_boards
from harness.renode import RenodeBoard, RenodeMissingError, _process, platform_names
from harness.renode._gdb import GdbClient
from harness.renode._machine import RenodeMachine
from harness.renode._platforms import find_platform, model_file
from harness.renode._process import RenodeProcess, problems


@pytest.mark.parametrize("name", platform_names())
def test_every_platform_has_its_models(name: str):
    platform = find_platform(name)
    description = model_file(f"{name}.repl").read_text(encoding="utf-8")
    source = model_file(f"{name}.cs").read_text(encoding="utf-8")
    for part in (*platform.uarts, platform.power):
        assert f"\n{part}: McubootHarness." in description
    for line in description.splitlines():
        if "McubootHarness." in line:
            model = line.split("McubootHarness.")[1].split()[0]
            assert f"public class {model} :" in source, f"{model} is not in {name}.cs"


def test_boards_name_platforms_that_exist():
    named = {find_board(name).renode for name in shipped_boards()} - {None}
    assert named == set(platform_names())


def test_an_unknown_platform_is_named_with_the_known_ones():
    with pytest.raises(EmulatorError, match=r"(?s)'nrf9999'.*nrf52840, stm32l475"):
        find_platform("nrf9999")


@pytest.mark.parametrize(
    ("setting", "where"), [(None, "PATH"), ("/nowhere/renode", "HARNESS_RENODE=/nowhere/renode")]
)
def test_without_renode_it_says_where_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path, setting: str | None, where: str
):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("HARNESS_RENODE", raising=False)
    if setting is not None:
        monkeypatch.setenv("HARNESS_RENODE", setting)
    with pytest.raises(RenodeMissingError, match=r"https://renode\.io") as caught:
        RenodeBoard("nrf52840")
    assert caught.value.where == where


def test_a_program_that_is_no_renode_is_told_with_what_it_wrote(monkeypatch, tmp_path):
    program = tmp_path / "renode"
    program.write_text("#!/bin/sh\necho 'Fatal error: no runtime here'\n")
    program.chmod(0o755)
    monkeypatch.setenv("HARNESS_RENODE", str(program))
    with pytest.raises(EmulatorError, match="no runtime here"):
        RenodeBoard("nrf52840")


@pytest.mark.parametrize(
    "ending", ["cat", "echo 'Fatal error: a name it lacks'"], ids=["silent", "with a problem"]
)
def test_a_renode_that_is_too_old_is_told_by_its_version(monkeypatch, tmp_path, ending: str):
    program = tmp_path / "renode"
    program.write_text(f"#!/bin/sh\necho 'Renode, version 1.14.0.28 (9ec2-2023)'\nexec {ending}\n")
    program.chmod(0o755)
    monkeypatch.setenv("HARNESS_RENODE", str(program))
    with pytest.raises(EmulatorError, match=r"(?s)too old.*1\.15 or later.*1\.14.*renode\.io"):
        RenodeBoard("nrf52840")


def test_a_model_that_does_not_compile_is_told_with_the_error(renode: None, monkeypatch, tmp_path):
    source = tmp_path / "nrf52840.cs"
    source.write_text("class Broken { int number = true; }\n", encoding="utf-8")
    monkeypatch.setattr(_process, "model_file", lambda _name: source)
    with pytest.raises(EmulatorError, match=r"(?s)did not set up.*nrf52840\.cs\(1,\d+\): error CS"):
        RenodeProcess(find_platform("nrf52840"))


def test_problems_are_told_from_chatter():
    lines = [
        "09:28:21 [INFO] cpu: Setting initial values",
        "09:28:21 [ERROR] ppi: Failed to register PPI from 0x40001128 for channel 23",
        "There was an error executing command 'include @x.cs'",
        "x.cs(3,1): error CS1002: ; expected",
    ]
    assert problems(lines) == lines[2:3]


def test_a_breakpoint_whose_report_is_late_is_not_lost(renode: None, monkeypatch: pytest.MonkeyPatch):
    platform = find_platform("nrf52840")
    with closing(RenodeProcess(platform)) as process:
        machine = RenodeMachine(process.gdb, platform, seed=1)
        machine.power_on(halted=True)
        ram, core = platform.ram[0][0], machine._core
        machine.write_block(ram, b"\x00\xbf\x00\xbf\xfe\xe7")  # nop; nop; b .
        core.write_register(16, 1 << 24)
        core.write_register(15, ram)
        monkeypatch.setattr(GdbClient, "stopped", lambda _client, _within=0.0: False)
        core.resume(frozenset({ram + 2}))
        limit = Deadline(20)
        while not core.stopped() and not limit.expired:
            core.activity()
        assert core.read_register(15) == ram + 2
        assert not core.running
