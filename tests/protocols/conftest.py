from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

from harness._deadline import Deadline
from harness.protocols import Device, Lwm2mServer, Registration, Retransmission
from harness.protocols.slipmux import CoapFrame, Decoder
from harness.protocols.testing import StandIn, link_pair

# No time limit per example: a busy machine is no reason to fail.
settings.register_profile("protocols", deadline=None)
settings.load_profile("protocols")


class SocketLink:
    """A FrameLink over a TCP connection, with a reader thread as a serial port's owner has one."""

    def __init__(self, name: str, connection: socket.socket) -> None:
        self.name = name
        self._socket = connection
        self._subscribers: list[tuple[Callable[[bytes], None], Callable[[Exception | None], None]]] = []
        self._thread = threading.Thread(target=self._read, name=f"link {name}")
        self._thread.start()

    def _read(self) -> None:
        decoder = Decoder()
        while data := self._receive():
            for event in decoder.feed(data):
                if isinstance(event, CoapFrame):
                    for received, _ in tuple(self._subscribers):
                        received(event.message)
        for _, closed in tuple(self._subscribers):
            closed(None)

    def _receive(self) -> bytes:
        with contextlib.suppress(OSError):
            return self._socket.recv(4096)
        return b""

    def send(self, frame: bytes, /) -> None:
        self._socket.sendall(frame)

    def subscribe(
        self, received: Callable[[bytes], None], closed: Callable[[Exception | None], None], /
    ) -> Callable[[], None]:
        self._subscribers.append((received, closed))
        return lambda: self._subscribers.remove((received, closed))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


def tcp_link_pair() -> tuple[SocketLink, SocketLink]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        two, _ = listener.accept()
    return SocketLink("tcp", one), SocketLink("tcp-device", two)


class Bench:
    """A server and one stand-in on the transport that a test runs with."""

    def __init__(self, transport: str, stack: contextlib.ExitStack) -> None:
        self.transport = transport
        self._stack = stack
        self.link: Any = None
        self.device_link: Any = None

    def start(self, *, server: dict[str, Any] | None = None, **options: Any) -> tuple[StandIn, Device]:
        self.server = self._stack.enter_context(Lwm2mServer(**(server or {})))
        if self.transport == "udp":
            stand_in = StandIn(server=self.server.uri, **options)
        else:
            self.link, self.device_link = link_pair() if self.transport == "slipmux" else tcp_link_pair()
            self._stack.callback(self.link.close)
            self._stack.callback(self.device_link.close)
            self.server.attach(self.link)
            stand_in = StandIn(link=self.device_link, **options)
        self._stack.enter_context(stand_in)
        self.first: Registration = self.server.wait_registration(stand_in.endpoint, deadline=5)
        return stand_in, self.server.device(stand_in.endpoint)


@pytest.fixture(params=["udp", "slipmux"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with contextlib.ExitStack() as stack:
        yield Bench(request.param, stack)


@pytest.fixture
def line() -> Iterator[Bench]:
    """A bench on a slipmux line only, for tests that tamper with it."""
    with contextlib.ExitStack() as stack:
        yield Bench("slipmux", stack)


@pytest.fixture
def tcp_line() -> Iterator[Bench]:
    with contextlib.ExitStack() as stack:
        yield Bench("tcp", stack)


class RawPeer:
    """A CoAP peer that puts every field of a message on the wire as the test says."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(5)
        self._socket.connect(address)

    @property
    def address(self) -> tuple[str, int]:
        return self._socket.getsockname()[:2]

    def send(self, data: bytes) -> None:
        self._socket.send(data)

    def receive(self, seconds: float = 5) -> Any:
        from aiocoap import Message

        self._socket.settimeout(seconds)
        return Message.decode(self._socket.recv(4096))

    def drain(self, seconds: float) -> None:
        """Be silent for a while, and take no notice of what comes."""
        deadline = Deadline(seconds)
        while not deadline.expired:
            self._socket.settimeout(max(deadline.remaining, 0.001))
            with contextlib.suppress(TimeoutError):
                self._socket.recv(4096)

    def peek(self, seconds: float) -> bool:
        """Tell whether a message comes, and leave it where it is."""
        self._socket.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            return bool(self._socket.recv(4096, socket.MSG_PEEK))
        return False

    def ask(self, code: int, path: str, *, mid: int = 1, token: bytes = b"t", **options: Any) -> Any:
        self.send(self.encode(code, path, mid=mid, token=token, **options))
        return self.receive()

    @staticmethod
    def encode(code: int, path: str, *, mid: int, token: bytes, **options: Any) -> bytes:
        from aiocoap import CON, Message

        message = Message(_mtype=CON, _mid=mid, _token=token, code=code, payload=options.pop("payload", b""))
        message.opt.uri_path = tuple(path.strip("/").split("/"))
        for name, value in options.items():
            setattr(message.opt, name, value)
        data: bytes = message.encode()
        return data

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def server() -> Iterator[Lwm2mServer]:
    with Lwm2mServer() as server:
        yield server


@pytest.fixture
def raw_server() -> Iterator[Callable[..., tuple[Lwm2mServer, RawPeer]]]:
    """Makes a server with options, and a raw peer for it."""
    with contextlib.ExitStack() as stack:

        def make(**options: Any) -> tuple[Lwm2mServer, RawPeer]:
            server = stack.enter_context(Lwm2mServer(**options))
            peer = RawPeer(server.address)
            stack.callback(peer.close)
            return server, peer

        yield make


@pytest.fixture
def raw(server: Lwm2mServer) -> Iterator[RawPeer]:
    peer = RawPeer(server.address)
    yield peer
    peer.close()


@pytest.fixture
def raw_to() -> Iterator[Callable[[str], RawPeer]]:
    """Makes raw peers for servers by their URI."""
    with contextlib.ExitStack() as stack:

        def make(uri: str) -> RawPeer:
            host, _, port = uri.partition("://")[2].rpartition(":")
            peer = RawPeer((host, int(port)))
            stack.callback(peer.close)
            return peer

        yield make


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Wait for something that happens in another thread."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = Deadline(10)
        while not condition():
            assert not deadline.expired, "it did not happen"
            deadline.pause(0.002)

    return wait


@pytest.fixture
def quick() -> dict[str, Any]:
    """Server options with which a silent device is given up within a tenth of a second."""
    return {"retransmission": Retransmission(ack_timeout=0.02, random_factor=1.0, max_retransmit=1)}
