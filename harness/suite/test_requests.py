"""What can be asked of the boot loader for one component, and what it makes of it."""

from __future__ import annotations

import pytest

from ..boards import Component
from ..mcuboot import FlagState
from ..updates import Restart, UpdateRig, Verdict, request
from .conftest import NEW, OLD, Images

pytestmark = pytest.mark.hil_requires("signing", "installs")

_GIVEN_UP = "a test update that was not confirmed is given up at the next boot"


@pytest.mark.hil_requires("updates")
@pytest.mark.parametrize("way", ["push", pytest.param("pull", marks=pytest.mark.hil_requires("lwm2m"))])
def test_update_is_tested_and_confirmed(
    rig: UpdateRig, images: Images, hil_component: Component, way: str
) -> None:
    new = images.new(hil_component.name)
    rig.download(new, pull=way == "pull")
    rig.update(hil_component.name, others=())
    rig.expect(
        {new: Verdict.CONFIRMED}, why="an application whose self test passes confirms what was updated"
    )
    others = [image for name, image in images.old.items() if name != hil_component.name]
    rig.expect_installed(*others, why="an update of one component leaves the others alone")
    rig.reset()
    rig.expect({new: Verdict.CONFIRMED}, why="a confirmed update stays over a reset")
    assert not rig.device.broken_rules(), "the emulator saw firmware break the part's rules"


@pytest.mark.hil_requires("revert")
def test_unconfirmed_update_is_rolled_back(
    careless: UpdateRig, images: Images, hil_component: Component
) -> None:
    new = images.quiet(hil_component.name)
    careless.offer(new)
    careless.expect({new: Verdict.SWAPPED}, why="a test update is installed, and waits to be confirmed")
    careless.reset()
    careless.expect({new: Verdict.ROLLED_BACK}, why=_GIVEN_UP)
    careless.reset()
    careless.expect({new: Verdict.ROLLED_BACK}, why="what was given up is not tried again")


@pytest.mark.hil_requires("revert", "console")
def test_confirmed_update_stays(careless: UpdateRig, images: Images, hil_component: Component) -> None:
    new = images.quiet(hil_component.name)
    careless.offer(new)
    careless.command(f"confirm {hil_component.name}")
    careless.expect({new: Verdict.CONFIRMED}, why="the application has confirmed it")
    careless.restart(Restart.POWER)
    careless.expect({new: Verdict.CONFIRMED}, why="a confirmed update stays")


def test_permanent_update_stays_unconfirmed(
    careless: UpdateRig, images: Images, hil_component: Component
) -> None:
    new = images.quiet(hil_component.name)
    careless.offer(new, permanent=True)
    careless.expect({new: Verdict.CONFIRMED}, why="a permanent update needs no confirmation")
    careless.reset()
    careless.expect({new: Verdict.CONFIRMED}, why="a permanent update stays over a reset")


@pytest.mark.hil_requires("revert", "console")
def test_update_after_a_rollback(careless: UpdateRig, images: Images, hil_component: Component) -> None:
    new = images.quiet(hil_component.name)
    careless.offer(new)
    careless.reset()
    careless.expect({new: Verdict.ROLLED_BACK}, why=_GIVEN_UP)
    careless.command(f"pending {hil_component.name}")  # a swap has left the image where an update must lie
    careless.reset()
    careless.expect({new: Verdict.SWAPPED}, why="what was given up once may be asked for again")
    careless.command(f"confirm {hil_component.name}")
    careless.reset()
    careless.expect({new: Verdict.CONFIRMED}, why="the second time it was confirmed")


@pytest.mark.hil_requires("revert", "console")
def test_update_after_an_update(careless: UpdateRig, images: Images, hil_component: Component) -> None:
    first, second = images.quiet(hil_component.name), images.quiet(hil_component.name, "3.0.0")
    careless.offer(first)
    careless.command(f"confirm {hil_component.name}")
    careless.adopt(first)
    careless.upload(second)
    careless.reset()
    careless.expect({second: Verdict.SWAPPED}, why="the trailers of one update do not disturb the next one")
    careless.reset()
    careless.expect({second: Verdict.ROLLED_BACK}, why=_GIVEN_UP)


