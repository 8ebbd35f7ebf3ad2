"""Serial recovery: with nothing to boot, the boot loader takes images over SMP, and boots good ones only."""

from __future__ import annotations

import pytest

from .._errors import VerdictError
from ..updates import SignedImage, UpdateRig, factory_trailer, running_slot
from ._damage import DAMAGES
from .conftest import Images

pytestmark = pytest.mark.hil_requires("signing", "serial-recovery")

_PIECE = 500


@pytest.fixture
def empty(hil_rig: UpdateRig) -> UpdateRig:
    """A device in recovery, because its slots are empty."""
    hil_rig.install()
    hil_rig.start()
    hil_rig.wait_recovery()
    return hil_rig


def _content(rig: UpdateRig, image: SignedImage) -> bytes:
    """What is uploaded: the image; with a confirmed trailer where what has none is erased."""
    if not rig.board.mcuboot.swap_mode.needs_confirmation:
        return image.data
    area = rig.board.partition(rig.board.component(image.component).primary)
    content = bytearray([rig.board.flash.erased_value]) * area.size
    content[: len(image.data)] = image.data
    for address, data in factory_trailer(rig.board, image.component, confirmed=True).items():
        content[address - area.address : address - area.address + len(data)] = data
    return bytes(content)


def _upload(rig: UpdateRig, *images: SignedImage) -> None:
    for image in images:
        rig.recovery.upload(_content(rig, image), rig.board.component(image.component).image)


def _expect_slots(rig: UpdateRig, *images: SignedImage, why: str) -> None:
    """Raise `VerdictError` unless primary slots hold exactly these images, and secondary slots nothing."""
    flash = rig.device.flash()
    held = {image.component: _content(rig, image) for image in images}
    for part in rig.board.components:
        for name in (part.primary, part.secondary):
            if not name:
                continue
            area = rig.board.partition(name)
            wanted = held.get(part.name, b"") if name == part.primary else b""
            wanted += bytes([rig.board.flash.erased_value]) * (area.size - len(wanted))
            found = flash.read(area.address, area.size)
            assert found is not None, f"{name} was not read"
            if found != wanted:
                at = next(at for at in range(area.size) if found[at] != wanted[at])
                raise VerdictError(
                    f"{name} differs from what was uploaded from byte {at:#x} on\nrule: {why}\n"
                    f"look at: where recovery writes, and what it erases before\n\n{rig.evidence(flash)}"
                )


def _expect_application(rig: UpdateRig, *images: SignedImage, why: str) -> None:
    rig.leave_recovery()
    rig.wait_boot()
    if running_slot(rig.device) is None:
        raise VerdictError(f"the boot loader has started nothing\nrule: {why}\n\n{rig.evidence()}")
    _expect_slots(rig, *images, why=why)
    rig.adopt(*images)
    rig.expect_installed(*images, why=why)


def test_empty_device_is_brought_to_life(empty: UpdateRig, images: Images) -> None:
    assert not [slot for slot in empty.recovery.images() if slot.bootable], "all slots are empty"
    _upload(empty, *images.old.values())
    told = {slot.image: slot for slot in empty.recovery.images() if slot.slot == 0}
    wrong = [
        image
        for name, image in images.old.items()
        if (slot := told.get(images.number(name))) is None
        or slot.version != str(image.version)
        or slot.hash not in {None, image.image_hash}  # MCUboot tells hashes if it is built to
    ]
    if wrong:
        raise VerdictError(
            f"the boot loader lists {', '.join(map(str, told.values())) or 'nothing'}\n"
            f"rule: it lists what was uploaded\n\n{empty.evidence()}"
        )
    _expect_application(empty, *images.old.values(), why="what was uploaded is booted")


@pytest.mark.parametrize("damage", ["payload bit", "signed by nobody"])
def test_damaged_image_is_not_booted(empty: UpdateRig, images: Images, application: str, damage: str) -> None:
    bad = DAMAGES[damage](images.old[application])
    _upload(empty, *(images.old | {application: bad}).values())
    empty.leave_recovery()
    empty.wait_recovery()
    _upload(empty, images.old[application])
    _expect_application(empty, *images.old.values(), why="recovery takes another image for a bad one")


def test_piece_at_another_offset_is_not_taken(empty: UpdateRig, images: Images, application: str) -> None:
    image, number = images.old[application], images.number(application)
    wanted = empty.recovery.upload_piece(image.data, 0, _PIECE, image=number)
    for offset in (2 * wanted, 1, wanted + 1):
        answer = empty.recovery.upload_piece(image.data, offset, _PIECE, image=number)
        if answer != wanted:
            raise VerdictError(
                f"after {wanted} bytes a piece for offset {offset} was taken: recovery now wants {answer}\n"
                "rule: a piece that does not start where the last one ended is not taken\n"
                f"look at: how the boot loader compares the offset of a piece\n\n{empty.evidence()}"
            )


@pytest.mark.hil_requires("power")
def test_upload_cut_off_by_power_loss_is_done_again(
    empty: UpdateRig, images: Images, application: str
) -> None:
    image, number = images.old[application], images.number(application)
    content = _content(empty, image)
    _upload(empty, *(other for other in images.old.values() if other is not image))
    sent = 0
    while sent < len(image.data) // 2:
        sent = empty.recovery.upload_piece(content, sent, _PIECE, image=number)
    empty.device.power.off()
    empty.device.settle()
    empty.start()
    empty.wait_recovery()
    _upload(empty, image)
    _expect_application(empty, *images.old.values(), why="half an upload is nothing, and in nobody's way")


@pytest.mark.hil_requires("smp")
def test_application_hands_over_to_recovery_once(rig: UpdateRig, images: Images) -> None:
    rig.enter_recovery()
    rig.leave_recovery()
    try:
        rig.wait_boot()
    except VerdictError as error:
        raise VerdictError(
            "the device does not come back from recovery\nrule: a mark for recovery counts once\n"
            f"look at: whether the boot loader removes the mark that it has found\n\n{error}"
        ) from None
    rig.expect_installed(*images.old.values(), why="recovery that was asked for nothing changes nothing")
