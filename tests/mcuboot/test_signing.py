from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import ImageError, SigningError
from harness.mcuboot import (
    FlagState,
    Image,
    ImageFlags,
    KeyType,
    MagicState,
    SignatureVerdict,
    SigningOptions,
    SwapMode,
    Trailer,
    TrailerLayout,
    Version,
    sign,
    verify_signature,
)

from ._build import key

PAYLOAD = bytes(range(256)) * 12
SLOT = 0x10000
VENDOR = uuid.UUID("c0000000-0000-0000-0000-00000000000f")

#: our options and what imgtool's command line calls them
OPTIONS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"header_size": 32}, ["--header-size", "32"]),
    ({"pad_header": False}, []),
    ({"public_key_format": "full"}, ["--public-key-format", "full"]),
    ({"hash_algorithm": "sha512"}, ["--sha", "512"]),
    ({"pure": True}, ["--pure"]),
    ({"pad": True}, ["--pad"]),
    ({"test": True}, ["--test"]),
    ({"confirm": True}, ["--confirm"]),
    ({"confirm": True, "overwrite_only": True}, ["--confirm", "--overwrite-only"]),
    ({"confirm": True, "align": 16, "max_align": 32}, ["--confirm", "--align", "16", "--max-align", "32"]),
    ({"confirm": True, "max_sectors": 30}, ["--confirm", "--max-sectors", "30"]),
    ({"pad": True, "erased_value": 0}, ["--pad", "--erased-val", "0"]),
    ({"dependencies": {1: Version(1, 2, 3, 4)}}, ["--dependencies", "(1, 1.2.3+4)"]),
    ({"dependencies": {1: Version(2), 0: Version(3)}}, ["--dependencies", "(1, 2.0.0), (0, 3.0.0)"]),
    ({"security_counter": 7}, ["--security-counter", "7"]),
    ({"security_counter": "auto"}, ["--security-counter", "auto"]),
    ({"boot_record": "CoFM"}, ["--boot-record", "CoFM"]),
    (
        {"custom_tlvs": {0xA0: b"\x01\x02", 0x12A5: b"text"}},
        ["--custom-tlv", "0xa0", "0x0102", "--custom-tlv", "0x12a5", "text"],
    ),
    ({"load_address": 0x20000000}, ["--load-addr", "0x20000000"]),
    ({"rom_fixed": 0xC000}, ["--rom-fixed", "0xc000"]),
    ({"non_bootable": True}, ["--non-bootable"]),
    ({"vendor_uuid": VENDOR}, ["--vid", str(VENDOR)]),
    ({"vendor_uuid": "example.org", "class_uuid": "board"}, ["--vid", "example.org", "--cid", "board"]),
    ({"key": None}, []),
]


def options(**changes: Any) -> SigningOptions:
    fields: dict[str, Any] = {"version": Version(1, 2, 3, 4), "slot_size": SLOT, "key": key()}
    return SigningOptions(**(fields | changes))


