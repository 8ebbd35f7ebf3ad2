"""Direct-xip and RAM load: slots are chosen, nothing is moved."""

from __future__ import annotations

from typing import Any

import pytest

from harness.mcuboot import BootAction, FlashArea, SwapMode, Version

from ._build import SELECTS, START, Flash, boot_settings, image

RAM = 0x2000_0000


def flash(mode: SwapMode, *, images: int = 1, **options: Any) -> Flash:
    if mode.loads_to_ram:
        options.setdefault("executable_ram", FlashArea(RAM, 0x8000))
    return Flash(boot_settings(mode, images, **options))


def fitting(mode: SwapMode, version: str, **options: Any) -> bytes:
    if mode.loads_to_ram:
        options.setdefault("load_address", RAM)
    return image(version, **options)


def put(found: Flash, slot: str, version: str, number: int = 0, **options: Any) -> Flash:
    mode = found.settings.mode
    found.put(slot, fitting(mode, version, **options), number)
    if mode.needs_confirmation:
        found.trailer(slot, number, magic=True, image_ok=True, copy_done=True)
    return found


@pytest.mark.parametrize("mode", SELECTS)
class TestChoice:
    @pytest.mark.parametrize(
        ("first", "second", "slot"),
        [("1.0.0", "2.0.0", "secondary"), ("2.0.0", "1.0.0", "primary"), ("1.0.0", "1.0.0+9", "primary")],
    )
    def test_the_highest_version_runs_and_of_equal_ones_the_primary(
        self, mode: SwapMode, first: str, second: str, slot: str
    ) -> None:
        found = put(put(flash(mode), "primary", first), "secondary", second)
        plan = found.plan()
        assert plan.images[0].action is BootAction.SELECT
        assert plan.images[0].runs is not None
        assert plan.images[0].runs.name == slot
        assert plan.erased == ()
        assert plan.reason.endswith(f"from the {slot}")

    def test_build_numbers_if_the_boot_loader_is_built_so(self, mode: SwapMode) -> None:
        found = put(flash(mode, compare_build_number=True), "primary", "1.0.0")
        assert put(found, "secondary", "1.0.0+9").plan().version == Version(1, 0, 0, 9)

    def test_an_invalid_slot_is_erased_whichever_it_is_and_the_other_one_runs(self, mode: SwapMode) -> None:
        for broken, other in (("primary", "secondary"), ("secondary", "primary")):
            found = put(put(flash(mode), broken, "2.0.0"), other, "1.0.0")
            found.put(broken, b"\x55", offset=0x300)
            plan = found.plan()
            assert plan.version == Version(1)
            assert [(erased.slot, erased.extent) for erased in plan.erased] == [(broken, "whole slot")]

    def test_no_slot_left(self, mode: SwapMode) -> None:
        plan = flash(mode).plan()
        assert plan.boots is False
        assert plan.images[0].action is BootAction.NOTHING

    def test_every_image_needs_a_slot(self, mode: SwapMode) -> None:
        found = put(flash(mode, images=2), "primary", "1.0.0")
        assert found.plan().boots is False
        put(found, "secondary", "1.0.0", 1, **({"load_address": RAM + 0x4000} if mode.loads_to_ram else {}))
        assert found.plan().boots is True

    def test_an_unmet_dependency_takes_the_slot_out_without_erasing_it(self, mode: SwapMode) -> None:
        found = put(
            put(flash(mode, images=2), "primary", "1.0.0"), "secondary", "2.0.0", dependencies={1: Version(2)}
        )
        put(found, "primary", "1.0.0", 1, **({"load_address": RAM + 0x4000} if mode.loads_to_ram else {}))
        plan = found.plan()
        assert plan.version == Version(1)
        assert plan.erased == ()
        assert "needs image 1 >= 2.0.0" in plan.images[0].notes[0]


def test_encrypted_images_are_no_candidates_without_encryption() -> None:
    data = bytearray(image("2.0.0"))
    data[16] |= 0x04
    for size, candidate in ((0, False), (16, True)):
        found = put(flash(SwapMode.DIRECT_XIP, encryption_key_size=size), "primary", "1.0.0")
        plan = found.put("secondary", bytes(data)).plan()
        assert (plan.images[0].runs is not None and plan.images[0].runs.name == "secondary") is candidate


