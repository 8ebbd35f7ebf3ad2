"""SenML as JSON (content format 110) and as CBOR (112).

Sources: RFC 8428; OMA-TS-LightweightM2M_Core-V1_1, section 7.4.4, which adds the
field ``vlo`` for object links. Names are paths: base name and name together.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import cbor2

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

__all__ = [
    "from_senml_cbor",
    "from_senml_json",
    "paths_from_senml",
    "paths_to_senml",
    "to_senml_cbor",
    "to_senml_json",
]

_LABELS: Final = {
    "bver": -1, "bn": -2, "bt": -3, "bu": -4, "bv": -5, "bs": -6,
    "n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "s": 5, "t": 6, "ut": 7, "vd": 8,
}  # fmt: skip
_NAMES: Final = {label: name for name, label in _LABELS.items()}
_VALUES: Final = ("v", "vs", "vb", "vd", "vlo")
_UNSUPPORTED: Final = ("bv", "bs", "s")

_Record = dict[str, Any]


def to_senml_json(values: Mapping[Path, Value], types: Types) -> bytes:
    """Write values as JSON. Raises CodecError."""
    records = list(_records(values, types))
    for record in records:
        if "vd" in record:
            record["vd"] = base64.urlsafe_b64encode(record["vd"]).rstrip(b"=").decode()
    try:
        return json.dumps(records, separators=(",", ":"), allow_nan=False).encode()
    except ValueError as error:
        raise CodecError(f"not to be said in JSON: {error}") from error


def from_senml_json(payload: bytes, types: Types) -> dict[Path, Value]:
    """Read values from JSON. Raises CodecError."""
    records = _load_json(payload)
    for record in records:
        if isinstance(text := record.get("vd"), str):
            try:
                record["vd"] = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            except ValueError as error:
                raise CodecError(f"the data of {record.get('n')!r} are not base64") from error
    return _values(records, types)


def to_senml_cbor(values: Mapping[Path, Value], types: Types) -> bytes:
    """Write values as CBOR. Raises CodecError."""
    try:
        return cbor2.dumps(
            [{_LABELS.get(name, name): v for name, v in record.items()} for record in _records(values, types)]
        )
    except (cbor2.CBOREncodeError, UnicodeError) as error:
        raise CodecError(f"not to be said in CBOR: {error}") from error


def from_senml_cbor(payload: bytes, types: Types) -> dict[Path, Value]:
    """Read values from CBOR. Raises CodecError."""
    return _values(_load_cbor(payload), types)


def paths_to_senml(paths: Iterable[Path], *, binary: bool) -> bytes:
    """Write records that hold names only, as a Read-Composite has them."""
    names = ["/" + "/".join(path.segments) for path in paths]
    if binary:
        return cbor2.dumps([{_LABELS["n"]: name} for name in names])
    return json.dumps([{"n": name} for name in names], separators=(",", ":")).encode()


def paths_from_senml(payload: bytes, *, binary: bool) -> tuple[Path, ...]:
    """Read the names of records without values. Raises CodecError."""
    base, found = "", []
    for index, record in enumerate(_load_cbor(payload) if binary else _load_json(payload)):
        base, name = record.get("bn", base), record.get("n", "")
        if not isinstance(base, str) or not isinstance(name, str):
            raise CodecError("a SenML name is not text", where=f"record {index}")
        found.append(_path(base + name, f"record {index}"))
    return tuple(found)


def _load_json(payload: bytes) -> list[_Record]:
    try:
        return _checked(json.loads(payload))
    except (ValueError, RecursionError) as error:
        raise CodecError(f"no JSON: {error}", found=f"{len(payload)} bytes") from error


def _load_cbor(payload: bytes) -> list[_Record]:
    stream = io.BytesIO(payload)
    try:
        records = cbor2.CBORDecoder(stream).decode()
    except Exception as error:  # tags run constructors of many kinds, each with errors of its own
        raise CodecError(f"no CBOR: {error}", found=f"{len(payload)} bytes") from error
    if stream.read(1):
        raise CodecError("more bytes after the CBOR")
    named = []
    for record in _checked(records):
        if not all(isinstance(key, int | str) for key in record):
            raise CodecError("a SenML label is neither number nor text")
        named.append({_NAMES.get(key, str(key)): value for key, value in record.items()})
    return named


def _records(values: Mapping[Path, Value], types: Types) -> Iterable[_Record]:
    first = True
    for path, value in values.items():
        kind = type_of(types, path) or guess(value)
        try:
            value = conform(value, kind)  # noqa: PLW2901  the same value in its proper type
        except ValueError as error:
            raise CodecError(str(error), where=str(path)) from error
        # One base name for all: "/" is short, and right for any mix of paths.
        record: _Record = {"bn": "/"} if first else {}
        first = False
        record["n"] = "/".join(path.segments)
        record[_field(value)] = str(value) if isinstance(value, ObjectLink) else value
        yield record


def _field(value: Value) -> str:
    if isinstance(value, bool):
        return "vb"
    if isinstance(value, int | float):
        return "v"
    if isinstance(value, bytes):
        return "vd"
    return "vlo" if isinstance(value, ObjectLink) else "vs"


def _checked(records: object) -> list[dict[Any, Any]]:
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise CodecError("SenML is a list of records", found=type(records).__name__)
    return records


def _values(records: Iterable[_Record], types: Types) -> dict[Path, Value]:
    base = ""
    found: dict[Path, Value] = {}
    for index, record in enumerate(records):
        where = f"record {index}"
        unsupported = [name for name in record if name in _UNSUPPORTED or name.endswith("_")]
        if unsupported:
            raise CodecError("a SenML field that LwM2M does not use", where=where, found=unsupported[0])
        base, name = record.get("bn", base), record.get("n", "")
        if not isinstance(base, str) or not isinstance(name, str):
            raise CodecError("a SenML name is not text", where=where)
        fields = [field for field in _VALUES if field in record]
        if not fields:
            continue
        if len(fields) > 1:
            raise CodecError("a record with two values", where=where, found=", ".join(fields))
        path = _path(base + name, where)
        found[path] = _value(fields[0], record[fields[0]], type_of(types, path), f"{where}, {path}")
    return found


def _path(name: str, where: str) -> Path:
    try:
        return Path.of(name)
    except ValueError as error:
        raise CodecError(f"a SenML name is no path: {error}", where=where) from error


def _value(field: str, raw: object, kind: ResourceType | None, where: str) -> Value:
    try:
        if field == "vlo":
            return ObjectLink.parse(raw if isinstance(raw, str) else "")
        if not isinstance(raw, str | int | float | bytes):
            raise ValueError(f"a {type(raw).__name__}")
        if _field(raw) != field:
            raise ValueError(f"a {type(raw).__name__} in the field {field}")
        return raw if kind is None else conform(raw, kind)
    except (ValueError, OverflowError) as error:
        raise CodecError(f"a SenML value does not fit: {error}", where=where) from error
