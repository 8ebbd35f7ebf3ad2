"""Boards in a real Renode. Without one, tests of them are skipped for that reason alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.boards import find_board
from harness.devices import Device, DeviceSettings, open_device
from harness.renode import RenodeMissingError, find_renode


@pytest.fixture(scope="session")
def renode() -> None:
    """Skips where there is no Renode."""
    try:
        find_renode()
    except RenodeMissingError as error:
        pytest.skip(f"{error.what} ({error.where})")


@pytest.fixture(scope="session", params=["nrf52840dk", "disco_l475_iot1"])
def device(request: pytest.FixtureRequest, renode: None) -> Iterator[Device]:
    """A board in Renode, as the suite opens it."""
    with open_device(find_board(request.param), DeviceSettings(backend="renode")) as opened:
        yield opened
