"""Boot loaders that pick a slot and run what is in it (direct-xip)."""

from __future__ import annotations

import pytest

from ..boards import Component
from ..firmware import Behaviour
from ..mcuboot import Version
from ..updates import UpdateRig
from ._damage import DAMAGES
from ._in_place import InPlace, Slot
from .conftest import NEW, OLD, Images
from .test_refusals import stranger

pytestmark = pytest.mark.hil_requires("signing", "in-place")


@pytest.fixture
def device(hil_rig: UpdateRig, images: Images) -> InPlace:
    """A device without content."""
    return InPlace(hil_rig, images)


def test_higher_version_runs(device: InPlace, hil_component: Component) -> None:
    new = device.make(hil_component.name, NEW)
    device.install(new)
    device.rig.boot()
    device.expect({new: Slot.SECONDARY}, why="of two good images the one with the higher version is used")
    device.expect_kept(
        device.old(hil_component.name), Slot.PRIMARY, why="the other one stays to fall back on"
    )


@pytest.mark.parametrize("version", ["0.9.0", OLD], ids=["lower", "same"])
def test_lower_or_same_version_does_not_run(device: InPlace, hil_component: Component, version: str) -> None:
    other = device.make(hil_component.name, version, seed=7)
    device.install(other)
    device.rig.boot()
    why = "the higher version is used, and of two equal ones the primary"
    device.expect({device.old(hil_component.name): Slot.PRIMARY}, why=why)
    device.expect_kept(other, Slot.SECONDARY, why="what is not used is left alone")


@pytest.mark.hil_requires("revert")
def test_image_that_nobody_confirms_gets_one_try(device: InPlace, application: str) -> None:
    new = device.make(application, NEW)
    device.install(new)
    device.rig.boot()
    device.rig.reset()
    device.expect({device.old(application): Slot.PRIMARY}, why="what was tried and not confirmed is given up")
    device.expect_erased(application, Slot.SECONDARY, why="what is given up is erased")


@pytest.mark.hil_requires("revert")
def test_confirmed_image_stays(device: InPlace, application: str) -> None:
    new = device.make(application, NEW, behaviour=Behaviour.GOOD)
    device.install(new)
    device.rig.boot()
    device.rig.reset()
    device.expect({new: Slot.SECONDARY}, why="the application has confirmed itself")


@pytest.mark.hil_requires("revert")
def test_application_that_fails_its_self_test_is_given_up(device: InPlace, application: str) -> None:
    new = device.make(application, NEW, behaviour=Behaviour.SELF_TEST_FAILS)
    device.install(new, behaviour=Behaviour.GOOD)
    device.rig.boot()
    device.rig.reset()
    device.expect({device.old(application): Slot.PRIMARY}, why="an image that is bad does not confirm itself")


@pytest.mark.parametrize("damage", ["payload bit", "signature bit", "digest bit", "signed by nobody"])
def test_damaged_image_is_erased(device: InPlace, hil_component: Component, damage: str) -> None:
    device.install(DAMAGES[damage](device.make(hil_component.name, NEW)))
    device.rig.boot()
    why = f"a damaged image ({damage}) is not used"
    device.expect({device.old(hil_component.name): Slot.PRIMARY}, why=why)
    device.expect_erased(hil_component.name, Slot.SECONDARY, why="an image that is not valid is erased")


def test_wrongly_signed_image_is_erased(device: InPlace, hil_component: Component) -> None:
    device.install(device.make(hil_component.name, NEW, key=stranger(device.rig.board)))
    device.rig.boot()
    device.expect(
        {device.old(hil_component.name): Slot.PRIMARY}, why="an image of an unknown key is not used"
    )
    device.expect_erased(hil_component.name, Slot.SECONDARY, why="an image that is not valid is erased")


def test_image_for_another_address_does_not_run(device: InPlace, application: str) -> None:
    elsewhere = device.area(application, Slot.PRIMARY).address
    new = device.make(application, NEW, rom_fixed=elsewhere)
    device.install(new)
    device.rig.boot()
    why = "an image whose header names another address cannot run here"
    device.expect({device.old(application): Slot.PRIMARY}, why=why)


@pytest.mark.hil_requires("two-images")
def test_image_whose_dependency_is_missing_does_not_run(
    device: InPlace, images: Images, application: str
) -> None:
    partner = images.partner(application)
    new = device.make(application, NEW, dependencies={images.number(partner): Version.parse(NEW)})
    device.install(new)
    device.rig.boot()
    device.expect(
        {device.old(application): Slot.PRIMARY, device.old(partner): Slot.PRIMARY},
        why="what the new image needs is in neither slot of the other",
    )


@pytest.mark.hil_requires("two-images")
def test_images_that_need_each_other_run_together(device: InPlace, images: Images, application: str) -> None:
    partner = images.partner(application)
    pair = [
        device.make(name, NEW, dependencies={images.number(other): Version.parse(NEW)})
        for name, other in ((application, partner), (partner, application))
    ]
    device.install(*pair)
    device.rig.boot()
    device.expect(dict.fromkeys(pair, Slot.SECONDARY), why="each has what it needs")


@pytest.mark.hil_requires("lwm2m")
def test_updates_go_from_slot_to_slot(device: InPlace, hil_component: Component) -> None:
    name = hil_component.name
    device.install(behaviour=Behaviour.GOOD)
    device.rig.boot()
    for version, slot in ((NEW, Slot.SECONDARY), ("3.0.0", Slot.PRIMARY)):
        new = device.make(name, version, slot, Behaviour.GOOD)
        device.rig.download(new)
        device.rig.update(name)
        device.expect({new: slot}, why="an update goes into the slot that is not in use, and runs there")
        device.rig.reset()
        device.expect({new: slot}, why="the application has confirmed it")


def test_device_without_a_good_image_gives_up(device: InPlace, application: str) -> None:
    device.install(DAMAGES["payload bit"](device.make(application, NEW)))
    slot = device.area(application, Slot.PRIMARY)
    device.rig.install(staged={slot.address: DAMAGES["digest bit"](device.old(application)).data})
    device.rig.start()
    device.rig.expect_no_boot(why="neither slot holds an image that may run")
