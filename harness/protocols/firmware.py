"""Updating components over LwM2M, whichever object they live in.

An :class:`UpdatableComponent` is an instance of object 33629 or the one of object 5.
How an update went is read from State and Update Result, never from the code of an
answer, and no order of states is relied upon: a pushed image goes from Idle to
Downloaded without a stop, and quick updates are over before anyone looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from harness._deadline import Deadline
from harness._errors import DeadlineExceeded, ProtocolError, RegistrationError, RequestError
from harness.protocols._component import PushOutcome, UpdatableComponent
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

__all__ = ["AdvancedFirmwareUpdate", "FirmwareUpdate", "PushOutcome", "UpdatableComponent", "components_of"]

_POLL_SECONDS: Final = 0.1
_FIRMWARE_VERSION: Final = "/3/0/3"

E = TypeVar("E", bound=IntEnum)


class _UpdateObject:
    """What the two objects have in common."""

    object_id: ClassVar[int]
    last_result: ClassVar[UpdateResult]

    def __init__(self, device: Device, instance: int) -> None:
        self._device = device
        self._path = Path(self.object_id, instance)

    @property
    def device(self) -> Device:
        """The device it belongs to."""
        return self._device

    @property
    def path(self) -> Path:
        """The object instance that stands for it."""
        return self._path

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._path} of {self._device.endpoint!r}>"

    def _at(self, resource: int) -> Path:
        return self._path.child(resource)

    def _optional(self, resource: int) -> Any:
        try:
            return self._device.read(self._at(resource))
        except RequestError as problem:
            if problem.code != "4.04":
                raise
            return None

    def status(self, *, deadline: float | Deadline | None = None) -> UpdateStatus:
        """Read state and result, as a pair that held at one time."""
        until = None if deadline is None else Deadline.of(deadline)
        state = self._device.read(self._at(3), deadline=until)
        while True:
            result = self._device.read(self._at(5), deadline=until)
            again = self._device.read(self._at(3), deadline=until)
            if again == state:
                break
            state = again
        if state not in tuple(UpdateState) or result not in range(self.last_result + 1):
            raise ProtocolError(
                "the device reports a state or a result that does not exist",
                where=str(self._path),
                expected=f"state 0 to 3, result 0 to {self.last_result.value}",
                found=f"{state}/{result}",
            )
        return UpdateStatus(UpdateState(state), UpdateResult(result))

    def package_name(self) -> str | None:
        """Read the name of the downloaded package, None while there is none."""
        value: str | None = self._optional(6)
        return value

    def package_version(self) -> str | None:
        """Read the version of the downloaded package, None while there is none."""
        value: str | None = self._optional(7)
        return value

    def severity(self) -> Severity | None:
        """Read how urgent updates are; None when the device does not tell."""
        value = self._optional(11)
        return None if value is None else _known(Severity, value, self._at(11))

    def set_severity(self, severity: Severity, *, deadline: float | Deadline | None = None) -> None:
        """Write how urgent updates are."""
        self._device.write(self._at(11), int(severity), deadline=deadline)

    def max_defer_period(self) -> int | None:
        """Read for how many seconds the device may put an update off; None when it does not tell."""
        value: int | None = self._optional(13)
        return value

    def set_max_defer_period(self, seconds: int, *, deadline: float | Deadline | None = None) -> None:
        """Write for how many seconds the device may put an update off; 0: not at all."""
        self._device.write(self._at(13), seconds, deadline=deadline)

    def last_state_change(self) -> int | None:
        """Read the time of the last state change, by the device's clock; None when it does not tell."""
        value: int | None = self._optional(12)
        return value

    def protocols(self) -> frozenset[PullProtocol]:
        """Read from where the device can pull; empty when it does not tell."""
        found = self._optional(8) or {}
        return frozenset(_known(PullProtocol, value, self._at(8)) for value in found.values())

    def delivery_method(self) -> DeliveryMethod:
        """Read whether the device takes images that are pushed, or pulls them, or both."""
        return _known(DeliveryMethod, self._device.read(self._at(9)), self._at(9))

    def push(
        self,
        image: bytes,
        *,
        block_size: int = 1024,
        progress: Callable[[int, int], None] | None = None,
        deadline: float | Deadline,
    ) -> PushOutcome:
        """Write the image block by block, and return what the device made of it."""
        until = Deadline.of(deadline)
        transfer = self._device.push(
            self._at(0), image, block_size=block_size, progress=progress, deadline=until
        )
        if transfer.code == "2.04":
            ended = "the end of the push"
            status = self._wait(lambda s: s.state is not UpdateState.DOWNLOADING, ended, until)
        else:
            status = self.status(deadline=until)
        return PushOutcome(transfer.code, status, transfer.sent, transfer.blocks)

    def pull(self, uri: str, *, deadline: float | Deadline | None = None) -> None:
        """Have the device fetch the image itself."""
        self._device.write(self._at(1), uri, deadline=deadline)

    def wait_downloaded(self, *, deadline: float | Deadline) -> UpdateStatus:
        """Wait until a download has ended, well or not, and return the status."""

        def ended(status: UpdateStatus) -> bool:
            failed = status.state is UpdateState.IDLE and status.result is not UpdateResult.INITIAL
            return failed or status.state is UpdateState.DOWNLOADED

        return self._wait(ended, "the end of the download", Deadline.of(deadline))

    def wait_state(
        self,
        *states: UpdateState,
        results: Iterable[UpdateResult] | None = None,
        deadline: float | Deadline,
    ) -> UpdateStatus:
        """Wait until one of the states is read, with one of the results if any are given."""
        wanted = frozenset(UpdateResult) if results is None else frozenset(results)
        names = " or ".join(state.name.lower() for state in states)
        if results is not None:
            names += f" with result {', '.join(str(r.value) for r in sorted(wanted))}"
        return self._wait(
            lambda s: s.state in states and s.result in wanted, f"state {names}", Deadline.of(deadline)
        )

    def _wait(self, accept: Callable[[UpdateStatus], bool], wanted: str, deadline: Deadline) -> UpdateStatus:
        seen: list[str] = []
        while not (seen and deadline.expired):
            try:
                status = self.status(deadline=deadline)
            except RegistrationError as problem:
                found = problem.what
            except DeadlineExceeded as problem:
                found = problem.found or problem.what
            else:
                if accept(status):
                    return status
                found = str(status)
            if found not in seen[-1:]:
                seen.append(found)
            deadline.pause(_POLL_SECONDS)
        raise deadline.exceeded(
            wanted, where=f"{self._path} of {self._device.endpoint!r}", seen=", then ".join(seen)
        )

    def _execute_update(self, arguments: str, deadline: float | Deadline | None) -> bool:
        _ = self._device.registration  # raises when there is nobody to ask
        from harness.protocols._blockwise import refused

        try:
            answer = self._device.try_execute(self._at(2), arguments, deadline=deadline)
        except RegistrationError:
            return False
        if answer.code == "2.04":
            return True
        if answer.code == "4.05" and answer.repeated:
            return False  # the first request may have started what makes the repetition illegal
        raise refused(answer.code, answer.payload, f"POST {self._at(2)} on {self._device.endpoint!r}")

    def cancel(self, *, deadline: float | Deadline | None = None) -> None:
        """Give up a download, or what was downloaded."""
        self._device.execute(self._at(10), deadline=deadline)

    def reset(self, *, by_uri: bool = False, deadline: float | Deadline | None = None) -> None:
        """Return to Idle with a package of one byte 00, or with an empty URI."""
        if by_uri:
            self._device.write(self._at(1), "", deadline=deadline)
        else:
            self._device.write(self._at(0), b"\x00", deadline=deadline)


