from __future__ import annotations

from typing import Any

import pytest

from harness.mcuboot import (
    ApiOutcome,
    SwapMode,
    UpdateStep,
    build_trailer,
    expected_trailers,
    magic_bytes,
    set_confirmed,
    set_pending,
)

from ._build import OVERWRITES, SWAPS, Flash, boot_settings, image

BAD = b"x" * 16


def apply(found: Flash, slot: str, outcome: ApiOutcome, number: int = 0) -> None:
    for write in outcome.writes:
        found.put(slot, write.data, number, offset=write.offset)


def names(outcome: ApiOutcome) -> list[str]:
    return [write.field for write in outcome.writes]


@pytest.mark.parametrize("permanent", [False, True])
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("most", [8, 32])
def test_a_request_is_written_as_the_application_writes_it(permanent: bool, number: int, most: int) -> None:
    found = Flash(boot_settings(SwapMode.SCRATCH, 2, max_align=most))
    outcome = set_pending(found.read_trailer("secondary", number), permanent=permanent, image=number)
    assert outcome.result == 0
    assert names(outcome) == ["magic", *(["image_ok"] if permanent else []), "swap_info"]
    apply(found, "secondary", outcome, number)
    layout = found.settings.layout(found.area("secondary", number))
    info = number * 16 + (3 if permanent else 2)
    assert found.read("secondary", number)[layout.status :] == build_trailer(
        layout, magic=True, image_ok=permanent, swap_info=info
    )


@pytest.mark.parametrize(("most", "size"), [(8, 16), (16, 16), (32, 32)])
def test_writes_are_padded_to_the_write_unit(most: int, size: int) -> None:
    found = Flash(boot_settings(SwapMode.MOVE, write_align=8, max_align=most))
    magic, image_ok, info = set_pending(found.read_trailer("secondary"), permanent=True).writes
    assert magic.data == b"\xff" * (size - 16) + magic_bytes(most)
    assert image_ok.data == b"\x01" + b"\xff" * 7
    assert info.data == b"\x03" + b"\xff" * 7
    for write in (magic, image_ok, info):
        assert write.offset % len(write.data) == 0


def outcome(call: str, mode: SwapMode, permanent: bool = False, **fields: Any) -> ApiOutcome:
    found = Flash(boot_settings(mode)).trailer("primary", **fields).trailer("secondary", **fields)
    if call == "pending":
        return set_pending(found.read_trailer("secondary"), permanent=permanent)
    return set_confirmed(found.read_trailer("primary"))


@pytest.mark.parametrize("mode", [*SWAPS, *OVERWRITES])
def test_results(mode: SwapMode) -> None:
    # A pending test cannot be made permanent this way.
    assert outcome("pending", mode, permanent=True, magic=True) == ApiOutcome(0)
    assert outcome("pending", mode, magic=BAD) == ApiOutcome(3)
    assert outcome("confirmed", mode) == ApiOutcome(0)
    assert outcome("confirmed", mode, magic=BAD) == ApiOutcome(4)
    assert names(outcome("confirmed", mode, magic=True)) == ["image_ok"]
    assert names(outcome("confirmed", mode, magic=True, copy_done=True)) == ["image_ok"]
    assert outcome("confirmed", mode, magic=True, image_ok=True) == ApiOutcome(0)
    assert outcome("confirmed", mode, magic=True, image_ok=0x55) == ApiOutcome(0)


@pytest.mark.parametrize("mode", [SwapMode.DIRECT_XIP_REVERT, SwapMode.RAM_LOAD_REVERT])
def test_selecting_modes_have_their_own_way(mode: SwapMode) -> None:
    assert names(outcome("pending", mode)) == ["magic"]
    assert names(outcome("pending", mode, permanent=True)) == ["magic", "copy_done", "image_ok"]
    assert names(outcome("confirmed", mode)) == ["magic", "copy_done", "image_ok"]
    assert names(outcome("confirmed", mode, magic=True, copy_done=True)) == ["image_ok"]
    assert outcome("pending", mode, magic=BAD) == ApiOutcome(3)


#: step -> magic, image_ok, copy_done, swap_info of primary | secondary, for image 0
STATES = {
    "fresh": "unset unset unset ff | unset unset unset ff",
    "test pending": "unset unset unset ff | good unset unset 02",
    "permanent pending": "unset unset unset ff | good set unset 03",
    "testing": "good unset set 02 | unset unset unset ff",
    "confirmed": "good set set 02 | unset unset unset ff",
    "reverted": "good set set 04 | unset unset unset ff",
    "installed": "good set set 03 | unset unset unset ff",
}


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("step", list(UpdateStep))
@pytest.mark.parametrize("mode", SWAPS)
def test_states_after_each_step(mode: SwapMode, step: UpdateStep, number: int) -> None:
    settings = boot_settings(mode, 2)
    for expected, line in zip(
        expected_trailers(step, settings, number), STATES[step].split("|"), strict=True
    ):
        magic, image_ok, copy_done, info = line.split()
        assert (expected.state.magic, expected.state.image_ok, expected.state.copy_done) == (
            magic,
            image_ok,
            copy_done,
        )
        wanted = None if info == "ff" else int(info, 16) + 16 * number
        assert expected.swap_info == wanted


def test_states_are_compared_field_by_field() -> None:
    found = Flash(boot_settings(SwapMode.SCRATCH)).put("primary", image()).pending()
    _, secondary = expected_trailers(UpdateStep.TEST_PENDING, found.settings)
    assert secondary.mismatches(found.read_trailer("secondary")) == ()
    _, permanent = expected_trailers(UpdateStep.PERMANENT_PENDING, found.settings)
    assert permanent.mismatches(found.read_trailer("secondary")) == (
        "image_ok: expected set, found unset",
        "swap_info: expected 0x03, found 0x02",
    )


def test_overwrite_only_copies_the_request() -> None:
    settings = boot_settings(SwapMode.OVERWRITE_ONLY)
    for step, fields in (
        (UpdateStep.TESTING, {"swap_info": 2}),
        (UpdateStep.INSTALLED, {"image_ok": True, "swap_info": 3}),
    ):
        primary, _ = expected_trailers(step, settings)
        found = Flash(settings).trailer("primary", magic=True, **fields)  # type: ignore[arg-type]
        assert primary.mismatches(found.read_trailer("primary")) == ()
    primary, _ = expected_trailers(UpdateStep.INSTALLED, boot_settings(SwapMode.OVERWRITE_ONLY_FAST))
    assert (primary.state.magic, primary.state.image_ok, primary.swap_info) == ("good", "unset", None)
    with pytest.raises(ValueError, match="no step"):
        expected_trailers(UpdateStep.REVERTED, settings)
    with pytest.raises(ValueError, match="no requests"):
        expected_trailers(UpdateStep.FRESH, boot_settings(SwapMode.DIRECT_XIP))
