"""CoAP message transports below aiocoap: slipmux links and plain UDP.

aiocoap 0.4.17 ships no slipmux transport. Its ``udp6`` transport sets
SO_REUSEPORT, with which the kernel may give two processes the same "free" port,
turns ICMP errors of a rebooting device into the end of all that is pending, and
needs ``recvmsg``, which Windows lacks. So both transports here are own ones on
one base; everything above datagrams (RFC 7252 sections 3 to 5) stays aiocoap's.

They stand on private parts of aiocoap's message manager, hence the pinned release.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import socket
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self, TypeAlias, cast

from aiocoap import error
from aiocoap.message import Message, UndecidedRemote
from aiocoap.numbers.codes import POST
from aiocoap.numbers.constants import COAP_PORT, MAX_REGULAR_BLOCK_SIZE_EXP
from aiocoap.numbers.types import CON

from harness._errors import PortError
from harness.protocols.links import FrameLink
from harness.protocols.slipmux import encode_coap

__all__ = ["Heard", "LinkInterface", "PeerAddress", "PeerGone", "UdpInterface"]

_log: Final = logging.getLogger(__name__)

_TOKEN_MAX: Final = 8
_BUFFER: Final = 1 << 22

_Key: TypeAlias = tuple["PeerAddress", int]


class PeerGone(error.NetworkError):  # type: ignore[misc]  # aiocoap has no types
    """Ends requests whose peer cannot answer any more; ``args[0]`` says why."""

    def __str__(self) -> str:
        return str(self.args[0])


class PeerAddress:
    """The other end of a transport; aiocoap's EndpointAddress without its abstract base.

    ``key`` is where messages go. ``hostinfo`` is how the peer appears in URIs,
    ``hostinfo_local`` how this side does. There is one object for each peer, which stays
    the same when the peer's address changes: so all that is under way to it moves along.
    """

    scheme: ClassVar[str] = "coap"
    identity: str | None = None
    is_multicast: Final = False
    is_multicast_locally: Final = False
    maximum_payload_size: Final = 1024
    authenticated_claims: Final[tuple[object, ...]] = ()

    __slots__ = ("hostinfo", "hostinfo_local", "interface", "key", "maximum_block_size_exp")

    def __init__(self, interface: Interface, key: Hashable, hostinfo: str, hostinfo_local: str) -> None:
        self.interface = interface
        self.key = key
        self.hostinfo = hostinfo
        self.hostinfo_local = hostinfo_local
        self.maximum_block_size_exp = MAX_REGULAR_BLOCK_SIZE_EXP

    @property
    def uri_base(self) -> str:
        """The peer as a URI without a path."""
        return f"{self.scheme}://{self.hostinfo}"

    @property
    def uri(self) -> str:
        """The peer as a URI without a path."""
        return self.uri_base

    @property
    def uri_base_local(self) -> str:
        """This side as the peer would address it."""
        return f"{self.scheme}://{self.hostinfo_local}"

    @property
    def blockwise_key(self) -> Hashable:
        """What blocks of one transfer have in common."""
        return id(self)

    def as_response_address(self) -> PeerAddress:
        """Answers go where requests came from."""
        return self

    def __repr__(self) -> str:
        return f"<{self.uri_base}>"


@dataclass(slots=True)
class Heard:
    """What one peer was heard to say, for error messages and for telling restarts."""

    count: int = 0
    last: Message | None = None
    at: float = 0.0
    key: _Key | None = None

    def __str__(self) -> str:
        if self.last is None:
            return "nothing was ever heard from it"
        ago = time.monotonic() - self.at
        text = f"{self.last.mtype.name} {self.last.code.dotted} mid {self.last.mid:#06x}"
        return f"last heard {ago:.1f} s ago: {text}, {len(self.last.payload)} bytes of payload"


def _ignore(*_: object) -> None:
    """What is called as long as nobody is interested."""


class Interface:
    """Common half of the transports: decoding, bookkeeping and telling restarts from repetitions.

    A repetition has the message id *and* the bytes of a message that was answered
    already (RFC 7252 section 4.2), and is answered from memory. Small firmware has
    no entropy: after a reboot it uses the same message ids, and even registers with
    the very same bytes. A message with a known id but other bytes is therefore new;
    so is an identical registration when anything else was heard in between.
    """

    def __init__(self, manager: Any) -> None:
        self.manager = manager
        self.loop = asyncio.get_running_loop()
        self.garbage = 0
        self.sent: dict[PeerAddress, Message] = {}
        self._times_sent: dict[PeerAddress, tuple[int, int]] = {}
        self.heard: dict[PeerAddress, Heard] = {}
        self.closed = False
        self.on_answer: Callable[[PeerAddress], object] = _ignore
        #: told of what is not let in: from whom, a few words for counting, the whole story
        self.on_reject: Callable[[PeerAddress, str, str], object] = _ignore

    def received(self, data: bytes, remote: PeerAddress) -> None:
        """Take one CoAP message from the wire; never raises."""
        if self.closed:
            return
        try:
            message = Message.decode(data, remote)
            message.opt.option_list()
            if len(message.token) > _TOKEN_MAX:
                raise ValueError("a token length that is reserved (RFC 7252 section 3)")
        except (error.UnparsableMessage, ValueError, LookupError, AssertionError):
            self.garbage += 1
            self.on_reject(remote, "malformed", f"{len(data)} bytes that are no CoAP message")
            _log.info("ignoring %d bytes from %r that are no CoAP message", len(data), remote)
            return
        key = (remote, message.mid)
        heard = self.heard.setdefault(remote, Heard())
        if message.code.is_request():
            self._tell_restart(message, data, key, heard)
        heard.count += 1
        heard.last, heard.at, heard.key = message, time.monotonic(), key
        if not message.code.is_request():
            self.on_answer(remote)
        if message.code.is_response() and not self._expected(message):
            answer = f"{message.code.dotted} with token {message.token.hex() or '(none)'}"
            self.on_reject(remote, "stray answer", f"{answer} to nothing that is waited for")
        try:
            self.manager.dispatch_message(message)
        except Exception:
            _log.exception("aiocoap failed on a message from %r", remote)

    def _expected(self, answer: Message) -> bool:
        return (answer.token, answer.remote) in self.manager.token_manager.outgoing_requests

    def _tell_restart(self, message: Message, data: bytes, key: _Key, heard: Heard) -> None:
        recent = self.manager._recent_messages
        digest = hash(data)
        if key in recent:
            registers = message.code == POST and message.opt.uri_path == ("rd",)
            if recent.digests.get(key) != digest or (registers and heard.key != key):
                recent.pop(key)
        recent.digests[key] = digest

    def move(self, remote: PeerAddress, to: PeerAddress) -> bool:
        """Let a peer go on at the address of another one, if the transport has addresses."""
        return remote is to

    def forget(self, remote: PeerAddress) -> None:
        """Take the next messages of ``remote`` for new ones: it was reset."""
        for key in [key for key in self.manager._recent_messages if key[0] == remote]:
            self.manager._recent_messages.pop(key)

    def fail(self, remote: PeerAddress, reason: str) -> None:
        """End all that is under way to ``remote``: it cannot answer, or must not get old requests."""
        manager = self.manager
        if manager._active_exchanges is None:
            return
        for key in [key for key in manager._active_exchanges if key[0] == remote]:
            manager._active_exchanges.pop(key)[1].cancel()
        manager._backlogs.pop(remote, None)
        pending = manager.token_manager.outgoing_requests
        for pipe in [pipe for (_, peer), pipe in pending.items() if peer == remote]:
            pipe.add_exception(PeerGone(reason))

    def withdraw(self, message: Message) -> None:
        """Stop sending a request that nobody waits for any more, and let the next one go."""
        manager = self.manager
        exchanges = manager._active_exchanges
        if exchanges is None:
            return
        remote = message.remote
        if (remote, message.mid) in exchanges:
            exchanges.pop((remote, message.mid))[1].cancel()
            manager._continue_backlog(remote)
        elif remote in manager._backlogs:
            manager._backlogs[remote][:] = [e for e in manager._backlogs[remote] if e[0] is not message]

    def progress(self, message: Message) -> str:
        """Say how far a request without an answer got."""
        exchanges = self.manager._active_exchanges or {}
        if (message.remote, message.mid) in exchanges:
            return "no acknowledgement"
        if any(entry[0] is message for entry in self.manager._backlogs.get(message.remote, ())):
            return "never sent, because an earlier message to the device is not acknowledged"
        return "an empty acknowledgement, but no answer"

    def send(self, message: Message) -> None:
        """Put a message on the wire; called by aiocoap."""
        if message.mtype is CON or message.code.is_request():
            self.sent[message.remote] = message
            mid, times = self._times_sent.get(message.remote, (-1, 0))
            self._times_sent[message.remote] = message.mid, times + 1 if mid == message.mid else 1
        if not self.closed:
            self.transmit(message.encode(), message.remote)

    def repeated(self, message: Message) -> bool:
        """Tell whether the last request to a peer went out more than once; ``message`` is that one."""
        mid, times = self._times_sent.get(message.remote, (-1, 0))
        return mid == message.mid and times > 1

    async def recognize_remote(self, remote: object) -> bool:
        """Tell aiocoap whether an address is one of this transport."""
        return isinstance(remote, PeerAddress) and remote.interface is self

    async def determine_remote(self, message: Message) -> PeerAddress | None:
        """Find the address for a request that was made from a URI."""
        remote = message.remote
        if not isinstance(remote, UndecidedRemote) or remote.scheme != "coap":
            return None
        return self.resolve(remote.hostinfo)

    def transmit(self, data: bytes, remote: PeerAddress) -> None:
        """Send one encoded message."""
        raise NotImplementedError

    def resolve(self, hostinfo: str) -> PeerAddress | None:
        """Turn the authority of a URI into an address of this transport."""
        raise NotImplementedError

    async def shutdown(self) -> None:
        """End the transport; called by aiocoap."""
        raise NotImplementedError


class LinkInterface(Interface):
    """Slipmux over a :class:`FrameLink`: exactly one peer, ``remote``."""

    def __init__(
        self, manager: Any, link: FrameLink, lost: Callable[[Exception | None], None] | None = None
    ) -> None:
        super().__init__(manager)
        self.link = link
        # draft-bormann-t2trg-slipmux has no URIs; ".alt" (RFC 9476) says that DNS has no part in it.
        label = re.sub(r"[^a-z0-9.-]+", "-", link.name.lower()).strip("-.")
        host = f"{label or 'link'}.dev.alt"
        self.remote = PeerAddress(self, link.name, host, host)
        self._lost = lost
        self._unsubscribe = link.subscribe(self._on_message, self._on_closed)

    def _on_message(self, message: bytes) -> None:
        self._in_loop(self.received, message, self.remote)

    def _on_closed(self, reason: Exception | None) -> None:
        self._in_loop(self._close, reason)

    def _in_loop(self, function: Callable[..., object], *args: object) -> None:
        try:
            self.loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop is closed: whoever reads the port was a little slower than the server
            _log.debug("link %s outlived its server", self.link.name)

    def _close(self, reason: Exception | None) -> None:
        if self.closed:
            return
        self.closed = True
        self.fail(self.remote, f"the link {self.link.name} closed: {reason or 'its owner ended it'}")
        if self._lost is not None:
            self._lost(reason)

    def transmit(self, data: bytes, remote: PeerAddress) -> None:  # noqa: ARG002  a link has one peer
        """Frame a message and hand it to the port's owner."""
        try:
            self.link.send(encode_coap(data))
        except (PortError, OSError) as problem:
            # Not from within aiocoap: it may be looping over what is about to be failed.
            self.loop.call_soon(self._close, problem)

    def resolve(self, hostinfo: str) -> PeerAddress | None:
        """Know the link's own name only."""
        return self.remote if hostinfo.lower() == self.remote.hostinfo else None

    async def shutdown(self) -> None:
        """Leave the link; its owner closes it."""
        self.closed = True
        self._unsubscribe()


