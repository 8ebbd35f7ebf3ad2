"""Files that devices fetch from the server over CoAP, block by block.

Source: RFC 7959 sections 2.4 and 2.6. Any block may be asked for at any time, so that
a device can resume after a reboot; the ETag tells it whether the file is still the
same.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from harness._deadline import Deadline

__all__ = ["Block", "Publication"]


@dataclass(frozen=True, slots=True)
class Block:
    """One answer of a publication; ``etag`` belongs to ``data``."""

    data: bytes
    more: bool
    etag: bytes
    total: int


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What an HTTP client asked for: its method and the headers that matter for downloads."""

    method: str
    range: str | None
    if_match: str | None
    if_none_match: str | None


@dataclass(frozen=True, slots=True)
class HttpFaults:
    """How a file is served over HTTP, for tests of clients; the default is well behaved.

    ``etag`` is ``strong``, ``weak`` or ``none``; without ``ranges`` every answer is the whole
    file; after ``cut_after`` bytes of each body the connection ends; ``status`` is an error
    that is answered instead of the file.
    """

    etag: str = "strong"
    ranges: bool = True
    cut_after: int | None = None
    status: int | None = None


class Publication:
    """A file under ``path``, with a count of what was fetched. Thread safe.

    ``max_block_size`` bytes are served at most per block, less when the device asks
    for less. :meth:`wait_served` is the place to cut a device's power in the middle
    of a download. ``http`` is how the file is served over HTTP.
    """

    def __init__(self, path: tuple[str, ...], body: bytes, *, max_block_size: int = 1024) -> None:
        self.path = path
        self.max_block_size = max_block_size
        self._changed = threading.Condition()
        self._served: Counter[int] = Counter()
        self._bytes = 0
        self._closed = False
        self._hold_after: int | None = None
        self._waiting: list[Callable[[], object]] = []
        self.http = HttpFaults()
        self._http_requests: list[HttpRequest] = []
        self._set(body)

    def _set(self, body: bytes) -> None:
        self._body = body
        self._etag = hashlib.sha256(body).digest()[:8]

    @property
    def etag(self) -> bytes:
        """Entity tag of the present content: the first 8 bytes of its SHA-256."""
        return self._etag

    @property
    def blocks_served(self) -> int:
        """Blocks answered so far, repeated ones included; over HTTP a block has up to 16 KiB."""
        with self._changed:
            return self._served.total()

    @property
    def bytes_served(self) -> int:
        """Bytes answered so far, repeated ones included."""
        with self._changed:
            return self._bytes

    @property
    def served(self) -> dict[int, int]:
        """How often each offset, in bytes, was answered."""
        with self._changed:
            return dict(self._served)

    @property
    def http_requests(self) -> tuple[HttpRequest, ...]:
        """What was asked for over HTTP, in order."""
        with self._changed:
            return tuple(self._http_requests)

    def http_asked(self, request: HttpRequest) -> tuple[bytes, bytes, HttpFaults]:
        """Note an HTTP request; return content, ETag and faults as of now."""
        with self._changed:
            self._http_requests.append(request)
            return self._body, self._etag, self.http

    def note_served(self, offset: int, size: int) -> None:
        """Count what was served otherwise than by :meth:`take`."""
        with self._changed:
            self._served[offset] += 1
            self._bytes += size
            self._changed.notify_all()

    def replace(self, body: bytes) -> None:
        """Change content and ETag, for a device in the middle of a download to notice."""
        with self._changed:
            self._set(body)

    def hold(self, *, after: int = 0) -> None:
        """Over CoAP answer so many blocks and no more until :meth:`release`: devices go on downloading."""
        with self._changed:
            self._hold_after = after

    def release(self) -> None:
        """Answer again, also what was asked meanwhile."""
        with self._changed:
            self._hold_after = None
            waiting, self._waiting = self._waiting, []
        for go_on in waiting:
            go_on()

    def held(self, go_on: Callable[[], object]) -> bool:
        """Tell whether the next block has to wait; if so ``go_on`` is called when it may be sent."""
        with self._changed:
            if self._hold_after is None or self._served.total() < self._hold_after:
                return False
            self._waiting.append(go_on)
            return True

    def close(self) -> None:
        """Answer 4.04 from now on."""
        with self._changed:
            self._closed = True

    @property
    def closed(self) -> bool:
        """True once it is no longer served."""
        return self._closed

    def wait_served(self, blocks: int, deadline: float | Deadline) -> None:
        """Wait until at least that many blocks were answered. Raises DeadlineExceeded."""
        until = Deadline.of(deadline)
        with self._changed:
            if not self._changed.wait_for(lambda: self._served.total() >= blocks, until.remaining):
                raise until.exceeded(
                    f"{blocks} blocks fetched",
                    where="/" + "/".join(self.path),
                    seen=f"{self._served.total()} blocks, {self._bytes} of {len(self._body)} bytes",
                )

    def take(self, offset: int, size: int) -> Block | None:
        """Return the block at ``offset`` and count it; None when it lies beyond the end."""
        with self._changed:
            if offset > len(self._body) or (offset and offset == len(self._body)):
                return None
            data = self._body[offset : offset + size]
            self.note_served(offset, len(data))
            return Block(data, offset + size < len(self._body), self._etag, len(self._body))
