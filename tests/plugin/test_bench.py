"""Hardware through a bench file: locked, shared between processes, judged at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.bench import DeviceLock, evidence, holder
from harness.emulator.control import EmulatedBoard

from .._boards import BOARD
from .conftest import Runner

HARDWARE = ("--hil-board", BOARD, "--hil-backend", "hardware")


@pytest.fixture
def boards() -> Iterator[list[EmulatedBoard]]:
    with ExitStack() as stack:
        made = [EmulatedBoard("nrf52840", board=BOARD, target="nrf52840", seed=seed) for seed in (1, 2)]
        yield [stack.enter_context(board) for board in made]


def bench(folder: Path, *boards: EmulatedBoard, **more: str) -> str:
    added = "".join(f", {key}: {value}" for key, value in more.items())
    lines = [
        f"  - {{ name: desk{number}, board: {BOARD}, probe: {board.entry.uid},"
        f" ports: {{ console: '{board.entry.serial['uart0']}' }}{added} }}\n"
        for number, board in enumerate(boards)
    ]
    file = folder / "bench.yaml"
    file.write_text("devices:\n" + "".join(lines))
    return str(file)


def test_session_holds_the_lock_of_its_device(run: Runner, boards: list[EmulatedBoard], tmp_path: Path):
    file = bench(tmp_path, *boards, power="{ on: 'true', off: 'true' }")
    run(
        """
        import pytest
        from harness.bench import holder

        @pytest.mark.hil_requires("power")
        def test_holds(hil_device):
            found = holder(hil_device.debug.unique_id)
            assert "pytest" in found.doing
        """,
        *(*HARDWARE, "--hil-bench", file, "--hil-probe", "desk1"),
        passed=1,
    )
    assert holder(boards[1].entry.uid) is None


def test_taken_device_is_an_error_that_names_the_owner(
    run: Runner, boards: list[EmulatedBoard], tmp_path: Path
):
    file = bench(tmp_path, boards[0])
    with DeviceLock(boards[0].entry.uid, doing="night run"):
        printed = run(
            "def test_anything(hil_device): pass",
            *HARDWARE,
            "--hil-bench",
            file,
            "--hil-wait",
            "0.1",
            errors=1,
        )
    assert "the device is taken" in printed
    assert "night run" in printed


def test_two_workers_share_two_devices(
    run: Runner, boards: list[EmulatedBoard], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = bench(tmp_path, *boards)
    (tmp_path / "seen").mkdir()
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    printed = run(
        """
        import os, time, pathlib, pytest

        @pytest.mark.parametrize("number", range(2))
        def test_each(hil_device, number):
            folder = pathlib.Path(os.environ["SEEN"])
            (folder / hil_device.debug.unique_id).touch()
            end = time.monotonic() + 30
            while len(list(folder.iterdir())) < 2 and time.monotonic() < end:
                time.sleep(0.05)
            assert len(list(folder.iterdir())) == 2
        """,
        *(*HARDWARE, "--hil-bench", file, "-n", "2", "--dist", "load"),
        passed=2,
    )
    assert "2 workers" in printed


def test_device_that_breaks_in_a_test_is_quarantined(
    run: Runner, boards: list[EmulatedBoard], tmp_path: Path
):
    file = bench(tmp_path, boards[0])
    printed = run(
        """
        def ill(*_, **__):
            from pyocd.core.exceptions import TransferTimeoutError

            raise TransferTimeoutError("WAIT response")

        def test_breaks(hil_device):
            from harness.devices.pyocd_probe import EmulatedProbe

            for name in ("read_ap", "write_ap", "reset", "read_dp", "get_memory_interface_for_ap"):
                setattr(EmulatedProbe, name, ill)
            hil_device.debug.reset()
        """,
        *(*HARDWARE, "--hil-bench", file),
        failed=1,
    )
    assert "the bench is broken" in printed
    found = evidence(boards[0].entry.uid)
    assert found is not None
    again = run("def test_anything(hil_device): pass", *HARDWARE, "--hil-bench", file, errors=1)
    assert "harness bench recover desk0" in again


def test_options_are_checked(run: Runner, tmp_path: Path):
    assert "there is no such file" in run.refused(*HARDWARE, "--hil-bench", "none.yaml")
    assert "'soon' is no number" in run.refused(*HARDWARE, "--hil-wait", "soon")
    assert "--hil-wait is for --hil-backend hardware" in run.refused("--hil-board", BOARD, "--hil-wait", "1")
    (tmp_path / "bench.yaml").write_text("devices: 7\n")
    assert "wrong kind of value" in run.refused(*HARDWARE, "--hil-bench", str(tmp_path / "bench.yaml"))
