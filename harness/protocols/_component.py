"""What can be updated over LwM2M, whichever object it lives in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from harness._deadline import Deadline
from harness.protocols.content import ObjectLink, Path
from harness.protocols.update_rules import (
    DeliveryMethod,
    PullProtocol,
    Severity,
    UpdateResult,
    UpdateState,
    UpdateStatus,
)

if TYPE_CHECKING:
    from harness.protocols._device import Device

__all__ = ["PushOutcome", "UpdatableComponent"]


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """What became of a pushed image: the last answer's code, and the status read afterwards."""

    code: str
    status: UpdateStatus
    sent: int
    blocks: int

    @property
    def accepted(self) -> bool:
        """True when *this* image is downloaded; a refused push leaves an earlier one in place."""
        return self.code == "2.04" and self.status.state is UpdateState.DOWNLOADED


class UpdatableComponent(Protocol):
    """One component of a device that can be updated. Methods raise what requests raise."""

    @property
    def device(self) -> Device:
        """The device it belongs to."""
        ...

    @property
    def path(self) -> Path:
        """The object instance that stands for it."""
        ...

    def status(self, *, deadline: float | Deadline | None = None) -> UpdateStatus:
        """Read state and result, as a pair that held at one time."""
        ...

    def name(self) -> str:
        """Read the component's name; a device with object 5 has one component without a name."""
        ...

    def version(self) -> str:
        """Read the version that runs."""
        ...

    def package_name(self) -> str | None:
        """Read the name of the downloaded package, None while there is none."""
        ...

    def package_version(self) -> str | None:
        """Read the version of the downloaded package, None while there is none."""
        ...

    def linked(self) -> tuple[ObjectLink, ...]:
        """Read which other components a plain update of this one installs as well."""
        ...

    def conflicting(self) -> tuple[ObjectLink, ...]:
        """Read which other components stand in the way."""
        ...

    def severity(self) -> Severity | None:
        """Read how urgent updates are; None when the device does not tell."""
        ...

    def set_severity(self, severity: Severity, *, deadline: float | Deadline | None = None) -> None:
        """Write how urgent updates are."""
        ...

    def max_defer_period(self) -> int | None:
        """Read for how many seconds the device may put an update off; None when it does not tell."""
        ...

    def set_max_defer_period(self, seconds: int, *, deadline: float | Deadline | None = None) -> None:
        """Write for how many seconds the device may put an update off; 0: not at all."""
        ...

    def last_state_change(self) -> int | None:
        """Read the time of the last state change, by the device's clock; None when it does not tell."""
        ...

    def protocols(self) -> frozenset[PullProtocol]:
        """Read from where the device can pull; empty when it does not tell."""
        ...

    def delivery_method(self) -> DeliveryMethod:
        """Read whether the device takes images that are pushed, or pulls them, or both."""
        ...

    def push(
        self,
        image: bytes,
        *,
        block_size: int = 1024,
        progress: Callable[[int, int], None] | None = None,
        deadline: float | Deadline,
    ) -> PushOutcome:
        """Write the image block by block, and return what the device made of it.

        Nothing else is asked of the device meanwhile: it would answer 5.03.
        """
        ...

    def pull(self, uri: str, *, deadline: float | Deadline | None = None) -> None:
        """Have the device fetch the image itself; go on with :meth:`wait_downloaded`.

        Raises RequestError when it refuses. One pull per device at a time: clients may
        stall others that wait in their queue.
        """
        ...

    def wait_downloaded(self, *, deadline: float | Deadline) -> UpdateStatus:
        """Wait until a download has ended, well or not, and return the status."""
        ...

    def wait_state(
        self,
        *states: UpdateState,
        results: Iterable[UpdateResult] | None = None,
        deadline: float | Deadline,
    ) -> UpdateStatus:
        """Wait until one of the states is read, with one of the results if any are given.

        Waits through reboots. Raises DeadlineExceeded with all that was read instead.
        """
        ...

    def update(
        self, instances: Sequence[int] | None = None, *, deadline: float | Deadline | None = None
    ) -> bool:
        """Start the update of what is downloaded.

        None takes the components that the device linked along, an empty sequence none
        but this, numbers exactly those instances. Returns False when only State and Result
        can tell whether it began: the device registered anew before it answered, or it
        refused a repetition of the request. Raises RequestError when it refuses.
        """
        ...

    def cancel(self, *, deadline: float | Deadline | None = None) -> None:
        """Give up a download, or what was downloaded. Raises RequestError in other states."""
        ...

    def reset(self, *, by_uri: bool = False, deadline: float | Deadline | None = None) -> None:
        """Return to Idle with a package of one byte 00, or with an empty URI."""
        ...
