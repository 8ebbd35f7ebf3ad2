"""The swap type table, in all combinations, against one written down by hand."""

from __future__ import annotations

import itertools

import pytest

from harness.mcuboot import (
    FlagState,
    MagicState,
    StatusSource,
    SwapMode,
    SwapType,
    Trailer,
    TrailerState,
    UnfinishedKind,
    build_trailer,
    status_source,
    swap_type,
    unfinished_swap,
)

from ._build import OVERWRITES, SWAPS, boot_settings

MAGICS = {"good": MagicState.GOOD, "unset": MagicState.UNSET, "bad": MagicState.BAD}
FLAGS = {"set": FlagState.SET, "unset": FlagState.UNSET, "bad": FlagState.BAD}

#: secondary "magic image_ok copy_done" -> answer; "." leaves it to the primary. Offset differs in one line.
SECONDARY = """
good  unset unset test        | good  set unset permanent | good  bad unset .
good  unset set   test/revert | good  set set   permanent | good  bad set   .
good  unset bad   test        | good  set bad   permanent | good  bad bad   .
unset unset unset .           | unset set unset .         | unset bad unset .
unset unset set   .           | unset set set   .         | unset bad set   .
unset unset bad   .           | unset set bad   .         | unset bad bad   .
bad   unset unset .           | bad   set unset .         | bad   bad unset .
bad   unset set   .           | bad   set set   .         | bad   bad set   .
bad   unset bad   .           | bad   set bad   .         | bad   bad bad   .
"""
PRIMARY_REVERTS = "good unset set"


def by_hand(offset: bool) -> dict[tuple[str, str], str]:
    secondaries: dict[str, str] = {}
    for cell in SECONDARY.replace("\n", "|").split("|"):
        if cell.strip():
            *state, answer = cell.split()
            secondaries[" ".join(state)] = (
                answer.split("/")[-1] if offset else answer.split("/", maxsplit=1)[0]
            )
    assert len(secondaries) == 27
    table = {}
    for primary in map(" ".join, itertools.product(MAGICS, FLAGS, FLAGS)):
        for secondary, answer in secondaries.items():
            own = "revert" if primary == PRIMARY_REVERTS else "none"
            table[primary, secondary] = own if answer == "." else answer
    return table


def state(text: str) -> TrailerState:
    magic, image_ok, copy_done = text.split()
    return TrailerState(MAGICS[magic], FLAGS[image_ok], FLAGS[copy_done])


@pytest.mark.parametrize("mode", [*SWAPS, *OVERWRITES])
def test_all_729_combinations(mode: SwapMode) -> None:
    table = by_hand(mode is SwapMode.OFFSET)
    assert len(table) == 729
    wrong = {
        pair: (found.name.lower(), expected)
        for pair, expected in table.items()
        if (found := swap_type(state(pair[0]), state(pair[1]), mode)).name.lower() != expected
    }
    assert wrong == {}


def trailer(mode: SwapMode, slot: str = "primary", **fields: object) -> Trailer:
    settings = boot_settings(mode)
    areas = settings.images[0]
    layout = settings.layout(areas.primary if slot == "primary" else areas.secondary or areas.primary)
    if slot == "scratch":
        assert settings.scratch_layout
        layout = settings.scratch_layout
    data = build_trailer(layout, **fields)  # type: ignore[arg-type]
    return Trailer(layout, data)


FIELDS = {"good": True, "unset": False, "bad": b"x" * 16}
FLAG = {"set": True, "unset": False, "bad": 0x55}


@pytest.mark.parametrize("mode", [SwapMode.MOVE, SwapMode.OFFSET])
def test_move_and_offset_look_into_the_primary_in_one_case_only(mode: SwapMode) -> None:
    for primary, done, secondary in itertools.product(FIELDS, FLAG, FIELDS):
        found = status_source(
            mode,
            trailer(mode, magic=FIELDS[primary], copy_done=FLAG[done]),
            trailer(mode, "secondary", magic=FIELDS[secondary]),
        )
        looks = primary == "good" and done == "unset" and secondary != "good"
        assert found is (StatusSource.PRIMARY if looks else StatusSource.NONE)


