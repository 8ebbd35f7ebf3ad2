"""Options from command line, environment and ini file; what makes no sense is refused before tests run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .._boards import BOARD, board_file
from .conftest import Runner

HARDWARE = ("--hil-board", BOARD, "--hil-backend", "hardware")
EMBEDDED = ("--hil-board", BOARD)

#: prints what the options led to
SHOW = """
    def test_show(pytestconfig):
        from harness._pytest._settings import KEY
        settings = pytestconfig.stash[KEY]
        print("boards", [board.name for board in settings.boards])
        print(settings.device)
        print("build options", settings.build_options)
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--hil-board", "nrf52840dx"), ["no board 'nrf52840dx'", "did you mean nrf52840dk?"]),
        (("--hil-board", "nowhere/my_board.yaml"), ["my_board.yaml", "cannot be read"]),
        ((*EMBEDDED, "--hil-board", BOARD), ["two boards are called 'nrf52840dk'"]),
        ((*EMBEDDED, "--hil-backend", "hardwear"), ["'hardwear' is none of hardware, embedded, renode"]),
        ((*EMBEDDED, "--hil-probe", "1"), ["--hil-probe is for --hil-backend hardware", "is embedded"]),
        ((*EMBEDDED, "--hil-port", "console=x"), ["--hil-port is for --hil-backend hardware"]),
        ((*EMBEDDED, "--hil-power-on", "x"), ["--hil-power-on is for --hil-backend hardware"]),
        ((*HARDWARE, "--hil-speed", "2"), ["--hil-speed is for --hil-backend embedded"]),
        ((*HARDWARE, "--hil-port", "/dev/ttyACM0"), ["'/dev/ttyACM0' is not ROLE=URL", "console=/dev/tty"]),
        ((*HARDWARE, "--hil-port", "console="), ["'console=' is not ROLE=URL"]),
        (
            (*HARDWARE, "--hil-port", "consol=/dev/ttyACM0"),
            ["no serial port 'consol'", "only console", "did you mean 'console'?"],
        ),
        ((*HARDWARE, "--hil-port", "console=a", "--hil-port", "console=b"), ["console is given twice"]),
        ((*HARDWARE, "--hil-power-on", "switch on"), ["--hil-power-on and --hil-power-off need each other"]),
        ((*HARDWARE, "--hil-power-on", "switch 'on"), ["--hil-power-on", "No closing quotation"]),
        ((*HARDWARE, "-n", "2"), ["tests share one board, so run them with -n 0"]),
        ((*EMBEDDED, "--hil-speed", "fast"), ["--hil-speed: 'fast' is no number"]),
        ((*EMBEDDED, "--hil-boot-seconds", "soon"), ["--hil-boot-seconds: 'soon' is no number"]),
        ((*EMBEDDED, "--hil-boot-seconds=0"), ["--hil-boot-seconds: 0 is not between 0.1 and 3600"]),
        ((*EMBEDDED, "--hil-speed", "nan"), ["--hil-speed: nan is not between 0.01 and 1000"]),
        ((*EMBEDDED, "--hil-speed=-1"), ["--hil-speed: -1 is not between"]),
        ((*EMBEDDED, "--hil-protocol", "ftp"), ["board nrf52840dk has no 'ftp', but lwm2m or smp"]),
        ((*EMBEDDED, "--hil-build-option", "DEFECT_x"), ["'DEFECT_x' is not NAME=VALUE"]),
        ((*EMBEDDED, "--hil-build-option", "DEFECT_x=yes"), ["DEFECT_x=yes: 'yes' is no number"]),
        ((*EMBEDDED, "--hil-build-option", "a b=1"), ["'a b' is no name of a C define"]),
    ],
)
def test_refused(run: Runner, arguments: tuple[str, ...], said: list[str]):
    printed = run.refused(*arguments)
    for part in said:
        assert part in printed


def test_bad_board_file_is_named_with_line_and_field(run: Runner, tmp_path: Path):
    file = board_file(tmp_path, "mine", debug="{ target: nrf52840, frequenzy: 1 }")
    printed = run.refused("--hil-board", str(file))
    line = file.read_text().splitlines().index("debug: { target: nrf52840, frequenzy: 1 }") + 1
    assert f"{file}:{line}: debug.frequenzy" in printed
    assert "frequency" in printed


def test_board_without_emulator_needs_hardware(run: Runner, tmp_path: Path):
    printed = run.refused("--hil-board", str(board_file(tmp_path, "mine", emulator="")))
    assert "board mine has no emulator model: name a probe with --hil-backend hardware" in printed


def test_hardware_is_one_board(run: Runner, tmp_path: Path):
    printed = run.refused(*HARDWARE, "--hil-board", str(board_file(tmp_path, "mine")))
    assert "one board at a time" in printed


def test_command_line(run: Runner):
    printed = run.inside(
        SHOW,
        *(*HARDWARE, "-s", "--hil-probe", "683007782", "--hil-port", "console=socket://host:1"),
        *("--hil-power-on", "switch 'port 2' on", "--hil-power-off", "switch off"),
        *("--hil-build-option", "DEFECT_a=1", "--hil-build-option", "B=0x10"),
        passed=1,
    )
    assert f"boards under test: {BOARD} (hardware)" in printed
    assert f"boards ['{BOARD}']" in printed
    assert "probe='683007782', ports={'console': 'socket://host:1'}" in printed
    assert "on=['switch', 'port 2', 'on']" in printed or sys.platform == "win32"
    assert "build options {'DEFECT_a': 1, 'B': 16}" in printed


def test_environment(run: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HIL_BOARD", f"{BOARD}, {board_file(tmp_path, 'mine')}")
    monkeypatch.setenv("HIL_SPEED", "3")
    monkeypatch.setenv("HIL_BUILD_OPTION", "DEFECT_a=1,DEFECT_b=0")
    monkeypatch.setenv("HIL_PROBE", "of a bench that this run does not use")
    printed = run.inside(SHOW, "-s", passed=1)
    assert f"boards ['{BOARD}', 'mine']" in printed
    assert "probe=None" in printed
    assert "speed=3.0" in printed
    assert "build options {'DEFECT_a': 1, 'DEFECT_b': 0}" in printed


def test_environment_names_ports_with_colons(run: Runner, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HIL_PORT", "console=socket://127.0.0.1:4000")
    assert "'console': 'socket://127.0.0.1:4000'" in run.inside(SHOW, "-s", *HARDWARE, passed=1)


def test_ini_file_names_a_board_file_beside_it(
    run: Runner, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
):
    boards = pytester.mkdir("boards")
    board_file(boards, "mine")
    ini = pytester.makeini("[pytest]\nhil_board =\n    boards/mine.yaml\n    nrf52840dk\nhil_speed = 2.5\n")
    monkeypatch.chdir(pytester.mkdir("elsewhere"))
    printed = run.inside(SHOW, "-s", "-c", str(ini), str(pytester.path), passed=1)
    assert f"boards ['mine', '{BOARD}']" in printed
    assert "speed=2.5" in printed


def test_command_line_goes_before_environment_before_ini_file(
    run: Runner, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
):
    pytester.makeini("[pytest]\nhil_board = nrf52840dk\nhil_speed = 2\nhil_backend = hardware\n")
    monkeypatch.setenv("HIL_SPEED", "3")
    monkeypatch.setenv("HIL_BACKEND", "embedded")
    assert "speed=3.0" in run.inside(SHOW, "-s", passed=1)
    assert "speed=4.0" in run.inside(SHOW, "-s", "--hil-speed", "4", passed=1)
