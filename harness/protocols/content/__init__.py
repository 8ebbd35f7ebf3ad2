"""Codecs for everything an LwM2M message may carry.

:func:`decode` and :func:`encode` choose by content format; values are keyed by
their full :class:`Path`, so that the formats are interchangeable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness._errors import CodecError
from harness.protocols.content._cbor import from_lwm2m_cbor, paths_to_lwm2m_cbor, to_lwm2m_cbor
from harness.protocols.content._linkformat import Link, decode_links, encode_links
from harness.protocols.content._plain import decode_text, encode_text
from harness.protocols.content._senml import (
    from_senml_cbor,
    from_senml_json,
    paths_from_senml,
    paths_to_senml,
    to_senml_cbor,
    to_senml_json,
)
from harness.protocols.content._tlv import TlvEntry, TlvKind, decode_tlv, encode_tlv, from_tlv, to_tlv
from harness.protocols.content._values import (
    ContentFormat,
    ObjectLink,
    Path,
    ResourceType,
    Types,
    Value,
    type_of,
)

__all__ = [
    "ContentFormat",
    "Link",
    "ObjectLink",
    "Path",
    "ResourceType",
    "TlvEntry",
    "TlvKind",
    "Types",
    "Value",
    "decode",
    "decode_links",
    "decode_paths",
    "decode_text",
    "decode_tlv",
    "encode",
    "encode_links",
    "encode_paths",
    "encode_text",
    "encode_tlv",
    "type_of",
]


def decode(payload: bytes, content_format: int, path: Path, types: Types) -> dict[Path, Value]:
    """Read what a device sent for ``path``, typed by ``types``. Raises CodecError."""
    found = _decode(payload, content_format, path, types)
    for at in found:
        if at.resource_instance_id is not None and (whole := Path(*at.ids[:3])) in found:
            raise CodecError("a resource has both a value and instances", where=str(whole))
    return found


def _decode(payload: bytes, content_format: int, path: Path, types: Types) -> dict[Path, Value]:
    match content_format:
        case ContentFormat.TEXT:
            return {path: decode_text(payload, type_of(types, path))}
        case ContentFormat.OPAQUE:
            return {path: payload}
        case ContentFormat.TLV:
            return from_tlv(payload, path, types)
        case ContentFormat.SENML_JSON:
            return from_senml_json(payload, types)
        case ContentFormat.SENML_CBOR:
            return from_senml_cbor(payload, types)
        case ContentFormat.LWM2M_CBOR:
            return from_lwm2m_cbor(payload, types)
    raise CodecError("values in an unknown content format", where=str(path), found=str(content_format))


def encode(values: Mapping[Path, Value], content_format: int, path: Path, types: Types) -> bytes:
    """Write ``values``, all at or below ``path``, for a request to ``path``. Raises CodecError."""
    match content_format:
        case ContentFormat.TEXT | ContentFormat.OPAQUE:
            if list(values) != [path]:
                raise CodecError("text and opaque bodies hold the one value of their path", where=str(path))
            value = values[path]
            if content_format == ContentFormat.TEXT:
                return encode_text(value)
            if isinstance(value, bytes):
                return value
            raise CodecError("an opaque body holds bytes", where=str(path), found=type(value).__name__)
        case ContentFormat.TLV:
            return to_tlv(values, path, types)
        case ContentFormat.SENML_JSON:
            return to_senml_json(values, types)
        case ContentFormat.SENML_CBOR:
            return to_senml_cbor(values, types)
        case ContentFormat.LWM2M_CBOR:
            return to_lwm2m_cbor(values, types)
    raise CodecError("no way to write this content format", where=str(path), found=str(content_format))


def encode_paths(paths: Iterable[Path], content_format: int) -> bytes:
    """Write the paths that a Read-Composite asks for. Raises CodecError."""
    match content_format:
        case ContentFormat.SENML_JSON | ContentFormat.SENML_CBOR:
            return paths_to_senml(paths, binary=content_format == ContentFormat.SENML_CBOR)
        case ContentFormat.LWM2M_CBOR:
            return paths_to_lwm2m_cbor(paths)
    raise CodecError("no way to write paths in this content format", found=str(content_format))


def decode_paths(payload: bytes, content_format: int) -> tuple[Path, ...]:
    """Read the paths that a Read-Composite asks for, as SenML. Raises CodecError."""
    match content_format:
        case ContentFormat.SENML_JSON | ContentFormat.SENML_CBOR:
            return paths_from_senml(payload, binary=content_format == ContentFormat.SENML_CBOR)
    raise CodecError("paths in an unknown content format", found=str(content_format))
