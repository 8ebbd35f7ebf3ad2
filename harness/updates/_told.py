"""What a device says of a component over each of its protocols, and how that can contradict flash."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from ..protocols import UpdateResult, UpdateState, UpdateStatus
from ..protocols.smp import ImageSlot
from ._images import SignedImage

__all__ = ["Told", "ToldSlots", "Verdict", "Words"]


class Verdict(StrEnum):
    """What became of one component's update."""

    SWAPPED = "swapped"
    """The new image is in the primary slot and not confirmed: the next boot gives it up."""
    CONFIRMED = "confirmed"
    """The new image is in the primary slot for good."""
    ROLLED_BACK = "rolled back"
    """The old image is back; the new one was tried and given up."""
    REFUSED = "refused"
    """The old image is there, and the boot loader has erased the new one."""
    PENDING = "pending"
    """The old image is there, and the new one waits to be installed; or its installation is under way."""
    UNCHANGED = "unchanged"
    """The old image is there, and nothing is asked for."""
    FOREIGN = "foreign"
    """A valid image that is neither the old nor the new one is in the primary slot."""
    BRICKED = "bricked"
    """No image that the boot loader would start is in the primary slot."""


_INSTALLED: Final = {Verdict.SWAPPED, Verdict.CONFIRMED}
_NO_FAILURE: Final = (UpdateResult.INITIAL, UpdateResult.SUCCESS)


class Words(Protocol):
    """What a device says of one component."""

    @property
    def version(self) -> str:
        """Of the image that runs, or is in use."""

    def lie(self, verdict: Verdict, old: SignedImage, new: SignedImage) -> str:
        """How this contradicts the verdict of flash; empty if it does not."""

    def differs(self, expected: UpdateStatus) -> str:
        """What is said in place of this state, as far as the protocol can tell it; empty if it is that."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the device says of a component over LwM2M."""

    status: UpdateStatus
    version: str

    @property
    def claims_success(self) -> bool:
        """State 0 with result 1."""
        return self.status == UpdateStatus(UpdateState.IDLE, UpdateResult.SUCCESS)

    def lie(self, verdict: Verdict, old: SignedImage, new: SignedImage) -> str:
        """How this contradicts the verdict of flash; empty if it does not."""
        installed = verdict in _INSTALLED
        if self.claims_success and not installed:
            return (
                f"the device reports success ({self}), but flash holds {old}: the application reports an"
                " update that was not carried out"
            )
        if self.status.result not in _NO_FAILURE and verdict is Verdict.CONFIRMED:
            return (
                f"the device reports a failed update ({self}), but flash holds {new}: the application forgets"
                " or misjudges an update that was carried out"
            )
        return _wrong_version(self.version, verdict, old, new)

    def differs(self, expected: UpdateStatus) -> str:
        """What is said in place of this state; empty if it is that."""
        return "" if self.status == expected else str(self.status)

    def __str__(self) -> str:
        return f"{self.status}, version {self.version}"


@dataclass(frozen=True, slots=True)
class ToldSlots:
    """What the device says of a component over SMP: the image in use, and the one in its other slot."""

    active: ImageSlot | None
    other: ImageSlot | None

    @property
    def version(self) -> str:
        """Of the image in use."""
        return self.active.version if self.active is not None else "none"

    @property
    def pending(self) -> bool:
        """The next boot installs the other image."""
        return self.other is not None and self.other.pending

    @property
    def on_trial(self) -> bool:
        """The image in use is not confirmed."""
        return self.active is not None and not self.active.confirmed

    def lie(self, verdict: Verdict, old: SignedImage, new: SignedImage) -> str:
        """How this contradicts the verdict of flash; empty if it does not."""
        running = new if verdict in _INSTALLED else old
        wrong = _wrong_version(self.version, verdict, old, new)
        if wrong:
            return f"{wrong} (SMP)"
        if self.active is not None and self.active.hash != running.image_hash:
            return f"the device names another hash than that of {running} (SMP)"
        if verdict is Verdict.SWAPPED and not self.on_trial:
            return f"the device says that {new} is confirmed (SMP), but image_ok is not set in flash"
        if verdict is Verdict.CONFIRMED and self.on_trial:
            return f"the device says that {new} is not confirmed (SMP), but flash keeps it"
        if self.pending != (verdict is Verdict.PENDING):
            found, held = ("pending", "no request") if self.pending else ("not pending", "a request")
            return f"the device says that the other image is {found} (SMP), but flash holds {held}"
        return ""

    def differs(self, expected: UpdateStatus) -> str:
        """What is said in place of this state, as far as slots can tell it; empty if it is that."""
        wrong = {
            UpdateState.IDLE: self.on_trial or self.pending,
            UpdateState.DOWNLOADING: self.pending,
            UpdateState.DOWNLOADED: self.other is None or self.pending,
            UpdateState.UPDATING: not (self.on_trial or self.pending),
        }[expected.state]
        return str(self) if wrong else ""

    def __str__(self) -> str:
        return "; ".join(str(slot) for slot in (self.active, self.other) if slot is not None) or "no image"


def _wrong_version(said: str, verdict: Verdict, old: SignedImage, new: SignedImage) -> str:
    running = str(new.version if verdict in _INSTALLED else old.version)
    if said.partition("+")[0] != running.partition("+")[0]:
        return f"the device reports version {said}, but flash holds {running}"
    return ""
