"""Boards for tests of what people touch: the shipped one and variants of it, and a clean environment."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from harness.boards import find_board

BOARD = "nrf52840dk"


def clean_environment(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """No settings of whoever runs these tests, and a registry of emulated boards in this folder."""
    for name in [name for name in os.environ if name.startswith(("HIL_", "PYTEST_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HARNESS_STATE_DIR", str(folder / "state"))


def board_file(folder: Path, name: str = "mine", *, bootloader: str = "reference", **sections: str) -> Path:
    """The nRF52840 DK under another name; ``sections`` are top-level keys as YAML text, empty to drop one."""
    shipped = find_board(BOARD).file
    text = shipped.read_text(encoding="utf-8").replace("keys/", f"{shipped.parent.as_posix()}/keys/")
    text = text.replace("bootloader: reference", f"bootloader: {bootloader}")
    for key, value in ({"name": name} | sections).items():
        section = f"{key}: {value}\n" if value else ""
        text, count = re.subn(rf"^{key}:.*\n(?:[ #-].*\n)*", section, text, flags=re.MULTILINE)
        assert count == 1, f"{key!r} is there {count} times"
    file = folder / f"{name}.yaml"
    file.write_text(text, encoding="utf-8")
    return file
