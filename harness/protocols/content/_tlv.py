"""OMA TLV, content format 11542.

Source: OMA-TS-LightweightM2M_Core-V1_1, section 7.4.5. A type byte says what the
entry is (bits 7-6), whether the identifier has one byte or two (bit 5) and where
the length stands (bits 4-3: in bits 2-0, or in the next one to three bytes).
Numbers are big endian two's complement of 1, 2, 4 or 8 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from harness._errors import CodecError
from harness.protocols.content._values import (
    ObjectLink,
    Path,
    ResourceType,
    Types,
    Value,
    conform,
    guess,
    type_of,
)

__all__ = ["TlvEntry", "TlvKind", "decode_tlv", "encode_tlv", "from_tlv", "to_tlv"]

_INTEGER_SIZES: Final = (1, 2, 4, 8)


class TlvKind(IntEnum):
    """The kinds of entries, with their bits of the type byte."""

    INSTANCE = 0
    RESOURCE_INSTANCE = 1
    MULTIPLE = 2
    RESOURCE = 3


_INNER: Final = {
    TlvKind.INSTANCE: (TlvKind.RESOURCE, TlvKind.MULTIPLE),
    TlvKind.MULTIPLE: (TlvKind.RESOURCE_INSTANCE,),
}


@dataclass(frozen=True, slots=True)
class TlvEntry:
    """One entry: instances and multiple resources hold entries, the others bytes."""

    kind: TlvKind
    id: int
    value: bytes | tuple[TlvEntry, ...]


def encode_tlv(entries: Iterable[TlvEntry]) -> bytes:
    """Write entries one after the other."""
    return b"".join(_encode(entry) for entry in entries)


def _encode(entry: TlvEntry) -> bytes:
    body = entry.value if isinstance(entry.value, bytes) else encode_tlv(entry.value)
    head = entry.kind << 6
    identifier = entry.id.to_bytes(1, "big") if entry.id < 256 else entry.id.to_bytes(2, "big")
    if entry.id > 255:
        head |= 0x20
    if len(body) < 8:
        return bytes((head | len(body),)) + identifier + body
    width = (len(body).bit_length() + 7) // 8
    return bytes((head | width << 3,)) + identifier + len(body).to_bytes(width, "big") + body


def decode_tlv(payload: bytes) -> tuple[TlvEntry, ...]:
    """Read entries. Raises CodecError for lengths that do not fit and entries in the wrong place."""
    return tuple(_decode(payload, 0, tuple(TlvKind)))


def _decode(payload: bytes, base: int, allowed: tuple[TlvKind, ...]) -> Iterator[TlvEntry]:
    at = 0
    while at < len(payload):
        where = f"offset {base + at}"
        head = payload[at]
        kind = TlvKind(head >> 6)
        if kind not in allowed:
            raise CodecError(f"an entry of the kind {kind.name} in the wrong place", where=where)
        if at == 0:
            # Instances are never mixed with resources: the first entry decides.
            allowed = tuple(k for k in allowed if (k is TlvKind.INSTANCE) == (kind is TlvKind.INSTANCE))
        identifier, at = _number(payload, at + 1, 2 if head & 0x20 else 1, where)
        width = head >> 3 & 3
        length, at = _number(payload, at, width, where) if width else (head & 7, at)
        value = payload[at : at + length]
        if len(value) < length:
            raise CodecError(
                "an entry is longer than what is left",
                where=where,
                expected=f"{length} bytes",
                found=f"{len(value)} bytes",
            )
        inner = _INNER.get(kind)
        yield TlvEntry(kind, identifier, tuple(_decode(value, base + at, inner)) if inner else value)
        at += length


def _number(payload: bytes, at: int, width: int, where: str) -> tuple[int, int]:
    if at + width > len(payload):
        raise CodecError("the header of an entry is cut off", where=where)
    return int.from_bytes(payload[at : at + width], "big"), at + width


def to_tlv(values: Mapping[Path, Value], base: Path, types: Types) -> bytes:
    """Write values that lie at or below ``base``, which is an object, an instance or a resource."""
    tree: dict[int, dict[int, dict[int | None, TlvEntry]]] = {}
    for path, value in values.items():
        if path not in base or path.instance_id is None or path.resource_id is None:
            raise CodecError(f"{path} is not a resource at or below {base}")
        single = path.resource_instance_id is None
        kind = TlvKind.RESOURCE if single else TlvKind.RESOURCE_INSTANCE
        identifier = path.resource_id if path.resource_instance_id is None else path.resource_instance_id
        entry = TlvEntry(kind, identifier, pack(value, type_of(types, path) or guess(value)))
        instances = tree.setdefault(path.instance_id, {}).setdefault(path.resource_id, {})
        instances[path.resource_instance_id] = entry
    if base.resource_instance_id is not None:
        return encode_tlv(entry for r in tree.values() for i in r.values() for entry in i.values())
    groups = {instance: _resources(resources) for instance, resources in tree.items()}
    if base.instance_id is None:
        return encode_tlv(TlvEntry(TlvKind.INSTANCE, i, entries) for i, entries in groups.items())
    return encode_tlv(groups.get(base.instance_id, ()))


def _resources(resources: Mapping[int, Mapping[int | None, TlvEntry]]) -> tuple[TlvEntry, ...]:
    return tuple(
        instances[None] if None in instances else TlvEntry(TlvKind.MULTIPLE, rid, tuple(instances.values()))
        for rid, instances in resources.items()
    )


def from_tlv(payload: bytes, base: Path, types: Types) -> dict[Path, Value]:
    """Read values as a device sends them for a read of ``base``. Raises CodecError."""
    found: dict[Path, Value] = {}
    for entry in decode_tlv(payload):
        _collect(entry, base, types, found)
    return found


def _collect(entry: TlvEntry, base: Path, types: Types, found: dict[Path, Value]) -> None:
    path = _place(entry, base)
    if isinstance(entry.value, bytes):
        found[path] = unpack(entry.value, type_of(types, path), path)
        return
    for child in entry.value:
        _collect(child, path, types, found)


def _place(entry: TlvEntry, base: Path) -> Path:
    """Find where an entry belongs: a device may or may not repeat the last part of the path read."""
    depth = {TlvKind.INSTANCE: 1, TlvKind.RESOURCE: 2, TlvKind.MULTIPLE: 2, TlvKind.RESOURCE_INSTANCE: 3}
    at = depth[entry.kind]
    ids = base.ids
    if len(ids) < at or (len(ids) > at and ids[at] != entry.id):
        raise CodecError(f"a {entry.kind.name} entry with id {entry.id} does not belong at {base}")
    return Path(*(*ids[:at], entry.id))


def pack(value: Value, kind: ResourceType) -> bytes:
    """Return the bytes of one value. Raises CodecError when it is not of that type."""
    try:
        value = conform(value, kind)
    except ValueError as error:
        raise CodecError(str(error)) from error
    match value:
        case bytes():
            return value
        case str():
            return value.encode()
        case bool():
            return b"\x01" if value else b"\x00"
        case float():
            return struct.pack(">d", value)
        case ObjectLink():
            return struct.pack(">HH", value.object_id, value.instance_id)
    signed = kind is not ResourceType.UNSIGNED
    for size in _INTEGER_SIZES:
        try:
            return value.to_bytes(size, "big", signed=signed)
        except OverflowError:
            continue
    raise CodecError(f"{value} does not fit 64 bits")


def unpack(data: bytes, kind: ResourceType | None, path: Path) -> Value:
    """Read one value; without a type it stays bytes. Raises CodecError."""
    try:
        match kind:
            case None | ResourceType.OPAQUE:
                return data
            case ResourceType.STRING:
                return data.decode()
            case ResourceType.BOOLEAN:
                return {b"\x00": False, b"\x01": True}[data]
            case ResourceType.FLOAT:
                return float(struct.unpack({4: ">f", 8: ">d"}[len(data)], data)[0])
            case ResourceType.OBJLNK:
                return ObjectLink(*struct.unpack(">HH", data))
        if len(data) not in _INTEGER_SIZES:
            raise ValueError(f"an integer of {len(data)} bytes")
        return int.from_bytes(data, "big", signed=kind is not ResourceType.UNSIGNED)
    except (ValueError, KeyError, struct.error) as error:
        raise CodecError(
            f"the bytes are no {kind.value if kind else 'value'}", where=str(path), found=f"{len(data)} bytes"
        ) from error
