"""Several images: order, dependencies, reverts that are none."""

from __future__ import annotations

import pytest

from harness.mcuboot import BootAction, BootPlan, DowngradePrevention, SwapMode, TlvType, Version

from ._build import OVERWRITES, SECTOR, SWAPS, Flash, boot_settings, image
from .test_image import assemble

UPDATING = [*SWAPS, *OVERWRITES]
NEEDS_1 = {1: Version(2)}


def flash(mode: SwapMode, **options: object) -> Flash:
    """Image 0 v2 (pending) needs image 1 >= 2.0.0; both primaries hold 1.0.0."""
    found = Flash(boot_settings(mode, 2, **options))  # type: ignore[arg-type]
    for number in (0, 1):
        found.put("primary", image("1.0.0"), number)
    return found.put("secondary", image("2.0.0", dependencies=NEEDS_1)).pending()


def actions(plan: BootPlan) -> list[str]:
    return [str(image_plan.action) for image_plan in plan.images]


def versions(plan: BootPlan) -> list[str]:
    return [str(image_plan.version) for image_plan in plan.images]


@pytest.mark.parametrize("mode", UPDATING)
class TestDependencies:
    def test_both_pending(self, mode: SwapMode) -> None:
        plan = flash(mode).put("secondary", image("2.0.0"), 1).pending(1).plan()
        assert versions(plan) == ["2.0.0", "2.0.0"]

    def test_the_other_update_is_missing(self, mode: SwapMode) -> None:
        found = flash(mode)
        plan = found.plan()
        assert versions(plan) == ["1.0.0", "1.0.0"]
        assert plan.erased == ()
        assert "image 0 2.0.0 needs image 1 >= 2.0.0, there would be 1.0.0" in plan.images[0].reason
        # The request stays, so it works once the other one has arrived.
        assert versions(found.put("secondary", image("2.0.0"), 1).pending(1).plan()) == ["2.0.0", "2.0.0"]

    def test_the_other_update_is_corrupt(self, mode: SwapMode) -> None:
        data = bytearray(image("2.0.0"))
        data[0x300] ^= 1
        plan = flash(mode).put("secondary", bytes(data), 1).pending(1).plan()
        assert versions(plan) == ["1.0.0", "1.0.0"]
        assert [(erased.image, erased.extent) for erased in plan.erased] == [(1, "whole slot")]

    def test_the_other_one_is_there_already(self, mode: SwapMode) -> None:
        plan = flash(mode).put("primary", image("2.0.0"), 1).plan()
        assert versions(plan) == ["2.0.0", "2.0.0"]
        assert actions(plan)[1] == "keep"

    def test_an_image_number_that_does_not_exist(self, mode: SwapMode) -> None:
        found = flash(mode).put("secondary", image("3.0.0", dependencies={2: Version(1)}))
        plan = found.plan()
        assert versions(plan) == ["1.0.0", "1.0.0"]
        assert plan.erased == ()
        assert "which does not exist" in plan.images[0].reason

    def test_a_dependency_of_the_wrong_length(self, mode: SwapMode) -> None:
        found = flash(mode, keys=()).put("secondary", assemble(b"new", [(TlvType.DEPENDENCY, bytes(8))], []))
        assert actions(found.plan()) == ["keep", "keep"]
        assert "dependency of 8 bytes" in found.plan().images[0].reason

    def test_one_unmet_dependency_stops_every_image(self, mode: SwapMode) -> None:
        found = flash(mode).put("secondary", image("3.0.0"), 0).pending(0)
        found.put("secondary", image("2.0.0", dependencies={0: Version(4)}), 1).pending(1)
        plan = found.plan()
        assert actions(plan) == ["keep", "keep"]
        assert "put off" in plan.images[0].reason

    def test_installed_images_are_asked_too_but_only_if_something_changes(self, mode: SwapMode) -> None:
        found = Flash(boot_settings(mode, 2))
        found.put("primary", image("2.0.0", dependencies={1: Version(5)})).put("primary", image("1.0.0"), 1)
        assert found.plan().boots is True
        found.put("secondary", image("2.0.0"), 1).pending(1)
        assert versions(found.plan()) == ["2.0.0", "1.0.0"]
        found.put("secondary", image("5.0.0"), 1).pending(1)
        assert versions(found.plan()) == ["2.0.0", "5.0.0"]

    def test_unprotected_dependencies_do_not_count(self, mode: SwapMode) -> None:
        data = assemble(b"new", [], [(TlvType.DEPENDENCY, b"\x01\0\0\0\x09\0\0\0\0\0\0\0")])
        found = flash(mode, keys=()).put("secondary", data)
        assert versions(found.plan()) == ["1.2.3", "1.0.0"]


def installed(mode: SwapMode, number: int, found: Flash, *, confirmed: bool, new: bytes) -> None:
    area = found.area("secondary", number)
    found.view = found.view.with_bytes(area.address, b"\xff" * area.size)
    found.put("primary", new, number).put("secondary", image("1.0.0"), number, offset=0)
    found.trailer(
        "primary", number, magic=True, image_ok=confirmed, copy_done=True, swap_info=2 + 16 * number
    )


