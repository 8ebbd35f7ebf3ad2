"""Application and serial recovery answer on the same line: a rig tells them apart."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import CapabilityMissing, VerdictError
from harness.boards import boards_folder, find_board
from harness.devices import DeviceSettings, open_device
from harness.emulator.control import EmulatedBoard
from harness.protocols import FrameLink
from harness.updates import ImageFactory, UpdateRig, running_slot

from .._boards import BOARD


def _board_file(folder: Path, protocols: str) -> Path:
    shutil.copytree(boards_folder(), folder)
    file = folder / f"{BOARD}.yaml"
    text = file.read_text(encoding="utf-8")
    assert "protocols: [lwm2m, smp]" in text
    file.write_text(text.replace("protocols: [lwm2m, smp]", protocols), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpdateRig]:
    """A board that is known to run by what it answers over SMP alone."""
    file = _board_file(tmp_path_factory.mktemp("smp") / "boards", "protocols: [smp]")
    board = find_board(f"{file}:serial_recovery=true")
    with open_device(board) as device, UpdateRig(device, ImageFactory(board)) as made:
        yield made


def test_recovery_is_not_taken_for_an_application(rig: UpdateRig):
    rig.install()
    with pytest.raises(VerdictError, match="no application was started"):
        rig.boot(deadline=1.0)
    rig.wait_recovery()


def test_application_is_not_taken_for_recovery(rig: UpdateRig):
    rig.install(*(rig.images.make(part, "1.0.0") for part in rig.board.components))
    rig.boot()
    with pytest.raises(VerdictError, match="did not come\nthe program in the slot at 0xc000 runs"):
        rig.wait_recovery()


def test_boot_loader_is_asked_nothing_while_an_application_is_awaited(
    rig: UpdateRig, monkeypatch: pytest.MonkeyPatch
):
    """MCUboot with CONFIG_BOOT_SERIAL_WAIT_FOR_DFU stays in recovery for any request."""
    rig.install(*(rig.images.make(part, "1.0.0") for part in rig.board.components))
    running: list[int | None] = []
    link = type(rig.device.smp_link)
    send = link.send

    def watched(self: FrameLink, frame: bytes) -> None:
        running.append(running_slot(rig.device))
        send(self, frame)

    monkeypatch.setattr(link, "send", watched)
    rig.boot()
    rig.reset()
    assert running
    assert None not in running, running


def test_recovery_of_a_device_with_a_network_is_on_the_line(tmp_path: Path):
    """Its application speaks SMP over UDP, to an address where nobody is as long as the boot loader runs."""
    file = _board_file(tmp_path / "boards", "protocols: [smp]\nsmp: { host: 127.0.0.1, port: 1 }")
    board = find_board(f"{file}:serial_recovery=true")
    with EmulatedBoard("nrf52840", board=board.name, target=board.debug.target) as hardware:
        settings = DeviceSettings(
            backend="hardware", probe=hardware.entry.uid, ports={"console": hardware.entry.serial["uart0"]}
        )
        with open_device(board, settings) as device, UpdateRig(device, ImageFactory(board)) as made:
            assert device.smp_address == ("127.0.0.1", 1)
            made.install()
            made.start()
            made.wait_recovery(deadline=20.0)
            assert made.recovery.echo("here") == "here"


def test_board_without_recovery_is_not_asked(rig: UpdateRig):
    with open_device(find_board(BOARD)) as device:
        other = UpdateRig(device, rig.images)
        with pytest.raises(CapabilityMissing, match="serial-recovery"):
            other.enter_recovery()
