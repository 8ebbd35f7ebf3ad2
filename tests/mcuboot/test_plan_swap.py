"""The next boot with one image, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest

from harness.mcuboot import (
    BootAction,
    KeyType,
    SwapMode,
    SwapType,
    Version,
    build_trailer,
)

from ._build import OVERWRITES, SECTOR, SWAPS, Flash, boot_settings, image, key

UPDATING = [*SWAPS, *OVERWRITES]


def flash(
    mode: SwapMode, *, primary: str | None = "1.0.0", secondary: str | None = "2.0.0", **options: Any
) -> Flash:
    found = Flash(boot_settings(mode, **options))
    if primary:
        found.put("primary", image(primary))
    if secondary:
        found.put("secondary", image(secondary))
    return found


def swapped(found: Flash, *, confirmed: bool = False, kind: int = 2) -> Flash:
    """The primary's trailer after a swap; the old image lies at the very start of the secondary."""
    old = image("1.0.0")
    found.view = found.view.with_bytes(
        found.area("secondary").address, b"\xff" * found.area("secondary").size
    )
    found.put("secondary", old, offset=0)
    return found.put("primary", image("2.0.0")).trailer(
        "primary",
        magic=True,
        image_ok=confirmed,
        copy_done=True,
        swap_info=kind,
        swap_size=4000,
        status=[1] * 9,
    )


@pytest.mark.parametrize("mode", UPDATING)
@pytest.mark.parametrize("permanent", [False, True])
def test_a_pending_update_is_installed(mode: SwapMode, permanent: bool) -> None:
    plan = flash(mode).pending(permanent=permanent).plan()
    action = BootAction.PERMANENT if permanent else BootAction.TEST
    assert plan.images[0].action is (BootAction.OVERWRITE if mode.overwrites else action)
    assert plan.boots is True
    assert plan.version == Version(2)
    assert [erased.extent for erased in plan.erased] == (["first and last sector"] if mode.overwrites else [])
    assert "2.0.0" in plan.images[0].reason


@pytest.mark.parametrize("mode", UPDATING)
def test_images_padded_on_the_host_request_the_same_without_swap_info(mode: SwapMode) -> None:
    area = boot_settings(mode).images[0].secondary
    assert area is not None
    room = area.size - (SECTOR if mode is SwapMode.OFFSET else 0)
    found = flash(mode, secondary=None)
    found.put("secondary", image("2.0.0", slot_size=room, confirm=True))
    assert found.read_trailer("secondary").swap_info.erased
    assert found.plan().version == Version(2)
    assert found.report().image(0).request is SwapType.PERMANENT


@pytest.mark.parametrize("mode", UPDATING)
def test_nothing_requested(mode: SwapMode) -> None:
    plan = flash(mode).plan()
    assert plan.images[0].action is BootAction.KEEP
    assert plan.version == Version(1)
    assert plan.erased == ()
    assert plan.reason == "boots image 0, 1.0.0"


@pytest.mark.parametrize("mode", SWAPS)
def test_after_a_test_swap_the_next_boot_reverts_unless_confirmed(mode: SwapMode) -> None:
    found = swapped(flash(mode))
    plan = found.plan()
    assert plan.images[0].action is BootAction.REVERT
    assert plan.version == Version(1)
    plan = swapped(found, confirmed=True).plan()
    assert plan.images[0].action is BootAction.KEEP
    assert plan.version == Version(2)
    assert "confirmed" in plan.images[0].reason


@pytest.mark.parametrize("mode", UPDATING)
@pytest.mark.parametrize("fault", ["body", "key", "unsigned", "digest"])
def test_a_bad_secondary_is_erased_and_the_primary_stays(mode: SwapMode, fault: str) -> None:
    data = bytearray(image("2.0.0"))
    if fault == "body":
        data[0x300] ^= 1
    elif fault == "key":
        data = bytearray(image("2.0.0", key=key(KeyType.ED25519, 1)))
    elif fault == "unsigned":
        data = bytearray(image("2.0.0", key=None))
    else:
        data = bytearray(image("2.0.0", hash_algorithm="sha512"))
    plan = flash(mode, secondary=None).put("secondary", bytes(data)).pending().plan()
    assert plan.images[0].action is BootAction.KEEP
    assert plan.version == Version(1)
    (erased,) = plan.erased
    assert (erased.slot, erased.extent) == ("secondary", "whole slot")
    assert {"body": "hash mismatch", "key": "wrong key", "unsigned": "no signature", "digest": "no hash"}[
        fault
    ] in erased.why


