"""What a stand-in keeps in its imaginary flash, and the state machine over it.

Follows the definitions of objects 5 and 33629; see :mod:`harness.protocols.update_rules`.
No I/O: callers say what happened and are told the code to answer.
"""

from __future__ import annotations

import re
import struct
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from harness.protocols.content import ObjectLink, Path, Value
from harness.protocols.update_rules import PullProtocol, UpdateResult, UpdateState

__all__ = ["Component", "Flash", "Refused", "make_image"]

_MAGIC: Final = b"STANDIN1"
_HEADER: Final = struct.Struct(">8sHHIB")
_ADVANCED: Final = 33629

R = UpdateResult
S = UpdateState


class Refused(Exception):  # noqa: N818  an answer, not an error of this program
    """The request is answered with this code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def make_image(component: int, version: str, *, size: int = 4096, needs: int | None = None) -> bytes:
    """Return an image a stand-in takes: for a component, of a version, with a checksum.

    ``needs`` names another component that has to be downloaded before the update may
    begin; a plain update installs it as well.
    """
    head = _HEADER.size + len(version)
    body = bytes((i * 31 + component) & 0xFF for i in range(max(0, size - head)))
    rest = version.encode() + body
    return (
        _HEADER.pack(_MAGIC, component, 0xFFFF if needs is None else needs, zlib.crc32(rest), len(version))
        + rest
    )


@dataclass(slots=True)
class Component:
    """One update object instance: ``path`` is /5/0 or one of 33629."""

    path: Path
    name: str
    version: str
    capacity: int = 1 << 20
    state: UpdateState = S.IDLE
    result: UpdateResult = R.INITIAL
    uri: str = ""
    severity: int = 1
    defer_period: int = 0
    changed_at: int = 0
    automatic: bool = False
    interrupt: Callable[[], object] | None = None
    image_version: str | None = None
    needs: int | None = None
    fetched: bytearray = field(default_factory=bytearray)
    etag: bytes | None = None

    def become(self, state: UpdateState, result: UpdateResult) -> None:
        """Change state and result together."""
        if state is not self.state:
            self.changed_at = int(time.time())
            if self.state is S.DOWNLOADING and self.interrupt is not None:
                self.interrupt()
        self.state, self.result = state, result
        if state in (S.IDLE, S.DOWNLOADING):
            self.image_version, self.needs = None, None
        if state is S.IDLE:
            self.uri, self.etag = "", None
            self.fetched.clear()

    def take(self, image: bytes) -> None:
        """Judge a complete image, as the device does after a download of either kind."""
        if len(image) > self.capacity:
            return self.become(S.IDLE, R.NOT_ENOUGH_FLASH)
        if len(image) < _HEADER.size or image[:8] != _MAGIC:
            return self.become(S.IDLE, R.UNSUPPORTED_PACKAGE)
        _, component, needs, crc, length = _HEADER.unpack_from(image)
        rest = image[_HEADER.size :]
        if zlib.crc32(rest) != crc:
            return self.become(S.IDLE, R.INTEGRITY_CHECK_FAILED)
        if self.path.object_id == _ADVANCED and component != self.path.instance_id:
            return self.become(S.IDLE, R.UNSUPPORTED_PACKAGE)
        self.become(S.DOWNLOADED, R.INITIAL)
        self.image_version = rest[:length].decode()
        self.needs = None if needs == 0xFFFF else needs
        return None

    def check_push(self) -> None:
        """Refuse a push where it is illegal."""
        if self.state is S.DOWNLOADED:
            raise Refused("4.00")
        if self.state is not S.IDLE:
            raise Refused("4.05")

    def reset(self) -> None:
        """Return to Idle, unless an update runs."""
        if self.state is S.UPDATING:
            raise Refused("4.05")
        self.become(S.IDLE, R.INITIAL)

    def start_pull(self, uri: str, schemes: Iterable[str]) -> None:
        """Accept a URI to fetch."""
        if self.state is not S.IDLE:
            raise Refused("4.00")
        if uri.partition("://")[0] not in schemes:
            self.become(S.IDLE, R.UNSUPPORTED_PROTOCOL)
            raise Refused("4.00")
        self.become(S.DOWNLOADING, R.INITIAL)
        self.uri = uri

    def cancel(self) -> None:
        """Give up what was, or is being, downloaded."""
        if self.state not in (S.DOWNLOADING, S.DOWNLOADED):
            raise Refused("4.05")
        self.become(S.IDLE, R.CANCELLED)


class Flash:
    """Everything that survives a reboot of the stand-in."""

    def __init__(self, names: Iterable[str], version: str, schemes: Iterable[str] = ("coap",)) -> None:
        self.protocols = [protocol for protocol in PullProtocol if protocol.scheme in set(schemes)]
        self.components = [Component(Path(_ADVANCED, i), name, version) for i, name in enumerate(names)]
        self.single = Component(Path(5, 0), "", version)
        self.boots = 0

    @property
    def version(self) -> str:
        """The firmware version, /3/0/3: that of the first component."""
        return self.components[0].version

    def at(self, path: Path) -> Component | None:
        """Find the component whose instance ``path`` lies in."""
        return next((c for c in (self.single, *self.components) if path in c.path), None)

    def pulling(self) -> bool:
        """Tell whether any component downloads."""
        return any(c.state is S.DOWNLOADING for c in (self.single, *self.components))

    def conflicts(self, component: Component) -> list[int]:
        """List the components that an update of this one still lacks."""
        if component.needs is None or self.components[component.needs].state is S.DOWNLOADED:
            return []
        return [component.needs]

    def start_update(self, component: Component, arguments: str, *, defers: bool = False) -> list[Component]:
        """Begin an update and return the components that take part. Raises Refused."""
        chosen = self._chosen(component, arguments)
        if component.state is not S.DOWNLOADED or any(c.state is not S.DOWNLOADED for c in chosen):
            raise Refused("4.05")
        missing = [c for c in chosen if c.needs is not None and self.components[c.needs] not in chosen]
        if missing:
            component.result = R.DEPENDENCY_ERROR
            return []
        if defers:
            component.result = R.DEFERRED
            return []
        for c in chosen:
            c.state, c.result = S.UPDATING, R.INITIAL
        return chosen

    def _chosen(self, component: Component, arguments: str) -> list[Component]:
        if not arguments:
            linked = [] if component.needs is None else [self.components[component.needs]]
            return [component, *(c for c in linked if c.state is S.DOWNLOADED)]
        if arguments == "0":
            return [component]
        match = re.fullmatch(r"0='(</33629/\d+>(?:,</33629/\d+>)*)'", arguments)
        if match is None or component.path.object_id != _ADVANCED:
            raise Refused("4.00")
        numbers = [int(n) for n in re.findall(r"/(\d+)>", match[1])]
        unknown = any(n >= len(self.components) for n in numbers)
        if unknown or len(set(numbers)) < len(numbers) or component.path.instance_id in numbers:
            raise Refused("4.00")
        return [component, *(self.components[n] for n in numbers)]

    def finish_update(self, chosen: Iterable[Component], result: UpdateResult) -> None:
        """End an update; success installs the new versions."""
        for component in chosen:
            version = component.image_version
            component.become(S.IDLE, result)
            if result is R.SUCCESS and version is not None:
                component.version = version
                if component is self.single:
                    self.components[0].version = version
        self.single.version = self.components[0].version

    def restart(self) -> None:
        """Do what power loss does: downloads end, except that object 5 goes on pulling."""
        self.boots += 1
        for component in self.components:
            if component.state is S.DOWNLOADING:
                component.become(S.IDLE, R.INITIAL)
        if self.single.state is S.DOWNLOADING and not self.single.uri:
            self.single.become(S.IDLE, R.INITIAL)

    def values(self, component: Component) -> dict[Path, Value]:
        """Return the readable resources of a component's instance."""
        at = component.path.child
        values: dict[Path, Value] = {
            at(1): component.uri,
            at(3): int(component.state),
            at(5): int(component.result),
            **{at(8, n): int(protocol) for n, protocol in enumerate(self.protocols)},
            at(9): 2,
            at(11): component.severity,
            at(12): component.changed_at,
            at(13): component.defer_period,
        }
        if component.state is S.DOWNLOADED and component.image_version is not None:
            values[at(6)] = component.name or "firmware"
            values[at(7)] = component.image_version
        if component is self.single:
            values[at(14)] = component.automatic
        if component.path.object_id == _ADVANCED:
            values[at(14)] = component.name
            values[at(15)] = component.version
            if component.needs is not None:
                values[at(16, component.needs)] = ObjectLink(_ADVANCED, component.needs)
            for number in self.conflicts(component):
                values[at(17, number)] = ObjectLink(_ADVANCED, number)
        return values
