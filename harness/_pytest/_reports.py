"""What reports say about devices: console transcripts, JUnit properties, differences between slots."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from .._errors import BenchError, HarnessError
from ..boards import Board
from ..mcuboot import FlashReport, diff_reports
from ..updates import ImageFactory
from ._fixtures import DEVICE_KEY
from ._settings import KEY

__all__: list[str] = []

_STARTED = pytest.StashKey[float]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Remember when a test began, so that its transcript starts at 0."""
    item.stash[_STARTED] = time.monotonic()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the console's transcript, and this package's own errors apart from their traceback."""
    report = yield
    device = item.stash.get(DEVICE_KEY, None)
    if report.failed and device is not None and "console" in device.capabilities:
        transcript = device.console.transcript(item.stash[_STARTED])
        report.sections.append(("device console (seconds since the test began)", transcript or "nothing"))
    error = call.excinfo.value if call.excinfo is not None else None
    if report.failed and isinstance(error, HarnessError):
        kind = "the bench is broken" if isinstance(error, BenchError) else type(error).__name__
        report.sections.append((kind, str(error)))
    return report


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Show what differs between two flash reports."""
    if op == "==" and isinstance(left, FlashReport) and isinstance(right, FlashReport):
        return ["the slots differ:", *str(diff_reports(right, left)).splitlines()]
    return None


@pytest.fixture(scope="session", autouse=True)
def _hil_properties(request: pytest.FixtureRequest, record_testsuite_property: Any) -> None:
    """What a reader of the JUnit file needs to know of the boards."""
    settings = request.config.stash[KEY]
    for board in settings.boards:
        for name, value in _properties(board, ImageFactory(board, options=settings.build_options)).items():
            record_testsuite_property(f"hil.{board.name}.{name}", value)
    record_testsuite_property("hil.backend", settings.device.backend)
    if settings.device.probe:
        record_testsuite_property("hil.probe", settings.device.probe)


def _properties(board: Board, images: ImageFactory) -> dict[str, str]:
    digest = hashlib.sha256()
    for address, data in sorted(images.bootloader().items()):
        digest.update(address.to_bytes(4, "little") + data)
    return {
        "file": str(board.file),
        "soc": board.soc,
        "swap_mode": str(board.mcuboot.swap_mode),
        "bootloader": board.mcuboot.bootloader,
        "bootloader_sha256": digest.hexdigest(),
        "key": str(board.public_key),
    }


@pytest.fixture(autouse=True)
def _hil_test_properties(request: pytest.FixtureRequest, record_property: Any) -> Iterator[None]:
    """Probe and installed images of each test that used a device."""
    yield
    device = request.node.stash.get(DEVICE_KEY, None)
    if device is None:
        return
    record_property("hil.board", device.board.name)
    record_property("hil.probe", device.debug.unique_id)
    rig = request.node.funcargs.get("hil_rig")
    for image in rig.installed.values() if rig is not None else ():
        record_property(f"hil.image.{image.component}", f"{image.version} sha256 {image.digest}")