@pytest.mark.parametrize("mode", UPDATING)
@pytest.mark.parametrize("what", ["nothing", "not bootable"])
def test_a_request_without_a_bootable_image_loses_its_trailer_in_swap_modes(
    mode: SwapMode, what: str
) -> None:
    found = flash(mode, secondary=None).pending()
    if what == "not bootable":
        found.put("secondary", image("2.0.0", non_bootable=True))
    plan = found.plan()
    assert plan.images[0].action is BootAction.KEEP
    assert plan.version == Version(1)
    extents = [(erased.slot, erased.extent) for erased in plan.erased]
    assert extents == ([("secondary", "trailer")] if mode.swaps else [])


def test_a_stuck_revert_of_move_loses_the_primary_trailer_too() -> None:
    found = swapped(flash(SwapMode.MOVE))
    area = found.area("secondary")
    found.view = found.view.with_bytes(area.address, b"\xff" * area.size)
    plan = found.plan()
    assert [(erased.slot, erased.extent) for erased in plan.erased] == [
        ("secondary", "trailer"),
        ("primary", "trailer"),
    ]
    assert plan.version == Version(2)


@pytest.mark.parametrize("mode", UPDATING)
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"magic": b"x" * 16}, "magic is bad"),
        ({"magic": True, "image_ok": 0x55}, "image_ok is bad"),
    ],
)
def test_requests_that_do_not_count(mode: SwapMode, fields: dict[str, Any], words: str) -> None:
    plan = flash(mode).trailer("secondary", **fields).plan()
    assert plan.images[0].action is BootAction.KEEP
    assert words in plan.images[0].reason


def test_the_magic_of_another_alignment_counts_as_bad() -> None:
    found = flash(SwapMode.SCRATCH, write_align=8, max_align=16, secondary=None)
    found.put("secondary", image("2.0.0", pad=True, align=8))
    assert found.plan().images[0].action is BootAction.KEEP
    assert "max-align 8" in str(found.report())


class TestPrimaryInvalid:
    """Section "small things": what a broken primary does."""

    @pytest.mark.parametrize("mode", UPDATING)
    def test_without_a_request_there_is_no_boot_whatever_the_secondary_holds(self, mode: SwapMode) -> None:
        data = bytearray(image())
        data[0x300] ^= 1
        plan = flash(mode, primary=None).put("primary", bytes(data)).plan()
        assert plan.boots is False
        assert "does not boot" in plan.reason
        assert "hash mismatch" in plan.reason

    @pytest.mark.parametrize("mode", UPDATING)
    def test_with_a_request_the_update_is_installed(self, mode: SwapMode) -> None:
        data = bytearray(image())
        data[0x300] ^= 1
        plan = flash(mode, primary=None).put("primary", bytes(data)).pending().plan()
        assert plan.version == Version(2)

    @pytest.mark.parametrize("mode", UPDATING)
    def test_an_erased_primary_hides_updates_from_move_and_offset(self, mode: SwapMode) -> None:
        plan = flash(mode, primary=None).pending().plan()
        blind = mode in (SwapMode.MOVE, SwapMode.OFFSET)
        assert plan.boots is not blind
        assert ("no image header" in plan.images[0].reason) is blind

    def test_the_revert_to_a_broken_image_erases_it_and_keeps_the_new_one(self) -> None:
        found = swapped(flash(SwapMode.SCRATCH))
        found.put("secondary", b"\x55", offset=0x300)
        plan = found.plan()
        assert plan.images[0].action is BootAction.KEEP
        assert plan.version == Version(2)
        assert [erased.extent for erased in plan.erased] == ["whole slot"]

    def test_without_validation_of_the_primary_a_header_is_enough(self) -> None:
        data = bytearray(image())
        data[0x300] ^= 1
        found = flash(SwapMode.SCRATCH, primary=None, secondary=None, validate_primary=False)
        assert found.plan().boots is False
        assert found.put("primary", bytes(data)).plan().boots is True

    @pytest.mark.parametrize("mode", SWAPS)
    def test_a_primary_whose_tlvs_are_gone_cannot_be_swapped(self, mode: SwapMode) -> None:
        data = image()
        found = flash(mode, primary=None).put("primary", data[: data.index(b"\x07\x69")]).pending()
        plan = found.plan()
        assert plan.images[0].action is BootAction.PANIC
        assert plan.boots is False


