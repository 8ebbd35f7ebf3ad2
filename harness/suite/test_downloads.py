"""Downloads that go wrong: what runs stays as it is, until an update is asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from .._deadline import Deadline
from .._errors import CapabilityMissing, VerdictError
from ..boards import Board, Component
from ..protocols import (
    BadFrameLink,
    ContentFormat,
    FirmwareUpdate,
    LinkConditions,
    Publication,
    UpdatableComponent,
    UpdateResult,
    UpdateState,
)
from ..protocols.badlink import Direction
from ..updates import SignedImage, UpdateRig, Verdict
from ._checks import (
    IDLE,
    SECONDS,
    expect_nothing_asked,
    expect_refusal,
    expect_said,
    explained,
    status,
    unchanged,
)
from .conftest import Images

pytestmark = pytest.mark.hil_requires("signing", "installs", "lwm2m")

BLOCK = 1024
DOWNLOADED = status(UpdateState.DOWNLOADED)
#: so slow that a test can step in: bytes a second
SLOW = LinkConditions(bandwidth=30_000)
_NOTHING_LEFT = "what an abandoned download has left behind harms no later one"
_NOBODY_ASKED = "nothing is installed that nobody has asked for"


def _elsewhere_unchanged(rig: UpdateRig, component: str) -> AbstractContextManager[None]:
    """Nothing but the secondary slot of this component may change; the application's own data apart."""
    board = rig.board
    names = [name for part in board.components for name in (part.primary, part.secondary) if name]
    names += [
        name for name in (board.mcuboot.partition, board.mcuboot.scratch) if name in board.flash.partitions
    ]
    names.remove(board.component(component).secondary or "")
    return unchanged(
        rig, *names, why=f"a download for {component} goes into its secondary slot, nowhere else"
    )


def _pull(rig: UpdateRig, component: UpdatableComponent, image: SignedImage, block: int) -> Publication:
    """Have the device begin to fetch an image."""
    publication = rig.server.publish(image.data, max_block_size=block)
    rig.offered[image.component] = image
    component.pull(rig.server.uri_for(publication, rig.registration))
    return publication


def _wait_lost(link: BadFrameLink) -> None:
    """Wait until a silent link has swallowed something."""
    limit = Deadline(SECONDS)
    while not any(link.report.count(direction, "lost in silence") for direction in Direction):
        if limit.expired:
            raise limit.exceeded("a message of the device", seen=link.report.summary())
        limit.pause(0.01)


def _expect_resumed_download(
    rig: UpdateRig, component: UpdatableComponent, image: SignedImage, publication: Publication
) -> None:
    """Wait for the end of an interrupted pull. Raise `VerdictError` unless it went on where it was."""
    look_at = "how the application goes on with a pull, and from which offset"
    with explained(why="a download that was interrupted goes on where it was", look_at=look_at):
        found, times = component.wait_downloaded(deadline=SECONDS), publication.served.get(0, 0)
        if found != DOWNLOADED:
            raise VerdictError(f"{image} was not downloaded: the device says {found}\n\n{rig.evidence()}")
        if times != 1:
            raise VerdictError(f"the first block of {image} was fetched {times} times\n\n{rig.evidence()}")
    rig.expect({image: Verdict.UNCHANGED}, why=_NOBODY_ASKED)


# -- interrupted


def test_push_that_breaks_off_can_be_started_again(
    rig: UpdateRig, images: Images, hil_component: Component
) -> None:
    name, component = hil_component.name, rig.component(hil_component.name)
    new, old = images.new(name), images.old[name]
    with _elsewhere_unchanged(rig, name):
        rig.break_off(new)
        expect_said(rig, status(UpdateState.DOWNLOADING), old, why="a push without its end is under way")
        expect_refusal(
            rig,
            component,
            lambda: component.push(new.data, deadline=SECONDS).code,
            "4.05",
            why="a push can begin only when no other is under way",
        )
        component.reset()
        expect_said(rig, IDLE, old, why="a reset by package ends a push")
        rig.download(new)
    rig.expect({new: Verdict.UNCHANGED}, why=_NOBODY_ASKED)


def test_abandoned_push_leaves_nothing_behind(rig: UpdateRig, images: Images, smallest: str) -> None:
    first = images.factory.make(smallest, "1.5.0", size=20_000)
    second = images.new(smallest, size=3_000)
    component = rig.component(smallest)
    with _elsewhere_unchanged(rig, smallest):
        rig.break_off(first, 12 * BLOCK)
        component.cancel()
        with explained(why=_NOTHING_LEFT, look_at="what the application erases before it writes"):
            rig.download(second)
    rig.update(smallest, others=())
    rig.expect({second: Verdict.CONFIRMED}, why=_NOTHING_LEFT)


