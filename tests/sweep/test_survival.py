"""The reference bootloader survives power cuts everywhere; its planted defects are found."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from harness.sweep import Options, Plan, Recording, Tears, prepare
from harness.sweep._explore import Explorer, Tally
from harness.sweep._judge import Outcome, Rule

from .boards import build_options, make_board, recorded

SWAPS = ("scratch", "move", "offset")
COPIES = ("overwrite-only", "overwrite-only-fast")
#: operations that are tried together
PIECE = 64


def explore(recording: Recording, plan: Plan, *, first_failure: bool = False) -> Tally:
    explorer, tally = Explorer(recording, plan), Tally()
    count = len(recording.operations) + 1
    for first in range(0, count, PIECE):
        tally.merge(explorer.explore(first, min(first + PIECE, count)))
        if first_failure and tally.outcomes.get(Outcome.FAILED):
            break
    return tally


def failures(tally: Tally) -> list[str]:
    return [
        f"{count} of {case}: {group.place}, {'; '.join(map(str, group.findings))}"
        for group, (count, case) in tally.groups.items()
        if group.outcome is Outcome.FAILED
    ]


@pytest.mark.parametrize(
    ("mode", "scenario"),
    [(mode, scenario) for mode in SWAPS for scenario in ("test", "permanent", "revert")]
    + [(mode, scenario) for mode in COPIES for scenario in ("test", "permanent")],
)
def test_survives_all_cuts_and_all_pairs_of_them(mode: str, scenario: str) -> None:
    recording = recorded(mode, scenario, size=16, old_size=60)
    tally = explore(recording, Plan(pairs=None, chains=20))
    assert failures(tally) == []
    assert tally.cuts[1] == 1 + sum(len(Plan().tears.of(operation)) for operation in recording.operations)
    assert tally.cuts[2] > 50 * tally.cuts[1]
    assert (Outcome.USED_UP in tally.outcomes) == (scenario == "test" and mode in SWAPS)


@pytest.mark.parametrize("mode", [*SWAPS, COPIES[0]])
def test_survives_with_two_components_that_depend_on_each_other(mode: str) -> None:
    tally = explore(recorded(mode, "dependency", images=2), Plan(pairs=200, chains=20))
    assert failures(tally) == []
    assert tally.cuts[2] > 50


def test_the_legal_surprise_is_where_the_last_trailer_write_was() -> None:
    recording = recorded("move", "test")
    tally = explore(recording, Plan(pairs=0, chains=0))
    assert failures(tally) == []
    used_up = {group.place: case for group, (_, case) in tally.groups.items()}
    assert used_up.keys() == {"none", "app primary, copy_done"}
    last = len(recording.operations)
    assert {case[0].operation for case in used_up.values()} == {last, last - 1}


@dataclass(frozen=True)
class Planted:
    mode: str
    scenario: str
    images: int = 1
    size: int = 200
    old_size: int = 5000
    scratch: int = 2


#: power-fail defects of the bootloader, and where each shows
DEFECTS = {
    "magic_half_written": Planted("move", "test"),
    "status_before_copy": Planted("scratch", "test"),
    "copy_done_too_early": Planted("scratch", "permanent"),
    "scratch_erased_too_early": Planted("scratch", "revert"),
    "scratch_withdrawn_too_early": Planted("scratch", "test", old_size=23_500, scratch=6),
    "resumes_at_next_sector": Planted("move", "test"),
    "swap_size_lost": Planted("move", "permanent", old_size=9000),
    "header_from_wrong_slot": Planted("offset", "test", old_size=9000),
    "revert_not_confirmed": Planted("offset", "revert"),
    "request_erased_too_early": Planted("move", "permanent"),
    "secondary_erased_too_early": Planted("overwrite-only", "permanent"),
    "revert_not_announced": Planted("move", "revert"),
    "announced_swap_ignored": Planted("offset", "test"),
    "resumed_as_test": Planted("offset", "revert"),
    "torn_end_ignored": Planted("move", "test"),
    "updated_images_reverted": Planted("scratch", "dependency", images=2),
}


def of(planted: Planted, defect: str = "") -> Recording:
    return recorded(
        planted.mode,
        planted.scenario,
        images=planted.images,
        size=planted.size,
        old_size=planted.old_size,
        scratch=planted.scratch,
        defect=defect,
    )


@pytest.mark.parametrize("defect", DEFECTS)
def test_planted_defect_is_found(defect: str) -> None:
    tears = Tears(inside=defect == "torn_end_ignored")
    plan = Plan(tears, pairs=0, chains=0)
    tally = explore(of(DEFECTS[defect], defect), plan, first_failure=True)
    assert failures(tally)


@pytest.mark.parametrize("planted", sorted(set(DEFECTS.values()), key=str))
def test_nothing_is_found_without_it(planted: Planted) -> None:
    assert failures(explore(of(planted), Plan(Tears(inside=False), pairs=0, chains=0))) == []


def at_last(recording: Recording, field: str) -> tuple[set[Rule], Tally]:
    """The rules that do not hold when power is lost inside the last write to a field, and all results."""
    explorer = Explorer(recording, Plan(Tears(random=4), pairs=0, chains=0))
    kinds = [explorer.places.at(item.address, 1).kind for item in recording.operations]
    last = len(kinds) - 1 - kinds[::-1].index(f"app primary, {field}")
    tally = explorer.explore(last, last + 1)
    return {finding.rule for group in tally.groups for finding in group.findings}, tally


@pytest.mark.parametrize(("scenario", "field"), [("test", "copy_done"), ("revert", "image_ok")])
def test_torn_flag_counts_as_written_where_flash_takes_a_unit_once(scenario: str, field: str) -> None:
    options = Options(size=16, old_size=16, build=build_options())
    board = make_board("scratch", align=8, max_sectors=16, write_once=True)
    recording = prepare(board, scenario, options=options).recording
    rules, tally = at_last(recording, field)
    assert not rules
    assert (tally.outcomes.get(Outcome.USED_UP, 0) > 1) == (field == "copy_done")


def test_torn_flag_is_illegal_where_it_can_be_completed() -> None:
    rules, tally = at_last(of(DEFECTS["torn_end_ignored"], "torn_end_ignored"), "copy_done")
    assert Rule.LEGAL in rules
    assert tally.outcomes[Outcome.FAILED] > 1
