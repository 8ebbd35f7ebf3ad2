from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.mcuboot import FlashReport, FlashView, SwapMode, Version, diff_reports

from ._build import SECTOR, START, SWAPS, Flash, boot_settings, image, key


def two_images() -> Flash:
    found = Flash(boot_settings(SwapMode.SCRATCH, 2))
    found.put("primary", image("1.0.0")).put(
        "secondary", image("2.0.0", dependencies={1: Version(2)})
    ).pending()
    return found.put("primary", image("1.0.0"), 1)


def test_the_text_shows_both_slots_trailers_and_the_next_boot() -> None:
    text = str(two_images().report())
    public = key().public.fingerprint
    for line in (
        f"scratch, write align 4, max align 8, at most 64 sectors of 1 KiB; ed25519 {public}",
        "image 0 (app)        primary 0x00008000 48 KiB                    secondary 0x00014000 48 KiB",
        "  version            1.0.0                                        2.0.0",
        "  protected                                                       DEPENDENCY image 1 >= 2.0.0",
        "  magic     +0xbff0  unset                                        good",
        "  swap_info +0xbfd8  erased                                       0x02: test, image 0",
        "scratch 0x00038000 4 KiB: magic unset",
        "next boot",
        "  image 0: keep - test is put off: image 0 2.0.0 needs image 1 >= 2.0.0, there would be 1.0.0; "
        "requests stay",
        "  boots image 0, 1.0.0",
    ):
        assert line in text.splitlines()
    assert max(len(line) for line in text.splitlines()) <= 115


def test_slots_of_different_size_have_their_offsets_beside_the_value() -> None:
    text = str(Flash(boot_settings(SwapMode.MOVE)).report())
    assert (
        "  magic              unset (+0xc3f0)                              unset (+0xbff0)"
        in text.splitlines()
    )


def test_a_good_flash_has_no_remarks() -> None:
    text = str(two_images().report())
    assert "!" not in text
    for label in ("flags", "refused", "findings"):
        assert f"  {label}" not in text


def test_flags_and_refusals_are_shown_once() -> None:
    found = two_images().put("secondary", image("2.0.0", rom_fixed=0xC000, non_bootable=True))
    lines = [line.split(maxsplit=1) for line in str(found.report()).splitlines() if line]
    assert ["flags", "non-bootable rom-fixed 0xc000"] in lines
    assert ["refused", "flagged as not bootable"] in lines
    unsigned = str(two_images().put("secondary", image("2.0.0", key=None)).report())
    assert "refused  " not in unsigned  # the signature line says so already
    cut = two_images().put("secondary", b"\xff" * 600, offset=3500).report()
    state = cut.image(0).secondary
    assert state is not None
    assert state.problem == "no protected TLV area"  # a lack, unlike the remarks that may come before


def test_problems_are_shown() -> None:
    data = bytearray(image("2.0.0"))
    data[0x300] ^= 1
    text = str(two_images().put("secondary", bytes(data)).report())
    assert "! secondary error:" in text
    assert "digest does not match the image" in text
    assert "WRONG" in text
    assert "erases whole slot of the secondary: hash mismatch" in text


def test_binary_data_is_never_dumped() -> None:
    report = two_images().put("secondary", image("2.0.0", custom_tlvs={0xA0: b"\xa5" * 40})).report()
    for text in (str(report), json.dumps(report.to_dict())):
        assert b"\xa5".hex() * 9 not in text


def test_the_dictionary_is_json_and_says_the_same() -> None:
    report = two_images().report()
    data = json.loads(json.dumps(report.to_dict()))
    primary, secondary = data["images"][0]["primary"], data["images"][0]["secondary"]
    assert primary["image"]["version"] == "1.0.0"
    assert secondary["image"]["dependencies"] == [{"image": 1, "minimum": "2.0.0"}]
    assert secondary["image"]["signature"]["verdict"] == "valid"
    assert secondary["trailer"]["fields"]["magic"] == {
        "offset": 48 * SECTOR - 16,
        "raw": "77c295f360d2ef7f3552500f2cb67980",
        "meaning": "good",
    }
    assert data["images"][0]["request"] == "test"
    assert data["images"][1]["secondary"]["image"] is None
    assert data["next_boot"]["boots"] is True
    assert data["next_boot"]["version"] == "1.0.0"
    assert data["next_boot"]["images"][0]["action"] == "keep"


