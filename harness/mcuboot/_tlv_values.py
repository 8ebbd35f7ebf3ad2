"""What the data of a TLV entry says.

Source: imgtool's ``image.py`` and ``boot_record.py`` (2.5.0), ``struct image_dependency`` in
bootutil's ``image.h``.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from typing import Final, Self

from harness._errors import ImageError

from ._tlv import Tlv, TlvType
from ._version import Version

DIGESTS: Final = {TlvType.SHA256: "sha256", TlvType.SHA384: "sha384", TlvType.SHA512: "sha512"}
"""Digest types and the names :mod:`hashlib` knows them by."""
SIGNATURES: Final = frozenset({TlvType.RSA2048_PSS, TlvType.ECDSA, TlvType.RSA3072_PSS, TlvType.ED25519})

_DEPENDENCY: Final = struct.Struct("<B3x8s")
_U32: Final = struct.Struct("<I")
_SHORT: Final = 4

_FIXED_SIZES: Final = {
    TlvType.SHA256: (32,),
    TlvType.SHA384: (48,),
    TlvType.SHA512: (64,),
    TlvType.RSA2048_PSS: (256,),
    TlvType.RSA3072_PSS: (384,),
    TlvType.ED25519: (64,),
    TlvType.SIGNATURE_PURE: (1,),
    TlvType.ENCRYPTED_RSA2048: (256,),
    TlvType.ENCRYPTED_KW: (24, 40),
    TlvType.ENCRYPTED_EC256: (113, 129),
    TlvType.ENCRYPTED_X25519: (80, 96),
    TlvType.ENCRYPTED_X25519_SHA512: (112, 128),
    TlvType.DEPENDENCY: (12,),
    TlvType.SECURITY_COUNTER: (4,),
    TlvType.DECOMPRESSED_SIZE: (4,),
    TlvType.COMPRESSED_DECRYPTED_SIZE: (4,),
    TlvType.VENDOR_UUID: (16,),
    TlvType.CLASS_UUID: (16,),
}


@dataclass(frozen=True, slots=True)
class Dependency:
    """The image needs image number ``image`` in at least ``minimum``."""

    image: int
    minimum: Version

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Decode the 12 bytes of a dependency entry.

        Raises:
            ImageError: the length is another one; MCUboot then drops all updates of that boot.
        """
        if len(data) != _DEPENDENCY.size:
            raise ImageError(
                "dependency has the wrong length",
                expected=f"{_DEPENDENCY.size} bytes",
                found=f"{len(data)} bytes",
            )
        image, version = _DEPENDENCY.unpack(data)
        return cls(image, Version.unpack(version))

    def pack(self) -> bytes:
        """The 12 bytes as stored in flash."""
        return _DEPENDENCY.pack(self.image, self.minimum.pack())

    def __str__(self) -> str:
        return f"image {self.image} >= {self.minimum}"


@dataclass(frozen=True, slots=True)
class BootRecord:
    """Measured-boot record: a CBOR map; absent or mistyped entries are ``None``."""

    software_type: str | None
    version: str | None
    signer_id: bytes | None
    measurement_kind: str | None
    measurement: bytes | None
    """Written as zeros by imgtool; the boot loader fills it in when it hands the record on."""

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Decode the CBOR map.

        Raises:
            ImageError: the data is no CBOR map.
        """
        import cbor2  # only images with a boot record pay for it

        try:
            record = cbor2.loads(data)
        except Exception as error:  # cbor2 lets decoder internals through for hostile input
            raise ImageError("boot record is no CBOR", found=str(error)) from error
        if not isinstance(record, dict):
            raise ImageError("boot record is no CBOR map", found=type(record).__name__)
        return cls(
            software_type=_text(record.get(1)),
            version=_text(record.get(4)),
            signer_id=_bytes(record.get(5)),
            measurement_kind=_text(record.get(6)),
            measurement=_bytes(record.get(2)),
        )


def size_problem(entry: Tlv) -> str | None:
    """The lengths this type must have, as text, if the entry has another one; else ``None``."""
    try:
        sizes = _FIXED_SIZES.get(TlvType(entry.type))
    except ValueError:
        return None
    if sizes is None or len(entry.data) in sizes:
        return None
    return " or ".join(str(size) for size in sizes) + " bytes"


def explain_tlv(entry: Tlv) -> str:
    """One line about the entry's data, for people; never raises."""
    if size_problem(entry):
        return f"{len(entry.data)} bytes, which is the wrong length"
    try:
        kind = TlvType(entry.type)
    except ValueError:
        return _opaque(entry.data)
    try:
        return _explain_known(kind, entry.data)
    except ImageError as error:
        return error.what


def _explain_known(kind: TlvType, data: bytes) -> str:
    match kind:
        case TlvType.DEPENDENCY:
            return str(Dependency.unpack(data))
        case TlvType.SECURITY_COUNTER:
            return str(_U32.unpack(data)[0])
        case TlvType.DECOMPRESSED_SIZE | TlvType.COMPRESSED_DECRYPTED_SIZE:
            return f"{_U32.unpack(data)[0]} bytes"
        case TlvType.VENDOR_UUID | TlvType.CLASS_UUID:
            return str(uuid.UUID(bytes=data))
        case TlvType.BOOT_RECORD:
            record = BootRecord.unpack(data)
            return f"{record.software_type or '?'} {record.version or '?'}, {record.measurement_kind or '?'}"
        case TlvType.SIGNATURE_PURE:
            return "yes" if data == b"\x01" else f"no ({data[0]:#04x})"
        case _:
            return _opaque(data)


def _opaque(data: bytes) -> str:
    if len(data) <= _SHORT:
        return data.hex() or "empty"
    return f"{len(data)} bytes {data[:_SHORT].hex()}.."


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _bytes(value: object) -> bytes | None:
    return value if isinstance(value, bytes) else None
