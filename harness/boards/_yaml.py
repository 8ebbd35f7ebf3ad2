"""YAML text to plain values, with the line of everything.

Only what a board file needs: mappings with text keys, lists, text, numbers, true and
false. YAML's surprises stay text (``no``, ``010``, ``1:30``, dates), so that the field that
gets them can say what it wants instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import yaml

Key: TypeAlias = str | int
Path: TypeAlias = tuple[Key, ...]
"""Keys and list positions from the top of the file."""
Value: TypeAlias = "dict[str, Value] | list[Value] | str | int | float | bool | None"

_TAG: Final = "tag:yaml.org,2002:"
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|0b[01_]+)")
_DEEPEST: Final = 32
_MOST_VALUES: Final = 20_000
_MOST_DIGITS: Final = 40


class YamlError(Exception):
    """The text is no YAML; ``line`` counts from 1."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.what = what
        self.line = line


@dataclass(slots=True)
class Document:
    """Values, lines and what was wrong with the YAML itself."""

    value: Value = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[tuple[Path, int, str, str]] = field(default_factory=list)
    """Path, line, what is wrong and what was found."""

    def line(self, path: Sequence[Key]) -> int:
        """Line of a field; of what encloses it if there is no such field."""
        for length in range(len(path), -1, -1):
            line = self.lines.get(tuple(path[:length]))
            if line is not None:
                return line
        return 1

    def get(self, path: Sequence[Key]) -> Value:
        """The value at a path, or ``None``."""
        value = self.value
        for key in path:
            if isinstance(value, dict) and isinstance(key, str):
                value = value.get(key)
            elif isinstance(value, list) and isinstance(key, int) and key < len(value):
                value = value[key]
            else:
                return None
        return value


def read_yaml(text: str) -> Document:
    """Parse one document.

    Raises:
        YamlError: the text is no YAML, or is built to exhaust its reader.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
        document = Document(lines={(): 1})
        if node is not None:
            document.lines[()] = node.start_mark.line + 1
            document.value = _Builder(document).build(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(error.problem or error.context or "not YAML", mark.line + 1 if mark else 1) from error
    except yaml.YAMLError as error:
        raise YamlError(str(error).splitlines()[0], 1) from error
    except ValueError as error:  # PyYAML passes on what int() and chr() say about escapes and versions
        raise YamlError(f"not YAML: {error}", 1) from error
    return document


class _Loader(yaml.SafeLoader):
    """Refuses deep nesting before it costs time or the stack."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.depth >= _DEEPEST:
            raise YamlError("nested too deeply", self.line + 1)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


class _Builder:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.left = _MOST_VALUES
        self.open: set[int] = set()

    def build(self, node: yaml.Node, path: Path) -> Value:
        self.left -= 1
        if self.left < 0:
            raise YamlError(f"more than {_MOST_VALUES} values", node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self.open:
            raise YamlError("an alias contains itself", node.start_mark.line + 1)
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            return self._sequence(node, path)
        finally:
            self.open.discard(id(node))

    def _problem(self, node: yaml.Node, path: Path, what: str, found: str) -> None:
        self.document.problems.append((path, node.start_mark.line + 1, what, found))

    def _mapping(self, node: yaml.MappingNode, path: Path) -> Value:
        if node.tag != _TAG + "map":
            self._problem(node, path, "YAML tags are not used here", node.tag)
        values: dict[str, Value] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or not key_node.value:
                self._problem(key_node, path, "keys are text", "a list, a mapping or nothing")
                continue
            key = key_node.value
            here = (*path, key)
            line = key_node.start_mark.line + 1
            if key in values:
                what = f"key given twice, first in line {self.document.lines[here]}"
                self._problem(key_node, here, what, key)
                continue
            self.document.lines[here] = line
            values[key] = self.build(value_node, here)
        return values

    def _sequence(self, node: yaml.Node, path: Path) -> Value:
        if node.tag != _TAG + "seq":
            self._problem(node, path, "YAML tags are not used here", node.tag)
        values: list[Value] = []
        for index, item in enumerate(node.value):
            here = (*path, index)
            self.document.lines[here] = item.start_mark.line + 1
            values.append(self.build(item, here))
        return values

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Value:
        text: str = node.value
        kind = node.tag.removeprefix(_TAG)
        if kind == node.tag:
            self._problem(node, path, "YAML tags are not used here", node.tag)
        elif kind == "null":
            return None
        elif kind == "bool" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        elif kind == "int" and len(text) <= _MOST_DIGITS and _INTEGER.fullmatch(text):
            return int(text.replace("_", ""), 0)
        elif kind == "float":
            try:
                return float(text)
            except ValueError:
                return text
        return text
