"""TLV areas behind the payload: structure and type names.

Source: ``IMAGE_TLV_*``, ``struct image_tlv_info`` and ``struct image_tlv`` in
bootutil's ``image.h``; the bounds are those of ``bootutil_tlv_iter_next`` (MCUboot 2.4.0).
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from harness._errors import ImageError

from ._findings import Finding, Severity

TLV_INFO_SIZE: Final = 4
"""Bytes of an area's info header, and of an entry's type and length."""
_PAIR: Final = struct.Struct("<HH")
_VENDOR_LOW: Final = 0xA0


class TlvAreaKind(enum.IntEnum):
    """Which area; the value is the magic of its info header."""

    ORDINARY = 0x6907
    PROTECTED = 0x6908
    """Comes first and is covered by digest and signature."""


class TlvType(enum.IntEnum):
    """Types with a meaning to MCUboot or imgtool."""

    KEY_HASH = 0x01
    PUBLIC_KEY = 0x02
    SHA256 = 0x10
    SHA384 = 0x11
    SHA512 = 0x12
    RSA2048_PSS = 0x20
    ECDSA224 = 0x21
    ECDSA = 0x22
    RSA3072_PSS = 0x23
    ED25519 = 0x24
    SIGNATURE_PURE = 0x25
    ENCRYPTED_RSA2048 = 0x30
    ENCRYPTED_KW = 0x31
    ENCRYPTED_EC256 = 0x32
    ENCRYPTED_X25519 = 0x33
    ENCRYPTED_X25519_SHA512 = 0x34
    DEPENDENCY = 0x40
    SECURITY_COUNTER = 0x50
    BOOT_RECORD = 0x60
    DECOMPRESSED_SIZE = 0x70
    DECOMPRESSED_HASH = 0x71
    DECOMPRESSED_SIGNATURE = 0x72
    COMPRESSED_DECRYPTED_SIZE = 0x73
    VENDOR_UUID = 0x74
    CLASS_UUID = 0x75

    @property
    def title(self) -> str:
        """What the entry is, for people."""
        return _TITLES[self]


_TITLES: Final = {
    TlvType.KEY_HASH: "hash of the public key",
    TlvType.PUBLIC_KEY: "public key",
    TlvType.SHA256: "SHA-256 of the image",
    TlvType.SHA384: "SHA-384 of the image",
    TlvType.SHA512: "SHA-512 of the image",
    TlvType.RSA2048_PSS: "RSA-2048 PSS signature",
    TlvType.ECDSA224: "ECDSA P-224 signature (no longer used)",
    TlvType.ECDSA: "ECDSA signature",
    TlvType.RSA3072_PSS: "RSA-3072 PSS signature",
    TlvType.ED25519: "Ed25519 signature",
    TlvType.SIGNATURE_PURE: "signature is over the image, not its digest",
    TlvType.ENCRYPTED_RSA2048: "encryption key, RSA-2048 OAEP",
    TlvType.ENCRYPTED_KW: "encryption key, AES key wrap",
    TlvType.ENCRYPTED_EC256: "encryption key, ECIES P-256",
    TlvType.ENCRYPTED_X25519: "encryption key, ECIES X25519",
    TlvType.ENCRYPTED_X25519_SHA512: "encryption key, ECIES X25519 with SHA-512",
    TlvType.DEPENDENCY: "dependency",
    TlvType.SECURITY_COUNTER: "security counter",
    TlvType.BOOT_RECORD: "boot record",
    TlvType.DECOMPRESSED_SIZE: "size of the unpacked image",
    TlvType.DECOMPRESSED_HASH: "hash of the unpacked image",
    TlvType.DECOMPRESSED_SIGNATURE: "signature of the unpacked image",
    TlvType.COMPRESSED_DECRYPTED_SIZE: "compressed size after decryption",
    TlvType.VENDOR_UUID: "vendor UUID",
    TlvType.CLASS_UUID: "device class UUID",
}


def tlv_name(kind: int) -> str:
    """Short name of a type: the enum's, ``vendor 0x12a0``, or ``unknown 0x0099``."""
    try:
        return TlvType(kind).name
    except ValueError:
        return f"{'vendor' if is_vendor_type(kind) else 'unknown'} {kind:#06x}"


