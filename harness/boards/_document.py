"""A YAML file from disk, and any model filled from one: lines and words of problems are the same for all."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from ._problems import Problem, field_name, from_validation, shown
from ._yaml import Document, Value, YamlError, read_yaml

__all__ = ["Checked", "read_checked", "read_document", "structure_problems"]

_LARGEST: Final = 1 << 20
ModelT = TypeVar("ModelT", bound=BaseModel)


def read_document(file: Path, problems: list[Problem]) -> Document | None:
    """The YAML in a file; ``None`` after having added to ``problems`` why not."""
    try:
        with file.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        problems.append(Problem(str(file), 1, "", f"cannot be read: {reason}"))
        return None
    if len(data) > _LARGEST:
        problems.append(Problem(str(file), 1, "", "larger than any such file", f"over {_LARGEST} bytes"))
        return None
    try:
        return read_yaml(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        problems.append(Problem(str(file), line, "", "not UTF-8 text", f"byte {data[error.start]:#04x}"))
    except YamlError as error:
        problems.append(Problem(str(file), error.line, "", f"not YAML: {error.what}"))
    return None


def structure_problems(document: Document, file: str) -> list[Problem]:
    """What the YAML itself has against it."""
    return [
        Problem(
            file,
            line,
            field_name(path),
            what,
            shown(found),
            remedy="remove one of them" if "twice" in what else "",
        )
        for path, line, what, found in document.problems
    ]


@dataclass(slots=True)
class Checked(Generic[ModelT]):
    """A file and what a model made of it; ``content`` is ``None`` if there are problems."""

    file: Path
    content: ModelT | None = None
    value: Value = None
    problems: list[Problem] = field(default_factory=list)
    document: Document | None = None

    def problem(self, path: tuple[str | int, ...], what: str, **parts: Any) -> Problem:
        """One more problem, at a field."""
        line = self.document.line(path) if self.document else 1
        return Problem(str(self.file), line, field_name(path), what, **parts)


def read_checked(file: Path, model: type[ModelT], *, items: str | None = None) -> Checked[ModelT]:
    """Fill a model from a YAML file. With ``items`` a list at the top becomes the field of that name."""
    checked: Checked[ModelT] = Checked(file)
    document = checked.document = read_document(file, checked.problems)
    if document is None:
        return checked
    checked.problems += structure_problems(document, str(file))
    value = document.value
    if items is not None and isinstance(value, list):
        value = document.value = {items: value}
        document.lines = {(items, *path): line for path, line in document.lines.items()} | {(): 1}
    checked.value = value
    if not isinstance(value, dict):
        checked.problems.append(checked.problem((), "not a mapping", found=shown(value)))
        return checked
    try:
        content = model.model_validate(value)
    except ValidationError as error:
        checked.problems += from_validation(error, document, str(file), model)
    else:
        checked.content = None if checked.problems else content
    return checked
