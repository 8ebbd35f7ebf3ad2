"""A board with another SoC than the first: what the suite asks of both, in short."""

from __future__ import annotations

from harness.boards import find_board
from harness.devices import open_device
from harness.updates import ImageFactory, UpdateRig, Verdict


def test_update_is_confirmed_and_breaks_no_rule_of_the_part() -> None:
    board = find_board("disco_l475_iot1")
    images = ImageFactory(board)
    with open_device(board) as device, UpdateRig(device, images) as rig:
        rig.install(*(images.make(part.name, "1.0.0") for part in board.components))
        rig.boot()
        new = images.make("app", "2.0.0")
        rig.download(new)
        rig.update("app", others=())
        rig.expect({new: Verdict.CONFIRMED}, why="an application whose self test passes confirms itself")
        assert not device.findings()