def test_a_scratch_area_in_use() -> None:
    found = two_images().trailer("scratch", magic=True, swap_info=0x12, swap_size=3800, status=[1])
    assert "holds the status of a swap, 0x12: test, image 1" in str(found.report())
    assert "what a former swap left there" in str(two_images().trailer("scratch", magic=b"x" * 16).report())


class TestDiff:
    def test_what_changed(self) -> None:
        before = two_images()
        after = two_images().put("secondary", image("2.0.0"), 1).pending(1)
        diff = diff_reports(before.report(), after.report())
        changed = {change.name: (change.before, change.after) for change in diff.changes}
        assert changed["image 1 secondary version"] == ("-", "2.0.0")
        assert changed["image 1 secondary magic"] == ("unset", "good")
        assert changed["next boot"] == ("boots image 0, 1.0.0", "boots image 0, 2.0.0")
        assert not any(name.startswith("image 0") for name in changed)
        lines = diff.to_text("expected", "found").splitlines()
        assert "image 1 secondary magic: unset -> good" in lines
        assert any(line.startswith("  expected  keep: test is put off") for line in lines)
        assert any(line.startswith("  found     test: the secondary requests") for line in lines)

    def test_no_difference(self) -> None:
        diff = diff_reports(two_images().report(), two_images().report())
        assert not diff
        assert str(diff) == "no difference"


MODES = list(SwapMode)


@settings(max_examples=60)
@given(st.sampled_from(MODES), st.integers(0, 1 << 32), st.integers(1, 2))
def test_flashes_full_of_noise(mode: SwapMode, seed: int, images: int) -> None:
    config = boot_settings(mode, images)
    noise = random.Random(seed).randbytes(100 * SECTOR)
    report = FlashReport.build(FlashView.from_bytes(noise, START), config)
    assert str(report)
    assert json.dumps(report.to_dict())


@settings(max_examples=100)
@given(st.sampled_from(SWAPS), st.data())
def test_planted_trailers_and_damaged_images(mode: SwapMode, data: st.DataObject) -> None:
    found = Flash(boot_settings(mode, 2))
    flags = st.sampled_from([False, True, 0x55])
    for number in (0, 1):
        for slot in ("primary", "secondary"):
            content = bytearray(image(data.draw(st.sampled_from(["1.0.0", "2.0.0"]))))
            if data.draw(st.booleans()):
                content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
            found.put(slot, bytes(content), number)
            found.trailer(
                slot,
                number,
                magic=data.draw(st.sampled_from([False, True, b"x" * 16])),
                image_ok=data.draw(flags),
                copy_done=data.draw(flags),
                swap_info=data.draw(st.none() | st.integers(0, 255)),
                swap_size=data.draw(st.none() | st.integers(0, 1 << 17)),
                status=data.draw(st.lists(st.sampled_from([1, 2, None]), max_size=9)),
            )
    if mode is SwapMode.SCRATCH:
        found.trailer(
            "scratch", magic=data.draw(st.booleans()), swap_info=data.draw(st.sampled_from([2, 0x12]))
        )
    report = found.report()
    assert report.plan.boots in (True, False, None)
    assert str(report)
    assert json.dumps(report.to_dict())


@pytest.mark.parametrize("known", range(0, 100, 7))
def test_dumps_that_stop_anywhere(known: int) -> None:
    found = two_images()
    data = found.view.read(START, 200 * SECTOR) or b""
    report = FlashReport.build(FlashView.from_bytes(data[: known * SECTOR], START), found.settings)
    assert report.plan.boots is None
    assert str(report)
