from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import ImageError
from harness.mcuboot import HEADER_SIZE, IMAGE_MAGIC, IMAGE_MAGIC_OLD, ImageFlags, ImageHeader, Version

from .test_version import versions

u16, u32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFF_FFFF)
headers = st.builds(
    ImageHeader,
    version=versions,
    payload_size=u32,
    header_size=u16,
    protected_size=u16,
    flags=u32.map(ImageFlags),
    load_address=u32,
    magic=u32,
    reserved=u32,
)


def test_every_field_lies_where_the_format_says() -> None:
    header = ImageHeader(
        version=Version(1, 2, 3, 4),
        payload_size=0x0A0B0C0D,
        header_size=0x200,
        protected_size=0x24,
        flags=ImageFlags.ROM_FIXED,
        load_address=0x0001_0000,
        reserved=0,
    )
    data = header.pack()
    assert len(data) == HEADER_SIZE == 32
    assert struct.unpack_from("<I", data, 0) == (0x96F3B83D,)
    assert struct.unpack_from("<I", data, 4) == (0x0001_0000,)
    assert struct.unpack_from("<HH", data, 8) == (0x200, 0x24)
    assert struct.unpack_from("<I", data, 12) == (0x0A0B0C0D,)
    assert struct.unpack_from("<I", data, 16) == (0x100,)
    assert struct.unpack_from("<BBHI", data, 20) == (1, 2, 3, 4)
    assert struct.unpack_from("<I", data, 28) == (0,)


@given(headers)
def test_round_trip(header: ImageHeader) -> None:
    assert ImageHeader.parse(header.pack()) == header


@given(st.binary(max_size=80))
def test_any_bytes_are_decoded_or_too_short(data: bytes) -> None:
    if len(data) < HEADER_SIZE:
        with pytest.raises(ImageError, match="too short"):
            ImageHeader.parse(data)
    else:
        header = ImageHeader.parse(data)
        assert header.pack() == data[:HEADER_SIZE]
        assert isinstance(header.problems(1 << 20), tuple)
        assert isinstance(header.flags.names, tuple)


@pytest.mark.parametrize(
    ("bit", "name"),
    [
        (0x04, "encrypted-aes128"),
        (0x08, "encrypted-aes256"),
        (0x10, "non-bootable"),
        (0x20, "ram-load"),
        (0x100, "rom-fixed"),
        (0x200, "compressed-lzma1"),
        (0x400, "compressed-lzma2"),
        (0x800, "compressed-arm-thumb"),
        (0x4000_0000, "0x40000000"),
    ],
)
def test_flag_names(bit: int, name: str) -> None:
    assert ImageFlags(bit).names == (name,)


def test_sizes() -> None:
    header = ImageHeader(version=Version(1), payload_size=1000, header_size=0x200, protected_size=20)
    assert header.tlv_offset == 1512
    assert header.signed_size == 1532


@pytest.mark.parametrize(
    ("changes", "area", "what"),
    [
        ({"magic": 0xFFFF_FFFF}, 4096, "no image header"),
        ({"magic": IMAGE_MAGIC_OLD}, 4096, "old image format"),
        ({"payload_size": 4096 - 32}, 4096, "does not fit"),
        ({"payload_size": 0xFFFF_FFF0}, 4096, "overflow"),
        ({"flags": ImageFlags.ENCRYPTED_AES128}, 4096, "without encryption"),
        ({"flags": ImageFlags.COMPRESSED_LZMA2}, 4096, "without compression"),
        ({"flags": ImageFlags.COMPRESSED_ARM_THUMB}, 4096, "without compression"),
    ],
)
def test_what_makes_a_header_invalid(changes: dict[str, object], area: int, what: str) -> None:
    fields: dict[str, object] = {"version": Version(1), "payload_size": 100, "magic": IMAGE_MAGIC} | changes
    problems = ImageHeader(**fields).problems(area)  # type: ignore[arg-type]
    assert what in problems[0].what


def test_a_header_is_valid_up_to_one_byte_less_than_the_area() -> None:
    header = ImageHeader(version=Version(1), payload_size=4095 - 32)
    assert header.problems(4096) == ()
    assert header.problems(4095) != ()


def test_builds_with_encryption_and_compression_take_their_flags_but_not_both_kinds() -> None:
    both = ImageFlags.ENCRYPTED_AES128 | ImageFlags.COMPRESSED_LZMA2
    header = ImageHeader(version=Version(1), flags=both)
    assert header.problems(4096, encryption=True, compression=True) == ()
    for pair in (
        ImageFlags.ENCRYPTED_AES128 | ImageFlags.ENCRYPTED_AES256,
        ImageFlags.COMPRESSED_LZMA1 | ImageFlags.COMPRESSED_LZMA2,
    ):
        assert ImageHeader(version=Version(1), flags=pair).problems(4096, encryption=True, compression=True)


@pytest.mark.parametrize("value", [0xFF, 0x00])
def test_erased_header(value: int) -> None:
    header = ImageHeader.parse(bytes([value]) * 32)
    assert header.is_erased(value)
    assert not header.is_erased(value ^ 0xFF)


def test_pack_refuses_what_does_not_fit() -> None:
    with pytest.raises(ImageError, match="does not fit"):
        ImageHeader(version=Version(1), header_size=0x10000).pack()
