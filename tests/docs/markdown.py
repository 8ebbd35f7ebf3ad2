"""The documentation as data: fenced blocks, tables and links of Markdown files.

The info string of a block says what becomes of it, see `ACTIONS`; ``file=NAME`` also writes it into the
folder in which the blocks of its chapter run. `test_examples.py` carries it out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: languages of which every block is tried, and what can be done with them
ACTIONS = {
    "python": {
        "run": "a script",
        "pytest": "a test file, run with --hil-board nrf52840dk; nothing in it may fail or be skipped",
        "shown": "needs another program: compiled only",
    },
    "yaml": {
        "board": "a board file in which nothing is wrong",
        "change": "keys that replace those of the shipped board; nothing may be wrong with the outcome",
        "shown": "not ours: another program's file",
    },
    "console": {"run": "commands behind '$ ' and what they print; '...' stands for any text or any lines"},
}
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE
)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block; ``line`` is that of its first line of text."""

    path: Path
    line: int
    language: str
    action: str
    file: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def chapters() -> list[Path]:
    return sorted(DOCS.glob("*.md"))


def documents() -> list[Path]:
    """Everything that people read in the repository."""
    folders = [DOCS, ROOT / "firmware", ROOT / "boards", ROOT / "benchmarks"]
    return sorted([*ROOT.glob("*.md"), *(path for folder in folders for path in folder.rglob("*.md"))])


def blocks(path: Path) -> Iterator[Block]:
    text = path.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        words = match["info"].split()
        named = [word.removeprefix("file=") for word in words if word.startswith("file=")]
        plain = [word for word in words if not word.startswith("file=")]
        language, action = [*plain, "", ""][:2]
        line = text.count("\n", 0, match.start("body")) + 1
        yield Block(path, line, language, action, named[0] if named else "", match["body"])


def prose(path: Path) -> str:
    """The text without its blocks."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def table(path: Path, first_heading: str) -> list[list[str]]:
    """Rows of the table whose first column has this heading; cells without their outer blanks."""
    lines = iter(prose(path).splitlines())
    start = f"| {first_heading} |"
    if not any(line.startswith(start) for line in lines):
        raise AssertionError(f"{path.name} has no table that starts with {start!r}")
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
        rows.append([cell.strip().replace("\\|", "|") for cell in cells])
    return rows


def ticked(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


def links(path: Path) -> Iterator[str]:
    yield from _LINK.findall(prose(path))


def anchors(path: Path) -> set[str]:
    """Anchors of headings, as GitHub makes them."""
    headings = _HEADING.findall(prose(path))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