def is_vendor_type(kind: int) -> bool:
    """True for the ranges left to vendors: low byte 0xA0..0xFF of any high byte, but not 0xFFFF."""
    return kind & 0xFF >= _VENDOR_LOW and kind != 0xFFFF


@dataclass(frozen=True, slots=True)
class Tlv:
    """One entry. ``offset`` is that of its type field, in bytes from the start of the image."""

    type: int
    data: bytes
    protected: bool = False
    offset: int = 0

    @property
    def name(self) -> str:
        """See :func:`tlv_name`."""
        return tlv_name(self.type)

    def pack(self) -> bytes:
        """Type, length and data as stored in flash.

        Raises:
            ImageError: type or data do not fit 16 bits of type and of length.
        """
        try:
            return _PAIR.pack(self.type, len(self.data)) + self.data
        except struct.error as error:
            raise ImageError(
                "TLV does not fit", found=f"type {self.type:#x}, {len(self.data)} bytes"
            ) from error


@dataclass(frozen=True, slots=True)
class TlvArea:
    """One area with its entries, as far as they could be read.

    ``size`` is the total that the info header gives, in bytes, its own 4 included.
    """

    kind: TlvAreaKind
    entries: tuple[Tlv, ...]
    offset: int
    size: int
    complete: bool = True
    """False if the entries do not fill the area exactly."""

    @property
    def end(self) -> int:
        """Offset of the first byte behind the area."""
        return self.offset + self.size

    @classmethod
    def build(cls, kind: TlvAreaKind, entries: list[tuple[int, bytes]], offset: int = 0) -> Self:
        """An area from types and data."""
        at, tlvs = offset + TLV_INFO_SIZE, []
        for type_, data in entries:
            tlvs.append(Tlv(type_, data, kind is TlvAreaKind.PROTECTED, at))
            at += TLV_INFO_SIZE + len(data)
        return cls(kind, tuple(tlvs), offset, at - offset)

    @classmethod
    def parse(cls, data: bytes, offset: int, kind: TlvAreaKind) -> tuple[Self | None, tuple[Finding, ...]]:
        """Read the area at ``offset``; ``None`` if there is none. Never raises."""
        if offset < 0 or offset + TLV_INFO_SIZE > len(data):
            return None, (_error(f"{kind.name.lower()} TLV area lies outside the data", offset),)
        magic, size = _PAIR.unpack_from(data, offset)
        if magic != kind:
            return None, (
                _error(f"no {kind.name.lower()} TLV area", offset, f"{kind.value:#06x}", f"{magic:#06x}"),
            )
        findings: list[Finding] = []
        if size < TLV_INFO_SIZE:
            findings.append(
                _error("TLV area is smaller than its own info header", offset, None, f"{size} bytes")
            )
        if offset + size > len(data):
            findings.append(
                _error("TLV area is cut off", offset, f"{size} bytes", f"{len(data) - offset} bytes")
            )
        end = min(offset + size, len(data))
        entries = tuple(_entries(data, offset + TLV_INFO_SIZE, end, kind, findings))
        return cls(kind, entries, offset, size, not findings), tuple(findings)

    def pack(self) -> bytes:
        """Info header and entries as stored in flash; the size is counted anew."""
        body = b"".join(entry.pack() for entry in self.entries)
        return _PAIR.pack(self.kind, TLV_INFO_SIZE + len(body)) + body


def _entries(data: bytes, at: int, end: int, kind: TlvAreaKind, findings: list[Finding]) -> Iterator[Tlv]:
    while at < end:
        if at + TLV_INFO_SIZE > end:
            findings.append(
                _error("rest of the TLV area is too short for an entry", at, None, f"{end - at} bytes")
            )
            return
        type_, length = _PAIR.unpack_from(data, at)
        start = at + TLV_INFO_SIZE
        if start + length > end:
            findings.append(
                _error(
                    f"{tlv_name(type_)} runs over its area's end",
                    at,
                    f"at most {end - start} bytes",
                    str(length),
                )
            )
            return
        yield Tlv(type_, bytes(data[start : start + length]), kind is TlvAreaKind.PROTECTED, at)
        at = start + length


def _error(what: str, offset: int, expected: str | None = None, found: str | None = None) -> Finding:
    return Finding(Severity.ERROR, what, offset, expected, found)
