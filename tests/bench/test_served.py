"""A probe on another machine: pyOCD's server there, which lives exactly as long as it is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import BenchError, ProbeMissingError
from harness.bench._served import ServedProbe
from harness.devices import DebugPort
from harness.emulator import control

from . import _far

TARGET = "nrf52840"
NO_FILE = Path("/nowhere/serial")


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The other machine; its files are in this folder."""
    folder = tmp_path / "far"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    with getattr(request, "param", _far.stand_in)(folder):
        yield folder


def serving(folder: Path, first: str = "") -> str:
    """A program that says it serves, and does nothing but live."""
    script = folder / "pyocd"
    script.write_text(
        f"#!/bin/sh\n{first}\necho $$ > '{folder}/pid'; echo 'Serving debug probe'; exec sleep 100\n"
    )
    script.chmod(0o755)
    return str(script)


@pytest.mark.parametrize("far", [_far.best], indirect=True)
def test_server_lives_as_long_as_it_is_needed(desk: control.EmulatedBoard, far: Path) -> None:
    serial = far / "serial"
    serial.write_text(f"00{desk.entry.uid}\n")
    with ServedProbe("far", None, serial, pyocd=str(_far.pyocd(far))) as served:
        with DebugPort(served.unique_id, target=TARGET) as debug:
            debug.program({0x10000: b"far"})
        assert desk.control.call("read_memory", 0x10000, 3) == b"far"
    assert _far.has_ended(far)
    with pytest.raises(ProbeMissingError):
        DebugPort(served.unique_id, target=TARGET)


@pytest.mark.parametrize("far", [_far.best], indirect=True)
def test_server_ends_with_a_process_that_is_killed(far: Path) -> None:
    use = (
        "import os, pathlib, sys; from harness.bench._served import ServedProbe;"
        " ServedProbe('far', '1', pathlib.Path('/'), pyocd=sys.argv[1]); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", use, serving(far)], timeout=100, check=False)
    assert killed.returncode == -9
    assert _far.has_ended(far)


@pytest.mark.parametrize(
    ("host", "pyocd", "probe", "words"),
    [
        ("refused", "pyocd", "1", "'ssh refused true' has to work"),
        ("none", "pyocd", "1", "Could not resolve hostname none"),
        ("far", "/nowhere/pyocd", "1", "install pyOCD there"),
        ("far", "pyocd", None, "name the probe's id"),
        ("far", "false", "1", "ssh far pyocd list"),
    ],
)
def test_server_that_cannot_be_started(
    far: Path, host: str, pyocd: str, probe: str | None, words: str
) -> None:
    with pytest.raises(ProbeMissingError, match="no probe server") as caught:
        ServedProbe(host, probe, NO_FILE, pyocd=pyocd)
    assert words in str(caught.value)


def test_probe_that_is_not_there(far: Path) -> None:
    with pytest.raises(ProbeMissingError, match="no probe server") as caught:
        ServedProbe("far", "none", NO_FILE, pyocd=str(_far.pyocd(far)))
    assert "Waiting for a debug probe matching unique ID 'none'" in str(caught.value)
    assert _far.has_ended(far)


def test_port_that_is_taken_over_there_is_followed_by_another(far: Path) -> None:
    taken = f"if mkdir '{far}/tried'; then echo '[Errno 98] Address already in use'; exit 1; fi"
    with ServedProbe("far", "1", NO_FILE, pyocd=serving(far, taken)):
        assert (far / "tried").is_dir()
    assert _far.has_ended(far)


def test_without_ssh_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BenchError, match="there is no ssh"):
        ServedProbe("far", "1", NO_FILE, pyocd="pyocd")
