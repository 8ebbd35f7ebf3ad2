"""Published files over CoAP, whatever is below it, and over CoAP in TCP and TLS (RFC 8323).

Any block is answered at any time: aiocoap's own block cache hands out only transfers
that began with block 0 within the last 93 seconds.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final, cast

from aiocoap.message import Message
from aiocoap.numbers.codes import BAD_REQUEST, CONTENT, GET, METHOD_NOT_ALLOWED, NOT_FOUND, VALID
from aiocoap.transports.tcp import TcpConnection, TCPServer

from harness._errors import PortError
from harness.protocols._node import AnsweringContext
from harness.protocols._publication import Publication
from harness.protocols.content import ContentFormat

__all__ = ["FileSite", "TcpFiles"]

_LARGEST_EXPONENT: Final = 6


class FileSite:
    """Answers requests for published files, and for nothing else."""

    def __init__(self, publications: dict[tuple[str, ...], Publication]) -> None:
        self._publications = publications

    async def render_to_pipe(self, pipe: Any) -> None:
        """Answer one request; called by aiocoap."""
        pipe.add_response(await self.answer(pipe.request), is_last=True)

    async def answer(self, request: Message) -> Message:
        """Return the answer to a request for a file, 4.04 for what is none."""
        publication = self._publications.get(tuple(request.opt.uri_path))
        if publication is None or publication.closed:
            return Message(code=NOT_FOUND)
        if request.code != GET:
            return Message(code=METHOD_NOT_ALLOWED)
        loop, released = asyncio.get_running_loop(), asyncio.Event()
        if publication.held(lambda: loop.call_soon_threadsafe(released.set)):
            await released.wait()
        wanted = request.opt.block2
        largest = min(publication.max_block_size.bit_length() - 5, _LARGEST_EXPONENT)
        exponent = min(wanted.size_exponent, largest) if wanted is not None else largest
        offset = wanted.start if wanted is not None else 0
        if offset == 0 and publication.etag in request.opt.etags:
            answer = Message(code=VALID)
            answer.opt.etag = publication.etag
            return answer
        block = publication.take(offset, 16 << exponent)
        if block is None:
            return Message(code=BAD_REQUEST, payload=b"no such block")
        answer = Message(code=CONTENT, payload=block.data)
        answer.opt.content_format = ContentFormat.OPAQUE
        answer.opt.etag = block.etag
        if wanted is not None or block.more:
            answer.opt.block2 = (offset >> (exponent + 4), block.more, exponent)
        if offset == 0:
            answer.opt.size2 = block.total
        return answer


class _Connection(TcpConnection):  # type: ignore[misc]  # aiocoap has no types
    """A connection of which one can tell when it is over: aiocoap says good-bye and does not wait."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        super().connection_lost(exc)
        self.ended.set_result(None)


class TcpFiles:
    """A CoAP server on TCP, or on TLS, that has files only."""

    def __init__(self, context: Any, address: tuple[str, int], connections: set[_Connection]) -> None:
        self._context = context
        self._connections = connections
        self.address = address

    @classmethod
    async def open(
        cls,
        site: FileSite,
        host: str,
        port: int,
        reject: Callable[[str, str, str], object],
        security: ssl.SSLContext | None = None,
    ) -> TcpFiles:
        """Listen; port 0 takes a free one. ``reject`` is as for HttpFiles. Raises PortError."""
        loop = asyncio.get_running_loop()
        context = AnsweringContext(loop=loop, serversite=site, loggername="harness.protocols.coap")
        scheme = "coap+tcp" if security is None else "coaps+tcp"
        # Not uri_base, which those who opened the connection do not have.
        context.on_reject = lambda remote, kind, said: reject(f"{scheme}://{remote.hostinfo}", kind, said)
        transport = TCPServer()

        def connection() -> Any:
            made = _Connection(transport, context.log, loop, is_server=True)
            transport._pool.add(made)
            return made

        async def build(manager: Any) -> Any:
            # Not aiocoap's own way: that takes port 0 for the usual one, and shares ports.
            transport._tokenmanager, transport.log = manager, context.log
            transport.server = await loop.create_server(connection, host, port, ssl=security)
            return transport

        try:
            await context._append_tokenmanaged_transport(build)
        except OSError as problem:
            raise PortError(
                f"cannot listen for CoAP over TCP: {problem}",
                where=f"tcp {host}:{port}",
                remedy="let the system choose: port 0",
            ) from problem
        return cls(context, transport.server.sockets[0].getsockname()[:2], transport._pool)

    async def close(self) -> None:
        """End all connections."""
        connections = [c for c in self._connections if c._transport is not None]
        await self._context.shutdown()
        for connection in connections:
            connection.transport.abort()
        await asyncio.gather(*(connection.ended for connection in connections))
