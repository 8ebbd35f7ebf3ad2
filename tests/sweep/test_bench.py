"""Power cuts on a device that is reached as hardware is: by probe id, port and power switch alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness import SweepError
from harness._deadline import Deadline
from harness.boards import find_board
from harness.devices import Device, DeviceSettings, SwitchedPower, open_device
from harness.emulator import control
from harness.sweep import BenchReport, Options, cut_on_bench, write_bench_report

from .._boards import BOARD
from ..devices.stand_ins import power_switch

FAST = Options(size=1000, build={"DEFECT_signature_not_checked": 1})


class Switch:
    """A power switch that is wired to an emulated board.

    With ``operation`` power goes at that flash operation when the switch is used alone, as it is for a cut:
    no test can rely on the time that an update takes on a busy machine. The first such use is the update
    without a cut.
    """

    real = True

    def __init__(self, board: control.EmulatedBoard) -> None:
        self._board = board
        self.lost, self.alone = 0, 0
        self.whole = self.armed = False
        self.operation: int | None = None

    def off(self) -> None:
        limit = Deadline(60)
        while self.armed and self._board.control.call("state")["powered"]:
            assert not limit.expired, "the operation never came"
            limit.pause(0.02)
        self.armed = False
        self._board.control.call("power", False)
        self.lost += 1

    def on(self) -> None:
        self.alone += not self.whole
        if self.operation is not None and not self.whole and self.alone > 1:
            done = self._board.control.call("state")["operations"]
            self._board.control.call("cut_power_at", done + self.operation, 0)
            self.armed = True
        self._board.control.call("power", True)


class Wired(SwitchedPower):
    """Tells the switch when somebody wants more than a cut."""

    def on(self) -> None:
        self.switch.whole = True  # type: ignore[attr-defined]
        super().on()
        self.switch.whole = False  # type: ignore[attr-defined]


@pytest.fixture
def device() -> Iterator[Device]:
    with control.EmulatedBoard("nrf52840", board=BOARD, target="nrf52840", seed=9, speed=8) as board:
        settings = DeviceSettings("hardware", board.entry.uid, {"console": board.entry.serial["uart0"]})
        with open_device(find_board(BOARD), settings) as opened:
            opened.power = Wired(Switch(board), opened.debug)
            yield opened


def test_cuts_at_random_times_hold_and_are_told_as_what_they_are(device: Device) -> None:
    report = cut_on_bench(device, "test", cuts=3, seed=4, options=FAST)
    assert (report.points, report.failed, report.complete) == (3, 0, True)
    assert report.held + report.used_up == 3
    assert (report.method, report.device_id) == ("power", "0000000000000009")
    assert device.power.switch.lost >= 6  # type: ignore[attr-defined]
    for cut in report.cuts:
        assert 0 <= cut.wanted <= report.window
        assert cut.wanted <= cut.earliest <= cut.latest
        assert cut.latest - cut.earliest <= report.jitter.spread
        assert cut.runs[0] == (["new", "old"] if cut.outcome == "held" else ["old", "old"])
        assert cut.runs[-1] == ["old", "old"], "nobody confirms it"
    assert BenchReport.model_validate_json(report.to_json()) == report


def test_planted_defect_is_found(device: Device, tmp_path: Path) -> None:
    options = Options(size=50_000, build=dict(FAST.build) | {"DEFECT_resumes_at_next_sector": 1})
    device.power.switch.operation = 20_000  # type: ignore[attr-defined]
    report = cut_on_bench(device, "permanent", cuts=1, options=options)
    assert report.failed == 1
    assert sum(failure.count for failure in report.failures) == report.failed
    assert all(failure.rules and failure.after and not failure.cuts for failure in report.failures)
    write_bench_report(report, {"junit": tmp_path / "cuts.xml"})
    suite = ElementTree.parse(tmp_path / "cuts.xml").getroot()[0]
    told = {found.get("name"): found.get("value") for found in suite.iter("property")}
    assert (told["failed"], told["method"], told["board"]) == ("1", "power", BOARD)
    (case,) = suite.iter("testcase")
    (failure,) = case
    assert failure.get("message") == "; ".join(report.cuts[0].rules)
    assert report.failures[0].after.splitlines()[0] in (failure.text or "")
    assert "ms after it came" in (failure.text or "")
    with pytest.raises(SweepError, match="cannot be written"):
        write_bench_report(report, {"junit": tmp_path})


def test_without_a_switch_the_core_is_stopped_and_reset() -> None:
    with control.EmulatedBoard("nrf52840", board=BOARD, target="nrf52840", speed=8) as board:
        settings = DeviceSettings("hardware", board.entry.uid, {"console": board.entry.serial["uart0"]})
        with open_device(find_board(BOARD), settings) as opened:
            report = cut_on_bench(opened, "revert", cuts=1, options=FAST)
    assert (report.method, report.points, report.failed) == ("reset", 1, 0)
    assert report.cuts[0].runs[-1] == ["old", "old"]


def test_scenario_with_an_application_is_refused(device: Device) -> None:
    with pytest.raises(SweepError, match="what an application does"):
        cut_on_bench(device, "confirm", cuts=1)


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    from harness.cli import main

    monkeypatch.setenv("HARNESS_BENCH_DIR", str(tmp_path))
    with control.EmulatedBoard("nrf52840", board=BOARD, target="nrf52840", speed=8) as board:
        switch = power_switch(tmp_path, board)
        bench = tmp_path / "bench.yaml"
        bench.write_text(
            f"devices:\n  - name: desk\n    board: {BOARD}\n    probe: {board.entry.uid}\n"
            f"    ports: {{ console: '{board.entry.serial['uart0']}' }}\n"
            f"    power: {{ on: '{switch} on', off: '{switch} off' }}\n"
        )
        file = tmp_path / "report.json"
        arguments = [
            "--board",
            BOARD,
            "--cuts",
            "1",
            "--size",
            "500",
            "--bench",
            str(bench),
            "--json",
            str(file),
            "--junit",
            str(tmp_path / "report.xml"),
        ]
        monkeypatch.setattr(sys, "argv", ["harness", "cuts", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
    printed = capsys.readouterr().out
    assert left.value.code == 0, printed
    assert "power switched" in printed
    assert "not to a flash operation" in printed
    report = json.loads(file.read_text())
    assert (report["kind"], report["points"], report["failed"]) == ("hardware", 1, 0)
    suite = ElementTree.parse(tmp_path / "report.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("1", "0")
    assert [case.get("name") for case in suite.iter("testcase")] == ["cut 1"]
