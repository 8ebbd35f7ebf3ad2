"""An image as a whole: header, payload, TLV areas.

Layout and rules: MCUboot's design document, "Image format"; ``bootutil_tlv_iter_begin``
in bootutil's ``tlv.c`` (2.4.0).
"""

from __future__ import annotations

import hashlib
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

from harness._errors import ImageError

from ._findings import Finding, Severity
from ._header import HEADER_SIZE, ImageHeader
from ._tlv import Tlv, TlvArea, TlvAreaKind, TlvType
from ._tlv_values import DIGESTS, SIGNATURES, BootRecord, Dependency, size_problem
from ._version import Version


@dataclass(frozen=True, slots=True)
class Image:
    """What could be understood of some bytes that should start with an image.

    Offsets and sizes are bytes from the start of the image. What is missing is
    ``None``, and ``findings`` say why.
    """

    header: ImageHeader | None
    protected: TlvArea | None
    ordinary: TlvArea | None
    findings: tuple[Finding, ...]
    signed: bytes = field(repr=False, default=b"")
    """The bytes under digest and signature, if all of them are there."""

    @classmethod
    def parse(cls, data: bytes, *, erased_value: int = 0xFF) -> Self:
        """Read an image that starts ``data``; what follows it is ignored. Never raises."""
        if len(data) < HEADER_SIZE:
            what = Finding(
                Severity.ERROR, "too short for an image header", 0, f"{HEADER_SIZE} bytes", str(len(data))
            )
            return cls(None, None, None, (what,))
        header = ImageHeader.parse(data)
        if header.is_erased(erased_value):
            return cls(None, None, None, (Finding(Severity.INFO, "erased", 0),))
        # Encryption and compression are a matter of the boot loader's build, not of the bytes.
        problems = header.problems(1 << 33, encryption=True, compression=True)
        if problems and problems[0].offset == 0:
            return cls(None, None, None, problems)
        findings = [*problems, *_header_findings(header)]
        protected: TlvArea | None = None
        if header.protected_size:
            protected, more = TlvArea.parse(data, header.tlv_offset, TlvAreaKind.PROTECTED)
            findings += more
            if protected and protected.size != header.protected_size:
                findings.append(
                    Finding(
                        Severity.ERROR,
                        "header and protected TLV area disagree about its size",
                        10,
                        f"{protected.size} bytes",
                        f"{header.protected_size} bytes",
                    )
                )
        ordinary, more = TlvArea.parse(data, header.signed_size, TlvAreaKind.ORDINARY)
        findings += more
        signed = data[: header.signed_size] if header.signed_size <= len(data) else b""
        image = cls(header, protected, ordinary, (), bytes(signed))
        return cls(header, protected, ordinary, (*findings, *_entry_findings(image)), bytes(signed))

    @classmethod
    def parse_strict(cls, data: bytes) -> Self:
        """Read an image; refuse anything MCUboot could not walk through.

        Raises:
            ImageError: the first finding of severity error, with its offset.
        """
        image = cls.parse(data)
        for finding in image.findings:
            if finding.severity is Severity.ERROR or image.header is None:
                raise ImageError(
                    finding.what,
                    where=None if finding.offset is None else f"offset {finding.offset:#x}",
                    expected=finding.expected or ("an image" if image.header is None else None),
                    found=finding.found,
                )
        return image

    @property
    def version(self) -> Version | None:
        """Version in the header."""
        return self.header.version if self.header else None

    @property
    def size(self) -> int | None:
        """Bytes from the header to the end of the TLVs."""
        return self.ordinary.end if self.ordinary else None

    @property
    def walkable(self) -> bool:
        """True if MCUboot can go through all TLV entries without an error."""
        if self.header is None or self.ordinary is None or not self.ordinary.complete:
            return False
        if not self.header.protected_size:
            return True
        return (
            self.protected is not None
            and self.protected.complete
            and self.protected.size == self.header.protected_size
        )

    def tlvs(self, *types: int, protected: bool | None = None) -> Iterator[Tlv]:
        """Entries in flash order, all or those of the given types, all or of one kind of area."""
        for area in (self.protected, self.ordinary):
            for entry in area.entries if area else ():
                if (not types or entry.type in types) and protected in (None, entry.protected):
                    yield entry

    def digest(self, algorithm: str = "sha256") -> bytes | None:
        """Digest of the signed bytes, computed here; ``None`` if some of them are missing."""
        return hashlib.new(algorithm, self.signed).digest() if self.signed else None

    @property
    def stored_digest(self) -> Tlv | None:
        """The first digest entry."""
        return next(self.tlvs(*DIGESTS), None)

    @property
    def digest_matches(self) -> bool | None:
        """Whether the first digest entry is right; ``None`` without one, or if it cannot be told.

        The digest of an encrypted image is that of its plain content.
        """
        entry = self.stored_digest
        if entry is None or self.header is None or self.header.flags.encrypted or not self.signed:
            return None
        return self.digest(DIGESTS[TlvType(entry.type)]) == entry.data

    @property
    def signatures(self) -> tuple[Tlv, ...]:
        """All signature entries."""
        return tuple(self.tlvs(*SIGNATURES))

    @property
    def pure(self) -> bool:
        """True if entry 0x25 says that the signature is over the image instead of its digest."""
        return any(entry.data == b"\x01" for entry in self.tlvs(TlvType.SIGNATURE_PURE))

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        """Dependencies that MCUboot heeds: protected entries of the right length."""
        return tuple(
            Dependency.unpack(entry.data)
            for entry in self.tlvs(TlvType.DEPENDENCY, protected=True)
            if size_problem(entry) is None
        )

    @property
    def security_counter(self) -> int | None:
        """Value of the first protected entry 0x50, if it is 4 bytes long."""
        entry = next(self.tlvs(TlvType.SECURITY_COUNTER, protected=True), None)
        if entry is None or size_problem(entry):
            return None
        return int(struct.unpack("<I", entry.data)[0])

    @property
    def boot_record(self) -> BootRecord | None:
        """Boot record, if there is a readable one."""
        entry = next(self.tlvs(TlvType.BOOT_RECORD), None)
        try:
            return BootRecord.unpack(entry.data) if entry else None
        except ImageError:
            return None

    @property
    def vendor_uuid(self) -> uuid.UUID | None:
        """Vendor UUID, if there is one."""
        return self._uuid(TlvType.VENDOR_UUID)

    @property
    def class_uuid(self) -> uuid.UUID | None:
        """Device class UUID, if there is one."""
        return self._uuid(TlvType.CLASS_UUID)

    def _uuid(self, kind: TlvType) -> uuid.UUID | None:
        entry = next(self.tlvs(kind), None)
        return None if entry is None or size_problem(entry) else uuid.UUID(bytes=entry.data)


