"""What SMP has words of its own for: pieces and their offsets, images by hash, confirmations, erasing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .._errors import RequestError, VerdictError
from ..boards import Component
from ..updates import UpdateRig, Verdict, upload_area
from ._checks import SECONDS, explained
from .conftest import Images

pytestmark = pytest.mark.hil_requires("signing", "installs", "smp")

_PIECE = 500


def _refusal(rig: UpdateRig, what: str, code: str, why: str) -> VerdictError:
    return VerdictError(f"the device answered {what} with {code}\nrule: {why}\n\n{rig.evidence()}")


def test_upload_reaches_its_slot(rig: UpdateRig, images: Images, hil_component: Component) -> None:
    new = images.new(hil_component.name)
    with explained(
        why="an upload goes into the slot of the image that it names, whole, and nothing is asked for",
        look_at="what the application does with the image number of an upload",
    ):
        try:
            rig.smp.upload(new.data, hil_component.image)
        except RequestError as error:
            raise _refusal(rig, f"an upload of {new}", error.code, "a good image is taken") from None
        rig.expect({new: Verdict.UNCHANGED}, why="an upload is no request")


def test_piece_at_another_offset_is_not_taken(rig: UpdateRig, images: Images, smallest: str) -> None:
    new, number = images.new(smallest), images.number(smallest)
    why = "a piece that does not start where the last one ended is not taken"
    wanted = rig.smp.upload_piece(new.data, 0, _PIECE, image=number)
    for offset in (2 * wanted, 1, wanted + 1):
        answer = rig.smp.upload_piece(new.data, offset, _PIECE, image=number)
        if answer != wanted:
            raise VerdictError(
                f"after {wanted} bytes a piece for offset {offset} was taken: the device now wants {answer}\n"
                f"rule: {why}\nlook at: how the application compares the offset of a piece\n\n"
                + rig.evidence()
            )
    rig.smp.upload(new.data, number)
    rig.expect({new: Verdict.UNCHANGED}, why="what was not taken has left nothing behind")


def test_interrupted_upload_goes_on(rig: UpdateRig, images: Images, smallest: str) -> None:
    new, number = images.new(smallest), images.number(smallest)
    wanted = rig.smp.upload_piece(new.data, 0, _PIECE, image=number)
    seen: list[int] = []
    rig.smp.upload(new.data, number, progress=lambda sent, _total: seen.append(sent))
    if seen[0] < wanted:
        raise VerdictError(
            f"an upload of which {wanted} bytes were there began with {seen[0]}\n"
            "rule: the same upload goes on where it was\n\n" + rig.evidence()
        )
    rig.expect({new: Verdict.UNCHANGED}, why="an upload in two parts is as good as one")


@pytest.mark.hil_requires("revert")
def test_words_follow_flash_from_request_to_rollback(
    careless: UpdateRig, images: Images, smallest: str
) -> None:
    new = images.quiet(smallest)
    careless.boot()
    careless.smp.upload(new.data, images.number(smallest))
    careless.expect({new: Verdict.UNCHANGED}, why="nobody has asked for it")
    careless.smp.test(new.image_hash)
    careless.expect({new: Verdict.PENDING}, why="the next boot tries it", settled=False)
    careless.reset()
    careless.expect({new: Verdict.SWAPPED}, why="it runs on trial")
    careless.reset()
    careless.expect({new: Verdict.ROLLED_BACK}, why="nobody has confirmed it")


@pytest.mark.hil_requires("revert")
def test_confirmation_keeps_an_update(careless: UpdateRig, images: Images, smallest: str) -> None:
    new = images.quiet(smallest)
    careless.offer(new)
    careless.expect({new: Verdict.SWAPPED}, why="it runs on trial")
    careless.smp.confirm(new.image_hash)
    with explained(
        why="a confirmation that was answered is in flash",
        look_at="what the application writes when it is asked over SMP to confirm",
    ):
        careless.expect({new: Verdict.CONFIRMED}, why="it was confirmed")
    careless.reset()
    careless.expect({new: Verdict.CONFIRMED}, why="what was confirmed stays")


def test_image_that_is_confirmed_while_it_waits_is_installed_for_good(
    careless: UpdateRig, images: Images, smallest: str
) -> None:
    new = images.quiet(smallest)
    careless.boot()
    careless.smp.upload(new.data, images.number(smallest))
    careless.smp.confirm(new.image_hash)
    careless.expect({new: Verdict.PENDING}, why="the next boot installs it", settled=False)
    careless.reset()
    careless.expect({new: Verdict.CONFIRMED}, why="it was asked for without a trial")


def test_erased_slot_is_blank(rig: UpdateRig, images: Images, smallest: str) -> None:
    new, number = images.new(smallest), images.number(smallest)
    rig.smp.upload(new.data, number)
    rig.smp.erase(2 * number + 1)
    area = upload_area(rig.board, smallest)
    blank = bytes([rig.board.flash.erased_value])
    left = len(rig.device.debug.read(area.address, area.size).replace(blank, b""))
    if left:
        raise VerdictError(
            f"{left} bytes are left of {new} in its slot\nrule: an erased slot is blank\n\n{rig.evidence()}"
        )
    why = "only an image that is there, and not in use, can be asked for or erased"
    wrong: dict[str, Callable[[], object]] = {
        "a trial of what was erased": lambda: rig.smp.test(new.image_hash),
        "erasing the slot in use": lambda: rig.smp.erase(2 * number),
    }
    for what, call in wrong.items():
        try:
            call()
        except RequestError:
            continue
        raise _refusal(rig, what, "no error", why)
    rig.expect_installed(*images.old.values(), why=why)
    rig.smp.echo("alive", deadline=SECONDS)
