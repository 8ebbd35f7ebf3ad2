"""Object definitions from the XML files of the OMA LwM2M registry, or of the same kind.

Source: schema LWM2M-v1_1.xsd of the registry. Of a file only what guides decoding is
read: identifiers, versions, operations, cardinalities and types.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final
from xml.etree import ElementTree

from harness._errors import CodecError
from harness.protocols.content import ResourceType
from harness.protocols.objects import OBJECTS, ObjectDefinition, Operations, ResourceDefinition

__all__ = ["objects_with", "read_object_file"]

_TYPES: Final = {
    "": None,
    "none": None,
    "string": ResourceType.STRING,
    "integer": ResourceType.INTEGER,
    "unsigned integer": ResourceType.UNSIGNED,
    "float": ResourceType.FLOAT,
    "boolean": ResourceType.BOOLEAN,
    "opaque": ResourceType.OPAQUE,
    "time": ResourceType.TIME,
    "objlnk": ResourceType.OBJLNK,
    "corelnk": ResourceType.STRING,
}
_MAX_ID: Final = 65535


def objects_with(*paths: Path | str) -> Mapping[int, ObjectDefinition]:
    """Return the built-in objects and those of files, which go before them.

    A folder stands for those of its ``.xml`` files that define objects. Raises CodecError for
    files that cannot be read, or define none.
    """
    objects = dict(OBJECTS)
    for definition in _definitions(paths):
        objects[definition.id] = definition
    return MappingProxyType(objects)


def _definitions(paths: Iterable[Path | str]) -> Iterator[ObjectDefinition]:
    for path in map(Path, paths):
        if not path.is_dir():
            yield from read_object_file(path)
            continue
        for file in sorted(path.glob("*.xml")):
            # A copy of the registry also holds lists and templates.
            if _root(file).find("Object/ObjectID") is not None:
                yield from read_object_file(file)


def read_object_file(path: Path | str) -> tuple[ObjectDefinition, ...]:
    """Read the objects that one file defines. Raises CodecError."""
    root = _root(path)
    found = tuple(_object(element, str(path)) for element in root.iter("Object"))
    if not found:
        raise CodecError(
            "the file defines no object",
            where=str(path),
            expected="an Object element as in the OMA LwM2M registry",
            found=f"<{root.tag}>"[:60],
        )
    return found


def _root(path: Path | str) -> ElementTree.Element:
    try:
        return ElementTree.parse(path).getroot()  # noqa: S314  expat limits what entities expand to
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as problem:
        raise CodecError(f"no object definition can be read: {problem}", where=str(path)) from problem


def _object(element: ElementTree.Element, where: str) -> ObjectDefinition:
    object_id = _number(element.findtext("ObjectID"), "ObjectID", where)
    where = f"{where}, object {object_id}"
    resources = {}
    for item in element.iterfind("Resources/Item"):
        resource = _resource(item, where)
        if resource.id in resources:
            raise CodecError(f"resource {resource.id} is defined twice", where=where)
        resources[resource.id] = resource
    return ObjectDefinition(
        object_id,
        _text(element, "Name"),
        _text(element, "ObjectVersion") or "1.0",
        _text(element, "MultipleInstances") == "Multiple",
        MappingProxyType(resources),
    )


def _resource(item: ElementTree.Element, where: str) -> ResourceDefinition:
    number = _number(item.get("ID"), "ID of a resource", where)
    kind = _text(item, "Type").lower()
    operations = _text(item, "Operations")
    if kind not in _TYPES:
        raise CodecError(f"resource {number} has an unknown type", where=where, found=kind)
    if set(operations) - set("RWE"):
        raise CodecError(f"resource {number} has unknown operations", where=where, found=operations)
    return ResourceDefinition(
        number,
        _text(item, "Name"),
        Operations.parse(operations),
        _TYPES[kind],
        multiple=_text(item, "MultipleInstances") == "Multiple",
        mandatory=_text(item, "Mandatory") == "Mandatory",
    )


def _text(element: ElementTree.Element, name: str) -> str:
    return (element.findtext(name) or "").strip()


def _number(text: str | None, name: str, where: str) -> int:
    text = (text or "").strip()
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and int(text) <= _MAX_ID):
        raise CodecError(f"{name} is no number from 0 to {_MAX_ID}", where=where, found=repr(text)[:40])
    return int(text)
