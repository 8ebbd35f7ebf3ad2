"""Places of labgrid that bring the probe."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from pprint import pformat
from typing import Any

import pytest

from harness import BenchError, ProbeError, ProbeMissingError
from harness.bench import (
    BenchDevice,
    LabgridPlace,
    Request,
    _placed,
    evidence,
    holder,
    open_on_bench,
    quarantine,
    read_bench,
    recover,
)
from harness.boards import find_board
from harness.emulator import control

from .._boards import BOARD
from .._pyocd_server import PyocdServer
from . import _far
from .conftest import port_of
from .test_labgrid import HARDWARE, USE, boards, console, labgrid, resource, stand_in, tool

__all__ = ["boards"]


def shown(*resources: tuple[str, str, dict[str, Any]]) -> str:
    """What `labgrid-client show` prints of a place that has acquired these."""
    extra = {"extra": {"proxy": "exporter", "proxy_required": False}}
    return "".join(
        f"Acquired resource {name!r} (here/desk/{kind}/{name}):\n"
        + "".join(f"  {line}\n" for line in pformat({"cls": kind, "params": extra | params}).splitlines())
        for name, kind, params in resources
    )


def debugger(host: str, path: str = "1-1.2", **more: Any) -> tuple[str, str, dict[str, Any]]:
    return "debugger", "NetworkUSBDebugger", {"host": host, "path": path, "busnum": 1, **more}


def service(address: str, name: str = "probe") -> tuple[str, str, dict[str, Any]]:
    return name, "NetworkService", {"address": address, "port": 5556, "username": "x"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None, str]]:
    """Servers that would have been started: host, probe, file with the serial number."""
    started: list[tuple[str, str | None, str]] = []

    class Server(ExitStack):
        unique_id = "served"

        def __init__(self, host: str, probe: str | None, serial: Path, *, pyocd: str) -> None:
            super().__init__()
            assert pyocd == "pyocd"
            started.append((host, probe, str(serial)))

    monkeypatch.setattr(_placed, "ServedProbe", Server)
    return started


SERIAL = "/sys/bus/usb/devices/1-1.2/serial"


@pytest.mark.parametrize(
    ("named", "resources", "probe", "servers"),
    [
        (None, [service("10.0.0.7")], "remote:10.0.0.7:5556", []),
        (None, [service("fe80::1")], "remote:[fe80::1]:5556", []),
        (None, [debugger("far"), service("h")], "remote:h:5556", []),
        (None, [debugger("far")], "served", [("far", None, SERIAL)]),
        ("1234", [debugger("far"), service("h", "web")], "served", [("far", "1234", SERIAL)]),
        (
            None,
            [debugger("far", extra={"proxy": "door", "proxy_required": True})],
            "served",
            [("door", None, SERIAL)],
        ),
        ("1234", [debugger("localhost")], "1234", []),
        ("1234", [service("h")], "1234", []),
        ("1234", [], "1234", []),
        ("remote:other:1", [debugger("far")], "remote:other:1", []),
    ],
)
def test_what_is_named_goes_before_what_the_place_brings(
    named: str | None,
    resources: list[tuple[str, str, dict[str, Any]]],
    probe: str,
    servers: list[tuple[str, str | None, str]],
    asked: list[tuple[str, str | None, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in(tmp_path, monkeypatch, shown(*resources))
    device = BenchDevice("desk", BOARD, named, place=LabgridPlace("desk"))
    with ExitStack() as taken:
        assert _placed.placed(device, find_board(BOARD), taken).probe == probe
    assert asked == servers
    assert (tmp_path / "said").read_text().splitlines()[-1] == "-p desk release"


@pytest.mark.parametrize(
    ("resources", "kind", "words"),
    [
        ([service("h", "web")], ProbeMissingError, ("brings no probe", "web (NetworkService)")),
        ([debugger("far", "../../etc")], ProbeMissingError, ("no path of a USB device", "../../etc")),
        ([debugger("localhost", "99-99")], ProbeMissingError, ("has no serial number", "99-99")),
        ([debugger("far"), ("more", "USBDebugger", {})], ProbeError, ("more than one", "debugger, more")),
        ([service("a b")], ProbeError, ("no address",)),
    ],
)
def test_place_without_a_probe_that_can_be_used(
    resources: list[tuple[str, str, dict[str, Any]]],
    kind: type[BenchError],
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in(tmp_path, monkeypatch, shown(*resources))
    device = BenchDevice("desk", BOARD, None, place=LabgridPlace("desk"))
    with pytest.raises(kind) as caught, ExitStack() as taken:
        _placed.placed(device, find_board(BOARD), taken)
    assert [word for word in words if word not in str(caught.value)] == []
    assert caught.value.remedy
    assert (tmp_path / "said").read_text().splitlines()[-1] == "-p desk release"


def test_debugger_of_this_machine_is_found_by_its_place_on_the_usb(
    desk: control.EmulatedBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_placed, "USB_DEVICES", tmp_path)
    (tmp_path / "1-1.2").mkdir()
    (tmp_path / "1-1.2" / "serial").write_text(f"000{desk.entry.uid.upper()}\n")
    stand_in(tmp_path, monkeypatch, shown(debugger("127.0.0.1")))
    file = tmp_path / "bench.yaml"
    file.write_text(
        f"devices:\n  - {{ name: desk, board: {BOARD}, place: {{ name: place }},"
        f" ports: {{ console: '{port_of(desk)}' }} }}\n"
    )
    bench = read_bench(file).require()
    key = "labgrid:place"
    with open_on_bench(Request(find_board(BOARD), HARDWARE, bench)) as (device, attendance):
        assert attendance.key == key, "what reports name"
        assert device.debug.unique_id == desk.entry.uid
        assert holder(key) is not None
    assert holder(key) is None
    quarantine(key, "ill")
    (tmp_path / "said").unlink()
    recover(bench.device("desk"), erase=False, say=lambda _text: None)
    assert evidence(key) is None
    assert (tmp_path / "said").read_text().split("\n")[::2] == ["-p place acquire", "-p place release"]


def test_two_places_with_probes_elsewhere_in_two_processes(
    boards: list[control.EmulatedBoard], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has a probe server that runs, the other a debugger; the process that uses that one is killed."""
    far, seen = tmp_path / "far", tmp_path / "seen"
    far.mkdir()
    seen.mkdir()
    monkeypatch.setenv("PATH", f"{far}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HIL_LABGRID_CLIENT", tool("labgrid-client"))
    with ExitStack() as stack:
        stack.enter_context(_far.best(far))
        server = stack.enter_context(PyocdServer(boards[0], tmp_path / "server.log"))
        groups = {
            "first": console(boards[0])
            + resource("probe", "NetworkService", address="127.0.0.1", port=server.port, username="x"),
            "second": console(boards[1])
            + resource(
                *("debugger", "NetworkUSBDebugger"),
                host="far",
                busnum=1,
                devnum=2,
                path="'1-1.2'",
                vendor_id=1,
                model_id=2,
            ),
        }
        address = stack.enter_context(labgrid(tmp_path, groups))
        place = f"place: {{ coordinator: '{address}', pyocd: '{_far.pyocd(far)}', name:"
        file = tmp_path / "bench.yaml"
        file.write_text(
            f"devices:\n  - {{ name: first, board: {BOARD}, {place} first }} }}\n"
            f"  - {{ name: second, board: {BOARD}, probe: {boards[1].entry.uid}, {place} second }} }}\n"
        )
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", USE, name, str(file), str(seen)], stdout=subprocess.PIPE, text=True
            )
            for name in ("first", "second")
        ]
        outputs = [process.communicate(timeout=180)[0] for process in processes]
        assert outputs == ["2 ['console']\n"] * 2, "both had their device at the same time"
        assert {path.name for path in seen.iterdir()} > {server.probe}
        assert _far.has_ended(far)
        wanted = Request(find_board(BOARD), HARDWARE, read_bench(file).require())
        with open_on_bench(wanted) as (device, _):
            assert device.debug.unique_id == server.probe
