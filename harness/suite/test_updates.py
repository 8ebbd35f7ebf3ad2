"""One component: tested and confirmed, tested and given up, installed for good."""

from __future__ import annotations

import pytest

from ..boards import Component
from ..firmware import Behaviour
from ..updates import UpdateRig, Verdict
from .conftest import Images

pytestmark = pytest.mark.hil_requires("signing", "lwm2m")


@pytest.mark.parametrize("way", ["push", "pull"])
def test_update_is_tested_and_confirmed(
    rig: UpdateRig, images: Images, hil_component: Component, way: str
) -> None:
    new = images.new(hil_component.name)
    rig.download(new, pull=way == "pull")
    rig.update(hil_component.name, instances=())
    rig.expect(
        {new: Verdict.CONFIRMED}, why="an application whose self test passes confirms what was updated"
    )
    others = [image for name, image in images.old.items() if name != hil_component.name]
    rig.expect_installed(*others, why="an update of one component leaves the others alone")
    rig.reset()
    rig.expect({new: Verdict.CONFIRMED}, why="a confirmed update stays over a reset")
    assert not rig.device.findings(), "the emulator saw firmware break the part's rules"


@pytest.mark.hil_requires("revert")
def test_unconfirmed_update_is_rolled_back(
    careless: UpdateRig, images: Images, application: str, hil_component: Component
) -> None:
    options = {"behaviour": Behaviour.NEVER_CONFIRMS} if hil_component.name == application else {}
    new = images.new(hil_component.name, **options)
    careless.install(*careless.installed.values(), staged=careless.stage(new))
    careless.boot()
    careless.expect({new: Verdict.SWAPPED}, why="a test update is installed, and waits to be confirmed")
    careless.reset()
    careless.expect(
        {new: Verdict.ROLLED_BACK}, why="a test update that was not confirmed is given up at the next boot"
    )
    careless.reset()
    careless.expect({new: Verdict.ROLLED_BACK}, why="what was given up is not tried again")


def test_permanent_update_stays_unconfirmed(
    careless: UpdateRig, images: Images, application: str, hil_component: Component
) -> None:
    options = {"behaviour": Behaviour.NEVER_CONFIRMS} if hil_component.name == application else {}
    new = images.new(hil_component.name, **options)
    careless.install(*careless.installed.values(), staged=careless.stage(new, permanent=True))
    careless.boot()
    careless.expect({new: Verdict.CONFIRMED}, why="a permanent update needs no confirmation")
    careless.reset()
    careless.expect({new: Verdict.CONFIRMED}, why="a permanent update stays over a reset")