class TestStartWithoutRequest:
    """swap_info in the primary's trailer and no entry: the swap starts all the same."""

    @pytest.mark.parametrize("mode", SWAPS)
    @pytest.mark.parametrize(
        ("info", "action"),
        [
            (0x02, BootAction.TEST),
            (0x03, BootAction.PERMANENT),
            (0x12, BootAction.TEST),
        ],
    )
    def test_types(self, mode: SwapMode, info: int, action: BootAction) -> None:
        plan = flash(mode).trailer("primary", magic=True, swap_info=info).plan()
        assert plan.images[0].action is action
        assert plan.version == Version(2)
        assert "carries no request" in plan.images[0].reason

    @pytest.mark.parametrize("mode", [SwapMode.SCRATCH, SwapMode.MOVE])
    def test_revert(self, mode: SwapMode) -> None:
        plan = flash(mode).trailer("primary", magic=True, swap_info=4).plan()
        assert plan.images[0].action is BootAction.REVERT
        assert plan.version == Version(2)

    def test_revert_in_offset_fails_unless_the_image_is_at_the_start(self) -> None:
        found = flash(SwapMode.OFFSET).trailer("primary", magic=True, swap_info=4)
        plan = found.plan()
        assert plan.images[0].action is BootAction.FAIL
        assert plan.version == Version(1)
        found = flash(SwapMode.OFFSET, secondary=None).put("secondary", image("2.0.0"), offset=0)
        plan = found.trailer("primary", magic=True, swap_info=4).plan()
        assert plan.images[0].action is BootAction.REVERT
        assert plan.version == Version(2)

    @pytest.mark.parametrize("mode", SWAPS)
    def test_a_bad_secondary_confirms_the_primary(self, mode: SwapMode) -> None:
        data = bytearray(image("2.0.0"))
        data[0x300] ^= 1
        found = flash(mode, secondary=None).put("secondary", bytes(data))
        plan = found.trailer("primary", magic=True, swap_info=2).plan()
        assert plan.images[0].action is BootAction.FAIL
        assert plan.version == Version(1)
        assert [erased.extent for erased in plan.erased] == ["whole slot"]

    @pytest.mark.parametrize("mode", SWAPS)
    @pytest.mark.parametrize(
        ("info", "action"), [(0x05, BootAction.FAIL), (0x00, BootAction.PANIC), (0x07, BootAction.PANIC)]
    )
    def test_other_nibbles(self, mode: SwapMode, info: int, action: BootAction) -> None:
        plan = flash(mode).trailer("primary", magic=True, swap_info=info).plan()
        assert plan.images[0].action is action
        assert plan.boots is (action is not BootAction.PANIC)

    @pytest.mark.parametrize("mode", OVERWRITES)
    def test_overwrite_only_does_not_look(self, mode: SwapMode) -> None:
        assert (
            flash(mode).trailer("primary", magic=True, swap_info=2).plan().images[0].action is BootAction.KEEP
        )


