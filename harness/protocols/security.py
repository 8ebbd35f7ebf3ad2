"""Who may talk to a server over DTLS, and who was refused.

Source: RFC 6347 (DTLS 1.2), RFC 4279 (pre-shared keys);
OMA-TS-LightweightM2M_Transport-V1_1, section 5.2.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from harness._deadline import Deadline
from harness.protocols.certificates import ServerCertificate

__all__ = ["DtlsSettings", "Psk", "Rejection", "Rejections"]

_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class Psk:
    """A pre-shared key. With ``endpoint`` its identity, and nobody else, may register under that name."""

    key: bytes = field(repr=False)
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class DtlsSettings:
    """What a server accepts over DTLS 1.2.

    ``keys`` are pre-shared keys by identity. With ``certificate`` devices may also prove
    themselves by certificates, which ``trusted`` (PEM) has signed or is; the identity is then the
    common name. A session that was idle for ``session_seconds`` is forgotten.
    """

    keys: Mapping[str, Psk] = field(default_factory=dict)
    certificate: ServerCertificate | None = None
    trusted: bytes | None = None
    session_seconds: float = 86400.0


@dataclass(frozen=True, slots=True)
class Rejection:
    """Something from the network that was not let in: when (:func:`time.monotonic`), from where, and why.

    ``kind`` is a few words for counting, ``reason`` the whole story.
    """

    at: float
    address: str
    kind: str
    reason: str

    def __str__(self) -> str:
        return f"{self.address}: {self.reason}"


class Rejections:
    """The last 1000 rejections, all of them counted. Thread safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._kept: deque[Rejection] = deque(maxlen=_KEPT)
        self._counts: Counter[str] = Counter()

    def add(self, address: str, kind: str, reason: str) -> None:
        """Note one."""
        with self._changed:
            self._kept.append(Rejection(time.monotonic(), address, kind, reason))
            self._counts[kind] += 1
            self._changed.notify_all()

    @property
    def counts(self) -> dict[str, int]:
        """How many there were of each kind."""
        with self._changed:
            return dict(self._counts)

    @property
    def last(self) -> tuple[Rejection, ...]:
        """Those that are kept, oldest first."""
        with self._changed:
            return tuple(self._kept)

    def summary(self, last: int = 5) -> str:
        """How many there were of each kind, then the last ones, a line each; empty if there were none."""
        with self._changed:
            if not self._counts:
                return ""
            counts = ", ".join(f"{number} {kind}" for kind, number in sorted(self._counts.items()))
            return "\n".join([counts, *map(str, list(self._kept)[-last:])])

    def wait(self, kind: str, *, deadline: float | Deadline) -> Rejection:
        """Wait for one of a kind, or return the first that there was. Raises DeadlineExceeded."""
        until = Deadline.of(deadline)

        def find() -> Rejection | None:
            return next((rejection for rejection in self._kept if rejection.kind == kind), None)

        with self._changed:
            found = self._changed.wait_for(find, until.remaining)
            if found is not None:
                return found
            seen = "; ".join(map(str, list(self._kept)[-5:])) or "nothing was rejected"
            raise until.exceeded(f"a rejection because of {kind}", where="LwM2M server", seen=seen)
