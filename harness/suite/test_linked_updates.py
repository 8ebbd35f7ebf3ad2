"""Two components that go together: both or none."""

from __future__ import annotations

import pytest

from ..mcuboot import Version
from ..updates import UpdateRig, Verdict
from .conftest import NEW, Images

pytestmark = pytest.mark.hil_requires("signing", "installs", "updates", "two-images")


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