class TestOffset:
    """The image of an update lies one sector up in the secondary, the old one at its start."""

    def test_an_upload_to_the_start_is_refused(self) -> None:
        found = flash(SwapMode.OFFSET, secondary=None).put("secondary", image("2.0.0"), offset=0).pending()
        plan = found.plan()
        assert plan.version == Version(1)
        assert [erased.extent for erased in plan.erased] == ["whole slot"]
        assert "one sector further up" in plan.erased[0].why

    def test_also_if_another_image_lies_where_it_should(self) -> None:
        found = flash(SwapMode.OFFSET).put("secondary", b"\x3d\xb8\xf3\x96", offset=0).pending()
        assert [erased.extent for erased in found.plan().erased] == ["whole slot"]

    def test_where_headers_are_found(self) -> None:
        assert flash(SwapMode.OFFSET).pending().report().image(0).secondary.header_offset == SECTOR  # type: ignore[union-attr]
        assert swapped(flash(SwapMode.OFFSET)).report().image(0).secondary.header_offset == 0  # type: ignore[union-attr]
        confirmed = swapped(flash(SwapMode.OFFSET), confirmed=True)
        assert confirmed.report().image(0).secondary.header_offset == 0  # type: ignore[union-attr]

    def test_a_revert_being_prepared_in_the_secondary(self) -> None:
        found = swapped(flash(SwapMode.OFFSET))
        found.trailer(
            "secondary", magic=True, copy_done=True, swap_info=4, swap_size=4000, tlv_sizes=(336, 336)
        )
        plan = found.plan()
        assert plan.images[0].action is BootAction.REVERT
        assert plan.version == Version(1)

    def test_a_revert_finds_a_fresh_upload_valid_but_swaps_in_what_lies_before_it(self) -> None:
        """An upload over the old image while the new one is unconfirmed, and a reset before the request."""
        found = swapped(flash(SwapMode.OFFSET))
        area = found.area("secondary")
        found.view = found.view.with_bytes(area.address, b"\xff" * area.size)
        plan = found.put("secondary", image("3.0.0")).plan()
        assert plan.images[0].action is BootAction.REVERT
        assert plan.boots is False
        assert "but a revert takes it from +0x0" in plan.reason


class TestUnfinished:
    def test_versions_are_not_read_from_the_start_of_a_slot(self) -> None:
        found = flash(SwapMode.SCRATCH)
        found.trailer("primary", magic=True, swap_info=2, swap_size=4000, status=[1])
        report = found.report()
        facts = report.facts()
        assert facts["image 0 primary version"] == facts["image 0 secondary version"] == "(swap under way)"
        assert report.to_dict()["images"][0]["primary"]["image"] is None  # type: ignore[index]

    def test_the_images_are_put_together_and_the_plan_knows_what_arrives(self) -> None:
        found = Flash(boot_settings(SwapMode.SCRATCH))
        old, new = image("1.0.0", 9000), image("2.0.0", 9000)
        size = max(len(old), len(new))
        chunk = 4 * SECTOR
        # 10 sectors in chunks of 4: chunk 0 is sectors 6..9 and done, chunk 1 is 2..5 and lies in scratch.
        found.put("primary", old[: 6 * SECTOR] + new[6 * SECTOR :])
        found.put("secondary", new[: 2 * SECTOR] + b"\xff" * chunk + old[6 * SECTOR :])
        found.put("scratch", new[2 * SECTOR : 6 * SECTOR])
        found.trailer("primary", magic=True, swap_info=2, swap_size=size, status=[1, 2, 3, 1])
        report = found.report()
        plan = report.plan
        assert plan.images[0].action is BootAction.RESUME
        assert plan.version == Version(2)
        facts = report.facts()
        assert facts["image 0 arriving"].startswith("2.0.0, valid")
        assert facts["image 0 leaving"].startswith("1.0.0, valid")
        assert "chunk 2 of 3, step 2 of 3" in plan.images[0].reason

    def test_status_in_the_scratch_trailer(self) -> None:
        found = flash(SwapMode.SCRATCH)
        found.trailer("scratch", magic=True, swap_info=3, swap_size=4000, status=[1])
        found.put("scratch", image("2.0.0"))
        plan = found.plan()
        assert plan.images[0].action is BootAction.RESUME
        assert "scratch trailer" in plan.images[0].reason
        assert plan.version == Version(2)

    @pytest.mark.parametrize("kind", [2, 4])
    @pytest.mark.parametrize("done", range(9))
    def test_offset_in_both_directions(self, kind: int, done: int) -> None:
        """Four sectors: upgrades run up and take from one sector up, reverts run down and put there."""
        ours, theirs = image("1.0.0"), image("2.0.0")
        revert = kind == 4
        found = Flash(boot_settings(SwapMode.OFFSET)).put("primary", ours)
        found.put("secondary", theirs, offset=0 if revert else SECTOR)
        pieces = [ours[at : at + SECTOR] for at in range(0, 4 * SECTOR, SECTOR)]
        others = [theirs[at : at + SECTOR] for at in range(0, 4 * SECTOR, SECTOR)]
        for step in range(done):
            at = 3 - step // 2 if revert else step // 2
            if step % 2 == 0:
                found.put("secondary", pieces[at], offset=(at + revert) * SECTOR)
            else:
                found.put("primary", others[at], offset=at * SECTOR)
        size = max(len(ours), len(theirs))
        found.trailer("primary", magic=True, swap_info=kind, swap_size=size, status=[1] * done)
        plan = found.plan()
        assert plan.images[0].action is (
            BootAction.RESUME if done else BootAction.REVERT if revert else BootAction.TEST
        )
        assert plan.version == Version(2)
        if done:
            assert found.report().facts()["image 0 leaving"].startswith("1.0.0, valid")

    @pytest.mark.parametrize("mode", SWAPS)
    def test_move_and_offset_need_the_headers_where_the_swap_left_them(self, mode: SwapMode) -> None:
        found = flash(mode, secondary=None)
        plan = found.trailer("primary", magic=True, swap_info=2, swap_size=4000, status=[1]).plan()
        if mode is SwapMode.SCRATCH:
            assert plan.images[0].action is BootAction.RESUME
        else:
            assert plan.images[0].action is BootAction.KEEP
            assert "not where it left them" in plan.images[0].reason

    @pytest.mark.parametrize("mode", SWAPS)
    @pytest.mark.parametrize("size", [None, 0, 1 << 30])
    def test_a_swap_size_that_makes_no_sense(self, mode: SwapMode, size: int | None) -> None:
        plan = flash(mode).trailer("primary", magic=True, swap_info=2, swap_size=size, status=[1]).plan()
        assert plan.boots is None
        assert "makes no sense" in plan.images[0].notes[0]

    def test_a_swap_of_no_type_is_resumed_for_ever(self) -> None:
        plan = flash(SwapMode.SCRATCH).trailer("primary", magic=True, swap_size=4000, status=[1, 1, 1]).plan()
        assert plan.images[0].action is BootAction.RESUME
        assert "each boot resumes again" in plan.images[0].notes[0]


