"""One thing wrong with a board file, and how pydantic's findings become such things."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ._model import BoardFile
from ._yaml import Document, Path

_SHOWN: Final = 60
_TYPES: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_BOUNDS: Final = {
    "greater_than_equal": ("too small", "at least {ge}"),
    "less_than_equal": ("too large", "at most {le}"),
    "string_too_short": ("empty", "some text"),
    "string_too_long": ("too long", "at most {max_length} characters"),
    "too_short": ("too few", "at least {min_length}"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Where and what; ``found``, ``expected`` and ``remedy`` are empty if there is nothing to say."""

    file: str
    line: int
    field: str
    """For example ``flash.partitions.scratch.size``; list positions count from 0 in brackets."""
    what: str
    found: str = ""
    expected: str = ""
    remedy: str = ""
    note: bool = False
    """Worth knowing, but nothing is wrong."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " + (f"{self.field}: " if self.field else "")
        lines = [place + ("note: " if self.note else "") + self.what]
        lines += [
            f"  {label}: {text}"
            for label, text in (("found", self.found), ("expected", self.expected), ("to do", self.remedy))
            if text
        ]
        return "\n".join(lines)


def field_name(path: Path) -> str:
    """``components[1].primary``."""
    name = ""
    for key in path:
        name += f"[{key}]" if isinstance(key, int) else f".{key}" if name else key
    return name


def shown(value: object) -> str:
    """A value as it may stand in a message: short, and without the insides of lists and mappings."""
    if isinstance(value, dict):
        return f"a mapping of {len(value)}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 2]}.."


def nearest(word: object, known: Iterable[str]) -> str:
    """``did you mean X?`` for a near miss, else an empty text."""
    close = difflib.get_close_matches(str(word)[:_SHOWN], list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else ""


def from_validation(
    error: ValidationError, document: Document, file: str, model: type[BaseModel] = BoardFile
) -> Iterator[Problem]:
    """Pydantic's findings with lines and hints."""
    for details in error.errors(include_url=False):
        path = tuple(key for key in details["loc"] if key != "[key]")
        what, expected, remedy = _words(details, path, model)
        missing = details["type"] == "missing"
        yield Problem(
            file,
            document.line(path),
            field_name(path),
            what,
            found="" if missing else shown(path[-1] if _about_key(details) else details["input"]),
            expected=expected,
            remedy=remedy,
        )


def _about_key(details: ErrorDetails) -> bool:
    return details["type"] == "extra_forbidden" or "[key]" in details["loc"]


def _words(details: ErrorDetails, path: Path, model: type[BaseModel]) -> tuple[str, str, str]:
    """What, expected and remedy."""
    kind, context = details["type"], details.get("ctx", {})
    if kind == "missing":
        return "missing", "", f"add {path[-1]}"
    if kind == "extra_forbidden":
        known = _fields_at(path[:-1], model)
        hint = nearest(path[-1], known)
        return "unknown key", ", ".join(known), hint or "remove it"
    if kind in ("enum", "literal_error"):
        choices = _choices(_annotation_at(path, model)) or [str(context.get("expected", ""))]
        return "not one of the choices", ", ".join(choices), nearest(details["input"], choices)
    if kind == "string_pattern_mismatch":
        return "not a name", "up to 64 letters, digits, '_', '-' and '.'", "rename it"
    if kind in _TYPES:
        return "wrong kind of value", _TYPES[kind], ""
    if kind in _BOUNDS:
        what, expected = _BOUNDS[kind]
        return what, expected.format(**context), ""
    return details["msg"], str(context.get("expected", "")), ""


def _fields_at(path: Path, top: type[BaseModel]) -> list[str]:
    model = _annotation_at(path, top)
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _annotation_at(path: Path, model: type[BaseModel]) -> Any:
    """The annotated type that a path leads to, optional and list parts taken off."""
    here: Any = model
    for key in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            info = here.model_fields.get(str(key))
            here = info.annotation if info else None
        elif get_origin(here) in (dict, list):
            here = get_args(here)[-1]
        here = _bare(here)
    return here


def _bare(annotation: Any) -> Any:
    """Without ``Annotated`` and without ``| None``."""
    while True:
        arguments = get_args(annotation)
        if hasattr(annotation, "__metadata__"):
            annotation = arguments[0]
        elif type(None) in arguments and len(arguments) == 2:
            annotation = next(argument for argument in arguments if argument is not type(None))
        else:
            return annotation


def _choices(annotation: Any) -> list[str]:
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return [str(member.value) for member in annotation]
    return [str(choice) for choice in get_args(annotation)]
