"""Probes behind pyOCD's probe server: the real one, and ones that go wrong."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import ProbeError, ProbeMissingError
from harness.boards import find_board
from harness.devices import (
    DebugPort,
    DeviceSettings,
    Reset,
    open_device,
    present_probes,
    probe_id,
    server_address,
)
from harness.devices import _remote_probe as remote
from harness.emulator import control

from .._boards import BOARD
from .._pyocd_server import PyocdServer
from .conftest import NRF52840
from .test_hardware_errors import said

TARGET = "nrf52840"


@pytest.fixture
def server(board: control.EmulatedBoard, tmp_path: Path) -> Iterator[PyocdServer]:
    with PyocdServer(board, tmp_path / "server.log") as running:
        yield running


@contextlib.contextmanager
def listener(answer: bytes, *, hang_up: bool) -> Iterator[str]:
    """A server that says this to whoever comes, and then closes the connection or says no more."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    line, _ = server.accept()
                    line.recv(1000)
                    line.sendall(answer)
                    if hang_up:
                        line.close()
                    else:
                        stack.callback(line.close)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"remote:127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(30)


@pytest.mark.parametrize(
    ("text", "address", "id_"),
    [
        ("remote:lab", ("lab", 5555), "remote:lab:5555"),
        ("REMOTE:Lab.local:7", ("lab.local", 7), "remote:lab.local:7"),
        ("remote:[FE80::1%eth0]:9", ("fe80::1%eth0", 9), "remote:[fe80::1%eth0]:9"),
        ("remote:[::1]", ("::1", 5555), "remote:[::1]:5555"),
        ("683007782", None, "683007782"),
        ("emulated:x", None, "emulated:x"),
    ],
)
def test_address_has_one_spelling(text: str, address: tuple[str, int] | None, id_: str) -> None:
    assert (server_address(text), probe_id(text)) == (address, id_)


@given(st.text(max_size=20) | st.text("0123456789:[]ab.%-", max_size=20).map("remote:{}".format))
def test_any_id_is_an_address_a_plain_id_or_refused(text: str) -> None:
    try:
        once = probe_id(text)
    except ProbeError:
        assert text.lower().startswith("remote:")
        return
    assert probe_id(once) == once
    assert (server_address(once) is None) == (once == text and not text.lower().startswith("remote:"))


@pytest.mark.parametrize("address", ["", "::1:5555", "host:0", "host:99999", "host:\u0663", "a:b:1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ProbeError, match="no address of a probe server") as caught:
        server_address(f"remote:{address}")
    said(caught, "remote:HOST:PORT", f"remote:{address}", "5555")


def test_board_is_driven_through_the_server_until_its_cable_is_pulled(
    board: control.EmulatedBoard, server: PyocdServer
) -> None:
    console = next(iter(board.entry.serial.values()))
    settings = DeviceSettings(backend="hardware", probe=server.probe.upper(), ports={"console": console})
    content = os.urandom(9000)
    with open_device(find_board(BOARD), settings) as device:
        debug = device.debug
        assert debug.unique_id == server.probe
        debug.program({0x10000: content})
        assert debug.read(0x10000, len(content)) == content
        debug.erase(0x10000, 4096)
        assert debug.read(0x10000, 9000) == b"\xff" * 4096 + content[4096:]
        for kind in Reset:
            debug.reset(kind)
        reasons = int.from_bytes(debug.read(NRF52840.reset_reasons, 4), "little")
        both = NRF52840.pin_reset | NRF52840.soft_reset
        assert reasons & both == both
        debug.halt()
        debug.check()
    assert present_probes([server.probe, "other"]) == [*present_probes(), server.probe]
    assert board.control.call("read_memory", 0x11000, 4904) == content[4096:]
    with DebugPort(server.probe, target=TARGET) as debug:
        os.kill(board.entry.pid, 9)
        with pytest.raises(ProbeMissingError) as caught:
            debug.read(0, 4)
        said(caught, "USB cable at the server")


def test_server_that_goes_while_flashing(
    board: control.EmulatedBoard, server: PyocdServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = 0
    whole = remote.RemoteProbe._perform_request_without_raise

    def counting(probe: remote.RemoteProbe, request: str, *arguments: Any) -> Any:
        nonlocal requests
        requests += request == "write_block32"
        if requests == 2:
            server.kill()
        return whole(probe, request, *arguments)

    with DebugPort(server.probe, target=TARGET) as debug:
        monkeypatch.setattr(remote.RemoteProbe, "_perform_request_without_raise", counting)
        with pytest.raises(ProbeMissingError) as caught:
            debug.program({0x10000: bytes(20000)})
        monkeypatch.undo()
        said(caught, "programming flash failed", "0x10000+0x4e20", "127.0.0.1", "pyocd server")
    with pytest.raises(ProbeMissingError) as again:
        DebugPort(server.probe, target=TARGET)
    said(again, "cannot be reached", "pyocd server")
    assert server.probe not in present_probes([server.probe])
    with PyocdServer(board, tmp_path / "again.log") as new, DebugPort(new.probe, target=TARGET) as debug:
        debug.program({0x10000: bytes(4)})


@pytest.mark.parametrize(
    ("answer", "hang_up", "words"),
    [
        (b"", False, "has not answered within 0.2 s"),
        (b'{"id": 0, ', False, "has not answered within 0.2 s"),
        (b"", True, "closed the connection"),
        (b"HTTP/1.1 400 Bad Request\r\n", False, "is no probe server"),
        (b"[1]\n", False, "is no probe server"),
        (b"\xff\n", False, "is no probe server"),
        (b'{"id": 0, "status": 2, "error": "unplugged"}\n', False, "unplugged"),
    ],
)
def test_what_is_no_healthy_server(
    answer: bytes, hang_up: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "ANSWER", 0.2)
    with listener(answer, hang_up=hang_up) as probe:
        with pytest.raises(ProbeMissingError) as caught:
            DebugPort(probe, target=TARGET)
        said(caught, words, probe)
        assert not remote.server_answers(probe, seconds=0.2)


def test_host_that_has_no_address() -> None:
    with pytest.raises(ProbeMissingError, match="probe is gone") as caught:
        DebugPort("remote:no.such.host.invalid", target=TARGET)
    said(caught, "no.such.host.invalid:5555 cannot be reached")