@pytest.mark.parametrize(
    ("ours", "theirs"), OPTIONS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_images_are_those_of_the_command_line_tool(
    ours: dict[str, Any], theirs: list[str], tmp_path: Path
) -> None:
    from imgtool.main import imgtool

    prefixed = ours.get("pad_header", True)
    payload = PAYLOAD if prefixed else bytes(0x200) + PAYLOAD
    source, target, pem = tmp_path / "in.bin", tmp_path / "out.bin", tmp_path / "key.pem"
    source.write_bytes(payload)
    pem.write_bytes(key().to_pem())
    arguments = [
        "sign",
        "--version",
        "1.2.3+4",
        "--slot-size",
        str(SLOT),
        *(["--pad-header"] if prefixed else []),
    ]
    if ours.get("key", key()):
        arguments += ["--key", str(pem)]
    for name, value in (("--align", "4"), ("--header-size", "0x200")):
        if name not in theirs:
            arguments += [name, value]
    imgtool.main([*arguments, *theirs, str(source), str(target)], standalone_mode=False)
    assert sign(payload, options(**ours)) == target.read_bytes()


def test_ed25519_images_are_the_same_every_time() -> None:
    assert sign(PAYLOAD, options()) == sign(PAYLOAD, options())


@pytest.mark.parametrize("type_", [KeyType.ECDSA_P256, KeyType.ECDSA_P384, KeyType.RSA_2048])
def test_other_signatures_differ_and_are_both_good(type_: KeyType) -> None:
    first, second = (sign(PAYLOAD, options(key=key(type_))) for _ in range(2))
    assert first != second
    for data in (first, second):
        assert verify_signature(Image.parse(data), [key(type_).public]).verdict is SignatureVerdict.VALID


def test_header_fields() -> None:
    header = Image.parse_strict(sign(PAYLOAD, options(rom_fixed=0xC000))).header
    assert header is not None
    assert (header.version, header.header_size, header.payload_size) == (
        Version(1, 2, 3, 4),
        0x200,
        len(PAYLOAD),
    )
    assert (header.flags, header.load_address) == (ImageFlags.ROM_FIXED, 0xC000)
    loaded = Image.parse_strict(sign(PAYLOAD, options(load_address=0x2000_0000, non_bootable=True))).header
    assert loaded is not None
    assert loaded.flags == ImageFlags.RAM_LOAD | ImageFlags.NON_BOOTABLE


@pytest.mark.parametrize(("align", "most"), [(4, 8), (8, 16), (32, 32)])
@pytest.mark.parametrize("how", ["pad", "test", "confirm"])
def test_padded_slots_carry_the_trailer_of_their_alignment(align: int, most: int, how: str) -> None:
    data = sign(PAYLOAD, options(align=align, max_align=most, **{how: True}))
    assert len(data) == SLOT
    found = Trailer.parse(data, TrailerLayout(SLOT, SwapMode.SCRATCH, align, most))
    assert found.magic is MagicState.GOOD
    assert found.image_ok is (FlagState.SET if how == "confirm" else FlagState.UNSET)
    assert (found.copy_done, found.swap_info.erased, found.swap_size) == (FlagState.UNSET, True, None)
    bare = sign(PAYLOAD, options(overwrite_only=True, align=align, max_align=most, **{how: True}))
    found = Trailer.parse(bare, TrailerLayout(SLOT, SwapMode.OVERWRITE_ONLY, align, most))
    assert (found.magic, found.image_ok) == (MagicState.GOOD, FlagState.UNSET)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slot_size": 0x1000}, "exceeds requested size"),
        ({"header_size": 16}, "minimum header size is 32"),
        ({"align": 3}, "alignment 3"),
        ({"max_align": 64}, "maximum alignment 64"),
        ({"public_key_format": "both"}, "neither hash nor full"),
        ({"hash_algorithm": "md5"}, "hash algorithm"),
        ({"hash_algorithm": "sha384"}, "can not be used with --sha 384"),
        ({"pure": True, "hash_algorithm": "sha512"}, "chooses the hash algorithm itself"),
        ({"erased_value": 1}, "neither 0 nor 0xff"),
        ({"custom_tlvs": {0x50: b""}}, "conflicts with a predefined"),
        ({"custom_tlvs": {0x9F: b""}}, "Invalid custom TLV"),
        ({"boot_record": "thirteen char"}, "too long"),
        ({"load_address": 4, "rom_fixed": 4}, "at the same time"),
        ({"class_uuid": "board"}, "Unknown namespace"),
        ({"security_counter": 1 << 32}, "error"),
        ({"dependencies": {256: Version(1)}}, "error"),
        ({"header_size": 0x10000}, "error"),
        ({"pad_header": False}, "does not start with zeros"),
    ],
)
def test_refusals_carry_imgtools_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SigningError, match="sign") as caught:
        sign(PAYLOAD, options(**changes))
    assert words in (caught.value.found or "")
    assert isinstance(caught.value, ImageError)


def test_imgtool_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    sign(PAYLOAD, options())
    assert capsys.readouterr().out == ""


@given(st.binary(max_size=100), st.integers(0, 300), st.integers(0, 1 << 17))
def test_any_sizes_are_signed_or_refused(payload: bytes, header: int, slot: int) -> None:
    try:
        data = sign(payload, options(header_size=header, slot_size=slot, max_sectors=1))
    except SigningError:
        return
    assert Image.parse_strict(data).digest_matches


def test_click_stays_an_implementation_detail() -> None:
    assert not issubclass(SigningError, click.ClickException)
