"""Imports point down the layers of docs/design.md, and private modules stay private."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness

PACKAGE = Path(harness.__file__).parent

#: from the top down; a module may import from its own row's package and from all rows below
LAYERS = [
    {"__main__"},
    {"cli", "pytest_plugin", "_pytest", "suite", "conformance", "demo", "adapters"},
    {"sweep"},
    {"updates"},
    {"bench"},
    {"devices"},
    {"protocols"},
    {"firmware"},
    {"boards"},
    {"renode"},
    {"emulator"},
    {"mcuboot"},
    {"_deadline"},
    {"_errors"},
]
#: pairs that may not know each other although the order would allow it
STRANGERS = {
    ("emulator", "mcuboot"),
    ("protocols", "boards"),
    ("protocols", "emulator"),
    ("protocols", "mcuboot"),
}
#: heavy libraries that nothing may load when the plugin or the command line starts
LAZY = {"pyocd", "smpclient", "aiocoap", "unicorn", "rich", "serial", "ppk2_api"}


def _modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if len(parts) > 1 or parts[0] != "__init__":
            yield ".".join(parts), path


def _layer(part: str) -> int:
    return next(index for index, row in enumerate(LAYERS) if part in row)


def _imports(path: Path, name: str) -> Iterator[tuple[str, int]]:
    """Full names of what a module imports, and the lines."""
    package = ["harness", *name.split(".")][:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{target}.{alias.name}", node.lineno


def _own(imported: str) -> list[str]:
    parts = imported.split(".")
    return parts[1:] if parts[0] == "harness" else []


@pytest.mark.parametrize(("name", "path"), list(_modules()), ids=str)
def test_imports_point_down(name: str, path: Path) -> None:
    here = name.split(".", maxsplit=1)[0]
    for imported, line in _imports(path, name):
        own = _own(imported)
        if not own or own[0] not in set().union(*LAYERS) or own[0] == here:
            continue
        assert _layer(own[0]) >= _layer(here), f"{path}:{line}: {here} imports {own[0]}, which is above it"
        assert (here, own[0]) not in STRANGERS, f"{path}:{line}: {here} must not know {own[0]}"


@pytest.mark.parametrize(("name", "path"), list(_modules()), ids=str)
def test_private_modules_of_other_packages_are_left_alone(name: str, path: Path) -> None:
    here = name.split(".", maxsplit=1)[0]
    for imported, line in _imports(path, name):
        own = _own(imported)
        if len(own) > 1 and own[0] != here:
            private = [part for part in own[1:] if part.startswith("_") and not part.startswith("__")]
            assert not private, f"{path}:{line}: imports the private {imported}"


def test_every_top_level_part_has_a_layer() -> None:
    parts = {name.split(".")[0] for name, _ in _modules()} - {"__main__"}
    assert parts <= set().union(*LAYERS), "a new package needs its place in LAYERS and in docs/design.md"
