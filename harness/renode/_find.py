"""Finds Renode on this machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from .._errors import EmulatorError

__all__ = ["OLDEST", "SETTING", "RenodeMissingError", "find_renode"]

SETTING: Final = "HARNESS_RENODE"
#: the oldest version that was run
OLDEST: Final = (1, 15)


class RenodeMissingError(EmulatorError):
    """There is no Renode where it was looked for."""


def find_renode() -> Path:
    """The program that ``HARNESS_RENODE`` names, or `renode` on PATH. Raises `RenodeMissingError`."""
    named = os.environ.get(SETTING)
    found = shutil.which(named or "renode")
    if found is None:
        raise RenodeMissingError(
            "Renode is not installed" if named is None else "there is no Renode",
            where="PATH" if named is None else f"{SETTING}={named}",
            expected="the program 'renode', version {}.{} or later".format(*OLDEST),
            remedy=f"install it from https://renode.io and put it on PATH, or name it in {SETTING}",
        )
    return Path(found)
