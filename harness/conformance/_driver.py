"""Brings a component of the client into a state, and does to it what a server can do."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack
from typing import Final, TypeVar

import pytest

from .._deadline import Deadline
from .._errors import DeadlineExceeded, RegistrationError, RequestError
from ..protocols import (
    ContentFormat,
    Operation,
    Path,
    Publication,
    UpdatableComponent,
    UpdateState,
    UpdateStatus,
)
from ._target import Target

__all__ = ["Driver", "expect", "expect_in"]

_PAUSE_SECONDS: Final = 0.02
_BUSY: Final = frozenset({"4.08", "4.29", "5.03"})
IDLE, DOWNLOADING, DOWNLOADED, UPDATING = UpdateState

T = TypeVar("T")


def expect(found: object, wanted: object) -> None:
    """Fail with both in words unless they are equal."""
    if found != wanted:
        pytest.fail(f"{_words(found)} instead of {_words(wanted)}", pytrace=False)


def expect_in(found: object, wanted: Collection[object]) -> None:
    """Fail with both in words unless it is one of those."""
    if found not in wanted:
        pytest.fail(f"{_words(found)} instead of {' or '.join(map(_words, wanted))}", pytrace=False)


def _words(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_words, value)) or "nothing"
    return str(value) if value != "" else "no answer"


class Driver:
    """One component of the client, and what tests do with it."""

    def __init__(self, target: Target, component: UpdatableComponent, stack: ExitStack) -> None:
        self.target, self.component = target, component
        self.path: Path = component.path
        self._stack = stack
        self._versions = iter(f"{major}.0.0" for major in range(2, 200))

    # waiting

    def persist(self, function: Callable[[Deadline], T], *, seconds: float | None = None) -> T:
        """Ask until there is an answer: the client may restart, or be busy for a while."""
        deadline = Deadline(self.target.options.wait if seconds is None else seconds)
        while True:
            try:
                return function(Deadline(min(10.0, deadline.remaining)))
            except (RegistrationError, DeadlineExceeded):
                if deadline.expired:
                    raise
            except RequestError as problem:
                if problem.code not in _BUSY or deadline.expired:
                    raise
            deadline.pause(_PAUSE_SECONDS)

    def status(self) -> UpdateStatus:
        """State and result, as soon as the client tells."""
        return self.persist(lambda until: self.component.status(deadline=until))

    def settled(self) -> UpdateStatus:
        """State and result once no update is under way."""
        return self._until(lambda status: status.state is not UPDATING)

    def downloaded(self) -> UpdateStatus:
        """State and result once no download is under way."""
        return self._until(lambda status: status.state is not DOWNLOADING)

    def _until(self, accept: Callable[[UpdateStatus], bool]) -> UpdateStatus:
        deadline = Deadline(self.target.options.wait)
        while not accept(status := self.status()):
            if deadline.expired:
                raise deadline.exceeded(
                    "the end of what is under way", where=str(self.path), seen=str(status)
                )
            deadline.pause(_PAUSE_SECONDS)
        return status

    # states

    def reset(self) -> None:
        """Bring the component to Idle with result 0 or the result of its last update."""
        for _ in range(5):
            if (
                self.persist(lambda until: self.target.device.read(self.path.child(3), deadline=until))
                == IDLE
            ):
                return
            if self.settled().state is IDLE:
                return
            try:
                self.persist(lambda until: self.component.reset(deadline=until))
            except RequestError as problem:
                if problem.code != "4.05":
                    raise
        pytest.fail(f"{self.path} does not return to Idle when it is reset: {self.status()}")

    def enter(self, state: UpdateState) -> UpdateStatus:
        """Bring the component from Idle into a state; skips the test where that cannot be done."""
        if state is DOWNLOADING:
            self.start_pull(hold=0)
        elif state is DOWNLOADED:
            self.push_good()
        elif state is UPDATING:
            package = self.target.packages.lingering(self.path)
            self._push(package)
            self.component.update()
        status = self.status()
        if status.state is not state:
            if state is UPDATING:
                pytest.skip("the client is not in Updating for long enough to be asked anything")
            pytest.fail(f"{self.path} shows {status} instead of {state.name.lower()}")
        return status

    def good(self) -> bytes:
        """A package that the client takes; skips the test if there is none."""
        package = self.target.packages.good(self.path, next(self._versions))
        if package is None:
            pytest.skip(f"there is no package for {self.path}")
        return package.data

    def push_good(self) -> None:
        """Push a good package; it has to arrive."""
        self._push(self.good())

    def _push(self, package: bytes | None) -> None:
        if package is None:
            pytest.skip(f"there is no such package for {self.path}")
        outcome = self.component.push(package, deadline=self.target.options.wait)
        if not outcome.accepted:
            pytest.fail(f"a package for {self.path} was not taken: {outcome.code}, {outcome.status}")

    def publish(self, package: bytes, *, hold: int | None = None, block_size: int = 1024) -> Publication:
        """Offer a package to pull; after ``hold`` blocks the server falls silent until the test's end."""
        publication = self.target.server.publish(package, max_block_size=block_size)
        if hold is not None:
            publication.hold(after=hold)
        self._stack.callback(publication.close)
        self._stack.callback(publication.release)
        return publication

    def start_pull(self, *, hold: int | None = None, block_size: int = 1024) -> Publication:
        """Have a good package pulled."""
        publication = self.publish(self.good(), hold=hold, block_size=block_size)
        self.component.pull(self.uri(publication))
        return publication

    def uri(self, publication: Publication) -> str:
        """Where the client finds a file."""
        return self.target.server.uri_for(publication, self.target.device)

    # operations

    def perform(self, operation: Operation) -> str:
        """Do something to the component, and return the code of the answer."""
        package, uri = self.path.child(0), self.path.child(1)
        match operation:
            case Operation.PUSH:
                data = self.good()
                return self.target.device.push(package, data, deadline=self.target.options.wait).code
            case Operation.RESET_BY_PACKAGE:
                return self._put(package, b"\x00", ContentFormat.OPAQUE)
            case Operation.SET_URI:
                text = self.uri(self.publish(self.good(), hold=0)).encode()
                return self._put(uri, text, ContentFormat.TEXT)
            case Operation.RESET_BY_URI:
                return self._put(uri, b"", ContentFormat.TEXT)
            case Operation.UPDATE:
                return self.execute(2)
        return self.execute(10)

    def _put(self, path: Path, payload: bytes, content_format: int) -> str:
        return self.target.device.request("PUT", path, payload=payload, content_format=content_format).code

    def execute(self, resource: int, arguments: str = "") -> str:
        """Execute a resource and return the code; empty if the client restarted before it answered."""
        try:
            return self.target.device.try_execute(self.path.child(resource), arguments).code
        except RegistrationError:
            return ""
