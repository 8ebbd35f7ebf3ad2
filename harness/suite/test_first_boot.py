"""A device as it leaves production."""

from __future__ import annotations

import pytest

from ..mcuboot import MagicState
from ..updates import UpdateRig
from .conftest import Images

pytestmark = pytest.mark.hil_requires("signing", "lwm2m")


def test_first_boot_runs_the_installed_images(rig: UpdateRig, images: Images) -> None:
    rig.expect_installed(*images.old.values(), why="a first boot changes nothing")
    report = rig.device.report()
    assert report.plan.boots, report.plan.reason
    for image in report.state.images:
        assert image.primary.trailer is not None
        assert image.primary.trailer.magic is MagicState.UNSET, "a first boot writes no trailer"
    for name, told in rig.told(*images.old).items():
        assert told.version == str(images.old[name].version), f"{name} reports {told}"
        assert not told.claims_success, f"{name} reports an update that never was: {told}"


def test_first_boot_breaks_no_rule_of_the_flash(rig: UpdateRig) -> None:
    assert not rig.device.findings(), "the emulator saw firmware break the part's rules"
