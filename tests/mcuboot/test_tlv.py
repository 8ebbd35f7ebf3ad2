from __future__ import annotations

import contextlib
import struct

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import ImageError
from harness.mcuboot import (
    BootRecord,
    Dependency,
    Tlv,
    TlvArea,
    TlvAreaKind,
    TlvType,
    Version,
    explain_tlv,
    is_vendor_type,
    tlv_name,
)

kinds = st.sampled_from(TlvAreaKind)
entries = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=8)

#: type numbers as the format gives them, written down once more
NUMBERS = {
    0x01: "KEY_HASH",
    0x02: "PUBLIC_KEY",
    0x10: "SHA256",
    0x11: "SHA384",
    0x12: "SHA512",
    0x20: "RSA2048_PSS",
    0x21: "ECDSA224",
    0x22: "ECDSA",
    0x23: "RSA3072_PSS",
    0x24: "ED25519",
    0x25: "SIGNATURE_PURE",
    0x30: "ENCRYPTED_RSA2048",
    0x31: "ENCRYPTED_KW",
    0x32: "ENCRYPTED_EC256",
    0x33: "ENCRYPTED_X25519",
    0x34: "ENCRYPTED_X25519_SHA512",
    0x40: "DEPENDENCY",
    0x50: "SECURITY_COUNTER",
    0x60: "BOOT_RECORD",
    0x70: "DECOMPRESSED_SIZE",
    0x71: "DECOMPRESSED_HASH",
    0x72: "DECOMPRESSED_SIGNATURE",
    0x73: "COMPRESSED_DECRYPTED_SIZE",
    0x74: "VENDOR_UUID",
    0x75: "CLASS_UUID",
}


def test_all_types_have_their_numbers_names_and_titles() -> None:
    assert {int(kind): kind.name for kind in TlvType} == NUMBERS
    assert all(kind.title for kind in TlvType)
    assert tlv_name(0x24) == "ED25519"


@pytest.mark.parametrize(
    ("kind", "vendor"),
    [
        (0xA0, True),
        (0xFF, True),
        (0x12A0, True),
        (0xFFFE, True),
        (0xFFFF, False),
        (0x9F, False),
        (0x1200, False),
    ],
)
def test_vendor_ranges(kind: int, vendor: bool) -> None:
    assert is_vendor_type(kind) is vendor
    assert tlv_name(kind) == f"{'vendor' if vendor else 'unknown'} {kind:#06x}"


def test_an_area_is_info_header_and_entries_without_padding() -> None:
    area = TlvArea.build(TlvAreaKind.PROTECTED, [(0x50, b"\x07\0\0\0"), (0xA1, b"x")])
    assert area.pack() == struct.pack("<HH", 0x6908, 17) + b"\x50\0\x04\0\x07\0\0\0" + b"\xa1\0\x01\0x"
    assert area.size == 17
    assert [entry.offset for entry in area.entries] == [4, 12]


@given(kinds, entries, st.binary(max_size=10), st.binary(max_size=10))
def test_round_trip(kind: TlvAreaKind, content: list[tuple[int, bytes]], before: bytes, after: bytes) -> None:
    built = TlvArea.build(kind, content, len(before))
    area, findings = TlvArea.parse(before + built.pack() + after, len(before), kind)
    assert (area, findings) == (built, ())


@given(kinds, st.binary(max_size=200), st.integers(-5, 210))
def test_any_bytes_are_read_without_raising(kind: TlvAreaKind, data: bytes, offset: int) -> None:
    area, findings = TlvArea.parse(data, offset, kind)
    assert area is not None or findings
    if area:
        assert area.complete is not bool(findings)
        for entry in area.entries:
            assert data[entry.offset + 4 :].startswith(entry.data)
            assert explain_tlv(entry)


