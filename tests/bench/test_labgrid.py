"""Places of labgrid, with its coordinator and exporter on this machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from harness import BenchError, DeviceBusyError
from harness._deadline import Deadline
from harness.bench import LabgridPlace, Request, open_on_bench, read_bench
from harness.boards import find_board
from harness.devices import DeviceSettings
from harness.emulator import control

from .._boards import BOARD
from .conftest import port_of

HARDWARE = DeviceSettings(backend="hardware")
#: labgrid's programs may be in an environment of their own: it brings a fork of pyserial
FOLDER = os.environ.get("LABGRID_BIN", "")
USE = """
import os, sys, time
from pathlib import Path
from harness.bench import Request, open_on_bench, read_bench
from harness.boards import find_board
from harness.devices import DeviceSettings

name, bench, seen = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
settings = DeviceSettings(backend="hardware", probe=name)
with open_on_bench(Request(find_board("nrf52840dk"), settings, read_bench(bench).require())) as (device, _):
    (seen / device.debug.unique_id).touch()
    end = time.monotonic() + 60
    while len(list(seen.iterdir())) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    print(len(list(seen.iterdir())), sorted(device.ports), flush=True)
    if name == "second":
        os.kill(os.getpid(), 9)
"""


def tool(name: str) -> str:
    path = str(Path(FOLDER) / name) if FOLDER else shutil.which(name)
    if not path or not Path(path).exists():
        pytest.skip("labgrid is not installed; LABGRID_BIN may name the folder of its programs")
    return path


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def boards() -> Iterator[list[control.EmulatedBoard]]:
    tool("labgrid-coordinator")
    with ExitStack() as stack:
        made = [
            control.EmulatedBoard("nrf52840", board=BOARD, target="nrf52840", seed=seed) for seed in (1, 2)
        ]
        yield [stack.enter_context(board) for board in made]


def resource(name: str, kind: str, **params: object) -> str:
    """A resource as an exporter's configuration has it, in a group."""
    return (
        f"  {name}: {{ cls: {kind}, " + ", ".join(f"{key}: {value}" for key, value in params.items()) + " }\n"
    )


def console(board: control.EmulatedBoard) -> str:
    port = port_of(board).rpartition(":")[2]
    return resource(
        "console", "NetworkSerialPort", host="127.0.0.1", port=port, speed=1000000, protocol="raw"
    )


@contextmanager
def labgrid(folder: Path, groups: dict[str, str]) -> Iterator[str]:
    """A coordinator, and an exporter of these groups of resources, each for a place of its name."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (folder / "exports.yaml").write_text("".join(f"{name}:\n{group}" for name, group in groups.items()))
    client = tool("labgrid-client")

    def ask(*words: str) -> str:
        result = subprocess.run(
            [client, "-x", address, *words], capture_output=True, text=True, timeout=60, check=False
        )
        return result.stdout + result.stderr

    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with ExitStack() as stack:

        def start(*command: str) -> None:
            process = subprocess.Popen(command, cwd=folder, **quiet)  # type: ignore[call-overload]
            stack.callback(process.wait, 30)
            stack.callback(process.kill)

        start(tool("labgrid-coordinator"), "-l", address)
        limit = Deadline(60)
        while not answers(int(address.rpartition(":")[2])):
            assert not limit.expired
            limit.pause(0.05)
        start(tool("labgrid-exporter"), "-c", address, "-n", "here", str(folder / "exports.yaml"))
        while not all(f"here/{name}" in ask("resources") for name in groups):
            assert not limit.expired
            limit.pause(0.1)
        for name in groups:
            ask("-p", name, "create")
            ask("-p", name, "add-match", f"here/{name}/*")
        yield address


@pytest.fixture
def coordinator(
    boards: list[control.EmulatedBoard], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A coordinator that knows the places `first` and `second`, one board each."""
    monkeypatch.setenv("HIL_LABGRID_CLIENT", tool("labgrid-client"))
    with labgrid(tmp_path, dict(zip(("first", "second"), map(console, boards), strict=True))) as address:
        yield address


def bench(folder: Path, coordinator: str, boards: list[control.EmulatedBoard]) -> Path:
    file = folder / "bench.yaml"
    file.write_text(
        "devices:\n"
        + "".join(
            f"  - {{ name: {name}, board: {BOARD}, probe: {board.entry.uid},"
            f" place: {{ name: {name}, coordinator: '{coordinator}' }} }}\n"
            for name, board in zip(("first", "second"), boards, strict=True)
        )
    )
    return file


