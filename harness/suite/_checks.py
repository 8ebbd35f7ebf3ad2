"""Checks that several tests share: what the device says, and which parts of its flash changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from .._deadline import Deadline
from .._errors import RegistrationError, RequestError, VerdictError
from ..mcuboot import BootAction
from ..protocols import UpdatableComponent, UpdateResult, UpdateState, UpdateStatus
from ..updates import SignedImage, UpdateRig, Verdict, judge, sector_name

__all__ = [
    "FAILED",
    "IDLE",
    "SUCCEEDED",
    "expect_flash",
    "expect_nothing_asked",
    "expect_refusal",
    "expect_said",
    "explained",
    "status",
    "unchanged",
    "wait_flash",
]

SECONDS = 20.0


def status(state: UpdateState, result: UpdateResult = UpdateResult.INITIAL) -> UpdateStatus:
    """A state with a result."""
    return UpdateStatus(state, result)


IDLE = status(UpdateState.IDLE)
SUCCEEDED = status(UpdateState.IDLE, UpdateResult.SUCCESS)
FAILED = status(UpdateState.IDLE, UpdateResult.UPDATE_FAILED)


def expect_said(rig: UpdateRig, expected: UpdateStatus, *running: SignedImage, why: str) -> None:
    """Raise `VerdictError` unless the device reports this of these components, and that they run.

    Over a protocol that has no words for a state, as far as it has.
    """
    problems = []
    for image in running:
        said = rig.told(image.component, settled=False)[image.component]
        found = said.differs(expected)
        if found:
            problems.append(f"{image.component}: the device says {found}, and should say {expected}")
        if said.version.partition("+")[0] != str(image.version).partition("+")[0]:
            problems.append(
                f"{image.component}: the device says that version {said.version} runs, and {image} does"
            )
    if problems:
        lines = [*problems, f"rule: {why}"]
        raise VerdictError("\n".join([*lines, _NEXT_STATE, "", rig.evidence()]))


_NEXT_STATE = (
    "look at: State (3), Update Result (5) and Current Version (15) of object 33629, or the state of images"
    " over SMP, in the application"
)


def expect_flash(rig: UpdateRig, expected: Mapping[SignedImage, Verdict], *, why: str) -> None:
    """`UpdateRig.expect` for a device that cannot be asked: only flash is looked at."""
    flash = rig.device.flash()
    found = judge(rig.board, flash, rig.installed, {image.component: image for image in expected})
    wrong = [
        f"{image.component}: expected {wanted}, found {found[image.component].verdict}"
        f" ({found[image.component].because})"
        for image, wanted in expected.items()
        if found[image.component].verdict is not wanted
    ]
    if wrong:
        raise VerdictError("\n".join([*wrong, f"rule: {why}", "", rig.evidence(flash)]))


def expect_nothing_asked(rig: UpdateRig, *, why: str) -> None:
    """Raise `VerdictError` if the next boot would change anything."""
    report = rig.device.report()
    changes = [
        f"{rig.board.component(number).name}: the next boot would {plan.action}"
        for number, plan in enumerate(report.plan.images)
        if plan.action is not BootAction.KEEP
    ]
    if changes:
        raise VerdictError("\n".join([*changes, f"rule: {why}", "", rig.evidence()]))


def expect_refusal(
    rig: UpdateRig, component: UpdatableComponent, request: Callable[[], object], code: str, *, why: str
) -> None:
    """Raise `VerdictError` unless the request is answered with this code and changes nothing.

    ``request`` returns the code as text, or raises `RequestError` with it; anything else is an acceptance.
    """
    before = component.status()
    try:
        answer = request()
        found = answer if isinstance(answer, str) else "2.04"
    except RequestError as error:
        found = error.code
    problems = []
    if found != code:
        problems.append(
            f"{component.path} of {rig.board.name} answered {found}, and should refuse with {code}"
        )
    try:
        after = component.status()
    except RegistrationError:
        problems.append(f"{component.path} of {rig.board.name} was {before}, and the device has restarted")
    else:
        if after != before:
            problems.append(f"{component.path} of {rig.board.name} was {before}, and is now {after}")
    if problems:
        lines = [*problems, f"rule: {why}"]
        raise VerdictError("\n".join([*lines, _NEXT_STATE, "", rig.evidence()]))


@contextmanager
def explained(*, why: str, look_at: str) -> Iterator[None]:
    """Add a rule to a `VerdictError`, and where to look, for a test that knows more than what raises it."""
    try:
        yield
    except VerdictError as error:
        what, _, evidence = str(error).partition("\n")
        lines = [what, f"rule: {why}", f"look at: {look_at}", evidence]
        raise VerdictError("\n".join(lines)) from None


@contextmanager
def unchanged(rig: UpdateRig, *partitions: str, why: str) -> Iterator[None]:
    """Raise `VerdictError` if what happens in between changes a byte in these partitions."""
    areas = [rig.board.partition(name) for name in partitions]
    before = [rig.device.debug.read(area.address, area.size) for area in areas]
    yield
    size = rig.board.flash.sector_size
    changed = []
    for area, old in zip(areas, before, strict=True):
        new = rig.device.debug.read(area.address, area.size)
        changed += [
            sector_name(rig.board, area.address + at)
            for at in range(0, area.size, size)
            if old[at : at + size] != new[at : at + size]
        ]
    if changed:
        raise VerdictError(
            f"flash was changed: {', '.join(changed)}\nrule: {why}\n"
            f"look at: which program writes there, and what limits it\n\n{rig.evidence()}"
        )


def wait_flash(
    rig: UpdateRig, image: SignedImage, wanted: Verdict, *, deadline: float | Deadline = SECONDS
) -> None:
    """Wait until flash alone gives this verdict. Raises `VerdictError`."""
    limit = Deadline.of(deadline)
    while True:
        found = judge(rig.board, rig.device.flash(), rig.installed, {image.component: image})
        if found[image.component].verdict is wanted:
            return
        if limit.expired:
            raise VerdictError(
                f"{image.component}: expected {wanted} within {limit.seconds:g} s,"
                f" found {found[image.component]}\n\n{rig.evidence()}"
            )
        limit.pause(0.02)
