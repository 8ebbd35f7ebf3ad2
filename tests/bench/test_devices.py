"""What happens between a bench file and an open device: the right one, proved, judged at the end."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness import BenchError, DeviceBusyError, ProbeError, QuarantineError, WrongDeviceError
from harness.bench import (
    DeviceLock,
    Request,
    evidence,
    holder,
    open_on_bench,
    prove,
    quarantine,
    read_bench,
    recover,
    suggest,
)
from harness.boards import find_board
from harness.devices import DebugPort, DeviceSettings, identify
from harness.emulator import control

from .._boards import BOARD
from ..devices.stand_ins import power_switch
from .conftest import bench_file, port_of

HARDWARE = DeviceSettings(backend="hardware")
ID = "0000000000abcdef"


def request(folder: Path, board: control.EmulatedBoard, variant: str = "", **more: str) -> Request:
    return Request(
        find_board(BOARD + variant), HARDWARE, read_bench(bench_file(folder, board, **more)).require()
    )


def test_device_is_locked_as_long_as_it_is_open(desk: control.EmulatedBoard, tmp_path: Path) -> None:
    wanted = request(tmp_path, desk, device_id=ID)
    with open_on_bench(wanted) as (device, attendance):
        assert device.debug.unique_id == desk.entry.uid
        assert set(device.ports) == {"console"}
        assert holder(desk.entry.uid) is not None
        with pytest.raises(DeviceBusyError), open_on_bench(wanted):
            pass
        assert not attendance.errors
    assert holder(desk.entry.uid) is None


def test_device_that_was_left_without_power_is_switched_on(
    desk: control.EmulatedBoard, tmp_path: Path
) -> None:
    switch = power_switch(tmp_path, desk)
    file = bench_file(tmp_path, desk)
    file.write_text(f"{file.read_text()}    power: {{ on: '{switch} on', off: '{switch} off' }}\n")
    wanted = Request(find_board(BOARD), HARDWARE, read_bench(file).require())
    with open_on_bench(wanted) as (device, _):
        device.power.off()
    with open_on_bench(wanted) as (device, _):
        device.debug.check()


@pytest.mark.parametrize(
    ("variant", "more", "found", "expected"),
    [
        (":debug.target=nrf52833", {}, "nRF52840", "nRF52833"),
        ("", {"device_id": "1234"}, ID, "device id 1234"),
    ],
)
def test_wrong_device_is_refused_before_anything_is_written(
    desk: control.EmulatedBoard, tmp_path: Path, variant: str, more: dict[str, str], found: str, expected: str
) -> None:
    wanted = request(tmp_path, desk, variant, **more)
    desk.control.call("start_journal")
    with pytest.raises(WrongDeviceError) as caught, open_on_bench(wanted):
        pass
    assert (caught.value.found, expected in str(caught.value.expected)) == (found, True)
    assert not desk.control.call("stop_journal")
    assert evidence(desk.entry.uid) is None


def test_part_of_another_family_is_refused(tmp_path: Path) -> None:
    with control.EmulatedBoard("stm32l475", board="other", target="stm32l475xg") as other:
        with DebugPort(other.entry.uid, target="stm32l475xg") as debug:
            assert identify(debug).part == "STM32 0x415"
        other.control.call("start_journal")
        with pytest.raises(ProbeError, match="does not answer"), open_on_bench(request(tmp_path, other)):
            pass
        assert not other.control.call("stop_journal")


def test_free_one_of_several_is_taken_and_the_rest_is_told(
    desk: control.EmulatedBoard, tmp_path: Path
) -> None:
    file = bench_file(tmp_path, desk)
    file.write_text(file.read_text() + f"  - {{ name: first, board: {BOARD}, probe: aaa }}\n")
    bench = read_bench(file).require()
    wanted = Request(find_board(BOARD), HARDWARE, bench)
    with DeviceLock("aaa"), open_on_bench(wanted) as (device, _):
        assert device.debug.unique_id == desk.entry.uid
    with DeviceLock("aaa"), DeviceLock(desk.entry.uid):
        with pytest.raises(DeviceBusyError, match="no nrf52840dk is free") as caught, open_on_bench(wanted):
            pass
        assert "aaa" in str(caught.value)
        assert desk.entry.uid in str(caught.value)


def test_board_that_is_on_no_bench(desk: control.EmulatedBoard, tmp_path: Path) -> None:
    bench = read_bench(bench_file(tmp_path, desk))
    with pytest.raises(BenchError, match="no disco_l475_iot1 on this bench") as caught:
        Request(find_board("disco_l475_iot1"), HARDWARE, bench).candidates()
    assert "desk (nrf52840dk)" in str(caught.value)


def test_device_that_stops_answering_goes_into_quarantine_until_it_is_well(
    desk: control.EmulatedBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyocd.core.exceptions import TransferTimeoutError

    from harness.devices.pyocd_probe import EmulatedProbe

    wanted = request(tmp_path, desk)

    def ill(*_arguments: object, **_more: object) -> None:
        raise TransferTimeoutError("WAIT response")

    with monkeypatch.context() as patch, pytest.raises(ProbeError), open_on_bench(wanted) as (device, _):  # noqa: PT012
        for name in ("read_ap", "write_ap", "reset", "read_dp"):
            patch.setattr(EmulatedProbe, name, ill)
        device.debug.reset()
    found = evidence(desk.entry.uid)
    assert found is not None
    assert "WAIT response" in found.what
    with pytest.raises(QuarantineError, match="quarantine"), open_on_bench(wanted):
        pass
    said: list[str] = []
    (listed,) = wanted.candidates()
    recover(listed, erase=False, say=said.append)
    assert [line.partition(":")[0] for line in said] == ["probe", "part", "flash", "port", "core"]
    with open_on_bench(wanted):
        pass


def test_cable_that_is_pulled_is_no_reason_for_quarantine(
    desk: control.EmulatedBoard, tmp_path: Path
) -> None:
    wanted = request(tmp_path, desk)
    with pytest.raises(ProbeError), open_on_bench(wanted) as (device, _):  # noqa: PT012 - its end is tested
        os.kill(desk.entry.pid, 9)
        device.debug.read(0, 4)
    assert evidence(desk.entry.uid) is None
    assert holder(desk.entry.uid) is None


def test_recovery_of_what_is_not_well_keeps_the_quarantine(
    desk: control.EmulatedBoard, tmp_path: Path
) -> None:
    bench = read_bench(bench_file(tmp_path, desk, device_id="99"))
    quarantine(desk.entry.uid, "ill")
    with pytest.raises(WrongDeviceError):
        recover(bench.device("desk"), erase=False, say=lambda _text: None)
    assert evidence(desk.entry.uid) is not None


def test_recovery_may_erase(talking: control.EmulatedBoard, tmp_path: Path) -> None:
    bench = read_bench(bench_file(tmp_path, talking))
    recover(bench.device("desk"), erase=True, say=lambda _text: None)
    with DebugPort(talking.entry.uid, target="nrf52840") as debug:
        assert debug.read(0, 256) == b"\xff" * 256


def port(
    device: str, number: str | None, location: str | None, vid: int = 1, pid: int = 2
) -> SimpleNamespace:
    return SimpleNamespace(device=device, serial_number=number, location=location, vid=vid, pid=pid)


def test_ports_are_suggested_by_usb() -> None:
    ports = [
        port("/dev/ttyS0", None, None),
        port("/dev/ttyACM9", "000683007782", "1-1.2:1.2"),
        port("/dev/ttyACM3", "other", "1-1.2:1.4"),
        port("/dev/ttyUSB0", "x", "1-1.3", 0x1366, 0x1015),
    ]
    found = suggest("683007782", ports, board=find_board(BOARD))
    assert [(one.url, one.rank) for one in found] == [
        ("/dev/ttyACM9", 0),
        ("/dev/ttyACM3", 1),
        ("/dev/ttyUSB0", 2),
    ]
    assert not suggest("1", ports[:1])


def test_reset_proves_which_port_is_the_boards(talking: control.EmulatedBoard) -> None:
    with control.EmulatedBoard("nrf52840", board="silent", target="nrf52840") as silent:
        proof = prove(find_board(BOARD), talking.entry.uid, [port_of(silent), "/dev/none", port_of(talking)])
    assert proof.ports == {"console": port_of(talking)}
    assert "boot" in proof.heard[port_of(talking)]
    assert proof.device_id == ID


def test_silence_proves_nothing(desk: control.EmulatedBoard) -> None:
    with pytest.raises(BenchError, match="no port is proved") as caught:
        prove(find_board(BOARD), desk.entry.uid, [port_of(desk), "/dev/none"], seconds=0.2)
    assert "/dev/none" in str(caught.value)
