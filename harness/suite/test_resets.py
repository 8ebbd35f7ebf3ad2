"""Resets of every kind between all steps of an update: none may lose, repeat or invent anything."""

from __future__ import annotations

import pytest

from ..protocols import UpdateState
from ..updates import Restart, SignedImage, UpdateRig, Verdict, upload_area
from ._checks import IDLE, expect_nothing_asked, expect_said, status
from .conftest import Images

pytestmark = pytest.mark.hil_requires("signing", "installs")

every_kind = pytest.mark.parametrize(
    "kind",
    [
        Restart.PIN,
        pytest.param(Restart.SOFT, marks=pytest.mark.hil_requires("console", "updates")),
        pytest.param(Restart.WATCHDOG, marks=pytest.mark.hil_requires("console", "updates")),
        pytest.param(Restart.POWER, marks=pytest.mark.hil_requires("power")),
    ],
    ids=str,
)


@pytest.fixture
def quiet(images: Images) -> list[SignedImage]:
    """New images of all components; the application among them confirms nothing by itself."""
    return [images.quiet(name) for name in images.old]


@pytest.mark.hil_requires("updates")
@every_kind
def test_reset_in_the_middle_of_a_download(
    rig: UpdateRig, images: Images, application: str, kind: Restart
) -> None:
    new = images.new(application)
    rig.break_off(new)
    rig.restart(kind)
    why = "what was downloaded in part before a reset is not there"
    expect_said(rig, IDLE, *images.old.values(), why=why)
    expect_nothing_asked(rig, why=why)
    rig.expect_installed(*images.old.values(), why="a download that was cut off changes no primary slot")


@pytest.mark.hil_requires("updates")
@every_kind
def test_reset_after_a_download(rig: UpdateRig, images: Images, smallest: str, kind: Restart) -> None:
    new = images.new(smallest)
    rig.download(new)
    rig.restart(kind)
    rig.expect({new: Verdict.UNCHANGED}, why="nothing is installed that nobody has asked for")
    expect_said(
        rig,
        status(UpdateState.DOWNLOADED),
        images.old[smallest],
        why="what was downloaded outlives a reset",
    )


@pytest.mark.hil_requires("console")
@every_kind
def test_reset_while_updates_are_pending(
    careless: UpdateRig, quiet: list[SignedImage], installed: Verdict, kind: Restart
) -> None:
    waiting = {upload_area(careless.board, new.component).address: new.data for new in quiet}
    careless.install(*careless.installed.values(), staged=waiting)
    careless.boot()
    for new in quiet:
        careless.command(f"pending {new.component}")
    careless.expect(
        dict.fromkeys(quiet, Verdict.PENDING), why="a request changes nothing before the next boot"
    )
    careless.restart(kind)
    careless.expect(
        dict.fromkeys(quiet, installed),
        why=f"a {kind} reset makes the boot loader install what was asked for",
    )


@pytest.mark.hil_requires("revert")
@every_kind
def test_reset_before_an_update_is_confirmed(
    careless: UpdateRig, quiet: list[SignedImage], kind: Restart
) -> None:
    careless.offer(*quiet)
    careless.restart(kind)
    careless.expect(
        dict.fromkeys(quiet, Verdict.ROLLED_BACK),
        why=f"what is not confirmed is given up at the next boot, also if that comes by a {kind} reset",
    )


@pytest.mark.hil_requires("console")
@every_kind
def test_reset_after_an_update_was_confirmed(
    careless: UpdateRig, quiet: list[SignedImage], kind: Restart
) -> None:
    careless.offer(*quiet)
    for new in quiet:
        careless.command(f"confirm {new.component}")
    careless.restart(kind)
    careless.expect(
        dict.fromkeys(quiet, Verdict.CONFIRMED), why=f"what was confirmed stays, also over a {kind} reset"
    )
