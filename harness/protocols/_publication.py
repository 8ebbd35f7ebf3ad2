"""Files that devices fetch from the server over CoAP, block by block.

Source: RFC 7959 sections 2.4 and 2.6. Any block may be asked for at any time, so that
a device can resume after a reboot; the ETag tells it whether the file is still the
same.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
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


class Publication:
    """A file under ``path``, with a count of what was fetched. Thread safe.

    ``max_block_size`` bytes are served at most per block, less when the device asks
    for less. :meth:`wait_served` is the place to cut a device's power in the middle
    of a download.
    """

    def __init__(self, path: tuple[str, ...], body: bytes, *, max_block_size: int = 1024) -> None:
        self.path = path
        self.max_block_size = max_block_size
        self._changed = threading.Condition()
        self._served: Counter[int] = Counter()
        self._bytes = 0
        self._closed = False
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
        """Blocks answered so far, repeated ones included."""
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

    def replace(self, body: bytes) -> None:
        """Change content and ETag, for a device in the middle of a download to notice."""
        with self._changed:
            self._set(body)

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
            self._served[offset] += 1
            self._bytes += len(data)
            self._changed.notify_all()
            return Block(data, offset + size < len(self._body), self._etag, len(self._body))
