"""What LwM2M resources are: where they live, which type they have, which values they take.

Source: OMA-TS-LightweightM2M_Core-V1_1, section 7.3 (identifiers) and appendix C (data types).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final, TypeAlias

__all__ = ["ContentFormat", "ObjectLink", "Path", "ResourceType", "Types", "Value", "conform"]

MAX_ID: Final = 65535


class ContentFormat(IntEnum):
    """CoAP content formats (registry of RFC 7252 section 12.3) that LwM2M uses here."""

    TEXT = 0
    LINK = 40
    OPAQUE = 42
    SENML_JSON = 110
    SENML_CBOR = 112
    TLV = 11542
    LWM2M_CBOR = 11544


class ResourceType(StrEnum):
    """Data types of resources; times are integers, in seconds since 1970 UTC."""

    STRING = "string"
    INTEGER = "integer"
    UNSIGNED = "unsigned integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    OPAQUE = "opaque"
    TIME = "time"
    OBJLNK = "objlnk"


@dataclass(frozen=True, slots=True)
class ObjectLink:
    """A reference to an object instance; 65535 in both parts is the null link."""

    object_id: int
    instance_id: int

    @classmethod
    def parse(cls, text: str) -> ObjectLink:
        """Read the form ``33629:1``. Raises ValueError for anything else."""
        left, colon, right = text.partition(":")
        if not (colon and left.isdecimal() and right.isdecimal()):
            raise ValueError(f"{text!r} is no object link")
        link = cls(int(left), int(right))
        if max(link.object_id, link.instance_id) > MAX_ID:
            raise ValueError(f"{text!r} is no object link")
        return link

    def __str__(self) -> str:
        return f"{self.object_id}:{self.instance_id}"


Value: TypeAlias = str | int | float | bool | bytes | ObjectLink


@dataclass(frozen=True, slots=True, order=True)
class Path:
    """The address of an object, an instance, a resource or one instance of a resource."""

    object_id: int | None = None
    instance_id: int | None = None
    resource_id: int | None = None
    resource_instance_id: int | None = None

    @classmethod
    def of(cls, value: str | Path) -> Path:
        """Read the form ``/3/0/11/0``; ``/`` is the root. Raises ValueError for anything else."""
        if isinstance(value, Path):
            return value
        text = value.removeprefix("/")
        parts = text.split("/") if text else []
        if len(parts) > 4 or not all(p.isascii() and p.isdecimal() and int(p) <= MAX_ID for p in parts):
            raise ValueError(f"{value!r} is no LwM2M path such as /3/0/1")
        return cls(*map(int, parts))

    @property
    def ids(self) -> tuple[int, ...]:
        """The identifiers that are there, from the object on."""
        every = (self.object_id, self.instance_id, self.resource_id, self.resource_instance_id)
        return tuple(i for i in every if i is not None)

    @property
    def segments(self) -> tuple[str, ...]:
        """The Uri-Path options of the path."""
        return tuple(map(str, self.ids))

    def child(self, *ids: int) -> Path:
        """Return the path with more identifiers below it."""
        return Path(*self.ids, *ids)

    def __contains__(self, other: Path) -> bool:
        return other.ids[: len(self.ids)] == self.ids

    def __str__(self) -> str:
        return "/" + "/".join(self.segments)


Types: TypeAlias = Mapping[tuple[int, int], ResourceType]
"""Data types by object and resource id; what is missing decodes by its looks."""


def type_of(types: Types, path: Path) -> ResourceType | None:
    """Look up the type of a resource or resource instance."""
    if path.object_id is None or path.resource_id is None:
        return None
    return types.get((path.object_id, path.resource_id))


def guess(value: Value) -> ResourceType:
    """Return the type that a Python value stands for when no definition says otherwise."""
    if isinstance(value, bool):
        return ResourceType.BOOLEAN
    if isinstance(value, int):
        return ResourceType.INTEGER
    if isinstance(value, float):
        return ResourceType.FLOAT
    if isinstance(value, bytes):
        return ResourceType.OPAQUE
    return ResourceType.OBJLNK if isinstance(value, ObjectLink) else ResourceType.STRING


def conform(value: Value, kind: ResourceType) -> Value:
    """Return ``value`` as the Python type of ``kind``.

    Only harmless steps are taken: an integer for a float, a whole float for an
    integer (SenML knows one number type), link text for a link. Raises ValueError
    for the rest.
    """
    if kind is ResourceType.FLOAT and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is ResourceType.OBJLNK and isinstance(value, str):
        return ObjectLink.parse(value)
    if kind in (ResourceType.INTEGER, ResourceType.UNSIGNED, ResourceType.TIME):
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            if kind is ResourceType.UNSIGNED and value < 0:
                raise ValueError(f"{value} is negative, an unsigned integer cannot be")
            return value
    elif type(value) is _PYTHON[kind]:
        return value
    raise ValueError(f"a {type(value).__name__} is no {kind.value}")


_PYTHON: Final[Mapping[ResourceType, type]] = {
    ResourceType.STRING: str,
    ResourceType.FLOAT: float,
    ResourceType.BOOLEAN: bool,
    ResourceType.OPAQUE: bytes,
    ResourceType.OBJLNK: ObjectLink,
}
