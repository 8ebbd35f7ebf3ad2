"""The suite passes on the sound firmware, and skips only what the board lacks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import harness.suite
from harness.boards import find_board

from .verify import verify

BOARD = "nrf52840dk"
#: what that board has none of
OTHER_BOARDS = {
    "test_in_place": ["swap_mode=direct-xip", "swap_mode=direct-xip-revert"],
    "test_downgrade": [
        "downgrade_prevention=security_counter",
        "rollback_protection=true",
    ],
    "test_recovery": ["serial_recovery=true"],
}
#: what runs for each component runs for the smaller one only; `harness verify` runs it all
ONE_COMPONENT = "not dk-app and not revert-app and not xip-app"
FOLDER = Path(harness.suite.__file__).parent
FILES = sorted(FOLDER.glob("test_*.py"))


CASES = [(file, option) for file in FILES for option in OTHER_BOARDS.get(file.stem, [""])]


@pytest.mark.parametrize(("file", "option"), CASES, ids=[f"{file.stem} {option}" for file, option in CASES])
def test_holds_on_the_emulated_board(file: Path, option: str) -> None:
    board = f"{BOARD}:{option}" if option else BOARD
    others = [f"--ignore={other}" for other in FILES if other != file]
    code, printed = verify(board, "-rs", "-W", "error", "-k", ONE_COMPONENT, *others)
    assert code == 0, printed
    assert " passed" in printed
    missing = set(re.findall(r"board \S+ has no (\S+)", printed))
    assert not missing & find_board(board).capabilities


def test_holds_over_smp() -> None:
    """Updates that travel over SMP; what only LwM2M has is skipped by name."""
    code, printed = verify(
        BOARD, "--protocol", "smp", "-rs", "-k", "updated_together or (tested_and and model)"
    )
    assert code == 0, printed
    assert " passed" in printed
    assert set(re.findall(r"board nrf52840dk over smp has no (\S+)", printed)) == {"lwm2m"}