@given(kinds, entries, st.data())
def test_a_damaged_area_never_raises(
    kind: TlvAreaKind, content: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    packed = bytearray(TlvArea.build(kind, content).pack())
    packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(packed)))
    TlvArea.parse(bytes(packed[:cut]), 0, kind)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x07\x69\x20\0", "cut off"),
        (b"\x07\x69\x02\0", "smaller than its own info header"),
        (b"\x07\x69\x06\0ab", "too short for an entry"),
        (b"\x07\x69\x0a\0\x24\0\x40\0ab", "ED25519 runs over"),
        (b"\x08\x69\x04\0", "no ordinary TLV area"),
        (b"\x07", "outside the data"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, what: str) -> None:
    _, findings = TlvArea.parse(data, 0, TlvAreaKind.ORDINARY)
    assert any(what in finding.what for finding in findings)


def test_how_much_room_an_entry_had_is_said() -> None:
    _, (finding,) = TlvArea.parse(b"\x07\x69\x0a\0\x24\0\x40\0ab", 0, TlvAreaKind.ORDINARY)
    assert (finding.offset, finding.expected, finding.found) == (4, "at most 2 bytes", "64")


def test_entry_too_long_for_its_length_field() -> None:
    with pytest.raises(ImageError, match="does not fit"):
        Tlv(0xA0, bytes(0x10000)).pack()


def test_dependency_bytes() -> None:
    data = b"\x01\0\0\0" + b"\x02\x03\x04\0\x05\0\0\0"
    assert Dependency.unpack(data) == Dependency(1, Version(2, 3, 4, 5))
    assert Dependency.unpack(data).pack() == data
    assert str(Dependency.unpack(data)) == "image 1 >= 2.3.4+5"
    with pytest.raises(ImageError, match="wrong length"):
        Dependency.unpack(data[:-1])


def test_boot_record() -> None:
    data = cbor2.dumps({1: "CoFM", 4: "1.2.3", 5: bytes(32), 6: "SHA256", 2: bytes(32)})
    record = BootRecord.unpack(data)
    assert record == BootRecord("CoFM", "1.2.3", bytes(32), "SHA256", bytes(32))
    assert BootRecord.unpack(cbor2.dumps({1: 7})) == BootRecord(None, None, None, None, None)


@given(st.binary(max_size=60))
def test_boot_record_of_any_bytes(data: bytes) -> None:
    with contextlib.suppress(ImageError):
        BootRecord.unpack(data)


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        (TlvType.DEPENDENCY, Dependency(1, Version(2)).pack(), "image 1 >= 2.0.0"),
        (TlvType.SECURITY_COUNTER, b"\x2a\0\0\0", "42"),
        (TlvType.DECOMPRESSED_SIZE, b"\0\x10\0\0", "4096 bytes"),
        (TlvType.VENDOR_UUID, bytes(range(16)), "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        (TlvType.SIGNATURE_PURE, b"\x01", "yes"),
        (TlvType.SIGNATURE_PURE, b"\x02", "no (0x02)"),
        (TlvType.SHA256, bytes(32), "32 bytes 00000000.."),
        (TlvType.SHA256, bytes(31), "31 bytes, which is the wrong length"),
        (TlvType.BOOT_RECORD, cbor2.dumps({1: "App", 4: "1.0.0", 6: "SHA256"}), "App 1.0.0, SHA256"),
        (TlvType.BOOT_RECORD, b"\xff", "boot record is no CBOR"),
        (0xA0, b"", "empty"),
        (0xA0, b"abc", "616263"),
        (TlvType.ECDSA, bytes(71), "71 bytes 00000000.."),
    ],
)
def test_explanations(kind: int, data: bytes, text: str) -> None:
    assert explain_tlv(Tlv(kind, data)) == text


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        (TlvType.ENCRYPTED_RSA2048, 256),
        (TlvType.ENCRYPTED_KW, 24),
        (TlvType.ENCRYPTED_KW, 40),
        (TlvType.ENCRYPTED_EC256, 113),
        (TlvType.ENCRYPTED_X25519, 80),
    ],
)
def test_sizes_of_wrapped_keys(kind: TlvType, size: int) -> None:
    assert "wrong length" not in explain_tlv(Tlv(kind, bytes(size)))
    assert "wrong length" in explain_tlv(Tlv(kind, bytes(size + 1)))
