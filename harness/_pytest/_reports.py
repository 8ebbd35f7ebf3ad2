"""What reports say about devices: console transcripts, slots, JUnit properties, differences between slots."""

from __future__ import annotations

import inspect
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any, Final

import pluggy
import pytest

import harness

from .._errors import BenchError, HarnessError, VerdictError
from ..boards import Board
from ..devices import Device
from ..mcuboot import FlashReport, diff_reports
from ..pytest_plugin import FIXTURES
from ..updates import ImageFactory, UpdateRig, describe
from ._fixtures import ATTENDANCE_KEY, DEVICE_KEY
from ._settings import KEY
from ._twister import add_properties

__all__: list[str] = []

_STARTED = pytest.StashKey[float]()
_PACKAGE: Final = Path(harness.__file__).parent
_SUITE: Final = _PACKAGE / "suite"
_HOOKS: Final = _PACKAGE / "_pytest"
_RUNNERS: Final = tuple(Path(inspect.getfile(module)).parent for module in (pluggy, pytest.Item))


def pytest_report_header(config: pytest.Config) -> str:
    """Boards and what they run on."""
    settings = config.stash[KEY]
    names = ", ".join(board.name for board in settings.boards)
    return f"boards under test: {names} ({settings.device.backend})"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Remember when a test began, so that its transcript starts at 0."""
    item.stash[_STARTED] = time.monotonic()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the device's side of a failure, and what the JUnit file has to know of a test."""
    error = call.excinfo.value if call.excinfo is not None else None
    attendance = item.config.stash.get(ATTENDANCE_KEY, None)
    if isinstance(error, BenchError) and attendance is not None:
        attendance.errors.append(error)
    if call.excinfo is not None and isinstance(error, HarnessError | VerdictError):
        _shorten(call.excinfo, item)
    if call.when == "teardown":
        add_properties(item, _properties(item))
    report = yield
    if report.failed:
        report.sections.extend(_sections(item, error))
    return report


def _shorten(excinfo: pytest.ExceptionInfo[BaseException], item: pytest.Item) -> None:
    """Leave out our own frames: the message says it all. One stays if no code of the test is above."""
    if item.config.getoption("fulltrace"):
        return
    frames = [(Path(level.f_code.co_filename), level, line) for level, line in walk_tb(excinfo.tb)]
    frames = [frame for frame in frames if frame[0].parent != _HOOKS or frame[1].f_code.co_name in FIXTURES]
    runner = max((at for at, (path, *_) in enumerate(frames) if _below(path, *_RUNNERS)), default=-1)
    ours = (at for at, (path, *_) in enumerate(frames) if _below(path, _PACKAGE) and not _below(path, _SUITE))
    first = next((at for at in ours if at > runner), None)
    if first is None:
        return
    shorter = None  # from the last kept frame to the first, as they are linked
    for _, level, line in reversed(frames[: max(first, runner + 2)]):
        shorter = TracebackType(shorter, level, level.f_lasti, line)
    assert shorter is not None
    excinfo.traceback = type(excinfo.traceback)(shorter)


def _below(path: Path, *folders: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _sections(item: pytest.Item, error: BaseException | None) -> Iterator[tuple[str, str]]:
    if isinstance(error, HarnessError):
        yield "the bench is broken" if isinstance(error, BenchError) else type(error).__name__, str(error)
    device = item.stash.get(DEVICE_KEY, None)
    if device is None:
        return
    if not isinstance(error, BenchError | VerdictError):  # a verdict's message shows the slots already
        yield "slots at the end of the test", _slots(device)
    if "console" in device.capabilities:
        transcript = device.console.transcript(item.stash[_STARTED])
        yield "device console (seconds since the test began)", transcript or "nothing"


def _slots(device: Device) -> str:
    try:
        return str(device.report())
    except HarnessError as error:
        return f"cannot be read: {error}"


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Show what differs between two flash reports."""
    if op == "==" and isinstance(left, FlashReport) and isinstance(right, FlashReport):
        return ["the slots differ:", *str(diff_reports(right, left)).splitlines()]
    return None


def _properties(item: pytest.Item) -> Iterator[tuple[str, str]]:
    """Board, boot loader, probe and images of a test.

    They belong to the test and not to the run: a run may have several boards, and workers of
    pytest-xdist hand over properties of tests only.
    """
    callspec = getattr(item, "callspec", None)
    board = callspec.params.get("hil_board") if callspec is not None else None
    if not isinstance(board, Board):
        return
    used: dict[str, object] = getattr(item, "funcargs", None) or {}
    yield "hil.board", board.name
    yield "hil.board_file", str(board.file)
    yield "hil.backend", item.config.stash[KEY].device.backend
    yield "hil.swap_mode", str(board.mcuboot.swap_mode)
    yield "hil.key", str(board.public_key)
    device, images, rig = (used.get(name) for name in ("hil_session_device", "hil_images", "hil_rig"))
    if isinstance(device, Device):
        attendance = item.config.stash.get(ATTENDANCE_KEY, None)
        yield "hil.probe", attendance.key if attendance is not None else device.debug.unique_id
    if isinstance(images, ImageFactory) and images.bootloader_digest is not None:
        yield "hil.bootloader", board.mcuboot.bootloader
        yield "hil.bootloader_sha256", images.bootloader_digest
    if isinstance(rig, UpdateRig):
        for kind, of in (("image", rig.installed), ("update", rig.offered)):
            for component, image in of.items():
                facts = describe(image)
                yield f"hil.{kind}.{component}.version", facts["version"]
                yield f"hil.{kind}.{component}.sha256", facts["sha256"]
