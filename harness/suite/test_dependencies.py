"""Images that need each other: all combinations of what is needed, there and asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from ..mcuboot import Version
from ..updates import SignedImage, UpdateRig, Verdict
from .conftest import NEW, OLD, Images

pytestmark = pytest.mark.hil_requires("signing", "installs", "two-images")


@dataclass(frozen=True)
class Case:
    """``needs`` maps a side to the least version it needs of the other; ``offered`` are the sides updated."""

    offered: str
    met: bool
    why: str
    needs: dict[str, str] = field(default_factory=dict)


_CASES = {
    "none": Case("both", True, "nothing is needed"),
    "met by what is installed": Case("app", True, "the installed version is enough", {"app": OLD}),
    "unmet by what is installed": Case("app", False, "the installed version is too old", {"app": NEW}),
    "unmet by a minor version": Case("app", False, "the installed version is too old", {"app": "1.1.0"}),
    "met by what comes along": Case("both", True, "the new version comes along", {"app": NEW}),
    "each needs the other": Case("both", True, "both come along", {"app": NEW, "data": NEW}),
    "each needs the other, only app offered": Case(
        "app", False, "its partner is not there", {"app": NEW, "data": NEW}
    ),
    "each needs the other, only data offered": Case(
        "data", False, "its partner is not there", {"app": NEW, "data": NEW}
    ),
    "partner too old": Case("both", False, "what comes along is too old as well", {"app": "9.0.0"}),
    "both need too much": Case("both", False, "neither comes along", {"app": "9.0.0", "data": "9.0.0"}),
    "data needs too much": Case("both", False, "the app that comes along is too old", {"data": "9.0.0"}),
    "data needs what is installed": Case("data", True, "the installed version is enough", {"data": OLD}),
    "data needs the app": Case("data", False, "the installed version is too old", {"data": NEW}),
    "unneeded by what is offered": Case(
        "data", True, "the one that has needs is not offered", {"app": "9.0.0"}
    ),
}


@dataclass(frozen=True)
class Pair:
    """New images of the application and of its partner."""

    app: SignedImage
    data: SignedImage

    def offered(self, case: Case) -> list[SignedImage]:
        """Those that a case offers."""
        return {"app": [self.app], "data": [self.data], "both": [self.app, self.data]}[case.offered]


def _pair(images: Images, application: str, case: Case) -> Pair:
    partner = images.partner(application)

    def image(name: str, other: str, needed: str | None) -> SignedImage:
        needs = {images.number(other): Version.parse(needed)} if needed else {}
        return images.quiet(name, dependencies=needs)

    return Pair(
        image(application, partner, case.needs.get("app")),
        image(partner, application, case.needs.get("data")),
    )


@pytest.mark.parametrize("name", _CASES)
def test_dependencies(
    careless: UpdateRig, images: Images, application: str, installed: Verdict, name: str
) -> None:
    case = _CASES[name]
    offered = _pair(images, application, case).offered(case)
    careless.offer(*offered)
    if case.met:
        careless.expect(dict.fromkeys(offered, installed), why=case.why)
    else:
        careless.expect(
            dict.fromkeys(offered, Verdict.PENDING),
            why=f"{case.why}: nothing is installed or erased, and all of it waits",
        )


def test_image_waits_until_its_dependency_arrives(
    careless: UpdateRig, images: Images, application: str, installed: Verdict
) -> None:
    case = _CASES["each needs the other"]
    pair = _pair(images, application, case)
    careless.offer(pair.app)
    careless.expect({pair.app: Verdict.PENDING}, why="what it needs is not there yet")
    careless.reset()
    careless.expect({pair.app: Verdict.PENDING}, why="it is tried again at each boot, and nothing is lost")
    careless.upload(pair.data)
    careless.reset()
    careless.expect({pair.app: installed, pair.data: installed}, why="now each has what it needs")


def test_dependency_on_an_image_that_does_not_exist(
    careless: UpdateRig, images: Images, application: str
) -> None:
    missing = len(images.old) + 3
    new = images.quiet(application, dependencies={missing: Version.parse(OLD)})
    careless.offer(new)
    careless.expect(
        {new: Verdict.PENDING}, why=f"there is no image {missing}; nothing is installed or erased"
    )


@pytest.mark.hil_requires("revert")
def test_both_are_rolled_back_together(careless: UpdateRig, images: Images, application: str) -> None:
    pair = _pair(images, application, _CASES["each needs the other"])
    careless.offer(pair.app, pair.data)
    careless.reset()
    careless.expect(
        {pair.app: Verdict.ROLLED_BACK, pair.data: Verdict.ROLLED_BACK}, why="nobody has confirmed either"
    )


@pytest.mark.hil_requires("revert", "console")
def test_only_the_confirmed_one_stays(careless: UpdateRig, images: Images, application: str) -> None:
    pair = _pair(images, application, _CASES["none"])
    careless.offer(pair.app, pair.data)
    careless.command(f"confirm {application}")
    careless.reset()
    careless.expect(
        {pair.app: Verdict.CONFIRMED, pair.data: Verdict.ROLLED_BACK},
        why="the images do not need each other, and only one was confirmed",
    )


@pytest.mark.hil_requires("revert", "console")
def test_what_a_confirmed_image_needs_is_not_rolled_back(
    careless: UpdateRig, images: Images, application: str
) -> None:
    pair = _pair(images, application, _CASES["met by what comes along"])
    careless.offer(pair.app, pair.data)
    careless.command(f"confirm {application}")
    careless.reset()
    careless.expect(
        {pair.app: Verdict.CONFIRMED, pair.data: Verdict.SWAPPED},
        why="the confirmed application needs the new data: its dependency stops the revert",
    )


@pytest.mark.hil_requires("lwm2m")
def test_device_refuses_to_start_an_update_with_an_unmet_dependency(
    rig: UpdateRig, images: Images, application: str
) -> None:
    from ..protocols import UpdateResult

    need = {images.number(images.partner(application)): Version.parse(NEW)}
    new = images.new(application, dependencies=need)
    rig.download(new)
    component = rig.component(application)
    component.update(())
    status = component.wait_state(*type(component.status().state), deadline=10)
    assert status.result is UpdateResult.DEPENDENCY_ERROR, f"the device says {status}\n{rig.evidence()}"
    rig.expect_installed(*images.old.values(), why="an update that was not started changes nothing")
