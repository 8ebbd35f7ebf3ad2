"""What Zephyr's twister says of the device of a run: options of its own pytest plugin, `twister_harness`."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from .._errors import BoardError
from ..bench import map_probe
from ..boards import Board, find_board

__all__ = ["BOARD", "Beside", "Twister", "add_properties", "read"]

#: the board of the folder that twister has built
BOARD: Final = "twister"
_FILE: Final = "hil_board.yaml"
#: twister's fixture below `dut`, `unlaunched_dut`, `shell` and `mcumgr`
_THEIRS: Final = "device_object"
_OURS: Final = "hil_session_device"
_log: Final = logging.getLogger("harness")


@dataclass(frozen=True, slots=True)
class Twister:
    """Build folder and device. ``probe`` and ``port`` are None on anything but hardware."""

    build: Path
    hardware: bool
    probe: str | None = None
    port: str | None = None

    def board(self) -> Board:
        """The board that the build is for, imported. Raises `pytest.UsageError`."""
        from ..boards.zephyr import import_build

        imported = import_build(self.build, self.build)
        if imported.text is None:
            listing = "\n".join(map(str, imported.problems))
            raise pytest.UsageError(
                f"--hil-board {BOARD}: the build is for no board\n{listing}\n"
                f"say what is missing: harness boards import {self.build} --set FIELD=VALUE -o FILE,"
                " and name that file as --hil-board"
            )
        file = self.build / _FILE
        try:
            whole = file.with_suffix(f".{os.getpid()}")  # workers write it, too
            whole.write_text(imported.text, encoding="utf-8")
            whole.replace(file)
            return find_board(str(file))
        except (OSError, BoardError) as error:
            raise pytest.UsageError(f"--hil-board {BOARD}: {error}") from None


def read(config: pytest.Config) -> Twister | None:
    """What twister says; None if it does not run this."""
    build = config.getoption("build_dir", None)
    if not _wanted(config) or not build:
        return None
    folder = Path(build)
    if config.getoption("device_type", None) != "hardware":
        return Twister(folder, hardware=False)
    probe = config.getoption("device_id", None)
    return Twister(
        folder,
        hardware=True,
        probe=map_probe(probe, config.getoption("runner", None)) if probe else None,
        port=config.getoption("device_serial", None) or None,
    )


class Beside:
    """Hooks of a run under twister with hardware: its fixtures and ours share one device."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """First twister's tests, each of which flashes and lets go, then ours, which keep the device."""
        items.sort(key=lambda item: _OURS in _fixtures(item))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """One owner for probe and port."""
        if {_OURS, _THEIRS} <= _fixtures(item):
            pytest.fail(
                "this test uses the same device through twister (dut, shell, mcumgr) and through the harness:"
                " use one of them, or bind dut to harness.adapters.TwisterDut(hil_device) in a conftest",
                pytrace=False,
            )


def add_properties(item: pytest.Item, properties: Iterable[tuple[str, str]]) -> None:
    """Give JUnit the properties of a test; under twister say them in its log.

    Twister takes the first element inside a ``testcase`` for the verdict, so that a test with
    properties that has passed becomes an error in its reports.
    """
    if not _wanted(item.config):
        item.user_properties.extend(properties)
        return
    for name, value in properties:
        _log.info("%s: %s = %s", item.nodeid, name, value)


def _wanted(config: pytest.Config) -> bool:
    """Whether twister runs this, and not only somebody who has its plugin installed."""
    with suppress(ValueError, KeyError):  # no such setting
        if config.getini("twister_harness"):
            return True
    return bool(config.getoption("twister_harness", False))


def _fixtures(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ()))
