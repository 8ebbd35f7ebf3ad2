"""Versions and security counters that a boot loader may be built to insist on."""

from __future__ import annotations

import pytest

from ..boards import Component
from ..mcuboot import DowngradePrevention
from ..updates import UpdateRig, Verdict
from .conftest import OLD, Images

pytestmark = pytest.mark.hil_requires("signing", "installs")


def _require(rig: UpdateRig, rule: DowngradePrevention) -> None:
    if rig.board.mcuboot.downgrade_prevention is not rule:
        pytest.skip(f"board {rig.board.name} has no downgrade prevention by {rule.value.replace('_', ' ')}")


def _with_counter(rig: UpdateRig, images: Images, counter: int) -> None:
    """Install the careless application and its data with this security counter."""
    rig.installed = {name: images.quiet(name, OLD, security_counter=counter) for name in images.old}


@pytest.mark.hil_requires("downgrade-prevention")
@pytest.mark.parametrize("version", ["0.9.9", "1.0.0+1", "1.0.1"])
def test_versions(
    careless: UpdateRig, images: Images, hil_component: Component, installed: Verdict, version: str
) -> None:
    _require(careless, DowngradePrevention.VERSION)
    new = images.quiet(hil_component.name, version)
    careless.offer(new)
    expected = Verdict.REFUSED if version < OLD else installed
    careless.expect({new: expected}, why="an older version is erased, the same and newer ones are installed")


@pytest.mark.hil_requires("downgrade-prevention", "revert")
def test_revert_is_no_downgrade(careless: UpdateRig, images: Images, hil_component: Component) -> None:
    new = images.quiet(hil_component.name)
    careless.offer(new)
    careless.reset()
    careless.expect({new: Verdict.ROLLED_BACK}, why="going back to what was confirmed is always allowed")


@pytest.mark.hil_requires("downgrade-prevention", "revert")
@pytest.mark.parametrize("counter", [4, 5, 6])
def test_security_counters(
    careless: UpdateRig, images: Images, hil_component: Component, installed: Verdict, counter: int
) -> None:
    _require(careless, DowngradePrevention.SECURITY_COUNTER)
    _with_counter(careless, images, 5)
    new = images.quiet(hil_component.name, "0.1.0", security_counter=counter)
    careless.offer(new)
    expected = Verdict.REFUSED if counter < 5 else installed
    careless.expect({new: expected}, why="the counter decides, whatever the version is")


@pytest.mark.hil_requires("rollback-protection", "revert", "console")
def test_stored_counter_rises_when_an_update_is_confirmed(
    careless: UpdateRig, images: Images, hil_component: Component
) -> None:
    new = images.quiet(hil_component.name, security_counter=3)
    careless.offer(new)
    careless.command(f"confirm {hil_component.name}")
    careless.reset()  # the boot loader takes the counter of a confirmed image over
    careless.expect({new: Verdict.CONFIRMED}, why="it was confirmed")
    careless.adopt(new)
    older = images.quiet(hil_component.name, "3.0.0", security_counter=2)
    careless.upload(older)
    careless.reset()
    careless.expect(
        {older: Verdict.REFUSED}, why="the device has seen counter 3, and accepts nothing below it"
    )


@pytest.mark.hil_requires("rollback-protection", "revert")
def test_counter_of_an_unconfirmed_update_does_not_count(
    careless: UpdateRig, images: Images, hil_component: Component
) -> None:
    new = images.quiet(hil_component.name, security_counter=3)
    careless.offer(new)
    careless.expect({new: Verdict.SWAPPED}, why="a higher counter is welcome")
    careless.reset()
    careless.expect(
        {new: Verdict.ROLLED_BACK},
        why="the counter is taken over when an update is confirmed: until then the old image has to boot",
    )


@pytest.mark.hil_requires("rollback-protection")
def test_image_without_a_counter_is_refused(
    careless: UpdateRig, images: Images, hil_component: Component
) -> None:
    new = images.quiet(hil_component.name, security_counter=None)
    careless.offer(new)
    careless.expect({new: Verdict.REFUSED}, why="rollback protection needs a counter in each image")
