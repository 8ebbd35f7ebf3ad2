"""The verdict of the protocol side: what all components show once an update is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness._deadline import Deadline
from harness._errors import VerdictError
from harness.protocols.content import Path
from harness.protocols.firmware import AdvancedFirmwareUpdate, UpdatableComponent
from harness.protocols.update_rules import UpdateResult, UpdateState, UpdateStatus

if TYPE_CHECKING:
    from harness.protocols._registry import Registration
    from harness.protocols._server import Lwm2mServer

__all__ = ["ComponentReport", "UpdateReport", "confirm_update"]

_FIRMWARE_VERSION: Final = "/3/0/3"
_SETTLED: Final = (UpdateState.IDLE, UpdateState.DOWNLOADING, UpdateState.DOWNLOADED)


@dataclass(frozen=True, slots=True)
class ComponentReport:
    """What one component shows after an update, against what it should."""

    path: Path
    name: str
    status: UpdateStatus
    version: str
    wanted_version: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What all components of an update show, read after the device is back."""

    endpoint: str
    components: tuple[ComponentReport, ...]

    @property
    def ok(self) -> bool:
        """True when every component is idle, successful and of the wanted version."""
        return not any(component.problems for component in self.components)

    def require_ok(self) -> None:
        """Raise VerdictError with every problem unless all is well."""
        if not self.ok:
            lines = [f"  {c.path} {c.name}: {p}" for c in self.components for p in c.problems]
            raise VerdictError("\n".join([f"the update of {self.endpoint!r} did not succeed:", *lines]))


def confirm_update(
    server: Lwm2mServer,
    targets: Mapping[UpdatableComponent, str],
    *,
    after: Registration | None,
    deadline: float | Deadline,
) -> UpdateReport:
    """Judge an update by what its components show in the end.

    ``targets`` maps components of one device to the versions they should have;
    ``after`` is the registration from before the update, None if the device does
    not reboot. State 0 alone is not enough, because failures end in it as well,
    nor is result 1, which may be left from the update before: so state, result and
    version are all checked, after the re-registration. Component 0 of object 33629
    must also agree with /3/0/3. Raises DeadlineExceeded when the device does not
    come back, or does not finish.
    """
    until = Deadline.of(deadline)
    device = next(iter(targets)).device
    if after is not None:
        server.wait_registration(device.endpoint, after=after, deadline=until)
    reports = []
    for component, wanted in targets.items():
        status = component.wait_state(*_SETTLED, deadline=until)
        version = component.version()
        problems = []
        if status != UpdateStatus(UpdateState.IDLE, UpdateResult.SUCCESS):
            problems.append(f"status {status}")
        if version != wanted:
            problems.append(f"version {version!r} instead of {wanted!r}")
        if component.path == Path(AdvancedFirmwareUpdate.object_id, 0):
            main = str(device.read(_FIRMWARE_VERSION))
            if main != version:
                problems.append(f"{_FIRMWARE_VERSION} says {main!r}, the component {version!r}")
        reports.append(
            ComponentReport(component.path, component.name(), status, version, wanted, tuple(problems))
        )
    return UpdateReport(device.endpoint, tuple(reports))
