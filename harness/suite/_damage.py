"""Ways in which an image can be wrong, each made from a good one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

from ..mcuboot import Image, Tlv
from ..updates import SignedImage

__all__ = ["DAMAGES", "Damage"]

Damage = Callable[[SignedImage], SignedImage]

# struct image_header of MCUboot's image.h
_MAGIC, _HEADER_SIZE, _PAYLOAD_SIZE, _VERSION = 0, 8, 12, 20
_VALUE: Final = 4  # behind type and length
_FAR_TOO_MUCH: Final = 0xFFFF_FF00


def _changed(image: SignedImage, data: bytes, how: str) -> SignedImage:
    assert data != image.data, f"{how} changes nothing in {image}"
    return dataclasses.replace(image, data=data, label=f"{image.label} ({how})")


def _flip(image: SignedImage, at: int, how: str) -> SignedImage:
    data = bytearray(image.data)
    data[at] ^= 0x10
    return _changed(image, bytes(data), how)


def _put(image: SignedImage, at: int, value: int, size: int, how: str) -> SignedImage:
    data = bytearray(image.data)
    data[at : at + size] = value.to_bytes(size, "little")
    return _changed(image, bytes(data), how)


def _digest(image: SignedImage) -> Tlv:
    found = Image.parse(image.data).stored_digest
    assert found is not None, f"{image} has no digest"
    return found


def _signature(image: SignedImage) -> Tlv:
    return Image.parse(image.data).signatures[0]


def _renamed(image: SignedImage, entry: Tlv, how: str) -> SignedImage:
    """The entry is still there, under a type that nobody knows."""
    return _put(image, entry.offset, 0x7E, 2, how)


def _end_of_payload(image: SignedImage) -> int:
    header = Image.parse(image.data).header
    assert header is not None, f"{image} is no image"
    return header.header_size + header.payload_size


DAMAGES: Final[dict[str, Damage]] = {
    "header magic": lambda image: _flip(image, _MAGIC, "header magic"),
    "header size": lambda image: _put(image, _HEADER_SIZE, 0x20, 2, "header size"),
    "payload size beyond the slot": lambda image: _put(
        image, _PAYLOAD_SIZE, _FAR_TOO_MUCH, 4, "payload size beyond the slot"
    ),
    "version edited after signing": lambda image: _put(
        image, _VERSION, 99, 1, "version edited after signing"
    ),
    "payload bit": lambda image: _flip(image, _end_of_payload(image) - 7, "payload bit"),
    "TLV magic": lambda image: _flip(image, _end_of_payload(image), "TLV magic"),
    "TLV size": lambda image: _put(image, _end_of_payload(image) + 2, 7, 2, "TLV size"),
    "digest bit": lambda image: _flip(image, _digest(image).offset + _VALUE, "digest bit"),
    "no digest": lambda image: _renamed(image, _digest(image), "no digest"),
    "signature bit": lambda image: _flip(image, _signature(image).offset + _VALUE + 5, "signature bit"),
    "signed by nobody": lambda image: _renamed(image, _signature(image), "signed by nobody"),
    "cut off in the middle": lambda image: _changed(
        image, image.data[: len(image.data) // 2], "cut off in the middle"
    ),
    "cut off by four bytes": lambda image: _changed(image, image.data[:-4], "cut off by four bytes"),
}
"""By name. None of these images may ever be installed."""