@pytest.mark.hil_requires("console")
def test_test_request_cannot_be_made_permanent(
    careless: UpdateRig, images: Images, hil_component: Component, installed: Verdict
) -> None:
    new = images.quiet(hil_component.name)
    asked = request(careless.board, hil_component)
    content = {address: data for address, data in careless.stage(new).items() if address not in asked}
    careless.install(*careless.installed.values(), staged=content)
    careless.boot()
    careless.command(f"pending {hil_component.name}")
    careless.command(f"pending {hil_component.name} permanent")
    secondary = careless.device.report().image(hil_component.image).secondary
    assert secondary is not None
    assert secondary.trailer is not None
    assert secondary.trailer.image_ok is FlagState.UNSET, (
        "a test request was turned into a permanent one: image_ok of the secondary is set"
        f"\nrule: what is pending already is not asked for again\n\n{careless.evidence()}"
    )
    careless.reset()
    careless.expect({new: installed}, why="the first request counts")


@pytest.mark.parametrize("version", ["1.0.0+7", "0.9.0"], ids=["same", "older"])
def test_same_or_older_version(
    careless: UpdateRig, images: Images, hil_component: Component, installed: Verdict, version: str
) -> None:
    older = images.quiet(hil_component.name, version)
    forbidden = version < OLD and careless.board.mcuboot.downgrade_prevention == "version"
    careless.offer(older)
    if forbidden:
        careless.expect({older: Verdict.REFUSED}, why="this boot loader is built to refuse older versions")
    else:
        careless.expect(
            {older: installed}, why="a version that is not forbidden is installed, whatever it is"
        )


@pytest.mark.hil_requires("revert")
def test_second_update_before_the_first_is_confirmed(
    careless: UpdateRig, images: Images, hil_component: Component
) -> None:
    first, second = images.quiet(hil_component.name), images.quiet(hil_component.name, "3.0.0")
    careless.offer(first)
    careless.expect({first: Verdict.SWAPPED}, why="a test update is installed, and waits to be confirmed")
    careless.adopt(first)
    careless.upload(second)
    careless.reset()
    careless.expect(
        {second: Verdict.SWAPPED},
        why="a request in the secondary slot counts more than a missing confirmation",
    )
    careless.reset()
    careless.expect(
        {second: Verdict.ROLLED_BACK},
        why="the way back leads to what was there before, although nobody had confirmed it",
    )
    careless.reset()
    careless.expect_installed(first, why="a revert is confirmed by the boot loader itself")


def test_request_without_an_image_changes_nothing(
    hil_rig: UpdateRig, images: Images, hil_component: Component
) -> None:
    hil_rig.install(*images.old.values(), staged=request(hil_rig.board, hil_component))
    hil_rig.boot()
    hil_rig.expect_installed(*images.old.values(), why="there is no image to install")
    hil_rig.reset()
    hil_rig.expect_installed(*images.old.values(), why="there still is none")


@pytest.mark.hil_requires("console", "revert")
def test_request_without_an_image_does_not_block_the_next_one(
    careless: UpdateRig, images: Images, hil_component: Component
) -> None:
    new = images.quiet(hil_component.name)
    careless.install(*careless.installed.values(), staged=request(careless.board, hil_component))
    careless.boot()
    secondary = careless.device.report().image(hil_component.image).secondary
    assert secondary is not None
    assert secondary.trailer is not None
    assert secondary.trailer.magic.value == "unset", (
        "a request without an image stays in the trailer: the application cannot make another one"
        f"\nrule: what cannot be installed is not asked for at every boot\n\n{careless.evidence()}"
    )
    careless.upload(new)
    careless.reset()
    careless.expect({new: Verdict.SWAPPED}, why=f"version {NEW} is good, and asked for")


def test_half_a_magic_is_no_request(hil_rig: UpdateRig, images: Images, hil_component: Component) -> None:
    new = images.new(hil_component.name)
    content = hil_rig.stage(new)
    magic = max(request(hil_rig.board, hil_component))  # the last thing in a slot
    half = len(content[magic]) // 2
    content[magic] = content[magic][:half] + bytes([hil_rig.board.flash.erased_value]) * half
    hil_rig.install(*images.old.values(), staged=content)
    hil_rig.boot()
    hil_rig.expect(
        {new: Verdict.UNCHANGED}, why="power was lost while the request was written: there is none"
    )
