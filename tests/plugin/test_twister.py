"""Under Zephyr's twister: board, probe and port from its options, one device for both, and its reports."""

from __future__ import annotations

import textwrap
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from .._boards import BOARD
from ..boards.build_folders import Sysbuild
from .conftest import Runner
from .test_options import SHOW

#: the options and the fixtures of Zephyr's plugin that matter here, by their names
STAND_IN = """
    import pytest

    def pytest_addoption(parser):
        parser.addoption("--twister-harness", action="store_true", default=False)
        parser.addini("twister_harness", "", type="bool")
        for name in ("build-dir", "device-type", "platform", "device-serial", "runner", "device-id"):
            parser.addoption(f"--{name}")
        parser.addoption("--device-serial-baud", type=int, default=115200)

    @pytest.fixture(scope="session")
    def device_object():
        return object()

    @pytest.fixture
    def dut(device_object):
        return device_object
"""
DESK = (
    "--device-type=hardware",
    "--device-serial=/dev/ttyACM9",
    "--runner=jlink",
    "--device-id=000683459357",
)
Twister = Callable[..., tuple[str, ...]]


@pytest.fixture
def twister(pytester: pytest.Pytester, tmp_path: Path) -> Twister:
    """Arguments that twister gives, for a folder that it has built."""
    pytester.makepyfile(twister_stand_in=textwrap.dedent(STAND_IN))
    pytester.syspathinsert()

    def arguments(*more: str, board: str = BOARD) -> tuple[str, ...]:
        folder = str(tmp_path / "out")
        return (
            "-p",
            "twister_stand_in",
            "--twister-harness",
            "-s",
            f"--build-dir={folder}",
            f"--hil-board={board}",
            *more,
        )

    Sysbuild().write(tmp_path / "out")
    return arguments


def test_device_of_the_hardware_map(run: Runner, twister: Twister) -> None:
    printed = run.inside(SHOW, *twister(*DESK), passed=1)
    assert f"boards under test: {BOARD} (hardware)" in printed
    assert "probe='683459357'" in printed
    assert "ports={'console': '/dev/ttyACM9'}" in printed


def test_what_is_said_goes_before_twister(
    run: Runner, twister: Twister, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = run.inside(SHOW, *twister(*DESK, "--hil-probe=other"), passed=1)
    assert "probe='other'" in printed
    assert "ACM9" not in printed
    monkeypatch.setenv("HIL_PORT", "console=loop://")
    assert "ports={'console': 'loop://'}" in run.inside(SHOW, *twister(*DESK), passed=1)
    printed = run.inside(SHOW, *twister(*DESK, "--hil-backend=embedded"), passed=1)
    assert f"{BOARD} (embedded)" in printed


@pytest.mark.parametrize("kind", ["native", "qemu", "custom"])
def test_no_hardware_is_the_emulator(run: Runner, twister: Twister, kind: str) -> None:
    printed = run.inside(SHOW, *twister(f"--device-type={kind}"), passed=1)
    assert f"{BOARD} (embedded)" in printed


def test_options_without_twister_mean_nothing(run: Runner, twister: Twister) -> None:
    arguments = [one for one in twister(*DESK) if one != "--twister-harness"]
    assert f"{BOARD} (embedded)" in run.inside(SHOW, *arguments, passed=1)


def test_board_of_the_build(run: Runner, twister: Twister, tmp_path: Path) -> None:
    test = """
        def test_board(hil_board):
            assert hil_board.file.name == "hil_board.yaml"
            assert str(hil_board.mcuboot.swap_mode) == "move"
            assert hil_board.serial[0].baud == 115200
    """
    run.inside(test, *twister(*DESK, board="twister"), passed=1)
    assert [file.name for file in (tmp_path / "out").glob("hil_board*")] == ["hil_board.yaml"]


def test_build_of_no_board_is_refused_with_its_line(run: Runner, twister: Twister, tmp_path: Path) -> None:
    file = tmp_path / "out" / "mcuboot" / "zephyr" / ".config"
    file.write_text(file.read_text() + "CONFIG_BOOT_ENCRYPT_IMAGE=y\n")
    printed = run.refused(*twister(*DESK, board="twister"))
    for words in ("CONFIG_BOOT_ENCRYPT_IMAGE", f"{file}:", "harness boards import"):
        assert words in printed


def test_board_of_the_build_needs_twister(run: Runner) -> None:
    assert "twister does not run this" in run.refused("--hil-board=twister")


BOTH = """
    import pytest

    @pytest.fixture(scope="session")
    def hil_session_device():
        return "no probe is looked for"

    def test_ours(hil_session_device):
        print("ours")

    def test_theirs(dut):
        print("theirs")

    def test_both(dut, hil_session_device):
        print("both")
"""


def test_twisters_tests_come_first_and_no_test_is_for_both(run: Runner, twister: Twister) -> None:
    printed = run.inside(BOTH, *twister("-v", *DESK), passed=2, errors=1)
    assert printed.index("theirs") < printed.index("ours\n")
    assert "ERROR at setup of test_both" in printed
    assert "this test uses the same device through twister" in printed
    run.inside(BOTH, *twister("--device-type=native"), passed=3)


PROPERTIES = """
    def test_board(hil_board):
        pass
"""


def test_passed_tests_have_passed_in_twisters_report(run: Runner, twister: Twister, tmp_path: Path) -> None:
    report, log = tmp_path / "report.xml", tmp_path / "twister_harness.log"
    given = f"--junit-xml={report}", f"--log-file={log}", "--log-file-level=DEBUG"
    run.inside(PROPERTIES, *twister(*given), passed=1)
    (case,) = ET.parse(report).iter("testcase")
    assert list(case) == []
    assert f"hil.board = {BOARD}" in log.read_text()
    arguments = [one for one in twister(*given) if one != "--twister-harness"]
    run.inside(PROPERTIES, *arguments, passed=1)
    (case,) = ET.parse(report).iter("testcase")
    assert [one.tag for one in case] == ["properties"]