def test_pull_outlasts_a_silent_link(
    hil_link: BadFrameLink, rig: UpdateRig, images: Images, smallest: str
) -> None:
    new, component = images.new(smallest), rig.component(smallest)
    with _elsewhere_unchanged(rig, smallest):
        hil_link.conditions = SLOW
        publication = _pull(rig, component, new, 256)
        publication.wait_served(3, SECONDS)
        hil_link.silence(SECONDS)
        _wait_lost(hil_link)
        hil_link.heal()
        _expect_resumed_download(rig, component, new, publication)


def test_pull_that_a_reset_cuts_off_can_be_started_again(
    hil_link: BadFrameLink, rig: UpdateRig, images: Images, smallest: str
) -> None:
    new, component = images.new(smallest), rig.component(smallest)
    with _elsewhere_unchanged(rig, smallest):
        hil_link.conditions = SLOW
        publication = _pull(rig, component, new, 256)
        publication.wait_served(3, SECONDS)
        rig.reset()
        hil_link.heal()
        expect_said(rig, IDLE, *images.old.values(), why="a pull by object 33629 ends with a reset")
        expect_nothing_asked(rig, why="what was downloaded in part is not installed")
        rig.download(new, pull=True)
    rig.expect({new: Verdict.UNCHANGED}, why=_NOBODY_ASKED)


