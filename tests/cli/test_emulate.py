"""`harness emulate`: a board that others find and use, until it is told to end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.boards import find_board
from harness.devices import DeviceSettings, open_device
from harness.emulator.control import running_boards

from .._boards import BOARD, board_file
from .conftest import Outcome, finish, spawn

Command = Callable[..., Outcome]


@pytest.fixture
def start() -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """Starts a board; its process and what it said when it was ready."""
    processes: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> tuple[subprocess.Popen[str], str]:
        process = spawn("emulate", "--board", BOARD, *arguments)
        processes.append(process)
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == "Ctrl-C ends it.\n":
                return process, "".join(lines)
        pytest.fail(f"it did not start: {lines} {finish(process)}")

    yield run
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _address(url: str) -> tuple[str, int]:
    host, port = url.removeprefix("socket://").split(":")
    return host, int(port)


@pytest.mark.parametrize(
    "ending", ["SIGINT", *(name for name in ("SIGTERM", "SIGHUP") if os.name == "posix")]
)
def test_ends_on_request_and_leaves_nothing(
    start: Callable[..., tuple[subprocess.Popen[str], str]], ending: str, tmp_path: Path
):
    process, said = start("--uid", "desk")
    (entry,) = running_boards()
    assert f"{BOARD} runs; pyOCD finds it as desk\n" in said
    assert "pyocd gdbserver -u desk" in said
    assert re.search(rf"uart0 +{entry.serial['uart0']} +console, 1000000 baud\n", said)
    assert f"uart1    {entry.serial['uart1']}\n" in said
    ports = [_address(url) for url in entry.serial.values()] + [("127.0.0.1", entry.port)]
    process.send_signal(getattr(signal, ending))
    outcome = finish(process)
    assert (outcome.code, outcome.output, outcome.errors) == (0, "ended\n", "")
    assert list((tmp_path / "state").rglob("*.json")) == []
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(port) != 0


def test_is_used_by_its_probe_id_and_port(start: Callable[..., tuple[subprocess.Popen[str], str]]):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    start("--uid", "desk", "--serial", f"uart0=tcp:{port}", "--speed", "8")
    settings = DeviceSettings("hardware", "desk", {"console": f"socket://127.0.0.1:{port}"})
    with open_device(find_board(BOARD), settings) as device:
        device.debug.program({0x1000: b"flashed"})
        assert device.debug.read(0x1000, 8) == b"flashed\xff"


def test_uid_of_a_running_board_is_refused(
    start: Callable[..., tuple[subprocess.Popen[str], str]], harness: Command
):
    start("--uid", "desk")
    message = harness("emulate", "--board", BOARD, "--uid", "desk").refused()
    assert "an emulated board of that name runs already" in message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--uid", "../desk"), "--uid '../desk': expected letters"),
        (("--uid", ""), "--uid '': expected letters"),
        (("--serial", "uart0=usb"), "'uart0=usb': expected LINE=tcp"),
        (("--serial", "uart0"), "'uart0': expected LINE=tcp"),
        (("--serial", "uart0=tcp:66666"), "'uart0=tcp:66666': expected LINE=tcp"),
        (("--speed", "0"), "0.01<=x<=1000"),
        (("--seed", "x"), "'x' is not a valid integer"),
    ],
)
def test_wrong_use(harness: Command, arguments: tuple[str, ...], said: str):
    assert said in harness("emulate", "--board", BOARD, *arguments).refused()


def test_what_cannot_be_opened_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = finish(spawn("emulate", "--board", BOARD, "--serial", f"uart0=tcp:{port}")).refused()
    assert f"127.0.0.1:{port}: the port for a serial line cannot be opened" in message
    message = finish(spawn("emulate", "--board", BOARD, "--serial", "uart7=tcp")).refused()
    assert "no serial line 'uart7'" in message
    assert list(running_boards()) == []


def test_board_without_emulator_is_refused(harness: Command, tmp_path: Path):
    file = board_file(tmp_path, emulator="")
    assert "has no emulator" in harness("emulate", "--board", file).refused()
