"""The doctor names what is wrong and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.bench import Finding, Level, System, examine, quarantine, read_bench
from harness.emulator import control

from ..devices.ppk2 import Ppk2, plugged_in
from .conftest import bench_file


def wrong(findings: list[Finding], topic: str) -> list[Finding]:
    assert all(finding.remedy for finding in findings if finding.level is Level.WRONG)
    return [finding for finding in findings if finding.topic == topic and finding.level is Level.WRONG]


def test_healthy_bench_is_well(desk: control.EmulatedBoard, tmp_path: Path) -> None:
    bench = read_bench(bench_file(tmp_path, desk))
    findings = examine(bench, system=System(tmp_path, tmp_path))
    assert not [finding for finding in findings if finding.level is Level.WRONG and finding.topic != "ports"]
    said = {(finding.topic, finding.what) for finding in findings}
    assert ("probes", desk.entry.uid) in said
    assert ("bench", "desk: free") in said


def test_probe_without_permission_gets_its_udev_rule(tmp_path: Path) -> None:
    folder = tmp_path / "devices" / "1-1"
    folder.mkdir(parents=True)
    for name, text in (("idVendor", "1366"), ("busnum", "1"), ("devnum", "12"), ("serial", "000683")):
        (folder / name).write_text(text + "\n")
    (finding,) = wrong(examine(system=System(tmp_path / "devices", tmp_path / "nodes")), "permissions")
    assert "J-Link 000683" in finding.what
    assert 'ATTR{idVendor}=="1366"' in finding.remedy
    node = tmp_path / "nodes" / "001" / "012"
    node.parent.mkdir(parents=True)
    node.touch()
    assert not wrong(examine(system=System(tmp_path / "devices", tmp_path / "nodes")), "permissions")


def test_bench_that_is_not_what_its_file_says(desk: control.EmulatedBoard, tmp_path: Path) -> None:
    file = bench_file(tmp_path, desk)
    file.write_text(
        file.read_text() + "  - { name: gone, board: nrf52840dk, probe: '1', ports: { console: /dev/none },"
        " power: { off: no-such-switch off, on: no-such-switch on } }\n"
    )
    quarantine(desk.entry.uid, "no answer")
    said = [finding.what for finding in wrong(examine(read_bench(file)), "bench")]
    assert any("desk: in quarantine" in text for text in said)
    assert any("gone: its probe 1 is not there" in text for text in said)
    assert any("gone: its port console (/dev/none) is not there" in text for text in said)
    assert any("gone: the program" in text and "(no-such-switch)" in text for text in said)


def test_ppk2(desk: control.EmulatedBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = bench_file(tmp_path, desk)
    text = file.read_text() + "    power: { ppk2: { serial: NUMBER, mode: ampere, millivolts: 3000 } }\n"
    with plugged_in(monkeypatch, "C0FFEE123456", Ppk2()) as ppk2:
        file.write_text(text.replace("NUMBER", "C0FFEE123456"))
        findings = examine(read_bench(file))
        line = f"{ppk2.name}: Power Profiler Kit II, USB serial number C0FFEE123456"
        assert line in [finding.what for finding in findings if finding.level is Level.WELL]
        assert not [finding for finding in wrong(findings, "bench") if "PPK2" in finding.what]
        file.write_text(text.replace("NUMBER", "C0FFEE"))
        (finding,) = wrong(examine(read_bench(file)), "bench")
        assert "desk: there is no PPK2 with this serial number (PPK2 C0FFEE)" in finding.what
        assert not ppk2.received, "nothing is switched by looking"


def test_board_file_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = tmp_path / "board.yaml"
    board.write_text("name: x\n")
    (tmp_path / "file").touch()
    monkeypatch.setenv("HARNESS_BENCH_DIR", str(tmp_path / "file" / "below"))
    findings = examine(boards=[board])
    assert any("components: missing" in finding.what for finding in wrong(findings, "boards"))
    assert any("HARNESS_BENCH_DIR" in finding.remedy for finding in wrong(findings, "folders"))
