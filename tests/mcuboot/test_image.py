from __future__ import annotations

import hashlib
import struct
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import ImageError
from harness.mcuboot import (
    HEADER_SIZE,
    Dependency,
    Finding,
    Image,
    ImageHeader,
    Severity,
    TlvArea,
    TlvAreaKind,
    TlvType,
    Version,
)

from ._build import image


def assemble(
    payload: bytes,
    protected: list[tuple[int, bytes]],
    ordinary: list[tuple[int, bytes]],
    *,
    digest: bool = True,
) -> bytes:
    """An image put together here, without imgtool."""
    area = TlvArea.build(TlvAreaKind.PROTECTED, protected).pack() if protected else b""
    header = ImageHeader(version=Version(1, 2, 3), payload_size=len(payload), protected_size=len(area))
    signed = header.pack() + payload + area
    entries = [(int(TlvType.SHA256), hashlib.sha256(signed).digest())] if digest else []
    return signed + TlvArea.build(TlvAreaKind.ORDINARY, entries + ordinary).pack()


def test_a_whole_image() -> None:
    data = assemble(b"payload", [(0x50, struct.pack("<I", 7))], [(0xA0, b"x")])
    found = Image.parse(data + b"rest of the slot")
    assert found.findings == ()
    assert found.version == Version(1, 2, 3)
    assert found.size == len(data)
    assert found.walkable
    assert found.digest_matches is True
    assert found.security_counter == 7
    assert [entry.name for entry in found.tlvs()] == ["SECURITY_COUNTER", "SHA256", "vendor 0x00a0"]
    assert [entry.protected for entry in found.tlvs()] == [True, False, False]
    offsets = [entry.offset for entry in found.tlvs()]
    assert [data[offset] for offset in offsets] == [0x50, 0x10, 0xA0]


def test_the_digest_covers_header_payload_and_protected_entries_only() -> None:
    data = bytearray(assemble(b"payload", [(0x50, struct.pack("<I", 7))], [(0xA0, b"x")]))
    signed = HEADER_SIZE + len(b"payload") + 12
    for offset in (20, HEADER_SIZE, signed - 1):
        changed = bytearray(data)
        changed[offset] ^= 1
        assert Image.parse(bytes(changed)).digest_matches is False
    changed = bytearray(data)
    changed[-1] ^= 1
    assert Image.parse(bytes(changed)).digest_matches is True


def test_contents_of_an_imgtool_image() -> None:
    vendor, klass = uuid.uuid4(), uuid.uuid4()
    found = Image.parse_strict(
        image(
            "1.2.3+4",
            dependencies={1: Version(2), 0: Version(1, 1)},
            security_counter=9,
            boot_record="App",
            vendor_uuid=vendor,
            class_uuid=klass,
            custom_tlvs={0xA5: b"mine"},
        )
    )
    assert found.version == Version(1, 2, 3, 4)
    assert found.dependencies == (Dependency(1, Version(2)), Dependency(0, Version(1, 1)))
    assert found.security_counter == 9
    assert found.vendor_uuid == vendor
    assert found.class_uuid == klass
    assert found.boot_record is not None
    assert found.boot_record.software_type == "App"
    assert found.boot_record.version == "1.2.3"
    assert found.boot_record.measurement == bytes(32)
    protected = [entry.type for entry in found.tlvs(protected=True)]
    assert protected == [0x50, 0x60, 0x40, 0x40, 0x74, 0x75, 0xA5]
    assert [entry.type for entry in found.tlvs(protected=False)] == [0x10, 0x01, 0x24]


@pytest.mark.parametrize(
    ("data", "severity", "what"),
    [
        (b"", Severity.ERROR, "too short"),
        (b"\xff" * 64, Severity.INFO, "erased"),
        (b"\x12" * 64, Severity.ERROR, "no image header"),
        (struct.pack("<I", 0x96F3B83C) + bytes(60), Severity.ERROR, "old image format"),
    ],
)
def test_what_is_no_image_is_said_and_refused_by_the_strict_reader(
    data: bytes, severity: Severity, what: str
) -> None:
    found = Image.parse(data)
    assert found.header is None
    assert found.findings[0].severity is severity
    assert what in found.findings[0].what
    with pytest.raises(ImageError, match=what):
        Image.parse_strict(data)


