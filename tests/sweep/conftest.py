"""A folder for the boards of these tests, which pytest clears away."""

from __future__ import annotations

import pytest

from . import boards


@pytest.fixture(scope="session", autouse=True)
def _board_files(tmp_path_factory: pytest.TempPathFactory) -> None:
    boards.place.append(tmp_path_factory.mktemp("boards"))
