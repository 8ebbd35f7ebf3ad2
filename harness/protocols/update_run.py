"""A whole update, from images to a verdict, over links and devices of any quality.

Whatever can be put down to the link is tried again until the deadline. What the device
says is its word and ends the update. The end is read from State, Update Result and version;
codes of answers decide nothing, because after a lost answer nobody knows whose they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from harness._deadline import Deadline
from harness._errors import DeadlineExceeded, ProtocolError, RegistrationError, RequestError, VerdictError
from harness.protocols.firmware import UpdatableComponent, components_of
from harness.protocols.update_report import UpdateReport, confirm_update
from harness.protocols.update_rules import UpdateResult, UpdateState, UpdateStatus

if TYPE_CHECKING:
    from harness.protocols._server import Lwm2mServer

__all__ = ["Delivery", "Ending", "Package", "UpdateRun", "run_update"]

_ATTEMPT_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.05
_UNEXPLAINED_MAX: Final = 5
#: what a device says of a download that the link, a reboot or another server ended
_WEATHER: Final = (UpdateResult.INITIAL, UpdateResult.CONNECTION_LOST, UpdateResult.CANCELLED)
#: answers of a device that is busy, or that lost its place in a push
_BUSY: Final = frozenset({"4.08", "4.29", "5.03"})

T = TypeVar("T")


class Delivery(StrEnum):
    """How an image gets to the device."""

    PUSH = "push"
    PULL = "pull"


class Ending(StrEnum):
    """How an update ended."""

    INSTALLED = "installed"
    REFUSED = "refused by the device"
    FAILED = "failed"
    UNKNOWN = "unknown, because the device did not say so in time"


@dataclass(frozen=True, slots=True)
class Package:
    """An image for one component, and the version that shows once it runs."""

    data: bytes = field(repr=False)
    version: str


@dataclass(frozen=True, slots=True)
class UpdateRun:
    """What became of an update.

    ``report`` is what all components showed in the end; None when they were not asked, or
    did not answer. ``history`` tells in order what was done and what had to be done again.
    """

    endpoint: str
    ending: Ending
    reason: str
    report: UpdateReport | None
    history: tuple[str, ...]

    def require_installed(self) -> None:
        """Raise VerdictError unless all components run what they should."""
        if self.ending is not Ending.INSTALLED:
            lines = [f"the update of {self.endpoint!r}: {self.ending}", f"  {self.reason}"]
            raise VerdictError("\n".join([*lines, *(f"  - {line}" for line in self.history)]))


def run_update(
    server: Lwm2mServer,
    packages: Mapping[UpdatableComponent, Package],
    *,
    instances: Sequence[int] | None = None,
    delivery: Delivery = Delivery.PUSH,
    block_size: int = 1024,
    deadline: float | Deadline,
) -> UpdateRun:
    """Bring images onto a device, have it install them, and say what became of that.

    All components belong to one device. Update is executed on the first one, for
    ``instances`` as in :meth:`UpdatableComponent.update`. Components that are in the middle
    of something are reset first. Never raises for what link and device do, and ends by the
    deadline; PortError when the server was closed, ValueError without packages.
    """
    if not packages:
        raise ValueError("an update needs at least one package")
    return _Run(server, packages, instances, delivery, block_size, Deadline.of(deadline)).run()


class _Over(Exception):  # noqa: N818  an end, not an error
    def __init__(self, ending: Ending, reason: str) -> None:
        super().__init__(reason)
        self.ending, self.reason = ending, reason


class _Run:
    def __init__(
        self,
        server: Lwm2mServer,
        packages: Mapping[UpdatableComponent, Package],
        instances: Sequence[int] | None,
        delivery: Delivery,
        block_size: int,
        deadline: Deadline,
    ) -> None:
        self._server = server
        self._packages = packages
        self._instances = instances
        self._delivery = delivery
        self._block_size = block_size
        self._deadline = deadline
        self._history: list[str] = []
        self._device = next(iter(packages)).device
        self._unexplained = 0

    def run(self) -> UpdateRun:
        report = None
        try:
            for component, package in self._packages.items():
                self._download(component, package)
            self._install()
            targets = {component: package.version for component, package in self._packages.items()}
            report = self._persist(
                "what the components show in the end",
                lambda until: confirm_update(self._server, targets, after=None, deadline=until),
            )
            problems = [f"{c.path}: {p}" for c in report.components for p in c.problems]
            ending = Ending.FAILED if problems else Ending.INSTALLED
            reason = "; ".join(problems) or "all components show it"
        except _Over as over:
            ending, reason = over.ending, over.reason
        except DeadlineExceeded as problem:
            ending, reason = Ending.UNKNOWN, f"{problem.expected}: {problem.found}"
        return UpdateRun(self._device.endpoint, ending, reason, report, tuple(self._history))

    # -- patience

    def _note(self, text: str) -> None:
        if self._history[-1:] != [text]:
            self._history.append(text)

    def _attempt(self) -> Deadline:
        return Deadline(min(_ATTEMPT_SECONDS, self._deadline.remaining))

    def _persist(self, what: str, function: Callable[[Deadline], T], *, refusal: str = "") -> T:
        """Do something until it works; RequestError only for the code ``refusal``."""
        while True:
            try:
                return function(self._attempt())
            except (DeadlineExceeded, RegistrationError) as problem:
                seen = problem.found or problem.what
            except RequestError as problem:
                if problem.code == refusal:
                    raise
                if problem.code not in _BUSY:
                    self._explain(problem)
                seen = f"the device answered {problem.code}"
            except ProtocolError as problem:
                self._explain(problem)
                seen = problem.what
            self._note(f"{what}: {seen}")
            self._pause(what, seen)

    def _pause(self, what: str, seen: str) -> None:
        if self._deadline.expired:
            raise self._deadline.exceeded(what, seen=seen)
        self._deadline.pause(_PAUSE_SECONDS)

    def _explain(self, problem: ProtocolError) -> None:
        """Take a few answers that make no sense for damage on the way, more of them for the device's way."""
        self._unexplained += 1
        if self._unexplained > _UNEXPLAINED_MAX:
            raise _Over(Ending.REFUSED, f"the device keeps giving answers that make no sense: {problem}")

    def _status(self, component: UpdatableComponent) -> UpdateStatus:
        return self._persist(f"state of {component.path}", lambda until: component.status(deadline=until))

    # -- downloads

    def _make_idle(self, component: UpdatableComponent) -> None:
        while (status := self._status(component)).state is not UpdateState.IDLE:
            if status.state is not UpdateState.UPDATING:
                self._note(f"reset {component.path}, which was {status}")
                try:
                    self._persist("reset", lambda until: component.reset(deadline=until), refusal="4.05")
                except RequestError as problem:
                    self._note(f"the reset was answered {problem.code}")
            self._pause(f"state idle of {component.path}", str(status))

    def _others(self) -> Iterable[UpdatableComponent]:
        """Components that could stand in the way: while one waits for its pull, none can be pushed."""
        for component in self._persist("the list of components", lambda _: components_of(self._device)):
            if component.path not in {wanted.path for wanted in self._packages}:
                yield component

    def _download(self, component: UpdatableComponent, package: Package) -> None:
        for attempt in range(1, 1_000_000):
            self._make_idle(component)
            for other in self._others() if attempt > 1 else ():
                if self._status(other).state is UpdateState.DOWNLOADING:
                    self._make_idle(other)
            self._note(f"{self._delivery} to {component.path}, attempt {attempt}")
            status = self._deliver(component, package)
            if status is not None and status.state is UpdateState.DOWNLOADED:
                return
            if status is not None and status.state is UpdateState.IDLE and status.result not in _WEATHER:
                raise _Over(Ending.REFUSED, f"{component.path} shows {status} after the download")
            self._note(f"the {self._delivery} ended with {status or 'nothing'}")
            self._pause(f"the download to {component.path}", str(status))

    def _deliver(self, component: UpdatableComponent, package: Package) -> UpdateStatus | None:
        try:
            if self._delivery is Delivery.PUSH:
                outcome = component.push(package.data, block_size=self._block_size, deadline=self._deadline)
                self._note(f"the push was answered {outcome.code}, {outcome.sent} bytes sent")
                if outcome.code not in _BUSY | {"2.04"}:
                    self._explain(RequestError("the push was refused", code=outcome.code))
                # An earlier image may be there still; this one is, if it was taken.
                return outcome.status if outcome.code == "2.04" else None
            return self._pull(component, package)
        except (RegistrationError, DeadlineExceeded) as problem:
            self._note(problem.found or problem.what)
        except ProtocolError as problem:
            self._note(problem.what)
            self._explain(problem)
        return None

    def _pull(self, component: UpdatableComponent, package: Package) -> UpdateStatus:
        publication = self._server.publish(package.data, max_block_size=self._block_size)
        try:
            uri = self._server.uri_for(publication, self._device)
            try:
                component.pull(uri, deadline=self._attempt())
            except (RequestError, DeadlineExceeded) as problem:
                # Its answer may be the one to a repetition, and the first request well under way.
                self._note(f"the URI was answered with {problem.found}")
            begins = self._attempt()
            while (status := self._status(component)).state is UpdateState.DOWNLOADING:
                self._pause(f"the end of the pull by {component.path}", str(status))
                if begins.expired and not publication.blocks_served:
                    # Clients leave waiting pulls, and all later ones, waiting when the one before them fails.
                    self._note(f"nothing was fetched for {component.path}, although it is {status}")
                    break
            return status
        finally:
            publication.close()

    # -- installation

    def _install(self) -> None:
        first = next(iter(self._packages))
        while True:
            self._note(f"execute Update on {first.path}")
            try:
                first.update(self._instances, deadline=self._attempt())
            except (ProtocolError, DeadlineExceeded) as problem:
                # Whether it arrived is for the state to say.
                self._note(f"Update: {problem.found or problem.what}")
            status = self._settled(first)
            if status.state is UpdateState.IDLE:
                if status.result is UpdateResult.SUCCESS:
                    return
                raise _Over(Ending.FAILED, f"{first.path} shows {status} after the update")
            if status.state is UpdateState.DOWNLOADED and status.result is not UpdateResult.INITIAL:
                raise _Over(Ending.REFUSED, f"{first.path} shows {status} after Update was executed")
            self._pause("an update that begins", str(status))

    def _settled(self, component: UpdatableComponent) -> UpdateStatus:
        while (status := self._status(component)).state is UpdateState.UPDATING:
            self._pause(f"the end of the update of {component.path}", str(status))
        return status
