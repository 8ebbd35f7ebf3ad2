"""Boards that come with the harness."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import harness
from harness._errors import BoardError

from ._board import Board
from ._problems import nearest
from ._variant import split_variant

_SUFFIXES: Final = (".yaml", ".yml")


def boards_folder() -> Path:
    """The folder of the shipped board files: beside the package in a checkout, inside it when installed."""
    package = Path(harness.__file__).parent
    checkout = package.parent / "boards"
    return (
        checkout
        if (package.parent / "pyproject.toml").is_file() and checkout.is_dir()
        else package / "_data" / "boards"
    )


def shipped_boards() -> dict[str, Path]:
    """Board files that come with the harness, by name, sorted."""
    return {file.stem: file for file in sorted(boards_folder().glob("*.yaml"))}


def find_board(name: str | Path) -> Board:
    """A board by the name of a shipped one, or by the path of its file.

    Anything that has a folder in it or ends in ``.yaml`` is a path. Fields may be changed
    behind it: ``nrf52840dk:swap_mode=move``.

    Raises:
        BoardError: no such board, or its file is refused.
    """
    name, changes = split_variant(str(name))
    path = Path(name)
    if path.suffix.lower() in _SUFFIXES or len(path.parts) > 1:
        return Board.load(path, changes)
    known = shipped_boards()
    if name in known:
        return Board.load(known[name], changes)
    raise BoardError(
        f"no board {name!r}",
        expected=", ".join(known) or "none is shipped",
        remedy=nearest(name, known) or "name a shipped board, or the path of a board file",
    )
