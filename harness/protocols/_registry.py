"""Who is registered: the server's book, written by its event loop, read by tests.

Source: OMA-TS-LightweightM2M_Core-V1_1, sections 6.2 (registration interface) and 7.1
of the transport specification.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from harness._deadline import Deadline
from harness._errors import CodecError, RegistrationError
from harness.protocols.content import Link, Path, decode_links

if TYPE_CHECKING:
    from harness.protocols._node import Node
    from harness.protocols._transport import PeerAddress
    from harness.protocols.security import Rejections

__all__ = ["Book", "Entry", "RegisteredObject", "Registration", "RegistrationRefused"]

DEFAULT_LIFETIME: Final = 86400
"""Seconds of a registration that names no lifetime (section 6.2.1)."""


class RegistrationRefused(Exception):  # noqa: N818  an answer to the device, never seen by users
    """A request to the registration interface is answered with this code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class RegisteredObject:
    """An object that a device announced; ``version`` is None when it named none (meaning 1.0)."""

    object_id: int
    version: str | None
    instances: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """One registration of one device.

    ``sequence`` counts all registrations a server has seen, so that the one after a
    reboot is told from the one before. ``at`` is :func:`time.monotonic` of its
    arrival, ``lifetime`` seconds, ``address`` the device as a URI.
    """

    sequence: int
    endpoint: str
    location: str
    address: str
    lifetime: int
    lwm2m_version: str
    binding: str
    queue_mode: bool
    sms: str | None
    objects: Mapping[int, RegisteredObject]
    root: tuple[str, ...]
    formats: frozenset[int]
    at: float

    def __str__(self) -> str:
        return f"{self.endpoint!r} #{self.sequence} at {self.address}"


@dataclass(eq=False, slots=True)
class Entry:
    """What the server keeps for a registration while it lasts."""

    registration: Registration
    node: Node
    remote: PeerAddress
    refused_formats: set[int] = field(default_factory=set)
    on_end: set[Callable[[str], None]] = field(default_factory=set)
    ended: str | None = None
    published: bool = False

    def label(self, method: str, path: object) -> str:
        """Name a request to this device in errors."""
        return f"{method} {path} on {self.registration}"


