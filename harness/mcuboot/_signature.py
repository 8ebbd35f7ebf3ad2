"""Whether an image is what a key's owner signed.

Follows the walk through the TLV entries of ``bootutil_img_validate`` (MCUboot 2.4.0): every
digest entry must be right; a key entry selects the key for the next signature; a signature
after an unknown key is skipped; of several by known keys the last one decides.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ._image import Image
from ._keys import PublicKey
from ._tlv import Tlv, TlvType
from ._tlv_values import DIGESTS, SIGNATURES


class SignatureVerdict(enum.StrEnum):
    """Outcome of :func:`verify_signature`."""

    VALID = "valid"
    HASH_ONLY = "hash only"
    """The digest is right, and there was no key to check a signature with."""
    WRONG_KEY = "wrong key"
    BAD_SIGNATURE = "bad signature"
    HASH_MISMATCH = "hash mismatch"
    NO_HASH = "no hash"
    NO_SIGNATURE = "no signature"
    UNREADABLE = "unreadable"
    """No image, cut off, encrypted, or its TLV entries cannot be walked through."""

    @property
    def ok(self) -> bool:
        """True if a boot loader with these keys accepts the image."""
        return self in (SignatureVerdict.VALID, SignatureVerdict.HASH_ONLY)


@dataclass(frozen=True, slots=True)
class SignatureResult:
    """Verdict, the key it stands on, and a sentence."""

    verdict: SignatureVerdict
    detail: str
    key: PublicKey | None = None

    @property
    def ok(self) -> bool:
        """See :attr:`SignatureVerdict.ok`."""
        return self.verdict.ok

    def __str__(self) -> str:
        return f"{self.verdict} ({self.detail})" if self.detail else str(self.verdict)


_Verdict: Final = SignatureVerdict


def verify_signature(
    image: Image,
    keys: Sequence[PublicKey],
    *,
    hash_algorithm: str | None = None,
    pure: bool | None = None,
    plain: bool = False,
) -> SignatureResult:
    """Check digest and signature as a boot loader that knows ``keys`` would. Never raises.

    ``hash_algorithm`` is the digest the boot loader is built for (``None``: any
    that the image brings). ``pure`` says whether it wants signatures over the
    image (``None``: what the image says). ``plain`` says that the bytes are
    decrypted although the header is still flagged, as in a primary slot. Without
    keys only the digest is checked.
    """
    if image.header is None or not image.walkable or not image.signed:
        return SignatureResult(_Verdict.UNREADABLE, "no complete image")
    if image.header.flags.encrypted and not plain:
        return SignatureResult(_Verdict.UNREADABLE, "encrypted; digest and signature are of the plain image")
    pure = image.pure if pure is None else pure
    if pure and not image.pure:
        return SignatureResult(
            _Verdict.NO_SIGNATURE, "boot loader wants a signature over the image, entry 0x25"
        )
    digest: bytes | None = None
    if not pure:
        digest, failure = _check_digest(image, hash_algorithm)
        if failure:
            return failure
    if not keys:
        return SignatureResult(_Verdict.HASH_ONLY, "no key given")
    return _check_signatures(image, keys, digest)


def _check_digest(image: Image, algorithm: str | None) -> tuple[bytes | None, SignatureResult | None]:
    wanted = [kind for kind, name in DIGESTS.items() if algorithm in (None, name)]
    entries = list(image.tlvs(*wanted))
    if not entries:
        name = algorithm or "digest"
        return None, SignatureResult(_Verdict.NO_HASH, f"no {name} entry")
    first = TlvType(entries[0].type)
    computed = image.digest(DIGESTS[first])
    for entry in entries:
        right = computed if entry.type == first else image.digest(DIGESTS[TlvType(entry.type)])
        if entry.data != right:
            detail = f"{entry.name} is {_short(entry.data)}, the image's is {_short(right or b'')}"
            return None, SignatureResult(_Verdict.HASH_MISMATCH, detail)
    return computed, None


def _check_signatures(image: Image, keys: Sequence[PublicKey], digest: bytes | None) -> SignatureResult:
    entries = image.tlvs(TlvType.KEY_HASH, TlvType.PUBLIC_KEY, *SIGNATURES)
    result: SignatureResult | None = None
    skipped: list[str] = []
    named: Tlv | None = None
    for entry in entries:
        if entry.type not in SIGNATURES:
            named = entry
            continue
        key = named and next((key for key in keys if key.matches(named.type, named.data)), None)
        if not key:
            skipped.append(f"{entry.name} by {_key_text(named)}")
        elif entry.type != key.type.signature_tlv:
            skipped.append(f"{entry.name} under an {key.type} key")
        elif key.verify(entry.data, image.signed, digest=digest):
            result = SignatureResult(_Verdict.VALID, str(key), key)
        else:
            result = SignatureResult(_Verdict.BAD_SIGNATURE, f"{entry.name} does not fit key {key}", key)
        named = None
    if result:
        return result
    if skipped:
        known = ", ".join(key.fingerprint for key in keys)
        return SignatureResult(_Verdict.WRONG_KEY, f"{'; '.join(skipped)}; known: {known}")
    return SignatureResult(_Verdict.NO_SIGNATURE, "no signature entry")


def _key_text(entry: Tlv | None) -> str:
    if entry is None:
        return "no key entry"
    return f"unknown key {_short(entry.data)}" if entry.type == TlvType.KEY_HASH else "unknown whole key"


def _short(data: bytes) -> str:
    return data.hex()[:8]
