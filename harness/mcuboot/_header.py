"""The 32 bytes at the start of every image.

Source of all values: ``struct image_header`` and ``IMAGE_F_*`` in bootutil's
``image.h``, ``boot_check_header_valid`` in its ``bootutil_loader.c`` (MCUboot 2.4.0).
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Final, Self

from harness._errors import ImageError

from ._findings import Finding, Severity
from ._version import Version

HEADER_SIZE: Final = 32
"""Bytes of the header structure itself; ``header_size`` in it is at least this."""
IMAGE_MAGIC: Final = 0x96F3_B83D
IMAGE_MAGIC_OLD: Final = 0x96F3_B83C
"""Magic of images from before MCUboot 1.0; no longer accepted."""

_FORMAT: Final = struct.Struct("<IIHHII8sI")
_U32: Final = 0xFFFF_FFFF


class ImageFlags(enum.IntFlag, boundary=enum.KEEP):
    """Bits of the header's flags field; unknown bits are kept."""

    PIC = 0x001
    ENCRYPTED_AES128 = 0x004
    ENCRYPTED_AES256 = 0x008
    NON_BOOTABLE = 0x010
    RAM_LOAD = 0x020
    """To be copied to ``load_address`` in RAM and run there."""
    ROM_FIXED = 0x100
    """Built for the flash address in ``load_address``."""
    COMPRESSED_LZMA1 = 0x200
    COMPRESSED_LZMA2 = 0x400
    COMPRESSED_ARM_THUMB = 0x800

    @property
    def encrypted(self) -> bool:
        """One of the AES bits is set."""
        return bool(self & _ENCRYPTED)

    @property
    def compressed(self) -> bool:
        """One of the compression bits is set."""
        return bool(self & _COMPRESSED)

    @property
    def names(self) -> tuple[str, ...]:
        """Readable names of the set bits, lowest first; unknown bits as hex."""
        known = [flag for flag in ImageFlags if flag & self]
        rest = int(self) & ~sum(int(flag) for flag in known)
        return tuple(flag.name.lower().replace("_", "-") for flag in known if flag.name) + (
            (f"{rest:#x}",) if rest else ()
        )


NO_FLAGS: Final = ImageFlags(0)
_ENCRYPTED: Final = ImageFlags.ENCRYPTED_AES128 | ImageFlags.ENCRYPTED_AES256
_COMPRESSED: Final = (
    ImageFlags.COMPRESSED_LZMA1 | ImageFlags.COMPRESSED_LZMA2 | ImageFlags.COMPRESSED_ARM_THUMB
)


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Decoded header. Sizes are bytes; nothing here says that they are plausible."""

    version: Version
    payload_size: int = 0
    header_size: int = HEADER_SIZE
    """Offset of the payload: this structure and the padding behind it."""
    protected_size: int = 0
    """Size of the protected TLV area including its info header; 0 if there is none."""
    flags: ImageFlags = NO_FLAGS
    load_address: int = 0
    magic: int = IMAGE_MAGIC
    reserved: int = 0

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Decode the first 32 bytes, whatever they hold.

        Raises:
            ImageError: there are fewer than 32 bytes.
        """
        if len(data) < HEADER_SIZE:
            raise ImageError(
                "too short for an image header", expected=f"{HEADER_SIZE} bytes", found=f"{len(data)} bytes"
            )
        magic, load, header, protected, payload, flags, version, reserved = _FORMAT.unpack_from(data)
        return cls(
            version=Version.unpack(version),
            payload_size=payload,
            header_size=header,
            protected_size=protected,
            flags=ImageFlags(flags),
            load_address=load,
            magic=magic,
            reserved=reserved,
        )

    def pack(self) -> bytes:
        """The 32 bytes as stored in flash.

        Raises:
            ImageError: a value does not fit its field.
        """
        try:
            return _FORMAT.pack(
                self.magic,
                self.load_address,
                self.header_size,
                self.protected_size,
                self.payload_size,
                self.flags,
                self.version.pack(),
                self.reserved,
            )
        except struct.error as error:
            raise ImageError("a header value does not fit its field", found=str(error)) from error

    @property
    def tlv_offset(self) -> int:
        """Where the first TLV area starts, in bytes from the start of the image."""
        return self.header_size + self.payload_size

    @property
    def signed_size(self) -> int:
        """Bytes covered by digest and signature: header, payload, protected TLVs."""
        return self.tlv_offset + self.protected_size

    def is_erased(self, erased_value: int = 0xFF) -> bool:
        """True if the magic reads as erased flash, which is all that MCUboot looks at."""
        return self.magic == int.from_bytes(bytes([erased_value]) * 4, "little")

    def problems(
        self, area_size: int, *, encryption: bool = False, compression: bool = False
    ) -> tuple[Finding, ...]:
        """Why MCUboot would not take this header in an area of ``area_size`` bytes; empty if it would.

        ``encryption`` and ``compression`` say what the boot loader was built with.
        """
        if self.magic != IMAGE_MAGIC:
            what = "old image format" if self.magic == IMAGE_MAGIC_OLD else "no image header"
            return (_error(what, 0, f"{IMAGE_MAGIC:#010x}", f"{self.magic:#010x}"),)
        found: list[Finding] = []
        if self.signed_size > _U32:
            found.append(_error("header, payload and protected size overflow 32 bits", 8, None, None))
        elif self.signed_size >= area_size:
            found.append(
                _error("image does not fit", 8, f"less than {area_size} bytes", f"{self.signed_size} bytes")
            )
        if self.flags.encrypted and not encryption:
            found.append(_error("encrypted, but the boot loader is built without encryption", 16, None, None))
        if self.flags & _ENCRYPTED == _ENCRYPTED:
            found.append(_error("both AES-128 and AES-256 are flagged", 16, None, None))
        if self.flags.compressed and not compression:
            found.append(
                _error("compressed, but the boot loader is built without compression", 16, None, None)
            )
        if self.flags & ImageFlags.COMPRESSED_LZMA1 and self.flags & ImageFlags.COMPRESSED_LZMA2:
            found.append(_error("both LZMA1 and LZMA2 are flagged", 16, None, None))
        return tuple(found)


def _error(what: str, offset: int, expected: str | None, found: str | None) -> Finding:
    return Finding(Severity.ERROR, what, offset, expected, found)
