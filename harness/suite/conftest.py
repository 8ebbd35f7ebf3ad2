"""Starting points that most tests of the suite share."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ..boards import Board
from ..firmware import Behaviour
from ..updates import ImageFactory, SignedImage, UpdateRig, Verdict

OLD, NEW = "1.0.0", "2.0.0"


@dataclass(frozen=True)
class Images:
    """Old images of all components, and a maker of new ones."""

    factory: ImageFactory
    old: dict[str, SignedImage]

    def new(self, component: str, **options: object) -> SignedImage:
        """The next version of a component."""
        return self.factory.make(component, NEW, **options)  # type: ignore[arg-type]

    def quiet(self, component: str, version: str = NEW, **options: object) -> SignedImage:
        """A version of a component that confirms nothing, so that a test can look before somebody does."""
        if self.factory.board.component(component).image == 0:
            options["behaviour"] = Behaviour.NEVER_CONFIRMS
        return self.factory.make(component, version, **options)  # type: ignore[arg-type]

    def number(self, component: str) -> int:
        """The image number of a component."""
        return self.factory.board.component(component).image

    def partner(self, component: str) -> str:
        """Another component than this one."""
        return next(name for name in self.old if name != component)


@pytest.fixture
def images(hil_board: Board, hil_images: ImageFactory) -> Images:
    """Images of version 1.0.0 for all components."""
    return Images(hil_images, {part.name: hil_images.make(part, OLD) for part in hil_board.components})


@pytest.fixture
def application(hil_board: Board) -> str:
    """Name of the component that runs."""
    return hil_board.components[0].name


@pytest.fixture
def smallest(hil_board: Board) -> str:
    """Name of the component with the smallest slot: for tests that need any, and soon."""
    return min(hil_board.components, key=lambda part: hil_board.partition(part.primary).size).name


@pytest.fixture
def rig(hil_rig: UpdateRig, images: Images) -> UpdateRig:
    """A device with the old images installed and running."""
    hil_rig.install(*images.old.values())
    hil_rig.boot()
    return hil_rig


@pytest.fixture
def careless(hil_rig: UpdateRig, images: Images, application: str) -> UpdateRig:
    """A device that is off; its installed application never confirms anything."""
    hil_rig.install(*(images.old | {application: images.quiet(application, OLD)}).values())
    return hil_rig


@pytest.fixture
def installed(hil_board: Board) -> Verdict:
    """What an update that was installed, and that nobody has confirmed, is called on this board."""
    return Verdict.SWAPPED if "revert" in hil_board.capabilities else Verdict.CONFIRMED