def test_pull_by_object_5_goes_on_after_a_reset(
    hil_link: BadFrameLink, rig: UpdateRig, images: Images, application: str
) -> None:
    if FirmwareUpdate.object_id not in rig.registration.objects:
        raise CapabilityMissing("object 5", board=rig.board.name)
    new, component = images.new(application), FirmwareUpdate(rig.server.device(rig.registration))
    sectors = 3 * rig.board.flash.sector_size
    with _elsewhere_unchanged(rig, application):
        hil_link.conditions = SLOW
        publication = _pull(rig, component, new, BLOCK)
        publication.wait_served(sectors // BLOCK, SECONDS)
        rig.reset()
        hil_link.heal()
        _expect_resumed_download(rig, component, new, publication)


@pytest.mark.parametrize("way", ["push", "pull"])
def test_download_over_a_bad_link(
    hil_link: BadFrameLink, rig: UpdateRig, images: Images, smallest: str, way: str
) -> None:
    new = images.new(smallest)
    with _elsewhere_unchanged(rig, smallest):
        hil_link.conditions = LinkConditions(loss=0.04, duplication=0.5, corruption=0.04, seed=5)
        with explained(
            why="what is lost is sent again, and what comes twice is done once (RFC 7252, section 4)",
            look_at="the section 'bad link' of this report, and how the application knows a repetition",
        ):
            rig.download(new, pull=way == "pull", block_size=512)
        hil_link.heal()
    rig.expect({new: Verdict.UNCHANGED}, why=_NOBODY_ASKED)


# -- in the wrong order, of the wrong size, at the wrong time


def test_block_out_of_order_is_refused(rig: UpdateRig, images: Images, smallest: str) -> None:
    component = rig.component(smallest)
    data, codes = images.new(smallest).data, {}
    with _elsewhere_unchanged(rig, smallest):
        for number in (0, 1, 3):
            answer = component.device.request(
                "PUT",
                component.path.child(0),
                payload=data[number * BLOCK :][:BLOCK],
                content_format=ContentFormat.OPAQUE,
                block=(number, True, BLOCK),
            )
            codes[number] = answer.code
    if codes != {0: "2.31", 1: "2.31", 3: "4.08"}:
        raise VerdictError(
            "blocks of a push were answered "
            + ", ".join(f"{number}: {code}" for number, code in codes.items())
            + "\nrule: 2.31 to the block that is next, 4.08 to one that is not (RFC 7959, section 2.9.2)\n"
            "look at: what the application compares the block number with\n\n" + rig.evidence()
        )


def _truncated(_board: Board, image: SignedImage) -> SignedImage:
    return dataclasses.replace(image, data=image.data[:-BLOCK], label=f"{image} (truncated)")


def _padded(_board: Board, image: SignedImage) -> SignedImage:
    return dataclasses.replace(image, data=image.data + bytes(100), label=f"{image} (with bytes behind it)")


def _too_large(board: Board, image: SignedImage) -> SignedImage:
    size = board.partition(board.component(image.component).primary).size
    header = bytearray(image.data[:BLOCK])
    header[12:16] = size.to_bytes(4, "little")  # the payload's size in struct image_header
    data = bytes(header) + bytes(range(256)) * (size // 256)
    return dataclasses.replace(image, data=data, label=f"{image} (larger than its slot)")


@pytest.mark.parametrize(
    ("spoil", "result"),
    [
        pytest.param(_truncated, UpdateResult.INTEGRITY_CHECK_FAILED, id="truncated"),
        pytest.param(_padded, UpdateResult.INTEGRITY_CHECK_FAILED, id="padded"),
        pytest.param(_too_large, UpdateResult.NOT_ENOUGH_FLASH, id="too-large"),
    ],
)
def test_package_of_the_wrong_size_is_refused(
    rig: UpdateRig,
    images: Images,
    smallest: str,
    spoil: Callable[[Board, SignedImage], SignedImage],
    result: UpdateResult,
) -> None:
    good, old, component = images.new(smallest), images.old[smallest], rig.component(smallest)
    bad = spoil(rig.board, good)
    with _elsewhere_unchanged(rig, smallest):
        component.push(bad.data, deadline=SECONDS)
    with _elsewhere_unchanged(rig, smallest):
        expect_said(rig, status(UpdateState.IDLE, result), old, why=f"{bad} is no package for {smallest}")
        expect_refusal(
            rig, component, lambda: component.update(()), "4.05", why="what was refused cannot be installed"
        )
        expect_nothing_asked(rig, why="what was refused is not installed")
        rig.download(good)
        expect_said(rig, DOWNLOADED, old, why="the result of a download is gone when the next one begins")


@pytest.mark.hil_requires("two-images")
def test_other_component_is_updated_in_the_middle_of_a_push(
    rig: UpdateRig, images: Images, hil_component: Component
) -> None:
    name, other = hil_component.name, images.partner(hil_component.name)
    whole = images.new(other)
    rig.download(whole)
    rig.break_off(images.new(name))
    rig.update(other, others=())
    rig.expect(
        {whole: Verdict.CONFIRMED}, why="an update does not wait for the download of another component"
    )
    why = "a push ends with the reset that another component's update needs"
    expect_said(rig, IDLE, images.old[name], why=why)
    expect_nothing_asked(rig, why=why)
    rig.expect_installed(images.old[name], why="the update of one component leaves the other alone")


@pytest.mark.hil_requires("two-images")
def test_download_outlasts_the_update_of_the_other_component(
    rig: UpdateRig, images: Images, smallest: str
) -> None:
    other = images.partner(smallest)
    waiting, wanted = images.new(smallest), images.new(other)
    for image in (waiting, wanted):
        rig.download(image)
    rig.update(other, others=())
    rig.expect(
        {wanted: Verdict.CONFIRMED, waiting: Verdict.UNCHANGED}, why="only what was asked for is installed"
    )
    expect_said(rig, DOWNLOADED, images.old[smallest], why="a download waits until it is asked for")


def test_download_is_refused_while_an_update_is_running(
    careless: UpdateRig, images: Images, hil_component: Component
) -> None:
    name, new = hil_component.name, images.quiet(hil_component.name)
    careless.boot()
    careless.download(new)
    careless.update(name, others=())
    component = careless.component(name)
    uri = f"coap://{careless.board.name}/nothing"
    requests: dict[str, tuple[str, Callable[[], object]]] = {
        "push": ("4.05", lambda: component.push(images.new(name).data, deadline=SECONDS).code),
        "pull": ("4.00", lambda: component.pull(uri)),
        "reset": ("4.05", component.reset),
        "cancel": ("4.05", component.cancel),
        "update": ("4.05", lambda: component.update(())),
    }
    slots = [slot for part in careless.board.components for slot in (part.primary, part.secondary) if slot]
    expect_said(careless, status(UpdateState.UPDATING), new, why="an update runs until it is confirmed")
    with unchanged(careless, *slots, why="the previous image must stay there while it may be needed"):
        for what, (code, request) in requests.items():
            why = f"no {what} while an update is running"
            expect_refusal(careless, component, request, code, why=why)


def test_cancelled_download_is_not_installed(
    rig: UpdateRig, images: Images, hil_component: Component
) -> None:
    name, component = hil_component.name, rig.component(hil_component.name)
    with _elsewhere_unchanged(rig, name):
        rig.download(images.new(name))
        component.cancel()
        cancelled = status(UpdateState.IDLE, UpdateResult.CANCELLED)
        expect_said(rig, cancelled, images.old[name], why="a download can be cancelled")
        why = "what was cancelled cannot be installed"
        expect_refusal(rig, component, lambda: component.update(()), "4.05", why=why)
        rig.reset()
        expect_said(rig, IDLE, images.old[name], why="what was cancelled is not there after a reset either")
        expect_nothing_asked(rig, why=why)


@pytest.mark.hil_requires("console")
def test_download_takes_back_an_earlier_request(rig: UpdateRig, images: Images, smallest: str) -> None:
    new = images.new(smallest)
    rig.command(f"pending {smallest}")
    rig.download(new)
    rig.expect({new: Verdict.UNCHANGED}, why="a request belongs to the image that was there when it was made")
