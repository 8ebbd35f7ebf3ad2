"""Whatever is in a board file: it loads, or it is a BoardError."""

# ruff: noqa: E501 - the odd values are one list

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import BoardError
from harness.boards import Board

from ._edit import GOOD, Edited

PIECES = re.findall(r"[A-Za-z0-9_.]+|\s+|[^\w\s]", GOOD)
SCALARS = st.sampled_from(
    ["", "0", "-1", "1e9", ".inf", ".nan", "~", "true", "no", "0x", "0o17", "010", "1_000", "1:30", "2024-01-01", "=", "<<", "&a x", "*a",
     "!!binary aGk=", "!!python/object:os.system x", "!x y", "'", '"', "[]", "{}", "[[]]", "{a: b}", "|", ">", "-", "?", ": ", "#", "%", "@",
     "99999999999999999999999", "9" * 5000, "0x" + "f" * 100, "app_primary", "scratch", "\x7f", "\u2028", "\U0001f600", "../../etc/passwd",
     '"\\0"', '"\\ud800"', '"\\x00.hex"', "a" * 300]
)  # fmt: skip


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Edited:
    return Edited(tmp_path_factory.mktemp("board"))


def loads_or_is_refused(edited: Edited, data: bytes) -> None:
    edited.file.write_bytes(data)
    try:
        board = Board.load(edited.file)
    except BoardError as error:
        message = str(error)
    else:
        message = str(edited.file)
        for component in board.components:
            assert board.max_image_size(component) > 0
    assert str(edited.file) in message


@settings(max_examples=250)
@given(st.data())
def test_values_replaced(edited: Edited, data: st.DataObject) -> None:
    pieces = list(PIECES)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(pieces) - 1))
        pieces[at] = data.draw(SCALARS | st.sampled_from(PIECES))
    loads_or_is_refused(edited, "".join(pieces).encode("utf-8", "surrogatepass"))


@settings(max_examples=150)
@given(st.data())
def test_lines_moved_removed_and_doubled(edited: Edited, data: st.DataObject) -> None:
    lines = GOOD.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["drop", "double", "indent", "move", "cut"])):
            case "drop":
                del lines[at]
            case "double":
                lines.insert(at, lines[at])
            case "indent":
                lines[at] = data.draw(st.sampled_from(["  ", "- ", "\t", " "])) + lines[at]
            case "move":
                lines.insert(data.draw(st.integers(0, len(lines) - 1)), lines.pop(at))
            case _:
                lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
        if not lines:
            break
    loads_or_is_refused(edited, "".join(lines).encode())


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes(edited: Edited, data: bytes) -> None:
    loads_or_is_refused(edited, data)


@settings(max_examples=150)
@given(st.data())
def test_sizes_and_places(edited: Edited, data: st.DataObject) -> None:
    """Numbers that are well formed but may mean anything."""
    text = GOOD
    for old in (
        "offset: 0x4000",
        "offset: 0xc000",
        "size: 4096",
        "size: 0x20000",
        "sector_size: 1KiB",
        "max_sectors: 64",
        "size: 16K",
    ):
        if data.draw(st.booleans()):
            name = old.split(":")[0]
            value = data.draw(
                st.sampled_from([0, 1, 256, 1024, 4096, 0x8000, 0x20000, 1 << 32, (1 << 32) + 1])
            )
            text = text.replace(old, f"{name}: {value}", 1)
    modes = ["scratch", "move", "offset", "overwrite-only", "direct-xip", "ram-load", "single"]
    text = text.replace("swap_mode: scratch", f"swap_mode: {data.draw(st.sampled_from(modes))}")
    write, most = data.draw(st.sampled_from([1, 8, 32])), data.draw(st.sampled_from([8, 16, 32]))
    text = text.replace("write_alignment: 4", f"write_alignment: {write}").replace(
        "max_alignment: 8", f"max_alignment: {most}"
    )
    loads_or_is_refused(edited, text.encode())
