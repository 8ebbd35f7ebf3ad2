"""Fixtures for tests on devices. All names start with `hil_`, so that they meet no other plugin's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .._errors import CapabilityMissing
from ..bench import Attendance, open_on_bench
from ..boards import Board, Component, check_capability
from ..devices import Console, Device, open_device
from ..mcuboot import FlashReport
from ..protocols import BadFrameLink, Lwm2mServer, UdpBadLink
from ..protocols.smp import SmpClient
from ..renode import RenodeMissingError
from ..updates import ImageFactory, UpdateRig
from ._settings import KEY

if TYPE_CHECKING:
    from ..sweep import Results

__all__: list[str] = []

DEVICE_KEY = pytest.StashKey[Device]()
ATTENDANCE_KEY = pytest.StashKey[Attendance]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that uses a board for every board named, and for every component if it asks for one."""
    if "hil_board" not in metafunc.fixturenames:
        return
    boards = metafunc.config.stash[KEY].boards
    if "hil_component" in metafunc.fixturenames:
        # Equal components of two boards must not look alike: pytest would run them one after the other,
        # and open the boards again each time.
        pairs = [(board, (board.name, part)) for board in boards for part in board.components]
        ids = [f"{name}-{part.name}" for _, (name, part) in pairs]
        metafunc.parametrize(("hil_board", "hil_component"), pairs, ids=ids, scope="session", indirect=True)
    else:
        ids = [board.name for board in boards]
        metafunc.parametrize("hil_board", boards, ids=ids, scope="session", indirect=True)


@pytest.fixture(scope="session")
def hil_board(request: pytest.FixtureRequest) -> Board:
    """The board under test: a `harness.boards.Board`."""
    board = request.param
    assert isinstance(board, Board)
    return board


@pytest.fixture(scope="session")
def hil_component(request: pytest.FixtureRequest) -> Component:
    """A component of the board; tests that use it run for each."""
    _, component = request.param
    assert isinstance(component, Component)
    return component


@pytest.fixture(scope="session")
def hil_images(request: pytest.FixtureRequest, hil_board: Board) -> ImageFactory:
    """Makes bootloader and signed images for the board: a `harness.updates.ImageFactory`."""
    return ImageFactory(hil_board, options=request.config.stash[KEY].build_options)


@pytest.fixture(scope="session")
def hil_session_device(request: pytest.FixtureRequest, hil_board: Board) -> Iterator[Device]:
    """The device, opened once for all tests of this process; on hardware it is locked meanwhile."""
    settings = request.config.stash[KEY]
    if settings.device.backend != "hardware":
        try:
            opened = open_device(hil_board, settings.device)
        except RenodeMissingError as error:
            pytest.skip(str(error))
        with opened as device:
            yield device
        return
    with open_on_bench(settings.request(hil_board)) as (device, attendance):
        request.config.stash[ATTENDANCE_KEY] = attendance
        yield device


@pytest.fixture
def hil_device(request: pytest.FixtureRequest, hil_session_device: Device) -> Device:
    """The device under test: a `harness.devices.Device`. Its console appears in the report of a failure."""
    request.node.stash[DEVICE_KEY] = hil_session_device
    return hil_session_device


@pytest.fixture
def hil_console(hil_device: Device) -> Console:
    """The device's console: a `harness.devices.Console`; earlier text is skipped."""
    hil_device.console.skip()
    return hil_device.console


@pytest.fixture
def hil_slots(hil_device: Device) -> Callable[[], FlashReport]:
    """Reads both slots of every image and explains them: call it for a `harness.mcuboot.FlashReport`."""
    return hil_device.report


@pytest.fixture
def hil_rig(
    request: pytest.FixtureRequest, hil_device: Device, hil_images: ImageFactory
) -> Iterator[UpdateRig]:
    """Installs, boots, updates and judges the device: a `harness.updates.UpdateRig`."""
    settings = request.config.stash[KEY]
    with UpdateRig(
        hil_device,
        hil_images,
        protocol=settings.protocol,
        conditions=settings.link,
        boot_seconds=settings.boot_seconds,
    ) as rig:
        yield rig


@pytest.fixture
def hil_link(hil_rig: UpdateRig) -> BadFrameLink | UdpBadLink:
    """The link between server and device: a `harness.protocols.BadFrameLink`.

    Perfect unless --hil-link says otherwise; a test changes its ``conditions``.
    """
    return hil_rig.link


@pytest.fixture
def hil_power_cuts(request: pytest.FixtureRequest, hil_board: Board) -> Callable[..., Results]:
    """Cuts power at every flash operation of a scenario: call it with the name for `harness.sweep.Results`.

    Further arguments: ``plan`` (a `harness.sweep.Plan`), ``workers``, ``first_failure``, and the
    fields of `harness.sweep.Options`. Skips boards without an emulator model.
    """
    settings = request.config.stash[KEY]

    def cut(
        scenario: str,
        *,
        plan: Any = None,
        workers: int | None = None,
        first_failure: bool = False,
        **options: Any,
    ) -> Results:
        from ..sweep import Options, prepare, sweep

        build = {**settings.build_options, **options.pop("build", {})}
        subject = prepare(hil_board, scenario, options=Options(build=build, **options))
        if workers is None and "PYTEST_XDIST_WORKER" in os.environ:
            workers = 1  # the other cores have tests of their own
        return sweep(subject, plan, workers=workers, first_failure=first_failure)

    return cut


@pytest.fixture
def hil_lwm2m(hil_rig: UpdateRig) -> Lwm2mServer:
    """The LwM2M server on the device's serial line: a `harness.protocols.Lwm2mServer`."""
    return hil_rig.server


@pytest.fixture
def hil_smp(hil_rig: UpdateRig) -> SmpClient:
    """The SMP client, on the device's serial line or UDP: a `harness.protocols.smp.SmpClient`."""
    return hil_rig.smp


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Skip what the board cannot do, with the capability's name."""
    settings = item.config.stash[KEY]
    board = getattr(item, "callspec", None) and item.callspec.params.get("hil_board")  # type: ignore[attr-defined]
    if isinstance(board, Board):
        for mark in item.iter_markers("hil_requires"):
            for capability in mark.args:
                check_capability(capability)
                if capability not in settings.capabilities(board):
                    pytest.skip(str(CapabilityMissing(capability, board=settings.called(board))))
    try:
        return (yield)
    except CapabilityMissing as missing:
        pytest.skip(str(missing))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Iterator[None]:
    """A capability found missing in the middle of a test is a skip as well; a broken bench stays an error."""
    try:
        return (yield)
    except CapabilityMissing as missing:
        pytest.skip(str(missing))