@pytest.mark.parametrize("mode", SWAPS)
class TestReverts:
    def test_nothing_confirmed(self, mode: SwapMode) -> None:
        found = flash(mode)
        for number in (0, 1):
            installed(mode, number, found, confirmed=False, new=image("2.0.0"))
        assert versions(found.plan()) == ["1.0.0", "1.0.0"]
        assert actions(found.plan()) == ["revert", "revert"]

    def test_a_confirmed_image_holds_the_one_it_needs(self, mode: SwapMode) -> None:
        found = flash(mode)
        installed(mode, 0, found, confirmed=True, new=image("2.0.0", dependencies=NEEDS_1))
        installed(mode, 1, found, confirmed=False, new=image("2.0.0"))
        plan = found.plan()
        assert versions(plan) == ["2.0.0", "2.0.0"]
        assert "revert is put off" in plan.images[1].reason

    def test_without_the_dependency_it_reverts_alone(self, mode: SwapMode) -> None:
        found = flash(mode)
        installed(mode, 0, found, confirmed=True, new=image("2.0.0"))
        installed(mode, 1, found, confirmed=False, new=image("2.0.0"))
        assert versions(found.plan()) == ["2.0.0", "1.0.0"]

    @pytest.mark.parametrize("stage", ["pending", "started", "under way"])
    def test_power_lost_between_the_swaps_is_no_revert(self, mode: SwapMode, stage: str) -> None:
        found = flash(mode).put("secondary", image("2.0.0"), 1)
        installed(mode, 0, found, confirmed=False, new=image("2.0.0", dependencies=NEEDS_1))
        if stage == "pending":
            found.pending(1)
        else:
            status = [1] if stage == "under way" else []
            if status and mode is SwapMode.OFFSET:  # whose first step has saved the old image's first sector
                found.put("secondary", image("1.0.0")[:SECTOR], 1, offset=0)
            found.trailer("primary", 1, magic=True, swap_info=0x12, swap_size=3800, status=status)
        plan = found.plan()
        assert plan.images[0].action is BootAction.KEEP
        assert plan.images[0].version == Version(2)
        assert "power was lost between the two updates" in plan.images[0].reason

    def test_a_higher_image_keeps_its_revert(self, mode: SwapMode) -> None:
        """Only lower numbers are looked at again."""
        found = flash(mode).put("secondary", image("3.0.0"))
        installed(mode, 1, found, confirmed=False, new=image("2.0.0"))
        found.pending(0)
        assert actions(found.plan()) == ["test", "revert"]


def test_the_scratch_trailer_of_another_image_is_left_alone() -> None:
    found = flash(SwapMode.SCRATCH).put("secondary", image("2.0.0"), 1)
    found.trailer("scratch", magic=True, swap_info=0x12, swap_size=3800, status=[1])
    found.put("scratch", image("2.0.0"))
    plan = found.plan()
    # Image 1 is finished first; image 0, whose request was good, then waits for it and gets it.
    assert actions(plan) == ["test", "resume"]
    assert versions(plan) == ["2.0.0", "2.0.0"]


def test_a_downgrade_is_refused_right_before_its_swap_so_the_other_image_still_swaps() -> None:
    found = Flash(boot_settings(SwapMode.SCRATCH, 2, downgrade_prevention=DowngradePrevention.VERSION))
    for number in (0, 1):
        found.put("primary", image("2.0.0"), number)
    found.put("secondary", image("1.0.0")).pending()
    found.put("secondary", image("3.0.0"), 1).pending(1)
    plan = found.plan()
    assert versions(plan) == ["2.0.0", "3.0.0"]
    assert [(erased.image, erased.extent) for erased in plan.erased] == [(0, "whole slot")]


def test_overwrite_only_refuses_downgrades_before_it_looks_at_dependencies() -> None:
    found = Flash(boot_settings(SwapMode.OVERWRITE_ONLY, 2, downgrade_prevention=DowngradePrevention.VERSION))
    for number in (0, 1):
        found.put("primary", image("2.0.0"), number)
    found.put("secondary", image("1.0.0")).pending()
    found.put("secondary", image("3.0.0", dependencies={0: Version(2)}), 1).pending(1)
    assert versions(found.plan()) == ["2.0.0", "3.0.0"]


def test_every_primary_has_to_be_valid() -> None:
    found = Flash(boot_settings(SwapMode.SCRATCH, 2)).put("primary", image())
    plan = found.plan()
    assert plan.boots is False
    assert "image 1" in plan.reason


def test_one_image_only_has_no_dependencies() -> None:
    """The check is not built into a boot loader for a single image."""
    found = Flash(boot_settings(SwapMode.SCRATCH)).put("primary", image())
    found.put("secondary", image("2.0.0", dependencies={7: Version(9)})).pending()
    assert found.plan().version == Version(2)
