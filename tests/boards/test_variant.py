"""Variants: a board file with fields changed from outside."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import BoardError
from harness.boards import boards_folder, find_board
from harness.mcuboot import SwapMode


def test_mode_is_changed_and_named():
    board = find_board("nrf52840dk:swap_mode=move")
    assert (board.name, board.mcuboot.swap_mode) == ("nrf52840dk-move", SwapMode.MOVE)
    assert board.boot_settings().scratch is None


def test_several_fields_of_any_section():
    board = find_board(
        "nrf52840dk:downgrade_prevention=version,flash.write_alignment=8,rollback_protection=true"
    )
    assert board.flash.write_alignment == 8
    assert board.mcuboot.rollback_protection
    assert (
        board.name
        == "nrf52840dk-downgrade_prevention-version-write_alignment-8-rollback_protection-true"[:64]
    )


def test_path_of_a_board_file_may_be_changed():
    assert find_board(f"{boards_folder() / 'nrf52840dk.yaml'}:max_sectors=256").mcuboot.max_sectors == 256


def test_sizes_are_read_as_in_a_board_file():
    assert find_board("nrf52840dk:header_size=1KiB").mcuboot.header_size == 1024


def test_the_shipped_board_is_not_touched():
    find_board("nrf52840dk:swap_mode=move")
    assert find_board("nrf52840dk").mcuboot.swap_mode is SwapMode.SCRATCH


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "nrf52840dk:swap_mode=mov",
            r"nrf52840dk.yaml:\d+: mcuboot.swap_mode: .*\n.*'mov'",
        ),
        ("nrf52840dk:swapmode=move", "did you mean swap_mode"),
        ("nrf52840dk:max_sectors=8", "at least 64"),
        ("nrf52840dk:swap_mode=move,", "no change of a field: ''"),
        ("nrf52840dk:swap_mode=[", "cannot be read"),
        ("nrf52840dk:debug.target.core=1", "it is in no section"),
        ("nrf52840d:swap_mode=move", "did you mean nrf52840dk"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str):
    with pytest.raises(BoardError, match=message):
        find_board(text)


def test_a_colon_in_a_path_is_no_change():
    with pytest.raises(BoardError, match="cannot be read"):
        find_board(str(Path("C:") / "boards" / "mine.yaml"))


@given(st.text(max_size=40))
def test_no_text_gives_anything_but_a_board_or_an_error(text: str):
    try:
        found = find_board(f"nrf52840dk:swap_mode={text}")
    except BoardError:
        return
    assert found.mcuboot.swap_mode in SwapMode
