"""Applications that fail, early, late or not at all, and devices that tell stories about it."""

from __future__ import annotations

import dataclasses

import pytest

from ..boards import Component
from ..firmware import Behaviour
from ..mcuboot import sign
from ..protocols import UpdateState
from ..updates import Restart, SignedImage, UpdateRig, Verdict
from ._checks import FAILED, IDLE, SECONDS, SUCCEEDED, expect_flash, expect_said, status, wait_flash
from .conftest import NEW, Images

pytestmark = pytest.mark.hil_requires("signing", "installs")

#: they reset themselves before they get anywhere
at_once = pytest.mark.parametrize(
    "behaviour", [Behaviour.SELF_TEST_FAILS, Behaviour.HANGS, Behaviour.CRASHES], ids=str
)


@pytest.mark.hil_requires("updates", "revert")
@at_once
def test_bad_application_is_given_up(
    rig: UpdateRig, images: Images, application: str, behaviour: Behaviour
) -> None:
    bad = images.new(application, behaviour=behaviour)
    rig.offer(bad)
    rig.expect({bad: Verdict.ROLLED_BACK}, why=f"an application that is bad ({behaviour}) is given up")
    rig.expect_installed(*images.old.values(), why="the update of one component leaves the others alone")


@pytest.mark.hil_requires("updates", "revert", "two-images")
@at_once
def test_bad_application_takes_everything_back_that_came_with_it(
    rig: UpdateRig, images: Images, application: str, behaviour: Behaviour
) -> None:
    bad = images.new(application, behaviour=behaviour)
    companion = images.new(images.partner(application))
    rig.offer(bad, companion)
    rig.expect(
        dict.fromkeys((bad, companion), Verdict.ROLLED_BACK),
        why=f"a bad application ({behaviour}) is given up, with everything that came with it",
    )


@pytest.mark.hil_requires("updates", "revert")
def test_update_that_nobody_confirms_is_given_up(careless: UpdateRig, images: Images, smallest: str) -> None:
    new = images.quiet(smallest)
    careless.boot()
    careless.download(new)
    careless.update(smallest, others=())
    careless.expect({new: Verdict.SWAPPED}, why="it runs, but nobody has confirmed it")
    running = status(UpdateState.UPDATING)
    expect_said(careless, running, new, why="an update is not over before it is confirmed or given up")
    careless.reset()
    why = "what nobody has confirmed is given up at the next boot"
    expect_flash(careless, {new: Verdict.ROLLED_BACK}, why=why)
    old = careless.installed[smallest]
    expect_said(careless, FAILED, old, why="an update that was taken back has failed")


@pytest.mark.hil_requires("updates", "revert", "console")
def test_application_that_loses_its_link_is_given_up(
    rig: UpdateRig, images: Images, application: str
) -> None:
    deaf = images.new(application, behaviour=Behaviour.LOSES_LINK)
    rig.download(deaf)
    rig.device.console.skip()
    rig.ask_for_update(application, others=())
    wait_flash(rig, deaf, Verdict.SWAPPED, deadline=SECONDS)
    rig.device.console.expect(rf"^application {NEW}\b", deadline=SECONDS)
    rig.command("version")  # it answers when it is through with its start
    expect_flash(rig, {deaf: Verdict.SWAPPED}, why="an application that reaches nobody confirms nothing")
    rig.restart(Restart.PIN)
    rig.expect(
        {deaf: Verdict.ROLLED_BACK}, why="an application that reaches nobody is given up at the next boot"
    )
    expect_said(rig, FAILED, images.old[application], why="an update that was taken back has failed")


@pytest.mark.hil_requires("updates", "revert", "two-images")
def test_data_that_the_application_cannot_use_is_given_up(
    rig: UpdateRig, images: Images, application: str
) -> None:
    component = rig.board.component(images.partner(application))
    bad = _spoilt(images, component)
    rig.offer(bad)
    rig.expect({bad: Verdict.ROLLED_BACK}, why="an application that cannot use its data is not healthy")


def _spoilt(images: Images, component: Component) -> SignedImage:
    """A new data image whose content is damaged, and which is signed all the same."""
    good = images.new(component.name)
    board = images.factory.board
    start = board.mcuboot.header_size
    payload = bytearray(good.data[start : start + 1000])
    payload[-1] ^= 0x10
    options = board.signing_options(component, version=NEW)
    label = f"{component.name} {NEW} (spoilt content)"
    return dataclasses.replace(good, data=sign(bytes(payload), options), label=label)


@pytest.mark.hil_requires("updates", "console")
@pytest.mark.parametrize("fault", ["crash", "hang"])
def test_confirmed_application_that_fails_later_stays(rig: UpdateRig, images: Images, fault: str) -> None:
    new = [images.new(name) for name in images.old]
    rig.offer(*new)
    rig.expect(dict.fromkeys(new, Verdict.CONFIRMED), why="good applications confirm what was updated")
    rig.command(f"fault {fault}")
    rig.wait_boot()
    why = f"a {fault} after the confirmation takes nothing back"
    expect_flash(rig, dict.fromkeys(new, Verdict.CONFIRMED), why=why)
    rig.reset()
    rig.expect(dict.fromkeys(new, Verdict.CONFIRMED), why="nor does the boot after that")


@pytest.mark.hil_requires("updates")
def test_device_reports_a_good_update(rig: UpdateRig, images: Images, application: str) -> None:
    expect_said(
        rig,
        IDLE,
        *images.old.values(),
        why="a device that was never updated reports no result, and what runs",
    )
    new = [images.new(name) for name in images.old]
    for image in new:
        rig.download(image)
        expect_said(
            rig,
            status(UpdateState.DOWNLOADED),
            images.old[image.component],
            why="a download has changed neither version nor result",
        )
    rig.update(application)
    rig.expect(dict.fromkeys(new, Verdict.CONFIRMED), why="good applications confirm what was updated")
    expect_said(rig, SUCCEEDED, *new, why="every component reports the success and the new version")


@pytest.mark.hil_requires("updates", "revert")
def test_device_reports_a_failed_update(
    rig: UpdateRig, images: Images, application: str, smallest: str
) -> None:
    new = [images.new(name) for name in images.old if name != application]
    new.append(images.new(application, behaviour=Behaviour.SELF_TEST_FAILS))
    for image in new:
        rig.download(image)
    rig.update(application)
    rig.expect(dict.fromkeys(new, Verdict.ROLLED_BACK), why="a bad application takes everything back")
    expect_said(
        rig, FAILED, *images.old.values(), why="every component reports the failure and the old version"
    )
    rig.download(images.new(smallest))
    expect_said(
        rig,
        status(UpdateState.DOWNLOADED),
        images.old[smallest],
        why="the result of an earlier update is gone when the next one begins",
    )
