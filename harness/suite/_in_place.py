"""Images that run from the slot they are in: how they get there, and which of them runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from .._errors import VerdictError
from ..firmware import Behaviour
from ..mcuboot import FlashArea
from ..updates import SignedImage, UpdateRig, factory_trailer, running_slot
from .conftest import OLD, Images

__all__ = ["InPlace", "Slot"]


class Slot(Enum):
    """The two slots of a component."""

    PRIMARY = "primary"
    SECONDARY = "secondary"


@dataclass(frozen=True)
class InPlace:
    """A device whose boot loader picks slots; the old images are in the primary ones."""

    rig: UpdateRig
    images: Images

    def area(self, component: str, slot: Slot) -> FlashArea:
        """Where a slot lies."""
        chosen = self.rig.board.component(component)
        name = chosen.secondary if slot is Slot.SECONDARY and chosen.secondary else chosen.primary
        return self.rig.board.partition(name)

    def make(
        self,
        component: str,
        version: str,
        slot: Slot = Slot.SECONDARY,
        behaviour: Behaviour = Behaviour.NEVER_CONFIRMS,
        **signing: object,
    ) -> SignedImage:
        """An image for a slot. By default the application never confirms, so that a test can look first."""
        return self.images.factory.make(
            component,
            version,
            behaviour=behaviour,
            secondary=slot is Slot.SECONDARY,
            **signing,  # type: ignore[arg-type]
        )

    def install(self, *updates: SignedImage, behaviour: Behaviour = Behaviour.NEVER_CONFIRMS) -> None:
        """Old images in the primary slots, these in the secondary ones, to be tried at the next boot."""
        old = [self.make(name, OLD, Slot.PRIMARY, behaviour) for name in self.images.old]
        staged: dict[int, bytes] = {}
        for image in updates:
            staged[self.area(image.component, Slot.SECONDARY).address] = image.data
            if self.rig.board.mcuboot.swap_mode.needs_confirmation:
                staged |= factory_trailer(self.rig.board, image.component, confirmed=False, secondary=True)
        self.rig.offered = {image.component: image for image in updates}
        self.rig.install(*old, staged=staged)

    def old(self, component: str) -> SignedImage:
        """What `install` put into the primary slot."""
        return self.rig.installed[component]

    def expect(self, running: Mapping[SignedImage, Slot], *, why: str) -> None:
        """Raise `VerdictError` unless each image lies in its slot and is the one in use.

        Which slot the application runs from is read from the core's vector table; what the device
        says of versions has to agree.
        """
        flash, application = self.rig.device.flash(), self.rig.board.components[0].name
        table, wrong = running_slot(self.rig.device), []
        told = self.rig.told(*(image.component for image in running), settled=False) if self._tells else {}
        for image, slot in running.items():
            area = self.area(image.component, slot)
            if not image.lies_at(flash, area.address):
                wrong.append(f"{image} is not in the {slot.value} slot")
            elif image.component == application and table != area.address:
                found = "no slot" if table is None else f"the slot at {table:#x}"
                wrong.append(f"{image} is in the {slot.value} slot, and the core runs from {found}")
            elif told and told[image.component].version != str(image.version):
                wrong.append(
                    f"{image} is to be used, and the device says {told[image.component].version}:"
                    " the boot loader or the application has picked another slot"
                )
        self._raise(wrong, why)

    def expect_erased(self, component: str, slot: Slot, *, why: str) -> None:
        """Raise `VerdictError` unless a slot is erased."""
        area = self.area(component, slot)
        content = self.rig.device.flash().read(area.address, area.size) or b""
        left = area.size - content.count(self.rig.board.flash.erased_value)
        self._raise([f"{left} bytes are left in the {slot.value} slot of {component}"] if left else [], why)

    def expect_kept(self, image: SignedImage, slot: Slot, *, why: str) -> None:
        """Raise `VerdictError` unless an image is still in a slot, in use or not."""
        there = image.lies_at(self.rig.device.flash(), self.area(image.component, slot).address)
        self._raise([] if there else [f"{image} is not in the {slot.value} slot any more"], why)

    @property
    def _tells(self) -> bool:
        return "lwm2m" in self.rig.device.capabilities

    def _raise(self, wrong: list[str], why: str) -> None:
        if wrong:
            raise VerdictError("\n".join([*wrong, f"rule: {why}", "", self.rig.evidence()]))
