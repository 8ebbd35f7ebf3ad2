"""What the next boot would do, and why: the result types and the way in."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ._slots import FlashState, SlotState
from ._trailer import SwapType
from ._version import Version


class BootAction(enum.StrEnum):
    """What happens to one image."""

    KEEP = "keep"
    """The primary stays as it is."""
    TEST = "test"
    PERMANENT = "permanent"
    REVERT = "revert"
    OVERWRITE = "overwrite"
    """The secondary is copied over the primary, for good."""
    RESUME = "resume"
    """An unfinished swap is finished first."""
    FAIL = "fail"
    """No swap; the boot loader confirms the primary so that it stays."""
    SELECT = "select"
    """Runs from the slot it is in (direct-xip) or is copied to RAM (RAM load)."""
    PANIC = "panic"
    """The boot loader stops for good: a state it does not write itself."""
    NOTHING = "nothing"
    """No slot can be used."""
    UNKNOWN = "unknown"
    """The dump does not show enough."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """Flash that the boot clears because of what it found; ``why`` is a phrase."""

    image: int
    slot: str
    extent: str
    """``whole slot``, ``header and trailer``, ``trailer``, ``first and last sector`` or ``last sector``."""
    why: str

    def __str__(self) -> str:
        return f"image {self.image} {self.slot}: {self.extent} erased, {self.why}"


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """What happens to one image, with the reason in a sentence."""

    image: int
    action: BootAction
    reason: str
    swap_type: SwapType = SwapType.NONE
    """The type the boot loader works with after all checks."""
    runs: SlotState | None = None
    """The slot as found whose image is the active one afterwards."""
    erased: tuple[Erasure, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def version(self) -> Version | None:
        """Version of the image that is active afterwards."""
        return self.runs.image.version if self.runs else None


@dataclass(frozen=True, slots=True)
class BootPlan:
    """The next boot. ``boots`` is ``None`` if the dump does not show enough to say."""

    images: tuple[ImagePlan, ...]
    boots: bool | None
    reason: str

    @property
    def erased(self) -> tuple[Erasure, ...]:
        """Everything that would be erased, by image."""
        return tuple(erasure for image in self.images for erasure in image.erased)

    @property
    def version(self) -> Version | None:
        """Version that would run: image 0's."""
        return self.images[0].version if self.boots else None

    def to_text(self) -> str:
        """A few lines for people."""
        lines = []
        for plan in self.images:
            lines.append(f"image {plan.image}: {plan.action} - {plan.reason}")
            lines += [f"  {note}" for note in plan.notes]
            lines += [
                f"  erases {erasure.extent} of the {erasure.slot}: {erasure.why}" for erasure in plan.erased
            ]
        lines.append(self.reason)
        return "\n".join(lines)


def plan_boot(state: FlashState) -> BootPlan:
    """Work out the next boot from what is in flash. Never raises; only reads.

    Same order as MCUboot (``context_boot_go`` in bootutil's ``loader.c``): per image
    an unfinished swap or the swap type with its validation, then
    dependencies if anything is to change, then the swaps, then every primary
    is validated and image 0 runs.
    """
    from ._plan_select import plan_selection  # both need the types above
    from ._plan_swap import plan_swaps

    return plan_selection(state) if state.settings.mode.selects else plan_swaps(state)
