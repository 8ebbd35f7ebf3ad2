from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import ImageError
from harness.mcuboot import (
    Image,
    ImageHeader,
    KeyType,
    PublicKey,
    SignatureVerdict,
    SigningKey,
    TlvArea,
    TlvAreaKind,
    TlvType,
    Version,
    verify_signature,
)

from ._build import image, key

TYPES = list(KeyType)


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("form", ["hash", "full"])
def test_each_kind_of_key_verifies_what_it_signed_and_imgtool_agrees(
    type_: KeyType, form: str, tmp_path: Path
) -> None:
    data = image(key=key(type_), public_key_format=form)
    found = Image.parse_strict(data)
    result = verify_signature(found, [key(type_).public])
    assert result.verdict is SignatureVerdict.VALID
    assert result.key == key(type_).public
    assert {entry.type for entry in found.signatures} == {type_.signature_tlv}
    assert {entry.type for entry in found.tlvs(0x01, 0x02)} == {0x01 if form == "hash" else 0x02}

    from imgtool import keys
    from imgtool.image import Image as Imgtool
    from imgtool.image import VerifyResult

    file, pem = tmp_path / "image.bin", tmp_path / "key.pem"
    file.write_bytes(data)
    pem.write_bytes(key(type_).to_pem())
    assert Imgtool.verify(str(file), keys.load(str(pem)))[0] is VerifyResult.OK


@pytest.mark.parametrize("type_", TYPES)
def test_an_unknown_key_a_changed_signature_and_a_changed_byte_have_different_verdicts(
    type_: KeyType,
) -> None:
    data = image(key=key(type_))
    public = key(type_).public
    unknown = key(KeyType.ED25519, 7).public
    assert verify_signature(Image.parse(data), [unknown]).verdict is SignatureVerdict.WRONG_KEY
    assert verify_signature(Image.parse(data), [unknown, public]).verdict is SignatureVerdict.VALID

    forged = data[:-1] + bytes([data[-1] ^ 1])
    assert verify_signature(Image.parse(forged), [public]).verdict is SignatureVerdict.BAD_SIGNATURE

    damaged = bytearray(data)
    damaged[0x220] ^= 1
    assert verify_signature(Image.parse(bytes(damaged)), [public]).verdict is SignatureVerdict.HASH_MISMATCH


def test_ed25519_over_the_image_itself() -> None:
    found = Image.parse_strict(image(pure=True))
    assert found.pure
    assert [entry.type for entry in found.tlvs(protected=False)] == [0x12, 0x25, 0x01, 0x24]
    public = key().public
    assert verify_signature(found, [public]).verdict is SignatureVerdict.VALID
    # A boot loader that was not built for it takes it for a signature over the digest.
    normal = verify_signature(found, [public], pure=False)
    assert normal.verdict is SignatureVerdict.BAD_SIGNATURE
    wanted = verify_signature(Image.parse(image()), [public], pure=True)
    assert wanted.verdict is SignatureVerdict.NO_SIGNATURE
    for type_ in (KeyType.ECDSA_P256, KeyType.RSA_2048):
        other = key(type_)
        assert not other.public.verify(b"", b"", digest=None)


def test_without_keys_only_the_digest_is_checked() -> None:
    result = verify_signature(Image.parse(image()), [])
    assert result.verdict is SignatureVerdict.HASH_ONLY
    assert result.ok
    unsigned = Image.parse(image(key=None))
    assert verify_signature(unsigned, []).ok
    assert verify_signature(unsigned, [key().public]).verdict is SignatureVerdict.NO_SIGNATURE


def test_a_boot_loader_for_another_digest_finds_none() -> None:
    found = Image.parse(image(hash_algorithm="sha512"))
    assert verify_signature(found, [key().public]).ok
    result = verify_signature(found, [key().public], hash_algorithm="sha256")
    assert result.verdict is SignatureVerdict.NO_HASH
    assert verify_signature(found, [key().public], hash_algorithm="sha512").ok


def _with_entries(entries: list[tuple[int, bytes]]) -> Image:
    header = ImageHeader(version=Version(1), payload_size=8)
    return Image.parse(header.pack() + b"payload!" + TlvArea.build(TlvAreaKind.ORDINARY, entries).pack())


