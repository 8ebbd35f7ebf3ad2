"""Keys that sign and verify images.

Source: imgtool's ``keys`` package (2.5.0) for the encodings, bootutil's ``image_ed25519.c``,
``image_ecdsa.c`` and ``image_rsa.c`` for what is verified.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from harness._errors import ImageError

from ._tlv import TlvType

# cryptography takes tens of milliseconds to import and most runs need no key at once.

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    _Private: TypeAlias = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_PSS_SALT: Final = 32


class KeyType(enum.StrEnum):
    """Signature schemes of MCUboot, by the names board files use."""

    ED25519 = "ed25519"
    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"

    @property
    def signature_tlv(self) -> TlvType:
        """Type of the TLV entry that carries the signature."""
        return _SIGNATURE_TLV[self]

    @property
    def digest(self) -> str:
        """The image digest imgtool uses with such a key unless told otherwise."""
        return "sha384" if self is KeyType.ECDSA_P384 else "sha256"


_SIGNATURE_TLV: Final = {
    KeyType.ED25519: TlvType.ED25519,
    KeyType.ECDSA_P256: TlvType.ECDSA,
    KeyType.ECDSA_P384: TlvType.ECDSA,
    KeyType.RSA_2048: TlvType.RSA2048_PSS,
    KeyType.RSA_3072: TlvType.RSA3072_PSS,
}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key as MCUboot knows it.

    ``der`` is what is compiled into the boot loader and hashed into images: a
    SubjectPublicKeyInfo, for RSA a PKCS #1 RSAPublicKey.
    """

    type: KeyType
    der: bytes = field(repr=False)

    @classmethod
    def from_pem(cls, pem: bytes | str) -> Self:
        """Read a PEM file's content; of a private key the public half is taken.

        Raises:
            ImageError: no PEM, protected by a password, or a kind of key MCUboot does not use.
        """
        type_, key = _load_pem(pem)
        return cls(type_, _public_der(key if not hasattr(key, "public_key") else key.public_key()))

    @classmethod
    def from_der(cls, der: bytes) -> Self:
        """Read the content of a whole-key TLV entry.

        Raises:
            ImageError: no public key, or a kind of key MCUboot does not use.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_der_public_key

        try:
            key = load_der_public_key(der)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ImageError("not a public key in DER", found=f"{len(der)} bytes") from error
        return cls(_type_of(key), bytes(der))

    def hash(self, algorithm: str = "sha256") -> bytes:
        """Content of the key-hash TLV entry; the algorithm is the one of the image digest."""
        return hashlib.new(algorithm, self.der).digest()

    @property
    def fingerprint(self) -> str:
        """First 8 hex digits of the SHA-256 key hash, for people."""
        return self.hash().hex()[:8]

    def matches(self, entry_type: int, data: bytes) -> bool:
        """Whether a key TLV entry (hash or whole key) names this key."""
        if entry_type == TlvType.PUBLIC_KEY:
            return data == self.der
        algorithm = {32: "sha256", 48: "sha384", 64: "sha512"}.get(len(data))
        return entry_type == TlvType.KEY_HASH and algorithm is not None and data == self.hash(algorithm)

    def verify(self, signature: bytes, signed: bytes, *, digest: bytes | None) -> bool:
        """Check a signature made over ``signed``, or over ``digest`` of it.

        ECDSA and RSA always sign the digest. Ed25519 signs ``digest`` as its
        message, or ``signed`` itself if ``digest`` is ``None`` ("pure").
        """
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

        key = self._load()
        if digest is None and not isinstance(key, ed25519.Ed25519PublicKey):
            return False
        try:
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, signed if digest is None else digest)
            elif isinstance(key, ec.EllipticCurvePublicKey):
                curve_hash = hashes.SHA384() if self.type is KeyType.ECDSA_P384 else hashes.SHA256()
                key.verify(signature, digest or b"", ec.ECDSA(utils.Prehashed(curve_hash)))
            elif isinstance(key, rsa.RSAPublicKey):
                pss = padding.PSS(padding.MGF1(hashes.SHA256()), _PSS_SALT)
                key.verify(signature, digest or b"", pss, utils.Prehashed(hashes.SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True

    def _load(self) -> Any:
        from cryptography.hazmat.primitives.serialization import load_der_public_key

        return load_der_public_key(self.der)

    def __str__(self) -> str:
        return f"{self.type} {self.fingerprint}"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key. For tests: nothing here protects it."""

    type: KeyType
    private: _Private = field(repr=False, compare=False)
    public: PublicKey

    @classmethod
    def from_pem(cls, pem: bytes | str) -> Self:
        """Read a PEM file's content.

        Raises:
            ImageError: no private key, protected by a password, or of a kind MCUboot does not use.
        """
        type_, key = _load_pem(pem)
        if not hasattr(key, "public_key"):
            raise ImageError("signing needs the private key", found=f"a public {type_} key")
        return cls(type_, key, PublicKey(type_, _public_der(key.public_key())))

    @classmethod
    def generate(cls, type_: KeyType = KeyType.ED25519) -> Self:
        """A new random key."""
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

        key: _Private
        match type_:
            case KeyType.ED25519:
                key = ed25519.Ed25519PrivateKey.generate()
            case KeyType.ECDSA_P256:
                key = ec.generate_private_key(ec.SECP256R1())
            case KeyType.ECDSA_P384:
                key = ec.generate_private_key(ec.SECP384R1())
            case KeyType.RSA_2048 | KeyType.RSA_3072:
                key = rsa.generate_private_key(65537, 2048 if type_ is KeyType.RSA_2048 else 3072)
        return cls(type_, key, PublicKey(type_, _public_der(key.public_key())))

    def to_pem(self) -> bytes:
        """The key as an unencrypted PKCS #8 PEM file."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _load_pem(pem: bytes | str) -> tuple[KeyType, Any]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

    data = pem.encode() if isinstance(pem, str) else pem
    key: object
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError as error:
        raise ImageError("key is protected by a password", remedy="store it without one") from error
    except (ValueError, UnsupportedAlgorithm):
        try:
            key = load_pem_public_key(data)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ImageError("not a key in PEM format", found=f"{len(data)} bytes") from error
    return _type_of(key), key


def _type_of(key: object) -> KeyType:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        return KeyType.ED25519
    found = type(key).__name__
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        found = f"EC key on {key.curve.name}"
        curves = {"secp256r1": KeyType.ECDSA_P256, "secp384r1": KeyType.ECDSA_P384}
        if key.curve.name in curves:
            return curves[key.curve.name]
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        found = f"RSA key of {key.key_size} bits"
        sizes = {2048: KeyType.RSA_2048, 3072: KeyType.RSA_3072}
        if key.key_size in sizes:
            return sizes[key.key_size]
    raise ImageError("MCUboot does not use such keys", expected=", ".join(KeyType), found=found)


def _public_der(key: Any) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    form = PublicFormat.PKCS1 if isinstance(key, rsa.RSAPublicKey) else PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_bytes(Encoding.DER, form))
