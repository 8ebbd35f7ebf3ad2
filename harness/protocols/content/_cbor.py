"""LwM2M CBOR, content format 11544.

Source: OMA-TS-LightweightM2M_Core-V1_2, section 7.4.6. Nested maps whose keys are parts of
a path, counted from the root: one identifier, or an array of several. A key of an array
may reach across levels, and different entries may divide their paths differently.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import cbor2

from harness._errors import CodecError
from harness.protocols.content._values import (
    MAX_ID,
    ObjectLink,
    Path,
    ResourceType,
    Types,
    Value,
    conform,
    guess,
    type_of,
)

__all__ = ["from_lwm2m_cbor", "paths_to_lwm2m_cbor", "to_lwm2m_cbor"]

_DEPTH: Final = 4


def to_lwm2m_cbor(values: Mapping[Path, Value], types: Types) -> bytes:
    """Write values. Raises CodecError."""
    return _dump((path, _plain(path, value, types)) for path, value in values.items())


def paths_to_lwm2m_cbor(paths: Iterable[Path]) -> bytes:
    """Write the paths of a Read-Composite. Raises CodecError."""
    return _dump((path, None) for path in paths)


def _dump(entries: Iterable[tuple[Path, Any]]) -> bytes:
    try:
        return cbor2.dumps({path.ids: value for path, value in entries})
    except (cbor2.CBOREncodeError, UnicodeError) as error:
        raise CodecError(f"not to be said in CBOR: {error}") from error


def _plain(path: Path, value: Value, types: Types) -> Any:
    if path.resource_id is None:
        raise CodecError(f"{path} is no resource")
    try:
        value = conform(value, type_of(types, path) or guess(value))
    except ValueError as error:
        raise CodecError(str(error), where=str(path)) from error
    return str(value) if isinstance(value, ObjectLink) else value


def from_lwm2m_cbor(payload: bytes, types: Types) -> dict[Path, Value]:
    """Read values. Raises CodecError."""
    stream = io.BytesIO(payload)
    try:
        root = cbor2.CBORDecoder(stream).decode()
    except Exception as error:  # tags run constructors of many kinds, each with errors of its own
        raise CodecError(f"no CBOR: {error}", found=f"{len(payload)} bytes") from error
    if stream.read(1):
        raise CodecError("more bytes after the CBOR")
    if not isinstance(root, Mapping):
        raise CodecError("LwM2M CBOR is a map", found=type(root).__name__)
    found: dict[Path, Value] = {}
    for ids, raw in _leaves(root, ()):
        path = Path(*ids)
        if path in found:
            raise CodecError("a value that is given twice", where=str(path))
        found[path] = _value(raw, type_of(types, path), path)
    return found


def _leaves(node: Mapping[Any, Any], above: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Any]]:
    for key, below in node.items():
        ids = above + _ids(key)
        if len(ids) > _DEPTH:
            raise CodecError("a path that is too long", found="/".join(map(str, ids)))
        if isinstance(below, Mapping):
            yield from _leaves(below, ids)
        elif len(ids) < _DEPTH - 1:
            raise CodecError("a value that is no resource's", where="/" + "/".join(map(str, ids)))
        else:
            yield ids, below


def _ids(key: object) -> tuple[int, ...]:
    parts = tuple(key) if isinstance(key, tuple | list) else (key,)
    # Of the numbers only whole ones; True is 1 to Python.
    if not parts or not all(type(part) is int and 0 <= part <= MAX_ID for part in parts):
        raise CodecError("a key that is no part of a path", found=repr(key)[:40])
    return parts


def _value(raw: Any, kind: ResourceType | None, path: Path) -> Value:
    if isinstance(raw, datetime):
        raw = int(raw.timestamp())
    elif isinstance(raw, Decimal):
        raw = float(raw)
    try:
        if not isinstance(raw, str | int | float | bytes):
            raise ValueError(f"a {type(raw).__name__}")
        return raw if kind is None else conform(raw, kind)
    except (ValueError, OverflowError) as error:
        raise CodecError(f"a value does not fit: {error}", where=str(path)) from error
