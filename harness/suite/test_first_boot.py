"""A device as it leaves production, and devices that cannot boot."""

from __future__ import annotations

import pytest

from ..mcuboot import MagicState
from ..updates import UpdateRig, factory_trailer
from ._checks import IDLE
from ._damage import DAMAGES
from .conftest import Images

pytestmark = pytest.mark.hil_requires("signing")


def test_first_boot_runs_the_installed_images(rig: UpdateRig, images: Images) -> None:
    rig.expect_installed(*images.old.values(), why="a first boot changes nothing")
    report = rig.device.report()
    assert report.plan.boots, report.plan.reason
    for image in report.state.images:
        assert image.primary.trailer is not None
        there = MagicState.GOOD if rig.board.mcuboot.swap_mode.needs_confirmation else MagicState.UNSET
        assert image.primary.trailer.magic is there, "a first boot writes no trailer"


@pytest.mark.hil_requires("updates")
def test_first_boot_reports_the_installed_versions(rig: UpdateRig, images: Images) -> None:
    for name, told in rig.told(*images.old).items():
        assert told.version == str(images.old[name].version), f"{name} reports {told}"
        assert not told.differs(IDLE), f"{name} reports an update that never was: {told}"


@pytest.mark.hil_requires("emulator")
def test_first_boot_breaks_no_rule_of_the_flash(rig: UpdateRig) -> None:
    assert not rig.device.broken_rules(), "the emulator saw firmware break the part's rules"


@pytest.mark.hil_requires("installs")
@pytest.mark.parametrize("confirmed", [True, False], ids=["confirmed", "magic only"])
def test_trailers_of_the_factory_are_left_alone(hil_rig: UpdateRig, images: Images, confirmed: bool) -> None:
    trailers: dict[int, bytes] = {}
    for image in images.old.values():
        trailers |= factory_trailer(hil_rig.board, image.component, confirmed=confirmed)
    hil_rig.install(*images.old.values(), staged=trailers)
    hil_rig.boot()
    hil_rig.expect_installed(*images.old.values(), why="a trailer in the primary slot alone asks for nothing")
    for address, content in trailers.items():
        found = hil_rig.device.flash().read(address, len(content))
        assert found == content, (
            f"the boot loader changed the trailer at {address:#x}, which asked for nothing"
            f"\n\n{hil_rig.evidence()}"
        )


def test_empty_device_gives_up_in_good_order(hil_rig: UpdateRig) -> None:
    _assert_no_boot(hil_rig, {}, why="there is nothing to boot")


@pytest.mark.hil_requires("installs")
def test_empty_primary_is_not_filled_without_a_request(
    hil_rig: UpdateRig, images: Images, application: str
) -> None:
    image = images.old[application]
    component = hil_rig.board.component(application)
    secondary = hil_rig.board.partition(component.secondary or component.primary)
    erased = bytes([hil_rig.board.flash.erased_value])
    content = erased * hil_rig.board.upload_offset(application) + image.data
    _assert_no_boot(hil_rig, {secondary.address: content}, why="nobody has asked to install the update")


@pytest.mark.hil_requires("installs")  # elsewhere a bad image is erased
@pytest.mark.parametrize("damage", ["payload bit", "signature bit", "signed by nobody"])
def test_damaged_image_in_the_primary_does_not_boot(
    hil_rig: UpdateRig, images: Images, application: str, damage: str
) -> None:
    content = {
        hil_rig.board.partition(hil_rig.board.component(name).primary).address: image.data
        for name, image in (images.old | {application: DAMAGES[damage](images.old[application])}).items()
    }
    _assert_no_boot(hil_rig, content, why="the primary slot is validated before each boot")


def _assert_no_boot(rig: UpdateRig, content: dict[int, bytes], *, why: str) -> None:
    rig.install(staged=content)
    rig.start()
    rig.expect_no_boot(why=why)
    after = rig.device.flash()
    for _, area in rig.board.boot_settings().areas():
        wanted = bytes([rig.board.flash.erased_value]) * area.size
        wanted = content.get(area.address, b"") + wanted[len(content.get(area.address, b"")) :]
        assert after.read(area.address, area.size) == wanted, (
            f"the boot loader changed the slot at {area.address:#x} of a device that it cannot boot"
            f"\nrule: a device without anything to boot is left for somebody to repair\n\n{rig.evidence()}"
        )
