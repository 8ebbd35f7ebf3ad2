"""Power lost anywhere in an update over LwM2M: while it is downloaded, installed and confirmed."""

from __future__ import annotations

import pytest

from harness.boards import find_board
from harness.sweep import Options, Plan, Tears, prepare
from harness.sweep._explore import Explorer

from .boards import build_options

PLAN = Plan(Tears(inside=False), pairs=0, chains=0)


@pytest.fixture(scope="module")
def explorer() -> Explorer:
    board = find_board("nrf52840dk:swap_mode=move")
    options = Options(size=16, old_size=40, build=build_options())
    return Explorer(prepare(board, "download", options=options).recording, PLAN)


def test_nothing_is_wrong_without_a_cut(explorer: Explorer) -> None:
    assert explorer.without_cut().findings == ()


def test_application_and_boot_loader_are_told_apart(explorer: Explorer) -> None:
    operations = explorer.recording.operations
    by_application = [explorer.recording.by_application(operation) for operation in operations]
    assert by_application[0], "the download is the application's"
    moved = operations[by_application.index(False)]
    places = explorer.places.at(moved.address, moved.size)
    assert "app primary" in str(places), "the boot loader begins by moving what is in the primary slot"
    assert by_application[-1], "and the application confirms"


def test_cuts_around_the_hand_over(explorer: Explorer) -> None:
    by_application = [explorer.recording.by_application(item) for item in explorer.recording.operations]
    swap = by_application.index(False)
    tally = explorer.explore(swap - 4, swap + 4)
    assert tally.points == 8
    assert set(tally.outcomes) == {"held"}, tally.groups
