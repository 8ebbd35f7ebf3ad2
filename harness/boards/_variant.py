"""Variants of a board: the same board file with single fields changed, named behind the board's name.

``nrf52840dk:swap_mode=move,flash.write_alignment=8`` - fields are those of section
`mcuboot` unless a dotted name says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

import yaml

from harness._errors import BoardError

from ._yaml import Document, Value, YamlError, read_yaml

__all__ = ["Changes", "apply", "read_change", "split_variant", "variant_name"]

Changes = Mapping[tuple[str, ...], Value]
"""New values by the path of their field."""

_SPEC: Final = re.compile(r"(?P<board>.+?):(?P<changes>[a-z_][a-z_.]*=.*)", re.DOTALL)
_SECTION: Final = "mcuboot"


def split_variant(text: str) -> tuple[str, Changes]:
    """The board's name or path, and the changes behind it; a Windows path may hold a colon of its own.

    Raises:
        BoardError: a change is not FIELD=VALUE.
    """
    match = _SPEC.fullmatch(text)
    if match is None:
        return text, {}
    example = "BOARD:FIELD=VALUE,FIELD=VALUE, for example nrf52840dk:swap_mode=move"
    changes = (read_change(change, text, example) for change in match["changes"].split(","))
    return match["board"], dict(changes)


def read_change(
    change: str, where: str, example: str, top: Collection[str] = ()
) -> tuple[tuple[str, ...], Value]:
    """``FIELD=VALUE`` as path and value; a word that is not in ``top`` is a field of section `mcuboot`.

    Raises:
        BoardError: it is not of that form.
    """
    name, equals, value = change.partition("=")
    path = tuple(name.strip().split("."))
    if not equals or not all(path):
        raise BoardError(f"no change of a field: {change!r}", where=where, expected=example)
    return (path if len(path) > 1 or name.strip() in top else (_SECTION, *path)), _value(value, where)


def _value(text: str, where: str) -> Value:
    try:
        return read_yaml(text).value
    except (YamlError, yaml.YAMLError) as error:
        raise BoardError("the new value of a field cannot be read", where=where, found=repr(text)) from error


def variant_name(name: str, changes: Changes) -> str:
    """What a variant is called: ``nrf52840dk-move``; a field that is no word is named along."""
    parts = []
    for path, value in changes.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        parts.append(text if path[-1] == "swap_mode" else f"{path[-1]}-{text}")
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", "-".join([name, *parts]))[:64]


def apply(changes: Changes, document: Document) -> None:
    """Change fields of a board file's content; sections that are not there are made."""
    for path, value in changes.items():
        place = document.value
        for depth, key in enumerate(path):
            if not isinstance(place, dict):
                what = "cannot be changed, it is in no section"
                document.problems.append((path[:depth], document.line(path), what, ".".join(path)))
                break
            if depth == len(path) - 1:
                place[key] = value
            else:
                place = place.setdefault(key, {})
    if changes and isinstance(document.value, dict) and isinstance(document.value.get("name"), str):
        document.value["name"] = variant_name(str(document.value["name"]), changes)
