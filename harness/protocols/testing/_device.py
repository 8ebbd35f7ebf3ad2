"""A device that exists in this process: an LwM2M client with components to update."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable
from types import TracebackType
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from aiocoap.message import Message
from aiocoap.numbers.codes import CREATED, DELETE, GET, POST

from harness._deadline import Deadline
from harness._errors import HarnessError, RegistrationError
from harness.protocols._node import Node, Retransmission
from harness.protocols._portal import LoopThread
from harness.protocols._transport import PeerAddress, UdpInterface
from harness.protocols.certificates import ServerCertificate
from harness.protocols.content import ContentFormat, Link, Path, Value, encode, encode_links
from harness.protocols.links import FrameLink
from harness.protocols.objects import OBJECTS, types_of
from harness.protocols.testing._bootstrap import Accounts, BootstrapSite
from harness.protocols.testing._fetch import fetch_coap, fetch_http, fetch_tcp
from harness.protocols.testing._machine import Component, Flash
from harness.protocols.testing._resources import Faults, Resources
from harness.protocols.update_rules import UpdateResult, UpdateState

__all__ = ["StandIn"]

T = TypeVar("T")

_REQUEST_SECONDS: Final = 5.0


class StandIn:
    """A stand-in for a device under test: boots, registers, is updated, reboots.

    It talks over real transports: ``server`` is a URI to reach over UDP, ``link`` a
    slipmux line; exactly one is given. Components are named by ``components`` and
    take images from :func:`make_image`. Updates need ``update_seconds`` and a reboot.

    With ``entropy`` false every boot uses the same message ids and tokens again, as
    small firmware does. ``faults`` makes it misbehave; ``requests`` is what it was
    asked since it booted. It renews its registration every ``renew`` seconds (None:
    never by itself), and registers anew when the server does not know it. It pulls over
    ``schemes``, of which it knows coap, coaps (with ``psk``), http, https and coap+tcp; ``trusted`` is the
    certificate (PEM) of servers that it believes.

    With ``bootstrap``, a server's URI, in place of the two it asks there whom to register
    with, once, and again when /1/1/9 is executed; ``psk`` is then for the bootstrap server.
    Close it, or use ``with``.
    """

    def __init__(
        self,
        endpoint: str = "stand-in",
        *,
        server: str | None = None,
        link: FrameLink | None = None,
        components: Iterable[str] = ("application", "bootloader"),
        version: str = "1.0.0",
        lifetime: int = 300,
        entropy: bool = True,
        update_seconds: float = 0.01,
        renew: float | None = None,
        schemes: Iterable[str] = ("coap",),
        trusted: bytes | None = None,
        faults: Faults | None = None,
        retransmission: Retransmission | None = None,
        psk: tuple[str, bytes] | None = None,
        certificate: ServerCertificate | None = None,
        bootstrap: str | None = None,
    ) -> None:
        if [server, link, bootstrap].count(None) != 2:
            raise ValueError("a stand-in needs either a server's URI or a link, or a bootstrap server's URI")
        self.endpoint = endpoint
        self.lifetime = lifetime
        self.entropy = entropy
        self.faults = faults or Faults()
        own = urlsplit(server or "coap:").scheme  # images come the way that everything else comes
        self.flash = Flash(components, version, {own, *schemes})
        self.settings = _settings(endpoint, lifetime)
        self.location: tuple[str, ...] = ()
        self._server = server
        self._link = link
        self._bootstrap = bootstrap
        self._bootstrap_node: Node | None = None
        self.accounts = Accounts()
        self._told = asyncio.Event()
        self._update_seconds = update_seconds
        self._renew = renew
        self._psk = psk
        self._certificate = certificate
        self._trusted = trusted
        self._retransmission = retransmission or Retransmission()
        self._node: Node | None = None
        self._remote: PeerAddress | None = None
        self._resources: Resources | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._pulling = asyncio.Lock()  # one pull at a time, the others wait
        self._loop = LoopThread()
        try:
            self._loop.run(self._boot)
        except BaseException:
            self.close()
            raise

    # -- what a test does to it

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Methods and paths of all requests since the last boot."""
        return list(self._resources.log) if self._resources is not None else []

    @property
    def components(self) -> list[Component]:
        """The components of object 33629, as they are in flash."""
        return self.flash.components

    def reboot(self) -> None:
        """Restart and register again."""
        self._loop.run(self._restart)

    def power_off(self) -> None:
        """Fall silent, without a word to anybody."""
        self._loop.run(self._halt)

    def power_on(self) -> None:
        """Boot after :meth:`power_off`."""
        self._loop.run(self._power_on)

    def update_registration(self, *, lifetime: int | None = None) -> None:
        """Send a registration update. Raises RegistrationError when it is refused."""
        self._loop.run(self._update_registration, lifetime)

    def deregister(self) -> None:
        """De-register, and stay silent afterwards."""
        self._loop.run(self._deregister)

    def set_value(self, path: str, value: Value) -> None:
        """Change a resource, and notify whoever observes it."""
        self._loop.run(self._set_value, Path.of(path), value)

    def request(self, method: str, path: str, *, query: tuple[str, ...] = (), payload: bytes = b"") -> str:
        """Send any request to the server and return the code of the answer."""
        return self._loop.run(self._request, method, path, query, payload)

    def send(self, *paths: str, content_format: int = ContentFormat.SENML_CBOR) -> str:
        """Send the values below these paths by itself (Send), and return the code of the answer."""
        return self._loop.run(self._send, tuple(map(Path.of, paths)), content_format)

    def close(self) -> None:
        """Power off and end the thread."""
        if not self._loop.closed:
            try:
                self._loop.run(self._halt)
            finally:
                self._loop.close()

    def __enter__(self) -> StandIn:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- what it does by itself

    async def _boot(self) -> None:
        self._resources = Resources(
            self.flash, self.settings, self.faults, self._begin_update, self._begin_pull, self._begin_reboot,
            self._trigger_bootstrap if self._bootstrap is not None else None,
        )  # fmt: skip
        if self._bootstrap is not None:
            await self._open_bootstrap(self._bootstrap)
        uri, psk = self._server or "", self._psk
        if (account := self.accounts.server()) is not None:
            uri, psk, self.lifetime = account
        if self._link is not None:
            self._node, self._remote = await Node.on_link(
                self._resources, self._link, retransmission=self._retransmission
            )
        else:
            self._node, self._remote = await self._open_udp(self._resources, uri, psk)
        if not self.entropy:
            self._node.interface.manager.message_id = 0
            self._node.interface.manager.token_manager._token = 0
        await self._register()
        if self._renew is not None:
            self._spawn(self._keep_registered(self._renew))
        if self.flash.single.state is UpdateState.DOWNLOADING:
            self._begin_pull(self.flash.single)

    async def _open_udp(
        self, site: object, uri: str, psk: tuple[str, bytes] | None
    ) -> tuple[Node, PeerAddress]:
        where = urlsplit(uri)
        host = "::1" if ":" in (where.hostname or "") else "127.0.0.1"
        if where.scheme != "coaps":
            node = await Node.on_udp(site, host, 0, retransmission=self._retransmission)
        else:
            from harness.protocols._dtls_session import ClientContext

            context = ClientContext(psk, self._certificate, self._trusted)
            node = await Node.on_dtls_client(site, host, context, retransmission=self._retransmission)
        interface = node.interface
        assert isinstance(interface, UdpInterface)
        return node, interface.peer(where.hostname or "", where.port or interface.default_port)

    async def _open_bootstrap(self, uri: str) -> None:
        """Ask the bootstrap server if nobody has said yet whom to register with; listen to it ever after."""
        site = BootstrapSite(self.accounts, self.faults.refused_accounts, self._finish_bootstrap)
        self._bootstrap_node, remote = await self._open_udp(site, uri, self._psk)
        if self.accounts.server() is None:
            await self._ask_bootstrap(self._bootstrap_node, remote)

    async def _ask_bootstrap(self, node: Node, remote: PeerAddress) -> None:
        self._told.clear()
        message = Message(code=POST)
        message.opt.uri_path = ("bs",)
        message.opt.uri_query = (f"ep={self.endpoint}", f"pct={int(ContentFormat.SENML_CBOR)}")
        deadline = Deadline(_REQUEST_SECONDS)
        label = f"Bootstrap-Request by {self.endpoint!r}"
        answer = await node.exchange(message, remote, deadline, label, patient=True)
        if answer.code.dotted != "2.04":
            raise RegistrationError("the bootstrap server refused the stand-in", found=answer.code.dotted)
        try:
            async with asyncio.timeout(deadline.remaining):
                await self._told.wait()
        except TimeoutError as problem:
            raise deadline.exceeded("the end of the bootstrap", where=self.endpoint, seen="none") from problem

    def _finish_bootstrap(self) -> None:
        """Register where the bootstrap server said, at once if this was its own idea."""
        running = self._node is not None
        self._told.set()
        if running:
            self._begin_reboot()

    def _trigger_bootstrap(self) -> None:
        self.accounts.values.clear()
        self._begin_reboot()

    async def _exchange(self, message: Message, to: tuple[Node, PeerAddress] | None = None) -> Message:
        """Ask the server, or somebody else."""
        node, remote = to or (self._node, self._remote)
        assert node is not None
        assert remote is not None
        label = f"{message.code.name} by {self.endpoint!r}"
        deadline = Deadline(_REQUEST_SECONDS)
        return await node.exchange(message, remote, deadline, label, patient=True)

    async def _keep_registered(self, pause: float) -> None:
        while True:
            await asyncio.sleep(pause)
            try:
                await self._update_registration(None)
            except HarnessError:
                with contextlib.suppress(HarnessError):
                    await self._register()

    async def _register(self) -> None:
        message = Message(code=POST, payload=self._object_list())
        message.opt.uri_path = ("rd",)
        message.opt.uri_query = (f"ep={self.endpoint}", f"lt={self.lifetime}", "lwm2m=1.1", "b=U")
        message.opt.content_format = int(ContentFormat.LINK)
        answer = await self._exchange(message)
        if answer.code != CREATED:
            raise RegistrationError("the server refused the stand-in", found=answer.code.dotted)
        self.location = tuple(answer.opt.location_path)

    def _object_list(self) -> bytes:
        instances = [f"/33629/{i}" for i in range(len(self.flash.components))]
        root = Link("/", {"rt": "oma.lwm2m", "ct": "110 112 11542"})
        advanced = Link("/33629", {"ver": "1.0"})
        return encode_links([root, *map(Link, ("/1/1", "/3/0", "/5/0")), advanced, *map(Link, instances)])

    async def _update_registration(self, lifetime: int | None) -> None:
        message = Message(code=POST)
        message.opt.uri_path = self.location
        if lifetime is not None:
            message.opt.uri_query = (f"lt={lifetime}",)
        answer = await self._exchange(message)
        if answer.code.dotted != "2.04":
            raise RegistrationError("the server refused an update", found=answer.code.dotted)

    async def _deregister(self) -> None:
        message = Message(code=DELETE)
        message.opt.uri_path = self.location
        await self._exchange(message)

    async def _request(self, method: str, path: str, query: tuple[str, ...], payload: bytes) -> str:
        message = Message(code={"GET": GET, "POST": POST, "DELETE": DELETE}[method], payload=payload)
        message.opt.uri_path = tuple(path.strip("/").split("/"))
        message.opt.uri_query = query
        return str((await self._exchange(message)).code.dotted)

    async def _send(self, paths: tuple[Path, ...], content_format: int) -> str:
        assert self._resources is not None
        values = {at: v for at, v in self._resources.values().items() if any(at in path for path in paths)}
        types = types_of(OBJECTS.values())
        message = Message(code=POST, payload=encode(values, content_format, Path(), types))
        message.opt.uri_path = ("dp",)
        message.opt.content_format = int(content_format)
        return str((await self._exchange(message)).code.dotted)

    async def _halt(self) -> None:
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        nodes = [node for node in (self._node, self._bootstrap_node) if node is not None]
        self._node = self._bootstrap_node = None
        for node in nodes:
            await node.close()

    async def _restart(self) -> None:
        await self._halt()
        await self._power_on()

    async def _power_on(self) -> None:
        self.flash.restart()
        await self._boot()

    async def _set_value(self, path: Path, value: Value) -> None:
        self.settings[path] = value
        if self._resources is not None:
            self._resources.changed()

    def _spawn(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _begin_reboot(self) -> None:
        self._spawn(self._reboot_soon())

    async def _reboot_soon(self) -> None:
        await asyncio.sleep(self._update_seconds)
        await self._restart_until_registered()

    async def _restart_until_registered(self) -> None:
        """Restart as a device does that nobody waits for: it tries to register until it can."""
        try:
            await self._restart()
        except HarnessError:
            while self._node is not None:
                with contextlib.suppress(HarnessError):
                    await self._register()
                    return

    def _begin_update(self, chosen: list[Component]) -> bool:
        """Start an update; return whether the request that asked for it gets an answer."""
        self._spawn(self._run_update(chosen))
        return not self.faults.silent_update

    async def _run_update(self, chosen: list[Component]) -> None:
        await asyncio.sleep(self._update_seconds)
        if self.faults.never_returns:
            await self._halt()
            return
        if self.faults.stale_result:
            for component in chosen:
                component.become(UpdateState.IDLE, UpdateResult.SUCCESS)
        elif self.faults.rolls_back:
            self.flash.finish_update(chosen, UpdateResult.UPDATE_FAILED)
        else:
            if self.faults.keeps_old_version:
                for component in chosen:
                    component.image_version = component.version
            self.flash.finish_update(chosen, UpdateResult.SUCCESS)
        await self._restart_until_registered()

    def _begin_pull(self, component: Component) -> None:
        self._spawn(self._pull(component))

    async def _pull(self, component: Component) -> None:
        async with self._pulling:
            if component.state is UpdateState.DOWNLOADING:
                await self._pull_now(component)
            failed = component.state is UpdateState.IDLE
            while failed and self.faults.stalls_queue and self.flash.pulling():
                await asyncio.sleep(0.01)

    async def _pull_now(self, component: Component) -> None:
        fetching = self._spawn(self._fetch(component))
        component.interrupt = fetching.cancel
        try:
            failure = await fetching
        except asyncio.CancelledError:
            fetching.cancel()
            if component.state is UpdateState.DOWNLOADING:
                raise  # the device halts
            return
        except HarnessError:
            failure = UpdateResult.CONNECTION_LOST
        finally:
            component.interrupt = None
        if component.state is not UpdateState.DOWNLOADING:
            return
        if failure is not None:
            component.become(UpdateState.IDLE, failure)
        else:
            component.take(bytes(component.fetched))
        if self._resources is not None:
            self._resources.changed()

    async def _fetch(self, component: Component) -> UpdateResult | None:
        """Fetch an image block by block, going on where an earlier fetch of the same one ended."""
        try:
            scheme, host = urlsplit(component.uri).scheme, urlsplit(component.uri).hostname
        except ValueError:
            host = None
        if not host:
            return UpdateResult.INVALID_URI
        if scheme.startswith("http"):
            return await fetch_http(component, self._trusted)
        if scheme == "coap+tcp":
            return await fetch_tcp(component)
        assert self._remote is not None
        stall = self.faults.stall_pull_after
        if scheme == self._remote.scheme:
            return await fetch_coap(component, self._exchange, stall)
        node, remote = await self._open_udp(self._resources, component.uri, self._psk)
        try:
            return await fetch_coap(
                component,
                lambda message: self._exchange(message, (node, remote)),
                self.faults.stall_pull_after,
            )
        finally:
            await node.close()


def _settings(endpoint: str, lifetime: int) -> dict[Path, Value]:
    server, device = Path(1, 1), Path(3, 0)
    return {
        server.child(0): 1,
        server.child(1): lifetime,
        server.child(6): False,
        server.child(7): "U",
        device.child(0): "Stand-in",
        device.child(1): "in-process",
        device.child(2): endpoint,
        device.child(6, 0): 1,
        device.child(6, 1): 5,
        device.child(11, 0): 0,
        device.child(13): 1367491215,
        device.child(16): "U",
    }
