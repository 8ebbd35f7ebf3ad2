"""Versions and security counters that keep an update from being installed."""

from __future__ import annotations

import pytest

from harness.mcuboot import (
    DowngradePrevention,
    SwapMode,
    Version,
)

from ._build import SWAPS, Flash, boot_settings, image
from .test_plan_swap import UPDATING, flash, swapped


class TestDowngrade:
    @pytest.mark.parametrize("mode", UPDATING)
    @pytest.mark.parametrize(
        ("version", "taken"), [("1.9.9", False), ("2.0.0", True), ("2.0.0+1", True), ("2.0.1", True)]
    )
    def test_by_version(self, mode: SwapMode, version: str, taken: bool) -> None:
        found = flash(
            mode, primary="2.0.0+5", secondary=version, downgrade_prevention=DowngradePrevention.VERSION
        ).pending()
        plan = found.plan()
        assert plan.version == Version.parse(version if taken else "2.0.0+5")
        assert any(erased.extent == "whole slot" for erased in plan.erased) is not taken

    def test_build_numbers_count_if_the_boot_loader_is_built_so(self) -> None:
        found = flash(
            SwapMode.MOVE,
            primary="2.0.0+5",
            secondary="2.0.0+1",
            downgrade_prevention=DowngradePrevention.VERSION,
            compare_build_number=True,
        )
        assert found.pending().plan().version == Version.parse("2.0.0+5")

    @pytest.mark.parametrize("mode", UPDATING)
    def test_without_it_older_and_same_versions_are_installed(self, mode: SwapMode) -> None:
        for version in ("0.1.0", "2.0.0"):
            assert flash(mode, primary="2.0.0", secondary=version).pending().plan().version == Version.parse(
                version
            )

    @pytest.mark.parametrize("mode", SWAPS)
    def test_reverts_are_free(self, mode: SwapMode) -> None:
        found = swapped(flash(mode, downgrade_prevention=DowngradePrevention.VERSION))
        assert found.plan().version == Version(1)

    @pytest.mark.parametrize("mode", SWAPS)
    @pytest.mark.parametrize(
        ("ours", "theirs", "taken"),
        [(None, None, True), (None, 1, True), (2, None, False), (2, 1, False), (2, 2, True)],
    )
    def test_by_security_counter(
        self, mode: SwapMode, ours: int | None, theirs: int | None, taken: bool
    ) -> None:
        found = Flash(boot_settings(mode, downgrade_prevention=DowngradePrevention.SECURITY_COUNTER))
        found.put("primary", image("2.0.0", security_counter=ours))
        found.put("secondary", image("1.0.0", security_counter=theirs)).pending()
        plan = found.plan()
        assert plan.version == Version(1 if taken else 2)
        assert bool(plan.erased) is not taken


class TestRollbackProtection:
    def test_every_image_needs_a_counter(self) -> None:
        found = flash(SwapMode.SCRATCH, secondary=None, rollback_protection=True)
        assert found.plan().boots is False
        assert "no security counter" in found.plan().reason
        assert found.put("primary", image(security_counter=3)).plan().boots is True

    @pytest.mark.parametrize(("stored", "boots"), [((), True), ((3,), True), ((4,), False)])
    def test_that_is_not_below_the_stored_one(self, stored: tuple[int, ...], boots: bool) -> None:
        found = flash(SwapMode.SCRATCH, secondary=None, rollback_protection=True, stored_counters=stored)
        assert found.put("primary", image(security_counter=3)).plan().boots is boots
