"""Images that must never run."""

from __future__ import annotations

import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ..boards import Component
from ..mcuboot import KeyType, SigningKey
from ..updates import SignedImage, UpdateRig, Verdict
from .conftest import Images

pytestmark = pytest.mark.hil_requires("signing", "lwm2m")


def _corrupt(image: SignedImage) -> SignedImage:
    """The same image with one bit of its payload flipped."""
    middle = len(image.data) // 2
    data = bytearray(image.data)
    data[middle] ^= 0x10
    return dataclasses.replace(image, data=bytes(data), label=f"corrupt {image.label}")


def _stranger() -> SigningKey:
    """A key that the boot loader does not know."""
    key = ed25519.Ed25519PrivateKey.generate()
    return SigningKey.from_pem(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def test_corrupt_image_is_refused(hil_rig: UpdateRig, images: Images, hil_component: Component) -> None:
    new = _corrupt(images.new(hil_component.name))
    hil_rig.install(*images.old.values(), staged=hil_rig.stage(new))
    hil_rig.boot()
    hil_rig.expect({new: Verdict.REFUSED}, why="an image whose hash does not match is erased, not installed")


def test_wrongly_signed_image_is_refused(
    hil_rig: UpdateRig, images: Images, hil_component: Component
) -> None:
    if hil_rig.board.public_key.type is not KeyType.ED25519:
        pytest.skip("the foreign key made here is Ed25519, the board's is not")
    new = images.new(hil_component.name, key=_stranger())
    hil_rig.install(*images.old.values(), staged=hil_rig.stage(new))
    hil_rig.boot()
    hil_rig.expect({new: Verdict.REFUSED}, why="an image of an unknown key is erased, not installed")


def test_device_tells_that_a_wrongly_signed_update_failed(
    rig: UpdateRig, images: Images, hil_component: Component
) -> None:
    if rig.board.public_key.type is not KeyType.ED25519:
        pytest.skip("the foreign key made here is Ed25519, the board's is not")
    new = images.new(hil_component.name, key=_stranger())
    rig.download(new)
    rig.update(hil_component.name, instances=())
    rig.expect({new: Verdict.REFUSED}, why="an image of an unknown key is erased, and the device says so")


def test_device_notices_a_corrupt_download(rig: UpdateRig, images: Images, hil_component: Component) -> None:
    new = _corrupt(images.new(hil_component.name))
    outcome = rig.component(hil_component.name).push(new.data, deadline=60)
    assert not outcome.accepted, f"the device took a corrupt image: {outcome}"
    rig.expect_installed(*images.old.values(), why="a failed download changes no primary slot")
