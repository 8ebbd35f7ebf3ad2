"""CoAP over DTLS 1.2: one UDP socket, a session for each peer.

There are no connection ids (RFC 9146), which OpenSSL lacks: a device whose address changes has to
shake hands again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable
from typing import Any, Final, cast

from OpenSSL import SSL

from harness.protocols._dtls_session import (
    ClientContext,
    DtlsSession,
    ServerContext,
    epochs,
    reason_of,
    record_kind,
)
from harness.protocols._transport import PeerAddress, UdpInterface
from harness.protocols.security import DtlsSettings, Rejections

__all__ = ["DtlsClientInterface", "DtlsServerInterface", "SecurePeer"]

_log: Final = logging.getLogger(__name__)

_HANDSHAKE_SECONDS: Final = 60.0
_CLIENT_HELLO: Final = (22, 0)
_SESSION_DATA: Final = (23, 1)
#: a fatal alert (20) that is not encrypted, behind all records of a handshake
_BAD_RECORD_MAC: Final = b"\x15\xfe\xfd\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02\x02\x14"
#: words of OpenSSL that say what was wrong, and ours for counting
_KINDS: Final = {
    "psk identity not found": "unknown identity",
    "no shared cipher": "no common cipher",
    "certificate": "certificate",
}

_Address = tuple[str, int]


class SecurePeer(PeerAddress):
    """The other end of a session; ``identity`` is what it proved to be."""

    __slots__ = ("identity",)
    scheme = "coaps"

    def __init__(self, interface: Any, key: Hashable, hostinfo: str, hostinfo_local: str) -> None:
        super().__init__(interface, key, hostinfo, hostinfo_local)
        self.identity: str | None = None


class _DtlsInterface(UdpInterface):
    """What client and server have in common: sessions, and their timers."""

    peer_type = SecurePeer
    default_port = 5684

    def __init__(self, manager: Any) -> None:
        super().__init__(manager)
        self._sessions: dict[_Address, DtlsSession] = {}

    def _send_to(self, data: bytes, address: _Address) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.sendto(data, address)

    def _session(self, address: _Address) -> tuple[Any, Any]:
        """Return where a session's datagrams and its peer's words go."""

        def send(data: bytes) -> None:
            self._send_to(data, address)

        def take(data: bytes) -> None:
            peer = cast("SecurePeer", self.peer(*address))
            peer.identity = self._sessions[address].identity
            self.received(data, peer)

        return send, take

    def _watch(self, session: DtlsSession, address: _Address, gives_up: float) -> None:
        """Repeat flights of the handshake until it is over or takes too long."""
        timeout = session.timeout
        if timeout is None or self._sessions.get(address) is not session:
            return

        def repeat() -> None:
            if self.closed or session.timeout is None or self._sessions.get(address) is not session:
                return
            try:
                if self.loop.time() > gives_up:
                    raise SSL.Error([("", "", "the handshake was not completed in time")])
                session.repeat()
            except SSL.Error as problem:
                self._failed(session, address, problem)
                return
            self._watch(session, address, gives_up)

        self.loop.call_later(max(0.01, timeout), repeat)

    def _failed(self, session: DtlsSession, address: _Address, problem: SSL.Error) -> None:
        _log.info("a DTLS session with %s:%d ended: %s", *address, reason_of(problem))
        self._drop(session, address)

    def _drop(self, session: DtlsSession, address: _Address) -> None:
        if self._sessions.get(address) is session:
            del self._sessions[address]

    async def shutdown(self) -> None:
        """Say good-bye to all peers and close the socket."""
        for session in self._sessions.values():
            session.close()
        await super().shutdown()


class DtlsServerInterface(_DtlsInterface):
    """Lets devices in that know their keys, and notes who was not."""

    def __init__(
        self, manager: Any, settings: DtlsSettings, context: ServerContext, rejections: Rejections
    ) -> None:
        super().__init__(manager)
        self._settings = settings
        self._context = context
        self._rejections = rejections
        self._expiries: dict[_Address, asyncio.TimerHandle] = {}

    @staticmethod
    def context(settings: DtlsSettings) -> ServerContext:
        """Return what all sessions share. Raises CodecError for certificates that are none."""

        def key_of(identity: str) -> bytes | None:
            psk = settings.keys.get(identity)
            return None if psk is None else psk.key

        return ServerContext(key_of, settings.certificate, settings.trusted)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Take a datagram."""
        address: _Address = addr[:2]
        kind = record_kind(data)
        if self.closed:
            return
        if kind is None:
            self._reject(address, "not DTLS", f"{len(data)} bytes that are no DTLS record")
            return
        session = self._sessions.get(address)
        if session is None or (session.established and kind == _CLIENT_HELLO):
            self._greet(data, kind, address)
        else:
            self._feed(session, data, address)

    def _greet(self, data: bytes, kind: tuple[int, int], address: _Address) -> None:
        """Answer a ClientHello; a session begins when its cookie comes back (RFC 6347 section 4.2.1)."""
        if kind != _CLIENT_HELLO:
            self._reject(
                address,
                "no session",
                "a message of a session that does not exist: it has expired, or the server was restarted",
            )
            return
        send, take = self._session(address)
        session = DtlsSession(self._context.ssl, send, take)
        self._context.know(session)
        self._context.asking = repr(address).encode()
        try:
            goes_on = session.listen(data)
        except SSL.Error as problem:
            self._context.forget(session)
            self._reject(address, "handshake", f"no greeting: {reason_of(problem)}")
            return
        if not goes_on:
            self._context.forget(session)
            return
        before = self._sessions.get(address)
        if before is not None:
            self._drop(before, address)
        self._sessions[address] = session
        self._run(session, b"", address)
        self._watch(session, address, self.loop.time() + _HANDSHAKE_SECONDS)

    def _feed(self, session: DtlsSession, data: bytes, address: _Address) -> None:
        began, taken = session.established, session.taken
        self._run(session, data, address)
        if began and not session.closed and session.taken == taken and record_kind(data) == _SESSION_DATA:
            # OpenSSL drops it without a word (RFC 6347 sections 4.1.2.6 and 4.1.2.7).
            self._reject(address, "dropped record", "it came before, or was not made with the session's key")
        stuck = not session.established and not session.closed
        if stuck and not began and session.identity is not None and max(epochs(data)) > 0:
            # It knows the identity, but what it encrypted cannot be read; OpenSSL drops that without a word.
            self._send_to(_BAD_RECORD_MAC, address)
            self._reject(
                address, "wrong key", f"the identity {session.identity!r} is known, its key does not fit"
            )
            self._drop(session, address)
        elif session.closed:
            self._drop(session, address)
        elif self._settings.session_seconds:
            self._expire_later(session, address)

    def _run(self, session: DtlsSession, data: bytes, address: _Address) -> None:
        try:
            if data:
                session.feed(data)
            else:
                session.advance()
        except SSL.Error as problem:
            self._failed(session, address, problem)

    def _failed(self, session: DtlsSession, address: _Address, problem: SSL.Error) -> None:
        said = reason_of(problem)
        kind = next((kind for word, kind in _KINDS.items() if word in said), "handshake")
        who = f"the identity {session.identity!r}" if session.identity is not None else "a client"
        self._reject(address, kind, f"{who} was refused: {said}")
        self._drop(session, address)

    def _expire_later(self, session: DtlsSession, address: _Address) -> None:
        timer = self._expiries.pop(address, None)
        if timer is not None:
            timer.cancel()

        def expire() -> None:
            self._expiries.pop(address, None)
            self._drop(session, address)

        self._expiries[address] = self.loop.call_later(self._settings.session_seconds, expire)

    def _reject(self, address: _Address, kind: str, reason: str) -> None:
        self._rejections.add(f"coaps://{address[0]}:{address[1]}", kind, reason)

    def _drop(self, session: DtlsSession, address: _Address) -> None:
        super()._drop(session, address)
        self._context.forget(session)
        peer = self.known_peer(address)
        if peer is not None and address not in self._sessions:
            # Not from within aiocoap: it may be looping over what is about to be failed.
            self.loop.call_soon(self.fail, peer, "the DTLS session is over")

    def transmit(self, data: bytes, remote: PeerAddress) -> None:
        """Send one message through the peer's session."""
        session = self._sessions.get(cast("_Address", remote.key))
        if session is None:
            self.loop.call_soon(self.fail, remote, "there is no DTLS session with the device any more")
            return
        session.write(data)

    def move(self, remote: PeerAddress, to: PeerAddress) -> bool:
        """Let a peer go on at another address if it has proved there that it is the same one."""
        same = (
            isinstance(remote, SecurePeer) and isinstance(to, SecurePeer) and remote.identity == to.identity
        )
        return same and super().move(remote, to)

    async def shutdown(self) -> None:
        """Say good-bye to all peers and close the socket."""
        for timer in self._expiries.values():
            timer.cancel()
        await super().shutdown()


class DtlsClientInterface(_DtlsInterface):
    """A client's end: one server, with whom it shakes hands before it says anything."""

    def __init__(self, manager: Any, context: ClientContext) -> None:
        super().__init__(manager)
        self._context = context

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Take a datagram."""
        address: _Address = addr[:2]
        session = self._sessions.get(address)
        if session is None or self.closed:
            return
        try:
            session.feed(data)
        except SSL.Error as problem:
            self._failed(session, address, problem)
            return
        if session.closed:
            self._drop(session, address)

    def transmit(self, data: bytes, remote: PeerAddress) -> None:
        """Send one message, after a handshake if there was none yet."""
        address = cast("_Address", remote.key)
        session = self._sessions.get(address)
        if session is None:
            send, take = self._session(address)
            session = DtlsSession.client(self._context, send, take)
            self._sessions[address] = session
            self._watch(session, address, self.loop.time() + _HANDSHAKE_SECONDS)
        session.write(data)