@pytest.mark.parametrize("mode", [SwapMode.DIRECT_XIP, SwapMode.DIRECT_XIP_REVERT])
def test_images_built_for_the_other_slot_are_skipped_and_kept(mode: SwapMode) -> None:
    found = flash(mode)
    put(put(found, "primary", "1.0.0", rom_fixed=START), "secondary", "2.0.0", rom_fixed=START)
    plan = found.plan()
    assert plan.version == Version(1)
    assert plan.erased == ()
    assert f"built for {START:#x}" in plan.images[0].notes[0]
    put(found, "secondary", "2.0.0", rom_fixed=found.area("secondary").address)
    assert found.plan().version == Version(2)


def test_rom_fixed_addresses_are_offsets_in_the_flash_device() -> None:
    found = flash(SwapMode.DIRECT_XIP, flash_base=0x1000)
    assert put(found, "primary", "1.0.0", rom_fixed=START - 0x1000).plan().boots is True


@pytest.mark.parametrize("mode", [SwapMode.DIRECT_XIP_REVERT, SwapMode.RAM_LOAD_REVERT])
class TestRevertFlavour:
    @pytest.mark.parametrize(
        ("fields", "runs"),
        [
            ({}, False),
            ({"magic": b"x" * 16}, False),
            ({"magic": True}, True),
            ({"magic": True, "copy_done": True}, False),
            ({"magic": True, "copy_done": True, "image_ok": 0x55}, False),
            ({"magic": True, "copy_done": True, "image_ok": True}, True),
            ({"magic": True, "copy_done": 0x55}, True),
        ],
    )
    def test_one_boot_and_no_second_without_confirmation(
        self, mode: SwapMode, fields: dict[str, Any], runs: bool
    ) -> None:
        found = put(flash(mode), "primary", "1.0.0")
        found.put("secondary", fitting(mode, "2.0.0")).trailer("secondary", **fields)
        plan = found.plan()
        assert plan.version == Version(2 if runs else 1)
        assert [erased.slot for erased in plan.erased] == ([] if runs else ["secondary"])
        only_boot = "its only boot" in " ".join(plan.images[0].notes)
        assert only_boot is (runs and fields.get("copy_done") is not True)

    def test_an_unconfirmed_data_image_takes_the_device_down(self, mode: SwapMode) -> None:
        found = put(flash(mode, images=2), "primary", "1.0.0")
        options = {"load_address": RAM + 0x4000} if mode.loads_to_ram else {}
        found.put("primary", fitting(mode, "1.0.0", **options), 1).trailer(
            "primary", 1, magic=True, copy_done=True
        )
        plan = found.plan()
        assert plan.boots is False
        assert "image 1 has no usable slot" in plan.reason
        assert [(erased.image, erased.slot) for erased in plan.erased] == [(1, "primary")]

    def test_without_the_trailer_in_the_dump_nothing_is_said(self, mode: SwapMode) -> None:
        found = put(flash(mode), "primary", "1.0.0")
        found.view = type(found.view).build([(START, found.read("primary")[:0x8000])])
        assert found.plan().boots is None


@pytest.mark.parametrize("mode", [SwapMode.RAM_LOAD, SwapMode.RAM_LOAD_REVERT])
class TestLoading:
    @pytest.mark.parametrize(
        ("address", "why"),
        [
            (None, "not flagged"),
            (RAM - 0x100, "outside of the executable RAM"),
            (RAM + 0x8000 - 0x400, "outside of the executable RAM"),
        ],
    )
    def test_what_cannot_be_loaded_is_erased(self, mode: SwapMode, address: int | None, why: str) -> None:
        found = put(put(flash(mode), "primary", "1.0.0"), "secondary", "2.0.0", load_address=address)
        plan = found.plan()
        assert plan.version == Version(1)
        assert [erased.slot for erased in plan.erased] == ["secondary"]
        assert why in plan.erased[0].why

    def test_images_must_not_overlap(self, mode: SwapMode) -> None:
        size = len(fitting(mode, "1.0.0"))
        # Ending right where the other one begins counts as overlapping; beginning at its end does not.
        for shift, boots in ((size, True), (size - 1, False), (0, False), (-size, False), (-size - 1, True)):
            found = put(flash(mode, images=2), "primary", "1.0.0", load_address=RAM + 0x2000)
            put(found, "primary", "1.0.0", 1, load_address=RAM + 0x2000 + shift)
            assert found.plan().boots is boots, shift


def test_without_a_known_window_load_addresses_are_not_judged() -> None:
    found = flash(SwapMode.RAM_LOAD, executable_ram=None)
    assert put(found, "primary", "1.0.0", load_address=0x1234).plan().boots is True
