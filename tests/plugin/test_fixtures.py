"""Fixtures on the emulated board: what they give, what is skipped, and what is an error."""

from __future__ import annotations

import re
from pathlib import Path

from harness.emulator.control import EmulatedBoard

from .._boards import BOARD, board_file
from .conftest import Runner

WORKS = """
    from harness.boards import Board, Component
    from harness.devices import Console, Device
    from harness.mcuboot import FlashReport
    from harness.protocols import Lwm2mServer
    from harness.updates import ImageFactory, UpdateRig

    def start(rig, images):
        rig.install(*(images.make(part, "1.0.0") for part in rig.board.components))
        rig.boot()

    def test_kinds(hil_board, hil_device, hil_console, hil_images, hil_rig, hil_lwm2m):
        kinds = {Board: hil_board, Device: hil_device, Console: hil_console, ImageFactory: hil_images,
                 UpdateRig: hil_rig, Lwm2mServer: hil_lwm2m}
        for kind, value in kinds.items():
            assert type(value) is kind
        assert hil_rig.device is hil_device and hil_rig.server is hil_lwm2m
        assert hil_device.board is hil_board

    def test_device_is_used(hil_rig, hil_images, hil_slots, hil_device):
        start(hil_rig, hil_images)
        report = hil_slots()
        assert type(report) is FlashReport
        assert str(report.plan.version) == "1.0.0"
        hil_device.console.expect("application 1.0.0")

    def test_earlier_text_is_skipped(hil_console):
        from harness import DeadlineExceeded
        import pytest
        with pytest.raises(DeadlineExceeded):
            hil_console.expect("application", deadline=0)
"""


def test_fixtures_give_what_they_say(run: Runner):
    run(WORKS, "--hil-board", BOARD, "-W", "error", passed=3)


def test_tests_run_for_each_board_and_component(run: Runner, tmp_path: Path):
    printed = run(
        """
        opened = []

        def test_board(hil_board, hil_session_device):
            assert hil_session_device.board is hil_board
            opened.append(hil_session_device.debug.unique_id)

        def test_component(hil_component, hil_board, hil_session_device):
            assert hil_board.component(hil_component.name) is hil_component
            assert hil_session_device.board is hil_board
            opened.append(hil_session_device.debug.unique_id)

        def test_other(): pass

        def test_each_was_opened_once():
            assert len(opened) == 6
            assert len(set(opened)) == 2
        """,
        *("-v", "-W", "error", "--hil-board", BOARD, "--hil-board", str(board_file(tmp_path, "mine"))),
        passed=8,
    )
    names = re.findall(r"::(\S+) PASSED", printed)
    assert names[-2:] == ["test_other", "test_each_was_opened_once"]
    assert sorted(names[:-2]) == sorted(
        [f"test_board[{board}]" for board in (BOARD, "mine")]
        + [f"test_component[{board}-{part}]" for board in (BOARD, "mine") for part in ("app", "model")]
    )


def test_what_the_board_lacks_is_skipped_with_its_name(run: Runner, tmp_path: Path):
    silent = board_file(tmp_path, "silent", serial="[]", protocols="[]")
    printed = run(
        """
        import pytest

        @pytest.mark.hil_requires("signing", "three-images", "scratch")
        def test_marked(hil_board): raise AssertionError

        @pytest.mark.hil_requires("signing", "power")
        def test_has_it(hil_board): pass

        def test_in_a_fixture(hil_console): raise AssertionError
        def test_again(hil_console): raise AssertionError
        def test_protocol(hil_lwm2m): raise AssertionError

        def test_in_the_middle(hil_device):
            hil_device.require("slipmux")
            raise AssertionError
        """,
        *("-rs", "-W", "error", "--hil-board", str(silent)),
        skipped=5,
        passed=1,
    )
    assert len(re.findall(r"SKIPPED \[1\] .*: board silent has no three-images", printed)) == 1
    assert len(re.findall(r"SKIPPED \[2\] .*: board silent has no console", printed)) == 1
    assert len(re.findall(r"SKIPPED \[1\] .*: board silent has no lwm2m", printed)) == 1
    assert len(re.findall(r"SKIPPED \[1\] .*: board silent has no slipmux", printed)) == 1


def test_bench_without_power_switch_lacks_power(run: Runner):
    printed = run.inside(
        """
        import pytest

        @pytest.mark.hil_requires("power")
        def test_cut(hil_board): raise AssertionError
        """,
        *("-rs", "--hil-board", BOARD, "--hil-backend", "hardware"),
        skipped=1,
    )
    assert f"board {BOARD} has no power" in printed


def test_missing_probe_is_an_error(run: Runner):
    printed = run(
        """
        def test_device(hil_device): pass
        def test_rig(hil_rig): pass
        """,
        *("--hil-board", BOARD, "--hil-backend", "hardware", "--hil-probe", "no-such-probe"),
        errors=2,
    )
    assert "the bench is broken" in printed
    assert "no-such-probe: no such debug probe" in printed
    assert "check cable, power and the id" in printed
    assert "_debug_port.py" not in printed, "the traceback goes down into the harness"


def test_port_that_cannot_be_opened_is_an_error(run: Runner):
    with EmulatedBoard("nrf52840", board=BOARD, target="nrf52840") as board:
        printed = run(
            "def test_device(hil_device): pass",
            *("--hil-board", BOARD, "--hil-backend", "hardware", "--hil-probe", board.entry.uid),
            *("--hil-port", "console=socket://127.0.0.1:1"),
            errors=1,
        )
    assert "the bench is broken" in printed
    assert "socket://127.0.0.1:1" in printed


def test_bench_that_breaks_during_a_test_fails_it(run: Runner):
    printed = run(
        """
        def test_reads(hil_device):
            hil_device.power.off()
            hil_device.report()
        """,
        *("--hil-board", BOARD),
        failed=1,
    )
    assert "the bench is broken" in printed
    assert re.search(r"^>\s+hil_device.report\(\)$", printed, re.MULTILINE)
    assert "_debug_port.py" not in printed, "the traceback goes down into the harness"


def test_hardware_is_driven_through_probe_and_port(run: Runner):
    """A board that runs by itself, reached as one on a bench is: by probe id and port."""
    with EmulatedBoard("nrf52840", board=BOARD, target="nrf52840", speed=8) as board:
        run(
            """
            def test_boots(hil_rig, hil_images, hil_slots):
                assert hil_rig.device.kind == "hardware"
                hil_rig.install(*(hil_images.make(part, "1.0.0") for part in hil_rig.board.components))
                hil_rig.boot()
                assert str(hil_slots().plan.version) == "1.0.0"
            """,
            *("-W", "error", "--hil-board", BOARD, "--hil-backend", "hardware"),
            *("--hil-probe", board.entry.uid, "--hil-port", f"console={board.entry.serial['uart0']}"),
            passed=1,
        )
