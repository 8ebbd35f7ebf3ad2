"""The LwM2M server that devices under test register with."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final

from harness._deadline import Deadline
from harness._errors import PortError
from harness.protocols._device import Device
from harness.protocols._files import FileSite, TcpFiles
from harness.protocols._http import HttpFiles
from harness.protocols._node import Node, Retransmission
from harness.protocols._portal import LoopThread
from harness.protocols._publication import Publication
from harness.protocols._registry import Book, Entry, Registration
from harness.protocols._sends import SendLog, Sent
from harness.protocols._site import Site
from harness.protocols.links import FrameErrors, FrameLink, Unsubscribe
from harness.protocols.objects import OBJECTS, ObjectDefinition, types_of
from harness.protocols.security import DtlsSettings, Rejections

if TYPE_CHECKING:
    from harness.protocols._transport import PeerAddress
    from harness.protocols.certificates import ServerCertificate

__all__ = ["Lwm2mServer"]

_PUBLISHED_UNDER: Final = "fw"


def _nothing() -> None:
    """What ends a watch that was never begun."""


_FILE_SCHEMES: Final = ("http", "https", "coap+tcp", "coaps+tcp")


class Lwm2mServer:
    """An LwM2M 1.1 server on UDP and on any number of slipmux links.

    It runs from construction to :meth:`close`, in one thread of its own. ``host`` is
    a numeric address to listen on, None for no UDP; port 0 takes a free one.
    ``lifetime_margin`` seconds are granted after a registration's lifetime: the
    update that renews it may be a repetition. ``timeout`` seconds is the deadline of
    requests that name none. Requests to a device in queue mode go out within
    ``awake_seconds`` after it was heard (default: RFC 7252's MAX_TRANSMIT_WAIT), others wait
    for its next message.

    With ``dtls`` it also listens for DTLS, on the same host. ``rejections`` tells what was not
    let in, whatever the transport.

    Raises PortError when a port is taken. Devices are reached with :meth:`device`.
    """

    def __init__(
        self,
        *,
        host: str | None = "127.0.0.1",
        port: int = 0,
        lifetime_margin: float = 10.0,
        timeout: float = 10.0,
        awake_seconds: float = 93.0,
        retransmission: Retransmission | None = None,
        objects: Mapping[int, ObjectDefinition] = OBJECTS,
        dtls: DtlsSettings | None = None,
        dtls_port: int = 0,
    ) -> None:
        self.timeout = timeout
        self.objects = objects
        self._margin = lifetime_margin
        self._awake_seconds = awake_seconds
        self._retransmission = retransmission or Retransmission()
        self.rejections = Rejections()
        self._dtls = dtls
        self._book = Book(self._may_register, self.rejections)
        self._sends = SendLog()
        self._types = types_of(objects.values())
        self._publications: dict[tuple[str, ...], Publication] = {}
        self._files = FileSite(self._publications)
        self._file_servers: dict[str, HttpFiles | TcpFiles] = {}
        self._names = itertools.count(1)
        self._links: dict[int, tuple[Node, PeerAddress]] = {}  # by identity: names may be alike
        self._watched: dict[int, Unsubscribe] = {}
        self._endings: set[asyncio.Future[None]] = set()
        self._expiries: dict[Entry, asyncio.TimerHandle] = {}
        self._udp: Node | None = None
        self._secure: Node | None = None
        self._loop = LoopThread()
        try:
            if host is not None:
                self._udp = self._loop.run(self._open_udp, host, port)
            if dtls is not None:
                self._secure = self._loop.run(self._open_dtls, host or "127.0.0.1", dtls_port, dtls)
        except BaseException:
            self.close()
            raise

    # -- transports

    async def _open_udp(self, host: str, port: int) -> Node:
        site = self._site()
        site.node = await Node.on_udp(site, host, port, retransmission=self._retransmission)
        self._count_rejections(site.node)
        return site.node

    def _count_rejections(self, node: Node) -> None:
        def note(remote: PeerAddress, kind: str, reason: str) -> None:
            self.rejections.add(remote.uri_base, kind, reason)

        node.tell_rejections(note)

    async def _open_dtls(self, host: str, port: int, settings: DtlsSettings) -> Node:
        site = self._site()
        site.node = await Node.on_dtls(
            site, host, port, settings, self.rejections, retransmission=self._retransmission
        )
        self._count_rejections(site.node)
        return site.node

    def _may_register(self, endpoint: str, identity: str | None) -> bool:
        """Tell whether who proved to be ``identity`` (None: nobody) may take an endpoint name."""
        keys = self._dtls.keys if self._dtls is not None else {}
        owners = {name for name, psk in keys.items() if psk.endpoint == endpoint}
        own = keys.get(identity) if identity is not None else None
        return identity in owners if owners else own is None or own.endpoint in (None, endpoint)

    def _site(self) -> Site:
        return Site(
            self._book,
            self._files,
            self._watch_lifetime,
            self._sends,
            self._types,
            self._awake_seconds,
        )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the UDP socket. Raises PortError when there is none."""
        if self._udp is None:
            raise PortError("the server was started without UDP", remedy="give it a host")
        return self._udp.udp_address

    @property
    def uri(self) -> str:
        """What devices are configured with, for example ``coap://127.0.0.1:49152``."""
        host, port = self.address
        return f"coap://[{host}]:{port}" if ":" in host else f"coap://{host}:{port}"

    @property
    def secure_uri(self) -> str:
        """What devices are configured with to come over DTLS. Raises PortError when there is none."""
        if self._secure is None:
            raise PortError("the server was started without DTLS", remedy="give it dtls settings")
        host, port = self._secure.udp_address
        return f"coaps://[{host}]:{port}" if ":" in host else f"coaps://{host}:{port}"

    def attach(self, link: FrameLink) -> None:
        """Serve a device behind a serial line. The link stays its owner's to close.

        Raises ValueError when it is attached already.
        """
        self._loop.run(self._attach, link)

    async def _attach(self, link: FrameLink) -> None:
        if id(link) in self._links:
            raise ValueError(f"the link {link.name!r} is attached already")
        site = self._site()

        def lost(reason: Exception | None) -> None:
            ending = asyncio.ensure_future(
                self._leave(link, f"the link closed: {reason or 'its owner ended it'}")
            )
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)

        site.node, remote = await Node.on_link(site, link, retransmission=self._retransmission, lost=lost)
        self._count_rejections(site.node)
        self._links[id(link)] = site.node, remote
        errors = getattr(link, "errors", None)
        if isinstance(errors, FrameErrors):
            self._watched[id(link)] = errors.watch(
                lambda broken: self.rejections.add(
                    remote.uri_base, "broken frame", f"{broken.kind}, {len(broken.data)} bytes"
                )
            )

    def detach(self, link: FrameLink) -> None:
        """Stop serving a link; its registrations end. Nothing happens if it was not attached."""
        self._loop.run(self._leave, link, "the link was detached")

    async def _leave(self, link: FrameLink, reason: str) -> None:
        self._watched.pop(id(link), _nothing)()
        node, _ = self._links.pop(id(link), (None, None))
        if node is not None:
            self._end_all(node, reason)
            await node.close()

    def _end_all(self, node: Node, reason: str) -> None:
        for entry in self._book.entries():
            if entry.node is node:
                self._book.end(entry, reason)

    def device_was_reset(self, link: FrameLink) -> None:
        """Take what comes next on a link for new, even if it repeats the bytes of an earlier message.

        Firmware without entropy registers with the very same bytes after each start.
        The server notices by itself when anything else was heard in between; whoever
        resets or cuts power right after a registration says so here.
        """
        self._loop.run(self._forget, link)

    async def _forget(self, link: FrameLink) -> None:
        if id(link) in self._links:
            node, remote = self._links[id(link)]
            node.interface.forget(remote)

    # -- registrations

    def wait_registration(
        self,
        endpoint: str | None = None,
        *,
        after: Registration | int | None = None,
        deadline: float | Deadline,
    ) -> Registration:
        """Wait until a device is registered, and return its registration.

        ``after`` is a registration, or its sequence number, that the wanted one has to
        be later than: with the registration from before a reboot, only the one after
        it counts. Without ``endpoint`` any device will do. Raises DeadlineExceeded.
        """
        sequence = after.sequence if isinstance(after, Registration) else after or 0
        return self._book.wait(endpoint, sequence, Deadline.of(deadline))

    def wait_unregistered(self, registration: Registration, *, deadline: float | Deadline) -> None:
        """Wait until a registration ended: replaced, removed, expired. Raises DeadlineExceeded."""
        self._book.wait_end(registration, Deadline.of(deadline))

    def registration(self, endpoint: str) -> Registration:
        """Return the registration of a device. Raises RegistrationError when it has none."""
        return self._book.current(endpoint).registration

    @property
    def registrations(self) -> tuple[Registration, ...]:
        """Everything that is registered at the moment."""
        return self._book.registrations()

    def wait_send(
        self,
        endpoint: str | None = None,
        *,
        after: Sent | int | None = None,
        deadline: float | Deadline,
    ) -> Sent:
        """Wait until a device has sent values by itself (Send), and return the first such message.

        ``after`` is a message, or its sequence number, that the wanted one has to be later
        than. The last 1000 are kept. Raises DeadlineExceeded.
        """
        sequence = after.sequence if isinstance(after, Sent) else after or 0
        return self._sends.wait(endpoint, sequence, Deadline.of(deadline))

    def device(self, endpoint: str | Registration) -> Device:
        """Return a handle for requests to a device, valid across its registrations."""
        name = endpoint.endpoint if isinstance(endpoint, Registration) else endpoint
        return Device(name, self._book, self._loop, self.objects, self.timeout)

    def _watch_lifetime(self, entry: Entry) -> None:
        """Start the clock of a registration anew; called in the loop."""
        timer = self._expiries.pop(entry, None)
        if timer is not None:
            timer.cancel()
        for ended in [e for e in self._expiries if e.ended is not None]:
            self._expiries.pop(ended).cancel()
        lifetime = entry.registration.lifetime

        def expire() -> None:
            self._expiries.pop(entry, None)
            self._book.end(entry, f"its lifetime of {lifetime} s and {self._margin:g} s more have passed")

        self._expiries[entry] = asyncio.get_running_loop().call_later(lifetime + self._margin, expire)

    # -- files

    def publish(self, body: bytes, *, name: str | None = None, max_block_size: int = 1024) -> Publication:
        """Serve ``body`` to every device under ``/fw/<name>``, for it to pull.

        Raises ValueError for a name that is in use and for impossible block sizes.
        """
        path = (_PUBLISHED_UNDER, name or str(next(self._names)))
        if path in self._publications and not self._publications[path].closed:
            raise ValueError(f"/{'/'.join(path)} is published already")
        publication = Publication(path, body, max_block_size=max_block_size)
        self._publications[path] = publication
        return publication

    def serve_files(
        self,
        scheme: str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        certificate: ServerCertificate | None = None,
    ) -> str:
        """Serve all publications over one more protocol, and return the base of their URIs.

        ``scheme`` is ``http``, ``https``, ``coap+tcp`` or ``coaps+tcp``; the secure ones take
        ``certificate``. Port 0 takes a free one. Raises PortError, and ValueError for other
        schemes, one that is served already, or a secure one without a certificate.
        """
        if scheme not in _FILE_SCHEMES:
            raise ValueError(f"{scheme!r} is none of {', '.join(_FILE_SCHEMES)}")
        if scheme in self._file_servers:
            raise ValueError(f"{scheme} is served already")
        security = None
        if scheme in ("https", "coaps+tcp"):
            if certificate is None:
                raise ValueError(f"{scheme} needs a certificate")
            security = certificate.context(alpn="coap" if scheme == "coaps+tcp" else None)
        server: HttpFiles | TcpFiles
        if scheme.startswith("http"):
            server = HttpFiles(self._publications, host, port, self.rejections.add, security)
        else:
            server = self._loop.run(TcpFiles.open, self._files, host, port, self.rejections.add, security)
        self._file_servers[scheme] = server
        return self._file_base(scheme)

    def _file_base(self, scheme: str) -> str:
        host, port = self._file_servers[scheme].address
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def uri_for(
        self, publication: Publication, device: Device | Registration | str, *, scheme: str = "coap"
    ) -> str:
        """Return the URI under which a device reaches a publication.

        With ``coap`` that is over the path it registered on, with ``coaps`` over DTLS however it
        registered, with other schemes from the server that :meth:`serve_files` started. Raises
        RegistrationError when the device is not registered, ValueError for a scheme that is not served.
        """
        path = "/".join(publication.path)
        if scheme in self._file_servers:
            return f"{self._file_base(scheme)}/{path}"
        if scheme == "coaps" and self._secure is not None:
            return f"{self.secure_uri}/{path}"
        if scheme != "coap":
            raise ValueError(f"{scheme} is not served: call serve_files({scheme!r})")
        endpoint = device if isinstance(device, str) else device.endpoint
        entry = self._book.current(endpoint)
        return f"{entry.remote.uri_base_local}/{path}"

    # -- the end

    def close(self) -> None:
        """Leave all links, close the socket and end the thread."""
        if self._loop.closed:
            return
        try:
            for server in self._file_servers.values():
                if isinstance(server, HttpFiles):
                    server.close()
            self._loop.run(self._close)
        finally:
            self._loop.close()

    async def _close(self) -> None:
        nodes = [node for node, _ in self._links.values()]
        nodes += [node for node in (self._udp, self._secure) if node is not None]
        for node in nodes:
            node.closing = True
        for entry in self._book.entries():
            self._book.end(entry, "the server was closed")
        for publication in self._publications.values():
            publication.release()
        for timer in self._expiries.values():
            timer.cancel()
        self._expiries.clear()
        self._links.clear()
        for unsubscribe in self._watched.values():
            unsubscribe()
        for server in self._file_servers.values():
            if isinstance(server, TcpFiles):
                await server.close()
        for node in nodes:
            await node.close()
        await asyncio.gather(*self._endings)

    def __enter__(self) -> Lwm2mServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