class FirmwareUpdate(_UpdateObject):
    """Object 5: the one component of a device."""

    object_id = 5
    last_result = UpdateResult.DEFERRED

    def __init__(self, device: Device) -> None:
        super().__init__(device, 0)

    def name(self) -> str:
        """Return an empty name: object 5 has none."""
        return ""

    def version(self) -> str:
        """Read the device's firmware version, /3/0/3."""
        return str(self._device.read(_FIRMWARE_VERSION))

    def object_version(self) -> str:
        """Return the version of object 5 that the device registered, 1.0 if it named none.

        Devices do not always say: ask for what the version adds, and take 4.04 for an answer.
        """
        found = self._device.registration.objects.get(self.object_id)
        return (found.version if found is not None else None) or "1.0"

    def automatic_upgrade(self) -> bool | None:
        """Read whether a download is installed at once (version 1.2); None when the device does not tell."""
        value: bool | None = self._optional(14)
        return value

    def set_automatic_upgrade(self, at_once: bool, *, deadline: float | Deadline | None = None) -> None:
        """Write whether a download is installed at once."""
        self._device.write(self._at(14), at_once, deadline=deadline)

    def linked(self) -> tuple[ObjectLink, ...]:
        """Return nothing: object 5 has no links."""
        return ()

    def conflicting(self) -> tuple[ObjectLink, ...]:
        """Return nothing: object 5 has no conflicts."""
        return ()

    def update(
        self, instances: Sequence[int] | None = None, *, deadline: float | Deadline | None = None
    ) -> bool:
        """Start the update of what is downloaded. Raises ValueError for instances: object 5 has one."""
        if instances is not None:
            raise ValueError("object 5 takes no instances to update")
        return self._execute_update("", deadline)