def test_flash_that_erases_to_zero() -> None:
    assert Image.parse(bytes(64), erased_value=0).findings[0].what == "erased"
    assert Image.parse(bytes(64)).findings[0].what == "no image header"


def test_every_cut_is_noticed() -> None:
    data = assemble(b"payload", [(0x50, struct.pack("<I", 7))], [])
    for length in range(len(data)):
        found = Image.parse(data[:length])
        assert not found.walkable
        with pytest.raises(ImageError):
            Image.parse_strict(data[:length])


def test_header_and_protected_area_have_to_agree_about_its_size() -> None:
    data = bytearray(assemble(b"payload", [(0x50, struct.pack("<I", 7)), (0xA0, b"")], []))
    at = HEADER_SIZE + len(b"payload") + 2
    struct.pack_into("<H", data, at, 12)
    found = Image.parse(bytes(data))
    assert not found.walkable
    assert any("disagree" in finding.what for finding in found.findings)


@pytest.mark.parametrize(
    ("ordinary", "what"),
    [
        ([(0x40, Dependency(0, Version(1)).pack())], "DEPENDENCY is not protected"),
        ([(0x50, bytes(4))], "SECURITY_COUNTER is not protected"),
        ([(0x24, bytes(64))], "ED25519 has no key entry before it"),
        ([(0x01, bytes(32)), (0x24, bytes(64)), (0x24, bytes(64))], "ED25519 has no key entry before it"),
    ],
)
def test_entries_that_mcuboot_does_not_look_at_are_pointed_out(
    ordinary: list[tuple[int, bytes]], what: str
) -> None:
    found = Image.parse(assemble(b"payload", [], ordinary))
    assert any(what in finding.what for finding in found.findings)
    assert found.dependencies == ()
    assert found.security_counter is None


def test_a_dependency_of_wrong_length_is_no_dependency_but_a_finding() -> None:
    found = Image.parse(assemble(b"payload", [(0x40, bytes(11))], []))
    assert found.dependencies == ()
    assert any("wrong length" in finding.what for finding in found.findings)


def test_an_encrypted_image_has_no_verdict_on_its_digest() -> None:
    data = bytearray(assemble(b"payload", [], []))
    data[16] |= 0x04
    assert Image.parse(bytes(data)).digest_matches is None


@given(st.binary(max_size=400))
def test_random_bytes_never_raise(data: bytes) -> None:
    found = Image.parse(data)
    assert found.header is None or found.size is None or found.size <= 400


@given(st.binary(max_size=300))
def test_random_bytes_behind_a_good_magic_never_raise(data: bytes) -> None:
    Image.parse(struct.pack("<I", 0x96F3B83D) + data)


@given(st.data())
def test_mutated_and_truncated_images_never_raise(data: st.DataObject) -> None:
    original = image(
        "1.0.0", 40, header_size=32, dependencies={1: Version(1)}, boot_record="x", security_counter=1
    )
    changed = bytearray(original)
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    found = Image.parse(bytes(changed[: data.draw(st.integers(0, len(changed)))]))
    for entry in found.tlvs():
        assert entry.name
    assert found.boot_record or found.boot_record is None
    assert isinstance(found.dependencies, tuple)


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (Finding(Severity.ERROR, "w"), "error: w"),
        (Finding(Severity.INFO, "w", 16, "a", "b"), "info: +0x10: w (expected a, found b)"),
        (Finding(Severity.WARNING, "w", None, "a"), "warning: w (expected a)"),
        (Finding(Severity.WARNING, "w", None, None, "b"), "warning: w (b)"),
    ],
)
def test_findings_as_text(finding: Finding, text: str) -> None:
    assert str(finding) == text
    parts = {"offset": finding.offset, "expected": finding.expected, "found": finding.found}
    present = {name: value for name, value in parts.items() if value is not None}
    assert finding.to_dict() == {"severity": finding.severity.name.lower(), "what": "w", **present}