def test_the_walk_through_key_and_signature_entries() -> None:
    mine, other = key(), key(KeyType.ED25519, 1)
    bare = _with_entries([])
    digest = bare.digest("sha256") or b""
    sha = (TlvType.SHA256, digest)
    named, unknown = (TlvType.KEY_HASH, mine.public.hash()), (TlvType.KEY_HASH, other.public.hash())
    good = (TlvType.ED25519, mine.private.sign(digest))  # type: ignore[call-arg, union-attr, arg-type]
    bad = (TlvType.ED25519, bytes(64))

    def verdict(*entries: tuple[int, bytes]) -> SignatureVerdict:
        return verify_signature(
            _with_entries([(int(kind), data) for kind, data in entries]), [mine.public]
        ).verdict

    assert verdict(sha, named, good) is SignatureVerdict.VALID
    assert verdict(named, good, sha) is SignatureVerdict.VALID
    assert verdict(named, good) is SignatureVerdict.NO_HASH
    assert verdict(sha) is SignatureVerdict.NO_SIGNATURE
    assert (
        verdict(sha, good) is SignatureVerdict.WRONG_KEY
    )  # a signature without a key entry before it is skipped
    assert verdict(sha, named, good, bad) is SignatureVerdict.VALID  # the key entry counts once
    assert verdict(sha, unknown, bad, named, good) is SignatureVerdict.VALID
    assert verdict(sha, named, good, unknown, bad) is SignatureVerdict.VALID
    assert verdict(sha, named, bad, named, good) is SignatureVerdict.VALID  # the last one decides
    assert verdict(sha, named, good, named, bad) is SignatureVerdict.BAD_SIGNATURE
    assert verdict(sha, named, (TlvType.ECDSA, bytes(70))) is SignatureVerdict.WRONG_KEY
    assert verdict(sha, (TlvType.SHA256, bytes(32)), named, good) is SignatureVerdict.HASH_MISMATCH


def test_an_encrypted_image_cannot_be_judged_until_it_is_plain() -> None:
    data = bytearray(image())
    data[16] |= 0x04
    assert verify_signature(Image.parse(bytes(data)), [key().public]).verdict is SignatureVerdict.UNREADABLE
    plain = verify_signature(Image.parse(bytes(data)), [key().public], plain=True)
    assert plain.verdict is SignatureVerdict.HASH_MISMATCH


@settings(max_examples=50)
@given(st.data())
def test_mutated_images_get_a_verdict(data: st.DataObject) -> None:
    original = bytearray(image("1.0.0", 40, header_size=32))
    original[data.draw(st.integers(0, len(original) - 1))] ^= data.draw(st.integers(1, 255))
    result = verify_signature(Image.parse(bytes(original)), [key().public])
    assert result.ok in (True, False)
    assert str(result)


@pytest.mark.parametrize("type_", TYPES)
def test_keys_from_pem(type_: KeyType) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    original = key(type_)
    private = SigningKey.from_pem(original.to_pem())
    assert private.public == original.public
    assert PublicKey.from_pem(original.to_pem().decode()) == original.public
    pem = original.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert PublicKey.from_pem(pem) == original.public
    assert PublicKey.from_der(original.public.der) == original.public
    with pytest.raises(ImageError, match="needs the private key"):
        SigningKey.from_pem(pem)


@pytest.mark.parametrize("type_", TYPES)
def test_key_hash_is_the_one_imgtool_writes(type_: KeyType) -> None:
    found = Image.parse(image(key=key(type_)))
    (entry,) = found.tlvs(TlvType.KEY_HASH)
    assert entry.data == key(type_).public.hash(type_.digest)
    assert key(type_).public.matches(entry.type, entry.data)
    assert len(key(KeyType.ECDSA_P256).public.der) == 91


def test_keys_that_are_none() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    for pem, what in (
        (b"", "not a key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not a key"),
        (
            key().private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
            "password",
        ),
        (
            ec.generate_private_key(ec.SECP521R1()).private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            ),
            "does not use such keys",
        ),
        (
            rsa.generate_private_key(65537, 1024).private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            ),
            "does not use such keys",
        ),
    ):
        with pytest.raises(ImageError, match=what):
            PublicKey.from_pem(pem)
    with pytest.raises(ImageError, match="not a public key"):
        PublicKey.from_der(b"nonsense")


@given(st.binary(max_size=100))
def test_any_bytes_as_key(data: bytes) -> None:
    for reader in (PublicKey.from_pem, PublicKey.from_der, SigningKey.from_pem):
        with pytest.raises(ImageError):
            reader(data)