class Book:
    """All registrations of one server. Only the event loop calls the methods that change it."""

    def __init__(self, may_register: Callable[[str, str | None], bool], rejections: Rejections) -> None:
        self._may_register = may_register
        self._rejections = rejections
        self._changed = threading.Condition()
        self._by_endpoint: dict[str, Entry] = {}
        self._by_location: dict[str, Entry] = {}
        self._history: deque[tuple[float, str]] = deque(maxlen=20)
        self._sequence = 0
        # A device that has not noticed that the server was restarted must not renew another one's
        # registration, and a stranger must not guess where one is.
        self._run = secrets.token_hex(4)

    # -- the event loop's side

    def register(self, queries: Iterable[str], payload: bytes, node: Node, remote: PeerAddress) -> Entry:
        """Enter a registration; it becomes visible with :meth:`publish`. Raises RegistrationRefused."""
        terms = _terms(queries)
        endpoint = terms.get("ep")
        if not endpoint:
            raise self._refuse("4.00", "no endpoint name (ep)", remote)
        version = terms.get("lwm2m")
        if version is None:
            raise self._refuse("4.00", "no LwM2M version (lwm2m)", remote)
        if not version.startswith("1."):
            raise self._refuse("4.12", f"LwM2M version {version} is not supported", remote)
        if not self._may_register(endpoint, remote.identity):
            who = "nobody in particular" if remote.identity is None else f"the identity {remote.identity!r}"
            raise self._refuse("4.03", f"{who} may not register as {endpoint!r}", remote)
        objects, root, formats = self._objects(payload, remote)
        with self._changed:
            self._sequence += 1
            registration = Registration(
                sequence=self._sequence,
                endpoint=endpoint,
                location=f"/rd/{self._run}-{self._sequence}",
                address=remote.uri_base,
                lifetime=self._lifetime(terms, DEFAULT_LIFETIME, remote),
                lwm2m_version=version,
                binding=terms.get("b") or "U",
                queue_mode=_queues(version, terms),
                sms=terms.get("sms"),
                objects=objects,
                root=root,
                formats=formats,
                at=time.monotonic(),
            )
            replaced = self._by_endpoint.get(endpoint)
        if replaced is not None:
            self.end(replaced, f"the device registered anew, as #{registration.sequence}")
        entry = Entry(registration, node, remote)
        with self._changed:
            self._by_endpoint[endpoint] = self._by_location[registration.location] = entry
        return entry

    def publish(self, entry: Entry) -> None:
        """Let tests see a registration, once the device has its answer."""
        with self._changed:
            entry.published = True
            self._note(f"{entry.registration} registered")

    def update(
        self, location: str, queries: Iterable[str], payload: bytes, node: Node, remote: PeerAddress
    ) -> Entry:
        """Refresh a registration, maybe from a new address. Raises RegistrationRefused."""
        entry = self._find(location, remote)
        terms = _terms(queries)
        old = entry.registration
        objects, root, formats = old.objects, old.root, old.formats
        if payload:
            objects, root, formats = self._objects(payload, remote)
        if not (node is entry.node and node.interface.move(entry.remote, remote)):
            entry.node.interface.fail(entry.remote, f"the device went on as {remote.uri_base}")
            entry.node, entry.remote = node, remote
        with self._changed:
            entry.registration = replace(
                old,
                address=entry.remote.uri_base,
                lifetime=self._lifetime(terms, old.lifetime, remote),
                binding=terms.get("b") or old.binding,
                sms=terms.get("sms", old.sms),
                objects=objects,
                root=root,
                formats=formats,
            )
            self._note(f"{entry.registration} updated")
        return entry

    def deregister(self, location: str, remote: PeerAddress) -> Entry:
        """Remove a registration as its device asked. Raises RegistrationRefused."""
        entry = self._find(location, remote)
        self.end(entry, "the device de-registered")
        return entry

    def end(self, entry: Entry, reason: str) -> None:
        """Remove a registration and end what hangs on it."""
        registration = entry.registration
        with self._changed:
            if entry.ended is not None:
                return
            entry.ended = reason
            self._by_location.pop(registration.location, None)
            if self._by_endpoint.get(registration.endpoint) is entry:
                del self._by_endpoint[registration.endpoint]
            self._note(f"{registration} ended: {reason}")
        entry.node.interface.fail(entry.remote, reason)
        entry.node.end_waits(entry.remote, reason)
        for callback in tuple(entry.on_end):
            callback(reason)

    def sender(self, remote: PeerAddress) -> Entry | None:
        """Find the registration that an address belongs to."""
        with self._changed:
            return next((e for e in self._by_endpoint.values() if e.remote is remote), None)

    def entries(self) -> tuple[Entry, ...]:
        """All registrations, published or not."""
        with self._changed:
            return tuple(self._by_endpoint.values())

    # -- any thread's side

    def current(self, endpoint: str) -> Entry:
        """Return the registration of a device. Raises RegistrationError when it has none."""
        with self._changed:
            entry = self._by_endpoint.get(endpoint)
            if entry is not None and entry.published:
                return entry
            raise RegistrationError(
                f"the device {endpoint!r} is not registered",
                found=self._seen(),
                remedy="wait for it with wait_registration()",
            )

    def registrations(self) -> tuple[Registration, ...]:
        """All that are registered, oldest first."""
        found = [entry.registration for entry in self.entries() if entry.published]
        return tuple(sorted(found, key=lambda registration: registration.sequence))

    def wait(self, endpoint: str | None, after: int, deadline: Deadline) -> Registration:
        """Wait for a registration with a higher sequence number. Raises DeadlineExceeded."""

        def find() -> Registration | None:
            for entry in self._by_endpoint.values():
                registration = entry.registration
                wanted = endpoint in (None, registration.endpoint)
                if wanted and entry.published and registration.sequence > after:
                    return registration
            return None

        with self._changed:
            found = self._changed.wait_for(find, deadline.remaining)
            if found is not None:
                return found
            who = f"a registration of {endpoint!r}" if endpoint is not None else "a registration"
            later = f" later than #{after}" if after else ""
            raise deadline.exceeded(f"{who}{later}", where="LwM2M server", seen=self._seen())

    def wait_end(self, registration: Registration, deadline: Deadline) -> None:
        """Wait until a registration has ended. Raises DeadlineExceeded."""

        def ended() -> bool:
            return registration.location not in self._by_location

        with self._changed:
            if not self._changed.wait_for(ended, deadline.remaining):
                raise deadline.exceeded(
                    f"the end of the registration {registration}", where="LwM2M server", seen=self._seen()
                )

    # -- common parts

    def _find(self, location: str, remote: PeerAddress) -> Entry:
        entry = self._by_location.get(location)
        if entry is None:
            raise self._refuse("4.04", f"{location} is not registered", remote)
        if entry.remote.identity != remote.identity:
            raise self._refuse("4.03", f"{location} is another device's", remote)
        return entry

    def _refuse(self, code: str, text: str, remote: PeerAddress) -> RegistrationRefused:
        with self._changed:
            self._note(f"a request from {remote.uri_base} was refused with {code}: {text}")
        return RegistrationRefused(code, text)

    def _note(self, text: str) -> None:
        self._history.append((time.monotonic(), text))
        self._changed.notify_all()

    def _seen(self) -> str:
        now = time.monotonic()
        seen = [f"{text} ({now - at:.1f} s ago)" for at, text in self._history]
        # Refused registrations are among them already.
        others = [r for r in self._rejections.last if not r.kind.startswith("registration")]
        seen += [f"refused {rejection} ({now - rejection.at:.1f} s ago)" for rejection in others[-3:]]
        return "; ".join(seen) or "nothing"

    def _lifetime(self, terms: Mapping[str, str], default: int, remote: PeerAddress) -> int:
        text = terms.get("lt")
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and int(text) > 0):
            raise self._refuse("4.00", f"a lifetime (lt) of {text!r}", remote)
        return int(text)

    def _objects(
        self, payload: bytes, remote: PeerAddress
    ) -> tuple[Mapping[int, RegisteredObject], tuple[str, ...], frozenset[int]]:
        try:
            return _read_objects(decode_links(payload))
        except (CodecError, ValueError) as problem:
            raise self._refuse("4.00", f"the list of objects: {problem}", remote) from problem


