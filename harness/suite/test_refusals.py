"""Images that must never be installed, and some that look odd and must."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from .._errors import VerdictError
from ..boards import Board, Component
from ..mcuboot import KeyType, SigningKey
from ..updates import UpdateRig, Verdict, request
from ._damage import DAMAGES
from .conftest import Images

pytestmark = pytest.mark.hil_requires("signing", "installs")


def stranger(board: Board) -> SigningKey:
    """A key of the board's kind that the boot loader does not know."""
    makers: dict[KeyType, Callable[[], Any]] = {
        KeyType.ED25519: ed25519.Ed25519PrivateKey.generate,
        KeyType.ECDSA_P256: lambda: ec.generate_private_key(ec.SECP256R1()),
        KeyType.ECDSA_P384: lambda: ec.generate_private_key(ec.SECP384R1()),
        KeyType.RSA_2048: lambda: rsa.generate_private_key(65537, 2048),
        KeyType.RSA_3072: lambda: rsa.generate_private_key(65537, 3072),
    }
    key = makers[board.public_key.type]()
    return SigningKey.from_pem(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_image_is_refused(
    hil_rig: UpdateRig, images: Images, hil_component: Component, damage: str
) -> None:
    new = DAMAGES[damage](images.new(hil_component.name))
    hil_rig.installed = dict(images.old)
    hil_rig.offer(new)
    if damage == "header magic" and "offset" in hil_rig.board.capabilities:
        why = "swap mode offset finds an update by its magic; without one there is none to install"
        hil_rig.expect({new: Verdict.UNCHANGED}, why=why)
    else:
        hil_rig.expect({new: Verdict.REFUSED}, why=f"a damaged image ({damage}) is erased, not installed")


@pytest.mark.parametrize("permanent", [False, True], ids=["test", "permanent"])
def test_wrongly_signed_image_is_refused(
    hil_rig: UpdateRig, images: Images, hil_component: Component, permanent: bool
) -> None:
    new = images.new(hil_component.name, key=stranger(hil_rig.board))
    hil_rig.installed = dict(images.old)
    hil_rig.offer(new, permanent=permanent)
    hil_rig.expect({new: Verdict.REFUSED}, why="an image of an unknown key is erased, not installed")


def test_largest_image_is_installed(
    careless: UpdateRig, images: Images, hil_component: Component, installed: Verdict
) -> None:
    size = careless.board.max_image_size(hil_component)
    new = images.quiet(hil_component.name, exactly=size)
    assert len(new.data) == size
    careless.offer(new)
    careless.expect({new: installed}, why=f"{size} bytes are what this slot and swap mode have room for")


def test_image_one_byte_too_large_is_refused(
    hil_rig: UpdateRig, images: Images, hil_component: Component
) -> None:
    size = hil_rig.board.max_image_size(hil_component) + 1
    new = images.quiet(hil_component.name, exactly=size)
    assert len(new.data) == size
    hil_rig.installed = dict(images.old)
    hil_rig.offer(new)
    hil_rig.expect(
        {new: Verdict.REFUSED}, why="an image that reaches into the trailer's room is erased, not installed"
    )


def test_unknown_protected_entry_is_accepted(
    careless: UpdateRig, images: Images, hil_component: Component, installed: Verdict
) -> None:
    new = images.quiet(hil_component.name, custom_tlvs={0xA0: b"serial 7"})
    careless.offer(new)
    careless.expect(
        {new: installed}, why="signed entries that the boot loader does not know are not its business"
    )


def test_image_that_says_it_cannot_boot_is_not_installed(
    hil_rig: UpdateRig, images: Images, hil_component: Component
) -> None:
    new = images.new(hil_component.name, non_bootable=True)
    hil_rig.installed = dict(images.old)
    hil_rig.offer(new)
    hil_rig.expect_installed(
        *images.old.values(), why="an image with the flag NON_BOOTABLE is never installed"
    )


@pytest.mark.hil_requires("two-images", "revert")
def test_image_of_another_component_is_given_up(hil_rig: UpdateRig, images: Images, application: str) -> None:
    data = images.new(images.partner(application))
    wrong = dataclasses.replace(
        data, component=application, label=f"{data.label} in the slot of {application}"
    )
    hil_rig.installed = dict(images.old)
    hil_rig.offer(wrong)
    hil_rig.expect(
        {wrong: Verdict.ROLLED_BACK},
        why="the signature is good, so it is tried; what does not run cannot confirm, and is given up",
    )


@pytest.mark.hil_requires("offset")
def test_image_at_the_wrong_place_is_refused(
    hil_rig: UpdateRig, images: Images, hil_component: Component
) -> None:
    new = images.new(hil_component.name)
    slot = hil_rig.board.partition(hil_component.secondary or hil_component.primary)
    hil_rig.offered[hil_component.name] = new
    hil_rig.install(
        *images.old.values(), staged={slot.address: new.data, **request(hil_rig.board, hil_component)}
    )
    hil_rig.boot()
    hil_rig.expect(
        {new: Verdict.REFUSED}, why="in swap mode offset an update lies one sector up; elsewhere it is erased"
    )


@pytest.mark.hil_requires("updates")
def test_device_tells_that_a_wrongly_signed_update_failed(
    rig: UpdateRig, images: Images, hil_component: Component
) -> None:
    new = images.new(hil_component.name, key=stranger(rig.board))
    rig.download(new)
    rig.update(hil_component.name, others=())
    rig.expect({new: Verdict.REFUSED}, why="an image of an unknown key is erased, and the device says so")


@pytest.mark.hil_requires("updates")
def test_device_notices_a_corrupt_download(rig: UpdateRig, images: Images, hil_component: Component) -> None:
    new = DAMAGES["payload bit"](images.new(hil_component.name))
    try:
        rig.download(new)
    except VerdictError:
        taken = False
    else:
        taken = True
    assert not taken, f"the device took a corrupt image: {new}\n\n{rig.evidence()}"
    rig.expect_installed(*images.old.values(), why="a failed download changes no primary slot")
