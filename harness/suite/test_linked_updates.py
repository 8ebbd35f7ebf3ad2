"""Two components that go together: both or none."""

from __future__ import annotations

import pytest

from ..firmware import Behaviour
from ..mcuboot import Version
from ..updates import UpdateRig, Verdict
from .conftest import NEW, Images

pytestmark = pytest.mark.hil_requires("signing", "lwm2m", "two-images")


def test_linked_components_are_updated_together(rig: UpdateRig, images: Images, application: str) -> None:
    new = [images.new(name) for name in images.old]
    for image in reversed(new):
        rig.download(image)
    rig.update(application)
    rig.expect(dict.fromkeys(new, Verdict.CONFIRMED), why="an update installs all that was linked to it")


def test_linked_components_can_depend_on_each_other(rig: UpdateRig, images: Images, application: str) -> None:
    other = images.partner(application)
    need = {rig.board.component(other).image: Version.parse(NEW)}
    new = [images.new(other), images.new(application, dependencies=need)]
    for image in new:
        rig.download(image)
    rig.update(application)
    rig.expect(dict.fromkeys(new, Verdict.CONFIRMED), why="a dependency is met by what is installed along")


@pytest.mark.hil_requires("revert")
@pytest.mark.parametrize(
    "behaviour", [behaviour for behaviour in Behaviour if behaviour is not Behaviour.GOOD], ids=str
)
def test_bad_application_takes_everything_back_that_came_with_it(
    rig: UpdateRig, images: Images, application: str, behaviour: Behaviour
) -> None:
    bad = images.new(application, behaviour=behaviour)
    companion = images.new(images.partner(application))
    for image in (companion, bad):
        rig.download(image)
    rig.update(application)
    if behaviour is Behaviour.NEVER_CONFIRMS:
        rig.expect(
            dict.fromkeys((bad, companion), Verdict.SWAPPED), why="it runs, but nothing has been confirmed"
        )
        rig.reset()
    rig.expect(
        dict.fromkeys((bad, companion), Verdict.ROLLED_BACK),
        why=f"a bad application ({behaviour}) is given up, with everything that came with it",
    )