def test_two_places_in_two_processes_and_one_of_them_dies(
    coordinator: str, boards: list[control.EmulatedBoard], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, seen = bench(tmp_path, coordinator, boards), tmp_path / "seen"
    seen.mkdir()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", USE, name, str(file), str(seen)], stdout=subprocess.PIPE, text=True
        )
        for name in ("first", "second")
    ]
    outputs = [process.communicate(timeout=180)[0] for process in processes]
    assert outputs == ["2 ['console']\n"] * 2, "both had their device at the same time"
    second = LabgridPlace("second", coordinator)
    with monkeypatch.context() as somebody:
        somebody.setenv("LG_USERNAME", "bert")
        with pytest.raises(DeviceBusyError, match="labgrid place is taken"):
            second.acquire()  # the killed process has left it acquired
        LabgridPlace("first", coordinator).acquire()
    wanted = Request(find_board(BOARD), HARDWARE, read_bench(file).require())
    with open_on_bench(wanted) as (device, _):  # the first is somebody else's; the second is taken over
        assert device.debug.unique_id == boards[1].entry.uid
    second.acquire()
    second.release()


def test_place_that_is_not_there(coordinator: str) -> None:
    with pytest.raises(BenchError, match="labgrid refuses") as caught:
        LabgridPlace("none", coordinator).acquire()
    assert "none" in str(caught.value)


CLIENT = """#!{python} -SE
import pathlib, sys
log = pathlib.Path({folder!r}) / "said"
with log.open("a") as file:
    file.write(" ".join(sys.argv[1:]) + chr(10))
if sys.argv[-1] == "acquire" and {problem!r}:
    sys.exit({problem!r})
if sys.argv[-1] == "show":
    print({shown!r})
"""
SHOWN = """Place 'desk':
  acquired: vm/root
Acquired resource 'console' (here/desk/NetworkSerialPort/console):
  {{'acquired': 'desk',
   'avail': True,
   'cls': 'NetworkSerialPort',
   'params': {{'extra': {{'proxy': 'localhost', 'proxy_required': False}},
              'host': '127.0.0.1',
              'port': {port},
              'protocol': 'raw',
              'speed': 1000000}}}}
Acquired resource 'switch' (here/desk/NetworkPowerPort/switch):
  {{'acquired': 'desk', 'avail': True, 'cls': 'NetworkPowerPort', 'params': {{'model': 'netio'}}}}
"""


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, shown: str = "", problem: str = "") -> None:
    """A program that answers as `labgrid-client` does, and writes down what it was asked."""
    script = folder / "labgrid-client"
    script.write_text(CLIENT.format(python=sys.executable, folder=str(folder), problem=problem, shown=shown))
    script.chmod(0o755)
    monkeypatch.setenv("HIL_LABGRID_CLIENT", str(script))


def test_place_brings_ports_and_power_and_is_given_back(
    desk: control.EmulatedBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, SHOWN.format(port=port_of(desk).rpartition(":")[2]))
    file = tmp_path / "bench.yaml"
    file.write_text(
        f"devices:\n  - {{ name: desk, board: {BOARD}, probe: {desk.entry.uid},"
        " place: { name: desk, coordinator: 'host:20408' } }\n"
    )
    wanted = Request(find_board(BOARD), HARDWARE, read_bench(file).require())
    with open_on_bench(wanted) as (device, _):
        assert device.ports["console"].url == port_of(desk)
        device.power.off()
    said = (tmp_path / "said").read_text().splitlines()
    verbs = [line.removeprefix("-x host:20408 -p desk ") for line in said if not line.endswith("show")]
    assert verbs == ["acquire", "power on", "power off", "release"]


@pytest.mark.parametrize(
    ("problem", "kind", "words"),
    [
        ("labgrid-client: Error: Place desk is already acquired by vm/bert.", DeviceBusyError, "vm/bert"),
        ("labgrid-client: Error: connection failed", BenchError, "exporter"),
    ],
)
def test_place_that_is_not_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str, kind: type[BenchError], words: str
) -> None:
    stand_in(tmp_path, monkeypatch, problem=problem)
    with pytest.raises(BenchError) as caught:
        LabgridPlace("desk").acquire()
    assert type(caught.value) is kind
    assert words in str(caught.value)


def test_answer_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "Acquired resource 'x' (a/b/c/x):\n  {'cls': open('/etc/passwd')}\n")
    with pytest.raises(BenchError, match="labgrid refuses"):
        LabgridPlace("desk").contents()


def test_without_labgrid_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("HIL_LABGRID_CLIENT", raising=False)
    with pytest.raises(BenchError, match="no labgrid-client") as caught:
        LabgridPlace("desk").acquire()
    assert "HIL_LABGRID_CLIENT" in str(caught.value)
