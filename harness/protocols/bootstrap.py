"""The bootstrap interface: tells devices which server to register with, and gives them their keys.

Source: OMA-TS-LightweightM2M_Core-V1_1, section 6.1. A device asks (client-initiated), or is
told to ask: by the LwM2M server with Bootstrap-Request Trigger, /1/x/9, or by :meth:`BootstrapServer.start`
where it was heard before (server-initiated).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final

from aiocoap.message import Message
from aiocoap.numbers.codes import (
    BAD_REQUEST,
    CHANGED,
    CONTENT,
    DELETE,
    GET,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    POST,
    PUT,
)

from harness._deadline import Deadline
from harness._errors import CodecError, HarnessError, PortError, RegistrationError
from harness.protocols._blockwise import complete, refused
from harness.protocols._node import Node, Retransmission
from harness.protocols._portal import LoopThread
from harness.protocols._transport import PeerAddress
from harness.protocols.content import ContentFormat, Path, Value, decode_links, encode
from harness.protocols.objects import OBJECTS, types_of
from harness.protocols.security import DtlsSettings, Rejections

__all__ = ["Account", "BootstrapServer", "Provisioning"]

_PSK, _NO_SECURITY = 0, 3
_FORMATS: Final = (ContentFormat.TLV, ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON)


@dataclass(frozen=True, slots=True)
class Account:
    """The server that a device shall register with.

    ``uri`` is that of the server; for ``coaps`` with the device's ``identity`` and ``key``. ``more`` are
    further resources to write, by path, after objects 0 and 1.
    """

    uri: str
    identity: str = ""
    key: bytes = field(default=b"", repr=False)
    short_id: int = 1
    lifetime: int = 300
    binding: str = "U"
    more: Mapping[Path, Value] = field(default_factory=dict)

    def security(self, instance: int) -> dict[Path, Value]:
        """Return the instance of object 0 that says this."""
        at = Path(0, instance).child
        secure = self.uri.startswith("coaps")
        return {
            at(0): self.uri,
            at(1): False,
            at(2): _PSK if secure else _NO_SECURITY,
            at(3): self.identity.encode(),
            at(4): b"",
            at(5): self.key,
            at(10): self.short_id,
        }

    def server(self, instance: int) -> dict[Path, Value]:
        """Return the instance of object 1 that belongs to it."""
        at = Path(1, instance).child
        return {at(0): self.short_id, at(1): self.lifetime, at(6): False, at(7): self.binding}


@dataclass(frozen=True, slots=True)
class Provisioning:
    """How the bootstrap of one device went: the steps that were done, and the problem that ended it."""

    sequence: int
    endpoint: str
    steps: tuple[str, ...]
    problem: str | None
    at: float

    @property
    def ok(self) -> bool:
        """True if the device took everything."""
        return self.problem is None


class BootstrapServer:
    """Provisions devices by endpoint name. Runs from construction to :meth:`close`.

    ``accounts`` may be changed at any time; the name ``*`` stands for all others. ``dtls`` makes it
    listen for DTLS as well, with the devices' bootstrap keys. Raises PortError.
    """

    def __init__(
        self,
        accounts: Mapping[str, Account],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        timeout: float = 10.0,
        retransmission: Retransmission | None = None,
        dtls: DtlsSettings | None = None,
        dtls_port: int = 0,
    ) -> None:
        self.accounts = dict(accounts)
        self.rejections = Rejections()
        self._timeout = timeout
        self._types = types_of(OBJECTS.values())
        self._changed = threading.Condition()
        self._done: list[Provisioning] = []
        self._heard: dict[str, tuple[Node, PeerAddress, int]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = LoopThread()
        self._nodes: list[Node] = []
        try:
            self._loop.run(self._open, host, port, retransmission or Retransmission(), dtls, dtls_port)
        except BaseException:
            self.close()
            raise

    async def _open(
        self, host: str, port: int, retransmission: Retransmission, dtls: DtlsSettings | None, dtls_port: int
    ) -> None:
        site = _Site(self)
        site.node = await Node.on_udp(site, host, port, retransmission=retransmission)
        site.node.tell_rejections(self._note_rejection)
        self._nodes.append(site.node)
        if dtls is not None:
            site = _Site(self)
            site.node = await Node.on_dtls(
                site, host, dtls_port, dtls, self.rejections, retransmission=retransmission
            )
            site.node.tell_rejections(self._note_rejection)
            self._nodes.append(site.node)

    def _note_rejection(self, remote: PeerAddress, kind: str, reason: str) -> None:
        self.rejections.add(remote.uri_base, kind, reason)

    @property
    def uri(self) -> str:
        """What devices are configured with."""
        return "coap://{}:{}".format(*self._nodes[0].udp_address)

    @property
    def secure_uri(self) -> str:
        """What devices are configured with to come over DTLS. Raises PortError when there is none."""
        if len(self._nodes) < 2:
            raise PortError("the bootstrap server was started without DTLS", remedy="give it dtls settings")
        return "coaps://{}:{}".format(*self._nodes[1].udp_address)

    # -- a device asks

    def account_of(self, endpoint: str) -> Account | None:
        """Return what a device is told."""
        return self.accounts.get(endpoint) or self.accounts.get("*")

    def begin(self, endpoint: str, node: Node, remote: PeerAddress, content_format: int) -> None:
        """Start to provision a device; called in the loop."""
        self._heard[endpoint] = node, remote, content_format
        task = asyncio.get_running_loop().create_task(self._provision(endpoint))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _provision(self, endpoint: str) -> None:
        node, remote, content_format = self._heard[endpoint]
        account = self.account_of(endpoint)
        steps: list[str] = []
        problem = None
        deadline = Deadline(self._timeout)
        try:
            if account is None:
                raise RegistrationError(f"there is no account for {endpoint!r}")
            await self._ask(node, remote, DELETE, "/", b"", None, deadline, steps)
            instance = await self._free_instance(node, remote, deadline, steps)
            for path, values in (
                (Path(0, instance), account.security(instance)),
                (Path(1, 1), account.server(1)),
                *((at, {at: value}) for at, value in account.more.items()),
            ):
                body = encode(values, content_format, path, self._types)
                await self._ask(node, remote, PUT, str(path), body, content_format, deadline, steps)
            await self._ask(node, remote, POST, "/bs", b"", None, deadline, steps)
        except HarnessError as error:
            problem = str(error)
        with self._changed:
            done = Provisioning(len(self._done) + 1, endpoint, tuple(steps), problem, time.monotonic())
            self._done.append(done)
            self._changed.notify_all()

    async def _free_instance(
        self, node: Node, remote: PeerAddress, deadline: Deadline, steps: list[str]
    ) -> int:
        """Find an instance of object 0 that is not the bootstrap server's own account, which Delete leaves.

        Devices need not support Discover; for those it is 1.
        """
        message = Message(code=GET)
        message.opt.accept = int(ContentFormat.LINK)
        label = "GET / during bootstrap"
        first = await node.exchange(message, remote, deadline, label, patient=True)
        steps.append(f"GET /: {first.code.dotted}")
        if first.code != CONTENT:
            return 1
        whole = await complete(node, remote, message, first, label=label, deadline=deadline)
        try:
            taken = {Path.of(link.target) for link in decode_links(whole.payload) if link.target != "/"}
        except (CodecError, ValueError):
            return 1
        return next(number for number in range(1, len(taken) + 2) if Path(0, number) not in taken)

    async def _ask(
        self,
        node: Node,
        remote: PeerAddress,
        method: Any,
        path: str,
        body: bytes,
        content_format: int | None,
        deadline: Deadline,
        steps: list[str],
    ) -> None:
        message = Message(code=method, payload=body)
        message.opt.uri_path = tuple(filter(None, path.split("/")))
        message.opt.content_format = content_format
        label = f"{method.name} {path} during bootstrap"
        answer = await node.exchange(message, remote, deadline, label, patient=True)
        steps.append(f"{method.name} {path}: {answer.code.dotted}")
        if not answer.code.dotted.startswith("2."):
            raise refused(answer.code.dotted, answer.payload, label)

    # -- any thread's side

    def start(self, endpoint: str) -> None:
        """Provision a device that was heard before, without its asking. Raises RegistrationError."""
        self._loop.run(self._start, endpoint)

    async def _start(self, endpoint: str) -> None:
        if endpoint not in self._heard:
            raise RegistrationError(
                f"the device {endpoint!r} was never heard",
                remedy="have it ask first, or execute /1/x/9 on its LwM2M server",
            )
        self.begin(endpoint, *self._heard[endpoint])

    def wait(
        self,
        endpoint: str | None = None,
        *,
        after: Provisioning | int | None = None,
        deadline: float | Deadline,
    ) -> Provisioning:
        """Wait until a device was provisioned, or failed to be. Raises DeadlineExceeded."""
        sequence = after.sequence if isinstance(after, Provisioning) else after or 0
        until = Deadline.of(deadline)

        def find() -> Provisioning | None:
            wanted = (d for d in self._done if d.sequence > sequence and endpoint in (None, d.endpoint))
            return next(wanted, None)

        with self._changed:
            found = self._changed.wait_for(find, until.remaining)
            if found is not None:
                return found
            seen = "; ".join(f"{d.endpoint!r}: {d.problem or 'well'}" for d in self._done[-5:])
            refusals = "; ".join(map(str, self.rejections.last[-5:]))
            raise until.exceeded(
                f"the bootstrap of {endpoint!r}" if endpoint else "a bootstrap",
                where="bootstrap server",
                seen="; ".join(filter(None, [seen, refusals])) or "nothing",
            )

    def close(self) -> None:
        """Close the sockets and end the thread."""
        if not self._loop.closed:
            try:
                self._loop.run(self._close)
            finally:
                self._loop.close()

    async def _close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for node in self._nodes:
            await node.close()

    def __enter__(self) -> BootstrapServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Site:
    """Answers POST /bs?ep=NAME on one node."""

    def __init__(self, server: BootstrapServer) -> None:
        self.node: Node | None = None
        self._server = server

    async def render_to_pipe(self, pipe: Any) -> None:
        """Answer one request; called by aiocoap."""
        request = pipe.request
        if tuple(request.opt.uri_path) != ("bs",):
            pipe.add_response(Message(code=NOT_FOUND), is_last=True)
            return
        if request.code != POST:
            pipe.add_response(Message(code=METHOD_NOT_ALLOWED), is_last=True)
            return
        terms = dict(query.partition("=")[::2] for query in request.opt.uri_query)
        endpoint = terms.get("ep", "")
        preferred = terms.get("pct", str(int(ContentFormat.TLV)))
        content_format = next((known for known in _FORMATS if str(int(known)) == preferred), None)
        problem = None
        if not endpoint:
            problem = "no endpoint name (ep)"
        elif self._server.account_of(endpoint) is None:
            problem = f"there is no account for {endpoint!r}"
        elif content_format is None:
            problem = f"content format {preferred} is not supported"
        if problem is not None or content_format is None:
            pipe.add_response(Message(code=BAD_REQUEST, payload=str(problem).encode()), is_last=True)
            return
        pipe.add_response(Message(code=CHANGED), is_last=True)
        assert self.node is not None
        self._server.begin(endpoint, self.node, request.remote, content_format)
