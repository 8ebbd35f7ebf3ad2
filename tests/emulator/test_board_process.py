"""An emulated board as a process: control connection, serial lines, registry, and its end in every way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import EmulatorError
from harness._deadline import Deadline
from harness.emulator import control

from .conftest import PROGRAMS

ECHO_CASE_SYMBOL = "uarte_echo"


@pytest.fixture
def board() -> Iterator[control.EmulatedBoard]:
    with control.EmulatedBoard("nrf52840", board="test board") as running:
        yield running


def _connect(board: control.EmulatedBoard, line: str = "uart0") -> socket.socket:
    host, port = board.entry.serial[line].removeprefix("socket://").split(":")
    return socket.create_connection((host, int(port)), 5)


def _echo_forever() -> bytes:
    """Vector table and a program that sends back each byte of UART0, without DMA."""
    from harness.firmware import Elf, Program, compile_program

    source = PROGRAMS / "echo.c"
    return Elf.read(compile_program(Program("echo", "cortex-m4", [source], PROGRAMS / "core.ld"))).binary()[1]


def _program(board: control.EmulatedBoard, content: bytes) -> None:
    call = board.control.call
    call("write_memory", 0x4001E504, (1).to_bytes(4, "little"))
    call("write_memory", 0, content + b"\xff" * (-len(content) % 4))
    call("write_memory", 0x4001E504, bytes(4))
    call("reset", "pin")


def _receive(stream: socket.socket, count: int) -> bytes:
    stream.settimeout(10)
    received = b""
    while len(received) < count:
        part = stream.recv(65536)
        assert part, f"the line closed after {len(received)} of {count} bytes"
        received += part
    return received


def test_serial_line_loses_nothing_in_either_direction(board: control.EmulatedBoard) -> None:
    _program(board, _echo_forever())
    data = os.urandom(20_000)
    with _connect(board) as stream:
        stream.sendall(data)
        assert _receive(stream, len(data)) == data


def test_output_before_the_first_client_is_kept(board: control.EmulatedBoard) -> None:
    _program(board, _echo_forever())
    with _connect(board) as stream:
        stream.sendall(b"one")
        assert _receive(stream, 3) == b"one"
    with _connect(board) as stream:
        stream.sendall(b"two")
        assert _receive(stream, 3) == b"two"


def test_second_client_of_a_line_is_turned_away(board: control.EmulatedBoard) -> None:
    with _connect(board) as first, _connect(board) as second:
        second.settimeout(5)
        assert second.recv(1) == b""
        assert first.fileno() >= 0


def test_sleeping_cpu_costs_no_host_time(board: control.EmulatedBoard) -> None:
    pid = board.entry.pid
    _program(board, _echo_forever())

    def used() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    if not Path("/proc").exists():
        pytest.skip("this system has no /proc to read processor time from")
    before, began = used(), time.monotonic()
    board.control.call("write_memory", 0x20000000, b"idle")
    limit = Deadline(1.0)
    while not limit.expired:
        limit.pause(0.2)
    assert used() - before < 0.3 * (time.monotonic() - began)


def test_wrong_token_is_refused(board: control.EmulatedBoard) -> None:
    with pytest.raises(EmulatorError, match="wrong token"):
        control.ControlClient(board.entry.port, "guess")
    assert board.control.call("state")["powered"], "the board survived"


@pytest.mark.parametrize(
    "nonsense", [b"\xff\xff\xff\xff", b"\x03\x00\x00\x00abc", b"\x01\x00\x00\x00\xa0", b"\x00"]
)
def test_nonsense_on_the_control_port_ends_that_connection_alone(
    board: control.EmulatedBoard, nonsense: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", board.entry.port), 5) as stream:
        stream.sendall(nonsense)
        stream.shutdown(socket.SHUT_WR)
        stream.settimeout(5)
        assert stream.recv(100) == b""
    assert board.control.call("state")["powered"]


def test_unknown_method_and_bad_arguments_are_told_and_survived(board: control.EmulatedBoard) -> None:
    for request in (("fly",), ("read_memory",), ("reset", "sideways"), ("restore", "nowhere")):
        with pytest.raises(EmulatorError):
            board.control.call(*request)
    assert board.control.call("state")["powered"]


def test_access_to_nothing_is_a_transfer_error_with_its_address(board: control.EmulatedBoard) -> None:
    with pytest.raises(control.TransferError) as caught:
        board.control.call("read_memory", 0x90000000, 4)
    assert caught.value.address == 0x90000000


def test_posted_request_fails_at_the_next_call(board: control.EmulatedBoard) -> None:
    board.control.post("write_memory", 0x90000000, b"1234")
    with pytest.raises(control.TransferError):
        board.control.call("state")


def test_registry_shows_running_boards_and_forgets_the_dead(board: control.EmulatedBoard) -> None:
    assert board.entry.uid in {entry.uid for entry in control.running_boards()}
    os.kill(board.entry.pid, signal.SIGKILL)
    limit = Deadline(10)
    while board.alive and not limit.expired:
        limit.pause(0.01)
    assert board.entry.uid not in {entry.uid for entry in control.running_boards()}
    with pytest.raises(EmulatorError, match="process ended"):
        board.control.call("state")


def test_board_ends_with_its_owner_however_that_dies() -> None:
    program = textwrap.dedent("""
        from harness.emulator.control import EmulatedBoard
        import os, signal
        board = EmulatedBoard("nrf52840")
        print(board.entry.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    pid = int(result.stdout)
    limit = Deadline(10)
    while _runs(pid) and not limit.expired:
        limit.pause(0.01)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/status")
    return not (status.exists() and "State:\tZ" in status.read_text())


def test_unknown_soc_is_told_with_the_known_ones() -> None:
    with pytest.raises(EmulatorError, match="nrf52840"):
        control.EmulatedBoard("nrf9999")


def test_power_cut_in_a_running_board(board: control.EmulatedBoard) -> None:
    call = board.control.call
    assert call("state")["powered"]
    call("power", False)
    assert not call("state")["powered"]
    with pytest.raises(control.TransferError, match="no power"):
        call("read_memory", 0, 4)
    call("power", True)
    assert call("read_memory", 0, 4) == b"\xff" * 4
