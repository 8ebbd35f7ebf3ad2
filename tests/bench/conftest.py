"""Emulated boards as if they hung on this machine: reached by probe id and port alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.boards import find_board
from harness.devices import DebugPort
from harness.emulator import control
from harness.updates import ImageFactory

from .._boards import BOARD, clean_environment


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clean_environment(monkeypatch, tmp_path)


@pytest.fixture
def desk() -> Iterator[control.EmulatedBoard]:
    """An nRF52840 DK, blank."""
    with control.EmulatedBoard("nrf52840", board=BOARD, target="nrf52840", seed=0xABCDEF, speed=8) as running:
        yield running


@pytest.fixture
def talking(desk: control.EmulatedBoard) -> control.EmulatedBoard:
    """The same with the reference firmware, which prints when it starts."""
    images = ImageFactory(find_board(BOARD))
    content = images.bootloader()
    for part in images.board.components:
        content[images.board.partition(part.primary).address] = images.make(part.name, "1.0.0").data
    with DebugPort(desk.entry.uid, target="nrf52840") as debug:
        debug.program(content)
    return desk


def port_of(board: control.EmulatedBoard) -> str:
    return next(iter(board.entry.serial.values()))


def bench_file(folder: Path, board: control.EmulatedBoard, **more: str) -> Path:
    """A bench with this one device."""
    file = folder / "bench.yaml"
    lines = [
        f"name: desk\n    board: {BOARD}",
        f"probe: {board.entry.uid}",
        f"ports: {{ console: '{port_of(board)}' }}",
    ]
    lines += [f"{key}: '{value}'" for key, value in more.items()]
    file.write_text("devices:\n  - " + "\n    ".join(lines) + "\n", encoding="utf-8")
    return file
