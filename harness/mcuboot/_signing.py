"""Making images with imgtool, in this process.

Goes through imgtool's own image class, so an image is byte for byte what the command line
tool makes of the same options (a test compares them); refusals carry imgtool's words.
"""

from __future__ import annotations

import contextlib
import io
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from harness._errors import SigningError

from ._header import HEADER_SIZE
from ._keys import KeyType, SigningKey
from ._tlv import TlvType
from ._version import Version

if TYPE_CHECKING:
    from imgtool.image import Image as ImgtoolImage

# imgtool drags in click, cryptography and cbor2; most runs sign nothing at first.

_HASHES: Final = {"sha256": "256", "sha384": "384", "sha512": "512"}
_ALIGNMENTS: Final = (1, 2, 4, 8, 16, 32)
_MAX_ALIGNMENTS: Final = (8, 16, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningOptions:
    """What imgtool's ``sign`` command is told. Sizes and alignments are bytes."""

    version: Version
    slot_size: int
    """Size of the slot; of the secondary one if they differ. Only for imgtool's size check and padding."""
    header_size: int = 0x200
    pad_header: bool = True
    """Put the header in front; otherwise the payload already starts with ``header_size`` zeros."""
    key: SigningKey | None = None
    """Without a key the image carries a digest only."""
    public_key_format: str = "hash"
    """``hash`` (TLV 0x01) or ``full`` (TLV 0x02)."""
    hash_algorithm: str | None = None
    """``sha256``, ``sha384`` or ``sha512``; ``None`` is what imgtool takes for the key."""
    pure: bool = False
    """Ed25519 over the image itself instead of its digest (TLV 0x25)."""
    align: int = 4
    max_align: int = 8
    max_sectors: int = 128
    overwrite_only: bool = False
    erased_value: int = 0xFF
    pad: bool = False
    """Fill up to ``slot_size`` with a trailer that has just its magic: a test request."""
    confirm: bool = False
    """Like ``pad``, with ``image_ok``: a permanent request. Overwrite-only gets none."""
    test: bool = False
    """Same as ``pad``."""
    dependencies: Mapping[int, Version] = field(default_factory=dict)
    """Least version by image number."""
    security_counter: int | str | None = None
    """A number, or ``auto`` to derive it from the version."""
    boot_record: str | None = None
    """Software type of a boot record, at most 12 characters."""
    custom_tlvs: Mapping[int, bytes] = field(default_factory=dict)
    """Protected entries by type, 0xA0..0xFFFE."""
    load_address: int | None = None
    rom_fixed: int | None = None
    non_bootable: bool = False
    vendor_uuid: uuid.UUID | str | None = None
    """A UUID, or a domain name to derive one from."""
    class_uuid: uuid.UUID | str | None = None
    """A UUID, or a class name to derive one from (needs ``vendor_uuid``)."""


def sign(payload: bytes, options: SigningOptions) -> bytes:
    """Make an image of ``payload``: header, TLV areas and, if asked for, a padded slot.

    Deterministic for Ed25519 and without key; ECDSA and RSA signatures are
    random, those of ECDSA also in length.

    Raises:
        SigningError: imgtool refuses; ``found`` carries its words.
    """
    from click import ClickException

    problem = _option_problem(options)
    if problem:
        raise SigningError("image cannot be signed", found=problem)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # imgtool prints what it signs
            return _sign(payload, options)
    except ClickException as error:
        raise SigningError("imgtool refuses to sign", found=error.format_message()) from error
    except (ValueError, TypeError, OverflowError, KeyError, AssertionError, struct.error) as error:
        raise SigningError("imgtool fails to sign", found=f"{type(error).__name__}: {error}") from error


def _option_problem(options: SigningOptions) -> str | None:
    """Checks that imgtool makes on its command line only."""
    if options.header_size < HEADER_SIZE:
        return f"minimum header size is {HEADER_SIZE}"
    if options.align not in _ALIGNMENTS:
        return f"alignment {options.align} is none of {', '.join(map(str, _ALIGNMENTS))}"
    if options.max_align not in _MAX_ALIGNMENTS:
        return f"maximum alignment {options.max_align} is none of {', '.join(map(str, _MAX_ALIGNMENTS))}"
    if options.public_key_format not in ("hash", "full"):
        return f"public key format {options.public_key_format!r} is neither hash nor full"
    if options.hash_algorithm not in (None, *_HASHES):
        return f"hash algorithm {options.hash_algorithm!r} is none of {', '.join(_HASHES)}"
    if options.pure and options.hash_algorithm:
        return "with signatures over the image imgtool chooses the hash algorithm itself"
    if options.erased_value not in (0x00, 0xFF):
        return f"erased value {options.erased_value:#x} is neither 0 nor 0xff"
    for kind in options.custom_tlvs:
        if kind in TlvType.__members__.values():
            return f"custom TLV {kind:#x} conflicts with a predefined one"
    return None


def _sign(payload: bytes, options: SigningOptions) -> bytes:
    from imgtool.image import Image

    image = Image(
        version=_version(options.version),
        header_size=options.header_size,
        pad_header=options.pad_header,
        pad=options.pad or options.confirm or options.test,
        confirm=options.confirm,
        test=options.test,
        align=options.align,
        slot_size=options.slot_size,
        max_sectors=options.max_sectors,
        overwrite_only=options.overwrite_only,
        load_addr=options.load_address,
        rom_fixed=options.rom_fixed,
        erased_val=str(options.erased_value),
        security_counter=options.security_counter,
        max_align=options.max_align,
        non_bootable=options.non_bootable,
        vid=None if options.vendor_uuid is None else str(options.vendor_uuid),
        cid=None if options.class_uuid is None else str(options.class_uuid),
    )
    _load(image, payload)
    image.create(
        _key(options.key),
        options.public_key_format,
        None,
        dependencies=_dependencies(options.dependencies),
        sw_type=options.boot_record,
        custom_tlvs=dict(options.custom_tlvs),
        compression_tlvs={},
        user_sha=_HASHES[options.hash_algorithm] if options.hash_algorithm else "auto",
        is_pure=options.pure,
    )
    if image.pad:
        image.pad_to(options.slot_size)
    return bytes(image.payload)


def _load(image: ImgtoolImage, payload: bytes) -> None:
    """What ``Image.load`` does with a file's content."""
    if image.pad_header:
        payload = bytes([image.erased_val]) * image.header_size + payload
    image.payload = payload
    image.image_size = len(payload) - image.header_size
    image.check_header()


def _version(version: Version) -> Any:
    from imgtool.version import SemiSemVersion

    return SemiSemVersion(version.major, version.minor, version.revision, version.build)


def _dependencies(dependencies: Mapping[int, Version]) -> dict[str, list[Any]] | None:
    if not dependencies:
        return None
    from imgtool.image import DEP_IMAGES_KEY, DEP_VERSIONS_KEY

    return {
        DEP_IMAGES_KEY: list(dependencies),
        DEP_VERSIONS_KEY: [_version(version) for version in dependencies.values()],
    }


def _key(key: SigningKey | None) -> Any:
    if key is None:
        return None
    from imgtool import keys

    classes = {
        KeyType.ED25519: keys.Ed25519,
        KeyType.ECDSA_P256: keys.ECDSA256P1,
        KeyType.ECDSA_P384: keys.ECDSA384P1,
        KeyType.RSA_2048: keys.RSA,
        KeyType.RSA_3072: keys.RSA,
    }
    return classes[key.type](key.private)
