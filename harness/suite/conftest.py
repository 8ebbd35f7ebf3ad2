"""Starting points that most tests of the suite share."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ..boards import Board
from ..firmware import Behaviour
from ..updates import ImageFactory, SignedImage, UpdateRig

OLD, NEW = "1.0.0", "2.0.0"


@dataclass(frozen=True)
class Images:
    """Old images of all components, and a maker of new ones."""

    factory: ImageFactory
    old: dict[str, SignedImage]

    def new(self, component: str, **options: object) -> SignedImage:
        """The next version of a component."""
        return self.factory.make(component, NEW, **options)  # type: ignore[arg-type]

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
def rig(hil_rig: UpdateRig, images: Images) -> UpdateRig:
    """A device with the old images installed and running."""
    hil_rig.install(*images.old.values())
    hil_rig.boot()
    return hil_rig


@pytest.fixture
def careless(hil_rig: UpdateRig, images: Images, application: str) -> UpdateRig:
    """A device that is off; its installed application never confirms anything."""
    unconfirming = images.factory.make(application, OLD, behaviour=Behaviour.NEVER_CONFIRMS)
    hil_rig.install(*(images.old | {application: unconfirming}).values())
    return hil_rig
