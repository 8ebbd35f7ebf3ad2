"""aiocoap's message layer, made fit for hundreds of peers at a time.

There, one counter of message ids serves all peers, although ids have to differ for one peer only
(RFC 7252 section 4.4), and with every acknowledgement all that is under way to anybody is looked through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

from aiocoap.message import Message
from aiocoap.messagemanager import MessageManager

__all__ = ["Messages"]

_Key: TypeAlias = tuple[Any, int]


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