def _header_findings(header: ImageHeader) -> Iterator[Finding]:
    if header.header_size < HEADER_SIZE:
        yield Finding(
            Severity.WARNING,
            "header size is smaller than a header",
            8,
            f">= {HEADER_SIZE}",
            str(header.header_size),
        )
    if header.reserved:
        yield Finding(Severity.INFO, "reserved word is not zero", 28, "0", f"{header.reserved:#x}")


def _entry_findings(image: Image) -> Iterator[Finding]:
    for entry in image.tlvs():
        expected = size_problem(entry)
        if expected:
            yield Finding(
                Severity.ERROR,
                f"{entry.name} has the wrong length",
                entry.offset,
                expected,
                f"{len(entry.data)} bytes",
            )
    for kind in (TlvType.DEPENDENCY, TlvType.SECURITY_COUNTER):
        for entry in image.tlvs(kind, protected=False):
            yield Finding(
                Severity.WARNING, f"{entry.name} is not protected: MCUboot does not look at it", entry.offset
            )
    known = False
    for entry in image.tlvs(TlvType.KEY_HASH, TlvType.PUBLIC_KEY, *SIGNATURES):
        if entry.type not in SIGNATURES:
            known = True
        elif not known:
            yield Finding(
                Severity.WARNING, f"{entry.name} has no key entry before it: MCUboot skips it", entry.offset
            )
        else:
            known = False
    if image.header and image.signed:
        matches = image.digest_matches
        entry_or_none = image.stored_digest
        if matches is False and entry_or_none:
            computed = image.digest(DIGESTS[TlvType(entry_or_none.type)]) or b""
            yield Finding(
                Severity.ERROR,
                "digest does not match the image",
                entry_or_none.offset,
                f"{computed.hex()[:16]}..",
                f"{entry_or_none.data.hex()[:16]}..",
            )
