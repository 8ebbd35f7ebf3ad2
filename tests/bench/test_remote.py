"""Devices of a bench whose probe is behind pyOCD's probe server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import DeviceBusyError, ProbeError, ProbeMissingError
from harness.bench import (
    DeviceLock,
    Level,
    Request,
    evidence,
    examine,
    holder,
    open_on_bench,
    present,
    read_bench,
    recover,
)
from harness.boards import find_board
from harness.devices import DeviceSettings
from harness.emulator import control

from .._boards import BOARD
from .._pyocd_server import PyocdServer
from .conftest import port_of


@pytest.fixture
def server(desk: control.EmulatedBoard, tmp_path: Path) -> Iterator[PyocdServer]:
    with PyocdServer(desk, tmp_path / "server.log") as running:
        yield running


def test_device_behind_a_server_from_the_bench_file_to_quarantine_and_back(
    desk: control.EmulatedBoard, server: PyocdServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyocd.core.exceptions import TransferTimeoutError

    from harness.devices._remote_probe import RemoteProbe

    file = tmp_path / "bench.yaml"
    file.write_text(
        f"devices:\n  - {{ name: far, board: {BOARD}, probe: 'REMOTE:127.0.0.1:{server.port}',"
        f" ports: {{ console: '{port_of(desk)}' }}, device_id: 0000000000abcdef }}\n"
    )
    bench = read_bench(file).require()
    wanted = Request(find_board(BOARD), DeviceSettings(backend="hardware"), bench)
    assert sorted(present(bench.devices)) == sorted([server.probe, desk.entry.uid])
    with open_on_bench(wanted) as (device, _):
        device.debug.program({0x10000: b"far"})
        by_id = Request(wanted.board, DeviceSettings(backend="hardware", probe=server.probe), bench)
        with pytest.raises(DeviceBusyError), open_on_bench(by_id):
            pass
    assert desk.control.call("read_memory", 0x10000, 3) == b"far"

    def ill(*_arguments: Any) -> Any:
        return None, TransferTimeoutError("WAIT response")

    with monkeypatch.context() as patch, pytest.raises(ProbeError), open_on_bench(wanted) as (device, _):  # noqa: PT012
        patch.setattr(RemoteProbe, "_perform_request_without_raise", ill)
        device.debug.reset()
    found = evidence(server.probe)
    assert found is not None, "its server answers: it is no cable"
    assert "WAIT response" in found.what
    recover(bench.device("far"), erase=False, say=lambda _text: None)
    assert evidence(server.probe) is None

    with pytest.raises(ProbeMissingError), open_on_bench(wanted) as (device, _):  # noqa: PT012
        server.kill()
        device.debug.reset()
    assert (evidence(server.probe), holder(server.probe)) == (None, None)
    (wrong,) = (one for one in examine(bench) if (one.topic, one.level) == ("bench", Level.WRONG))
    assert (wrong.what, "pyocd server" in wrong.remedy) == (
        f"far: its probe {server.probe} is not there",
        True,
    )
    with DeviceLock(server.probe):
        assert server.probe in present(bench.devices), "who uses it has found it"


def test_address_in_a_bench_file_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "bench.yaml"
    file.write_text(
        f"devices:\n  - {{ name: a, board: {BOARD}, probe: 'remote:::1:5555' }}\n"
        f"  - {{ name: b, board: {BOARD}, probe: remote:lab }}\n"
        f"  - {{ name: c, board: {BOARD}, probe: Remote:LAB:5555 }}\n"
    )
    wrong, repeated = read_bench(file).problems
    assert (wrong.line, wrong.field, "remote:[IPV6]:PORT" in wrong.expected) == (2, "devices[0].probe", True)
    assert (repeated.line, repeated.what) == (4, "same probe as devices[1]")
