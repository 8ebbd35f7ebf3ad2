"""Data images: what the second component of the reference boards carries."""

from __future__ import annotations

import random
import struct
import zlib

__all__ = ["model_payload"]

_HEADER = struct.Struct("<4sII20s")


def model_payload(version: str, size: int, seed: int) -> bytes:
    """A payload for `harness.mcuboot.sign` of ``size`` bytes, 32 of them header, that the application knows.

    ``version`` is text of at most 19 bytes for people; what counts is the version in the
    image header. The content depends on ``seed`` only. Raises ValueError if it cannot be.
    The format stands in ``firmware/app/model.h``.
    """
    text = version.encode()
    if size < _HEADER.size or len(text) > 19:
        raise ValueError(f"no model payload of {size} bytes with the version {version!r}")
    content = random.Random(seed).randbytes(size - _HEADER.size)  # noqa: S311  content, not a secret
    return _HEADER.pack(b"MODL", len(content), zlib.crc32(content), text) + content