class UdpInterface(Interface, asyncio.DatagramProtocol):
    """CoAP over one UDP socket that is bound to one address and shared by all peers."""

    peer_type: ClassVar[type[PeerAddress]] = PeerAddress
    default_port: ClassVar[int] = COAP_PORT

    def __init__(self, manager: Any) -> None:
        super().__init__(manager)
        self.transport: asyncio.DatagramTransport | None = None
        self.address: tuple[str, int] = ("", 0)
        self._peers: dict[tuple[str, int], PeerAddress] = {}
        self._ended: asyncio.Future[None] = self.loop.create_future()

    @classmethod
    async def bind(cls, manager: Any, host: str, port: int, **options: Any) -> Self:
        """Open the socket; ``address`` has the port that was found. Raises PortError."""
        loop = asyncio.get_running_loop()
        try:
            _, self = await loop.create_datagram_endpoint(
                lambda: cls(manager, **options), local_addr=(host, port)
            )
        except OSError as problem:
            raise PortError(
                f"cannot listen for CoAP: {problem}",
                where=f"udp {host}:{port}",
                remedy="let the system choose: port 0",
            ) from problem
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn the bound address."""
        self.transport = cast("asyncio.DatagramTransport", transport)
        # A rack of boards may answer at once. The system takes as much of it as it allows.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self.address = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Take a datagram."""
        self.received(data, self.peer(addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:
        """Ignore ICMP: a device that reboots refuses for a moment, and requests have deadlines."""
        _log.debug("ignoring %r on the CoAP socket", exc)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the end is always ours
        """Note that the socket is closed."""
        if not self._ended.done():
            self._ended.set_result(None)

    def peer(self, host: str, port: int) -> PeerAddress:
        """Return the address of a host, given as a numeric address."""
        known = self._peers.get((host, port))
        if known is None:
            own = self._hostinfo(self._own_host(host), self.address[1])
            known = self.peer_type(self, (host, port), self._hostinfo(host, port), own)
            self._peers[host, port] = known
        return known

    def known_peer(self, address: tuple[str, int]) -> PeerAddress | None:
        """Return the peer at an address if anything was ever heard from it."""
        return self._peers.get(address)

    def _hostinfo(self, host: str, port: int) -> str:
        name = f"[{host}]" if ":" in host else host
        return name if port == self.default_port else f"{name}:{port}"

    def move(self, remote: PeerAddress, to: PeerAddress) -> bool:
        """Let a peer go on at the address of another one: requests, observations and all."""
        if remote is not to:
            before = cast("tuple[str, int]", remote.key)
            if self._peers.get(before) is remote:
                del self._peers[before]
            remote.key, remote.hostinfo, remote.hostinfo_local = to.key, to.hostinfo, to.hostinfo_local
            self._peers[cast("tuple[str, int]", to.key)] = remote
        return True

    def _own_host(self, peer: str) -> str:
        """Find the address of this machine that a peer can reach."""
        own = ipaddress.ip_address(self.address[0])
        if not own.is_unspecified:
            return str(own)
        # Connecting a UDP socket asks for the route and sends nothing.
        with socket.socket(
            socket.AF_INET6 if own.version == 6 else socket.AF_INET, socket.SOCK_DGRAM
        ) as probe:
            probe.connect((peer, COAP_PORT))
            return str(probe.getsockname()[0])

    def transmit(self, data: bytes, remote: PeerAddress) -> None:
        """Send one datagram."""
        assert self.transport is not None
        host, port = cast("tuple[str, int]", remote.key)
        self.transport.sendto(data, (host, port))

    def resolve(self, hostinfo: str) -> PeerAddress | None:
        """Take numeric addresses; names would need DNS, which no test should."""
        host, colon, port = hostinfo.rpartition(":")
        if not colon or hostinfo.endswith("]"):
            host, port = hostinfo, str(self.default_port)
        try:
            return self.peer(str(ipaddress.ip_address(host.strip("[]"))), int(port))
        except ValueError:
            return None

    async def shutdown(self) -> None:
        """Close the socket."""
        self.closed = True
        if self.transport is not None:
            self.transport.close()
            await self._ended
