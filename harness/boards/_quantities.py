"""Numbers as people write them in board files."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

_UNITS: Final = {"": 1, "B": 1, "K": 1 << 10, "KIB": 1 << 10, "M": 1 << 20, "MIB": 1 << 20}
_TEXT: Final = re.compile(r"(0x[0-9a-fA-F_]{1,16}|[0-9][0-9_]{0,15})\s*([A-Za-z]*)", re.ASCII)
_FORMS: Final = "a number of bytes: 4096, 0x1000, 4KiB, 4K or 1MiB"
_PATTERN: Final = "^(0x[0-9a-fA-F_]+|[0-9][0-9_]*)\\s*(B|K|KiB|M|MiB)?$"
_LARGEST: Final = 1 << 32


def parse_size(value: object) -> int:
    """Bytes from ``4096``, ``"0x1000"``, ``4KiB``, ``256K`` or ``1MiB``; K and M are powers of 1024.

    Raises:
        PydanticCustomError: anything else, or beyond 4 GiB.
    """
    number = value
    if isinstance(value, str):
        match = _TEXT.fullmatch(value.strip())
        unit = _UNITS.get(match[2].upper()) if match else None
        if (
            match is None
            or unit is None
            or (match[1][0] == "0" and not match[1].startswith("0x") and len(match[1]) > 1)
        ):
            raise PydanticCustomError("size", "not a size", {"expected": _FORMS})
        number = int(match[1].replace("_", ""), 0) * unit
    if isinstance(number, bool) or not isinstance(number, int):
        raise PydanticCustomError("size", "not a size", {"expected": _FORMS})
    if not 0 <= number <= _LARGEST:
        raise PydanticCustomError("size", "out of range", {"expected": "0 to 4 GiB"})
    return number


def size_text(size: int) -> str:
    """``0x40000 (256 KiB)``; small and odd sizes in hex alone."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size:#x} ({size // unit} {name})"
    return f"{size:#x}"


Size = Annotated[
    int,
    BeforeValidator(parse_size),
    Field(strict=True),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": _LARGEST},
                {"type": "string", "pattern": _PATTERN},
            ],
            "description": "bytes: 4096, 0x1000, 4KiB, 256K or 1MiB",
        }
    ),
]
"""A number of bytes, or an offset in bytes."""