class AdvancedFirmwareUpdate(_UpdateObject):
    """One instance of object 33629: one component of several."""

    object_id = 33629
    last_result = UpdateResult.DEPENDENCY_ERROR

    def name(self) -> str:
        """Read the component's name."""
        return str(self._device.read(self._at(14)))

    def version(self) -> str:
        """Read the version that runs."""
        return str(self._device.read(self._at(15)))

    def linked(self) -> tuple[ObjectLink, ...]:
        """Read which other components a plain update of this one installs as well."""
        return self._links(16)

    def conflicting(self) -> tuple[ObjectLink, ...]:
        """Read which other components stand in the way."""
        return self._links(17)

    def _links(self, resource: int) -> tuple[ObjectLink, ...]:
        found: Mapping[int, ObjectLink] = self._optional(resource) or {}
        return tuple(found.values())

    def update(
        self, instances: Sequence[int] | None = None, *, deadline: float | Deadline | None = None
    ) -> bool:
        """Start the update of what is downloaded."""
        if instances is None:
            arguments = ""
        elif not instances:
            arguments = "0"
        else:
            arguments = f"0='{','.join(f'</{self.object_id}/{i}>' for i in instances)}'"
        return self._execute_update(arguments, deadline)


def _known(kind: type[E], value: int, path: Path) -> E:
    try:
        return kind(value)
    except ValueError:
        raise ProtocolError(
            "the device reports a value that does not exist",
            where=str(path),
            expected=", ".join(f"{member.value} ({member.name.lower()})" for member in kind),
            found=str(value),
        ) from None


def components_of(device: Device) -> tuple[UpdatableComponent, ...]:
    """Return a device's components: the instances of 33629, or else object 5.

    Raises ProtocolError when it registered neither.
    """
    objects = device.registration.objects
    advanced = objects.get(AdvancedFirmwareUpdate.object_id)
    if advanced is not None and advanced.instances:
        return tuple(AdvancedFirmwareUpdate(device, i) for i in sorted(advanced.instances))
    if FirmwareUpdate.object_id in objects:
        return (FirmwareUpdate(device),)
    raise ProtocolError(
        "the device has no object to update firmware with",
        where=str(device.registration),
        expected="object 33629 with instances, or object 5",
        found=f"objects {', '.join(map(str, sorted(objects)))}",
    )