@pytest.mark.parametrize("mode", [SwapMode.MOVE, SwapMode.OFFSET])
def test_slots_that_do_not_go_together_are_never_updated(mode: SwapMode) -> None:
    found = flash(mode, max_sectors=40)
    plan = found.pending().plan()
    assert plan.images[0].action is BootAction.KEEP
    assert "never updated" in plan.images[0].reason


def test_single_slot() -> None:
    found = flash(SwapMode.SINGLE, secondary=None)
    assert found.plan().boots is True
    assert found.put("primary", b"\xff" * 64).plan().boots is False


@pytest.mark.parametrize("mode", UPDATING)
def test_what_a_dump_does_not_show_is_not_guessed(mode: SwapMode) -> None:
    found = flash(mode).pending()
    area = found.area("primary")
    layout = found.settings.layout(area)
    found.view = type(found.view).build(
        [(address, data) for address, data in ((area.address, found.read("primary")[: layout.status - 100]),)]
    )
    report = found.report()
    assert report.plan.boots is None
    assert report.plan.images[0].action is BootAction.UNKNOWN
    assert report.facts()["image 0 primary version"] == "1.0.0"
    assert "not in the dump" in str(report)


def test_a_scratch_area_outside_of_the_dump() -> None:
    found = flash(SwapMode.SCRATCH)
    areas = [found.area("primary"), found.area("secondary")]
    found.view = type(found.view).build(
        [(area.address, found.view.read(area.address, area.size) or b"") for area in areas]
    )
    assert "scratch area is not in the dump" in found.plan().images[0].reason


def test_flash_that_erases_to_zero() -> None:
    found = Flash(boot_settings(SwapMode.MOVE, erased_value=0))
    found.put("primary", image()).put("secondary", image("2.0.0")).pending()
    assert found.plan().version == Version(2)
    layout = found.settings.layout(found.area("primary"))
    assert build_trailer(layout) == bytes(layout.size)