def _queues(version: str, terms: Mapping[str, str]) -> bool:
    """Tell whether a device sleeps: LwM2M 1.0 says so in the binding, later versions in a term."""
    return "Q" in (terms.get("b", "") if version == "1.0" else terms)


def _terms(queries: Iterable[str]) -> dict[str, str]:
    parted = (query.partition("=") for query in queries)
    return {name: value for name, _, value in parted}


def _read_objects(
    links: Iterable[Link],
) -> tuple[Mapping[int, RegisteredObject], tuple[str, ...], frozenset[int]]:
    """Sort links into objects, the path they live under and the content formats offered."""
    links = tuple(links)
    root: tuple[str, ...] = ()
    formats: frozenset[int] = frozenset()
    for link in links:
        if link.attributes.get("rt") == "oma.lwm2m":
            root = tuple(filter(None, link.target.split("/")))
            offered = (link.attributes.get("ct") or "").split()
            formats = frozenset(int(text) for text in offered if text.isdecimal())
    versions: dict[int, str | None] = {}
    instances: dict[int, list[int]] = {}
    for link in links:
        segments = tuple(filter(None, link.target.split("/")))
        if segments == root or segments[: len(root)] != root:
            continue
        path = Path.of("/".join(segments[len(root) :]))
        if path.object_id is None or path.resource_id is not None:
            raise ValueError(f"<{link.target}> is neither an object nor an instance")
        known = instances.setdefault(path.object_id, [])
        if path.instance_id is not None:
            known.append(path.instance_id)
        if link.attributes.get("ver") is not None:
            versions[path.object_id] = link.attributes["ver"]
    objects = {oid: RegisteredObject(oid, versions.get(oid), tuple(ids)) for oid, ids in instances.items()}
    return MappingProxyType(objects), root, formats