#: primary magic, copy_done, scratch magic -> where scratch mode looks
SCRATCH_SOURCES = {
    ("good", "set", "unset"): "none",
    ("good", "set", "bad"): "none",
    ("good", "set", "good"): "scratch trailer",
    ("good", "unset", "unset"): "primary trailer",
    ("good", "unset", "bad"): "primary trailer",
    ("good", "unset", "good"): "scratch trailer",
    ("good", "bad", "unset"): "none",
    ("good", "bad", "bad"): "none",
    ("good", "bad", "good"): "scratch trailer",
    ("unset", "unset", "unset"): "primary trailer",
    ("unset", "unset", "bad"): "primary trailer",
    ("unset", "unset", "good"): "scratch trailer",
    ("unset", "set", "unset"): "none",
    ("unset", "set", "bad"): "none",
    ("unset", "set", "good"): "scratch trailer",
    ("unset", "bad", "unset"): "none",
    ("unset", "bad", "bad"): "none",
    ("unset", "bad", "good"): "scratch trailer",
    ("bad", "unset", "unset"): "none",
    ("bad", "unset", "bad"): "none",
    ("bad", "unset", "good"): "scratch trailer",
    ("bad", "set", "unset"): "none",
    ("bad", "set", "bad"): "none",
    ("bad", "set", "good"): "scratch trailer",
    ("bad", "bad", "unset"): "none",
    ("bad", "bad", "bad"): "none",
    ("bad", "bad", "good"): "scratch trailer",
}


@pytest.mark.parametrize("case", SCRATCH_SOURCES)
def test_scratch_looks_in_this_order(case: tuple[str, str, str]) -> None:
    primary, done, scratch = case
    found = status_source(
        SwapMode.SCRATCH,
        trailer(SwapMode.SCRATCH, magic=FIELDS[primary], copy_done=FLAG[done]),
        trailer(SwapMode.SCRATCH, "secondary"),
        trailer(SwapMode.SCRATCH, "scratch", magic=FIELDS[scratch], swap_info=2),
    )
    assert found.value == SCRATCH_SOURCES[case]


def test_the_scratch_trailer_belongs_to_the_image_in_its_swap_info() -> None:
    parts = (trailer(SwapMode.SCRATCH), trailer(SwapMode.SCRATCH, "secondary"))
    scratch = trailer(SwapMode.SCRATCH, "scratch", magic=True, swap_info=0x12)
    for image, source in ((0, StatusSource.NONE), (1, StatusSource.SCRATCH)):
        assert status_source(SwapMode.SCRATCH, *parts, scratch, image=image, images=2) is source
    # A boot loader for one image does not look at the number.
    assert status_source(SwapMode.SCRATCH, *parts, scratch) is StatusSource.SCRATCH


@pytest.mark.parametrize("mode", SWAPS)
def test_an_entry_resumes_and_swap_info_alone_starts(mode: SwapMode) -> None:
    other = trailer(mode, "secondary")
    for info in (0x02, 0x03, 0x04, 0x12):
        found = unfinished_swap(mode, trailer(mode, magic=True, swap_info=info), other)
        assert found is not None
        assert (found.kind, found.type) == (UnfinishedKind.START, SwapType(info & 0xF))
        found = unfinished_swap(mode, trailer(mode, magic=True, swap_info=info, status=[1]), other)
        assert found is not None
        assert found.kind is UnfinishedKind.RESUME
    for info in (None, 0x01, 0x11):
        assert unfinished_swap(mode, trailer(mode, magic=True, swap_info=info), other) is None
    # After a finished swap the entries stay, and mean nothing.
    finished = trailer(mode, magic=True, copy_done=True, swap_info=2, status=[1, 1, 1])
    assert unfinished_swap(mode, finished, other) is None


@pytest.mark.parametrize("mode", OVERWRITES)
def test_overwrite_only_never_looks(mode: SwapMode) -> None:
    found = trailer(mode, magic=True, swap_info=2, status=[1])
    assert unfinished_swap(mode, found, trailer(mode, "secondary")) is None
