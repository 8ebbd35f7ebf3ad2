"""A bad network path: a UDP relay between devices and a server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import urlsplit, urlunsplit

from harness._errors import PortError
from harness.protocols.badlink._base import BadLink
from harness.protocols.badlink._conditions import LinkConditions
from harness.protocols.badlink._model import Direction

__all__ = ["UdpBadLink"]

_Address = tuple[str, int]
_PORTS: Final = {"coap": 5683, "coaps": 5684, "smp": 1337}


class UdpBadLink(BadLink):
    """Relays datagrams between devices and the server at ``server``, a URI such as ``coap://127.0.0.1:5683``.

    With SMP the device is the one that is spoken to: for ``smp://192.0.2.7:1337`` a client talks to
    ``address`` instead of the device.
    Devices talk to ``uri`` instead of the server. The server sees each of them at an address
    of its own, which changes with :meth:`move` as behind a router that forgets. It may be any
    UDP traffic; only the report knows CoAP and SMP. ``host`` and ``port`` are where devices are
    awaited, port 0 takes a free one. Raises PortError when that is taken, ValueError for a
    URI that is none of these.
    """

    def __init__(
        self,
        server: str,
        conditions: LinkConditions | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._scheme, self._server = _address_of(server)
        smp = self._scheme == "smp"
        self._there, self._back = (Direction.TO_SERVER, Direction.TO_DEVICE)[:: -1 if smp else 1]
        super().__init__(conditions or LinkConditions(), checked=True, protocol="smp" if smp else "coap")
        self._paths: dict[_Address, asyncio.DatagramTransport] = {}
        # Left open, though nothing that comes there is passed on: a port given back could become another's.
        self._left: list[asyncio.DatagramTransport] = []
        self._opening: dict[_Address, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        try:
            self._devices: asyncio.DatagramTransport = self._loop.run(self._listen, host, port)
        except BaseException:
            self._loop.close()
            raise
        for at in self.conditions.moves:
            self._soon(at, self._move)

    async def _listen(self, host: str, port: int) -> asyncio.DatagramTransport:
        try:
            transport, receiver = await asyncio.get_running_loop().create_datagram_endpoint(
                _Receiver, local_addr=(host, port)
            )
        except OSError as problem:
            raise PortError(
                f"cannot listen for devices: {problem}", where=f"udp {host}:{port}", remedy="take port 0"
            ) from problem
        receiver.take = self._from_device
        return transport

    @property
    def address(self) -> _Address:
        """Host and port that devices talk to."""
        return cast("_Address", self._devices.get_extra_info("sockname")[:2])

    @property
    def uri(self) -> str:
        """What devices are configured with instead of the server's URI."""
        host, port = self.address
        return f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def uri_for(self, uri: str) -> str:
        """Return a URI on the server as one that leads through this link."""
        return urlunsplit(urlsplit(uri)._replace(netloc=urlsplit(self.uri).netloc))

    def move(self) -> None:
        """Change the addresses at which the server sees its devices; the old ones lead nowhere."""
        self._soon(0.0, self._move)

    def server_restarted(self, server: str) -> None:
        """Go on with another server, in the place of the one before."""
        _, self._server = _address_of(server)
        self.report.note(self.now, f"the server is now {server}")
        self._soon(0.0, self._drop_paths)

    def _move(self) -> None:
        self._drop_paths()
        self.report.note(self.now, "the device's address changed")

    def _drop_paths(self) -> None:
        self._left += self._paths.values()
        self._paths.clear()

    def _from_device(self, data: bytes, device: _Address) -> None:
        self._pass(self._there, data, data, lambda data: self._to_server(data, device))

    def _to_server(self, data: bytes, device: _Address) -> None:
        if self._closing:
            return
        path = self._paths.get(device)
        if path is not None:
            path.sendto(data)
            return
        waiting = self._opening.setdefault(device, [])
        waiting.append(data)
        if len(waiting) == 1:
            task = self._events.create_task(self._open_path(device))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _open_path(self, device: _Address) -> None:
        towards = None
        try:
            while towards != self._server:  # there may be another server meanwhile
                towards = self._server
                path, receiver = await self._events.create_datagram_endpoint(_Receiver, remote_addr=towards)
                self._left.append(path)
        except OSError as problem:
            self._opening.pop(device)
            self.report.note(self.now, f"no way to the server: {problem}")
            return
        self._left.remove(path)
        self._paths[device] = path

        def take(data: bytes, _: object) -> None:
            if self._paths.get(device) is path:
                self._from_server(data, device)

        receiver.take = take
        for data in self._opening.pop(device):
            path.sendto(data)

    def _from_server(self, data: bytes, device: _Address) -> None:
        self._pass(self._back, data, data, lambda data: self._devices.sendto(data, device))

    def close(self) -> None:
        """Close all sockets; what is under way is lost."""
        if not self._loop.closed:
            with contextlib.suppress(PortError):
                self._loop.run(self._close)
        super().close()

    async def _close(self) -> None:
        self._closing = True
        await asyncio.gather(*self._tasks)
        self._drop_paths()
        for transport in [*self._left, self._devices]:
            transport.close()
        await asyncio.sleep(0)  # lets the transports close their sockets


class _Receiver(asyncio.DatagramProtocol):
    """Hands datagrams on; a refusal of the other end is not a relay's to judge."""

    take: Callable[[bytes, Any], object] = staticmethod(lambda *_: None)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Hand a datagram on."""
        self.take(data, addr)


def _address_of(uri: str) -> tuple[str, _Address]:
    parts = urlsplit(uri)
    try:
        port = parts.port or _PORTS[parts.scheme]
    except (KeyError, ValueError):
        port = 0
    if not (parts.hostname and port and parts.scheme in _PORTS):
        raise ValueError(
            f"{uri!r} is no URI of a server or device, such as coap://127.0.0.1:5683 or smp://192.0.2.7:1337"
        )
    return parts.scheme, (parts.hostname, port)
