"""Application and serial recovery answer on the same line: a rig tells them apart."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from harness import CapabilityMissing, VerdictError
from harness.boards import boards_folder, find_board
from harness.devices import open_device
from harness.updates import ImageFactory, UpdateRig

from .._boards import BOARD


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpdateRig]:
    """A board that is known to run by what it answers over SMP alone."""
    folder = tmp_path_factory.mktemp("smp") / "boards"
    shutil.copytree(boards_folder(), folder)
    file = folder / f"{BOARD}.yaml"
    text = file.read_text(encoding="utf-8")
    assert "protocols: [lwm2m, smp]" in text
    file.write_text(text.replace("protocols: [lwm2m, smp]", "protocols: [smp]"), encoding="utf-8")
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


def test_board_without_recovery_is_not_asked(rig: UpdateRig):
    with open_device(find_board(BOARD)) as device:
        other = UpdateRig(device, rig.images)
        with pytest.raises(CapabilityMissing, match="serial-recovery"):
            other.enter_recovery()
