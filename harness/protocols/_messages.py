"""aiocoap's message layer, made fit for hundreds of peers at a time.

There, one counter of message ids serves all peers, although ids have to differ for one peer only
(RFC 7252 section 4.4), and with every acknowledgement all that is under way to anybody is looked through.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from aiocoap.message import Message
from aiocoap.messagemanager import MessageManager

__all__ = ["MessageIds", "Messages"]

EXCHANGE_LIFETIME: Final = 247.0
"""Seconds for which a receiver remembers a message id (RFC 7252 section 4.8.2)."""

_Key: TypeAlias = tuple[Any, int]


class MessageIds:
    """Keeps a sender from using a message id again while its peers still remember it.

    They have 16 bits. The 65537th message to a peer within 247 s gets the
    answer of the first one, or none. Sending is put off until enough ids are free.
    """

    def __init__(self, *, capacity: int = 65536 - 1024, lifetime: float = EXCHANGE_LIFETIME) -> None:
        self.capacity = capacity
        self.lifetime = lifetime
        self._next: int | None = None
        self._total = 0
        self._marks: deque[tuple[float, int]] = deque()

    def wait_needed(self, next_id: int, now: float) -> float:
        """Return the seconds to wait before ``next_id`` may be used, at the time ``now``."""
        if self._next is not None:
            self._total += (next_id - self._next) & 0xFFFF
        self._next = next_id
        # A mark stands for what is sent within one grain after it.
        grain = self.lifetime / 250
        if not self._marks or now - self._marks[-1][0] >= grain:
            self._marks.append((now, self._total))
        while len(self._marks) > 1 and now - self._marks[0][0] > self.lifetime + grain:
            self._marks.popleft()
        if self._total - self._marks[0][1] < self.capacity:
            return 0.0
        return max(0.001, self._marks[0][0] + self.lifetime + grain - now)


class _Exchanges(dict[_Key, Any]):
    """Confirmable messages that are not acknowledged yet, counted by peer."""

    def __init__(self) -> None:
        super().__init__()
        self.of_peer: Counter[Any] = Counter()

    def __setitem__(self, key: _Key, value: Any) -> None:
        if key not in self:
            self.of_peer[key[0]] += 1
        super().__setitem__(key, value)

    def pop(self, key: _Key, *default: Any) -> Any:
        """Remove one; KeyError if it is not there and there is no default."""
        if key in self:
            self.of_peer[key[0]] -= 1
            if not self.of_peer[key[0]]:
                del self.of_peer[key[0]]
        return super().pop(key, *default)


class _RecentMessages(dict[_Key, Any]):
    """aiocoap's memory of requests for telling repetitions, made safe to forget from.

    aiocoap removes entries from timers that expect them to be there.
    """

    def __init__(self) -> None:
        super().__init__()
        #: hashes of the bytes of each
        self.digests: dict[_Key, int] = {}

    def pop(self, key: _Key, default: Any = None) -> Any:
        """Remove an entry if it is there."""
        self.digests.pop(key, None)
        return super().pop(key, default)


class Messages(MessageManager):  # type: ignore[misc]  # aiocoap has no types
    """Message ids, acknowledgements and repetitions of one transport."""

    def __init__(self, token_manager: Any) -> None:
        super().__init__(token_manager)
        self._active_exchanges = _Exchanges()
        self._recent_messages = _RecentMessages()
        self._ids: dict[Any, int] = {}
        self._sending_to: Any = None

    def next_id(self, remote: Any) -> int:
        """Return the id of the next message to a peer."""
        first: int = self.message_id
        return self._ids.get(remote, first)

    def send_message(self, message: Message, messageerror_monitor: Callable[[], object]) -> None:
        """Send a message; called by aiocoap."""
        self._sending_to = message.remote
        super().send_message(message, messageerror_monitor)

    def _next_message_id(self) -> int:
        found = self.next_id(self._sending_to)
        self._ids[self._sending_to] = (found + 1) & 0xFFFF
        return found

    def _continue_backlog(self, remote: Any) -> None:
        backlog = self._backlogs.get(remote)
        while backlog and not self._active_exchanges.of_peer[remote]:
            self._send_initially(*backlog.pop(0))
        if not backlog and not self._active_exchanges.of_peer[remote]:
            self._backlogs.pop(remote, None)

    def _schedule_retransmit(self, message: Message, timeout: float, count: int) -> Any:
        longest = getattr(message.transport_tuning, "LONGEST_PAUSE", timeout)
        return super()._schedule_retransmit(message, min(timeout, longest), count)
