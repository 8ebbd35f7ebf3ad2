"""Every verdict that was reached by a shortcut is the one that a full run reaches."""

from __future__ import annotations

import random

import pytest

from harness.sweep import Plan, Tears
from harness.sweep._chip import Chip
from harness.sweep._contents import Contents
from harness.sweep._judge import Judge, Verdict
from harness.sweep._tears import cut_contents

from .boards import recorded

CASES = [
    ("scratch", "test", 1, ""),
    ("scratch", "revert", 1, ""),
    ("move", "permanent", 1, ""),
    ("offset", "revert", 1, ""),
    ("overwrite-only", "test", 1, ""),
    ("move", "dependency", 2, ""),
    ("scratch", "permanent", 1, "copy_done_too_early"),
    ("move", "revert", 1, "revert_not_announced"),
    ("offset", "test", 1, "header_from_wrong_slot"),
]


@pytest.mark.parametrize(("mode", "scenario", "images", "defect"), CASES)
def test_same_verdicts_without_shortcuts(mode: str, scenario: str, images: int, defect: str) -> None:
    old_size = 5000 if defect == "header_from_wrong_slot" else 40
    recording = recorded(mode, scenario, images=images, size=16, old_size=old_size, defect=defect)
    quick, full = Chip(recording), Chip(recording, merging=False)
    quickly, fully = Judge(quick), Judge(full)
    points = [
        (number, tear, cut_contents(before, operation, tear, 0))
        for number, operation, before in _before_each(recording)
        for tear in Tears().of(operation)
    ]
    verdicts = [quickly.verdict(contents, application=False) for _, _, contents in points]
    assert quick.counts.foreseen > quick.counts.boots or defect
    chosen = random.Random(mode + scenario + defect).sample(range(len(points)), 40)
    # what was executed, and with it the points where the shortcuts begin, is more telling than the rest
    chosen += [index for index, (number, _, _) in enumerate(points) if number < 12][:12]
    for index in chosen:
        number, tear, contents = points[index]
        wanted: Verdict = fully.verdict(contents, application=False)
        assert verdicts[index] == wanted, f"operation {number}, {tear}"
    assert full.counts.foreseen == full.counts.merged == 0
    assert full.counts.boots > len(chosen)


def _before_each(recording):  # type: ignore[no-untyped-def]
    now: Contents = recording.start
    for number, operation in enumerate(recording.operations):
        yield number, operation, now
        now = now.after(operation)


def test_a_known_state_is_not_taken_for_another() -> None:
    """Contents that differ in a word which the boot reads lead along no known path."""
    recording = recorded("scratch", "test")
    chip = Chip(recording)
    chip.power_on(recording.start)
    assert chip.counts.boots == 1
    chip.power_on(recording.start.with_bytes(recording.parts[0].secondary.address + 40, b"\x00"))
    assert chip.counts.boots == 2
    free = recording.settings.scratch
    assert free is not None
    chip.power_on(recording.start.with_bytes(free.address + 40, b"\x00"))
    assert (chip.counts.boots, chip.counts.foreseen) == (2, 1)


def test_plan_without_merging_counts_the_same() -> None:
    from harness.sweep._explore import Explorer

    recording = recorded("overwrite-only", "test", size=16, old_size=16)
    last = len(recording.operations) + 1
    plans = [Plan(pairs=0, chains=0, merging=merging) for merging in (True, False)]
    tallies = [Explorer(recording, plan).explore(last - 4, last) for plan in plans]
    assert tallies[0].outcomes == tallies[1].outcomes
    assert tallies[0].worst == tallies[1].worst
    assert tallies[0].groups == tallies[1].groups
