"""The application and this project's LwM2M server, over slipmux, in real time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

import pytest

from harness.emulator import Machine
from harness.protocols import AdvancedFirmwareUpdate, Lwm2mServer, UpdateResult, UpdateState, components_of
from harness.protocols.slipmux import CoapFrame, Decoder, FrameError, Text

from .bench import MS, Bench, Setup, app_image, model_image

SECONDS = 20.0
IDLE, DOWNLOADING, DOWNLOADED, UPDATING = UpdateState


class Wire:
    """Runs a machine at the pace of the clock and is the line between it and a server (a FrameLink)."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine, self._name = machine, name
        self.text = ""
        self.errors: list[FrameError] = []
        self._decoder = Decoder()
        self._waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._received: Callable[[bytes], None] = lambda message: None
        machine.uarts[0].sink = self._sink
        self._thread = threading.Thread(target=self._run, name="wire", daemon=True)

    @property
    def name(self) -> str:
        return self._name

    def send(self, frame: bytes, /) -> None:
        self._waiting.put(frame)

    def subscribe(
        self, received: Callable[[bytes], None], closed: Callable[[Exception | None], None], /
    ) -> Callable[[], None]:
        self._received = received
        return lambda: None

    def _sink(self, data: bytes) -> None:
        for event in self._decoder.feed(data):
            if isinstance(event, CoapFrame):
                self._received(event.message)
            elif isinstance(event, Text):
                self.text += event.data.decode()
            else:
                self.errors.append(event)

    def _run(self) -> None:
        self.machine.power_on()
        while True:
            self.machine.run(MS)
            try:
                frame = self._waiting.get(timeout=0.001)
            except queue.Empty:
                continue
            if frame is None:
                return
            self.machine.uarts[0].feed(frame)

    def __enter__(self) -> Wire:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._waiting.put(None)
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()


@pytest.fixture
def server() -> Iterator[Lwm2mServer]:
    with Lwm2mServer(host=None) as server:
        yield server


@pytest.fixture
def board(server: Lwm2mServer) -> Iterator[Bench]:
    """A board whose resets bring in what is pending, as a boot loader would."""
    bench = Bench(Setup())
    original = bench.machine.reset

    def reset(kind) -> None:
        if kind.name == "SOFT":
            slots = {n: bench.slot(n, secondary=True) for n in (0, 1)}
            ends = {n: bench.flash(slot.address + slot.size - 16, 4) for n, slot in slots.items()}
            bench.swap(*(n for n, magic in ends.items() if magic == bytes.fromhex("77c295f3")))
        original(kind)

    bench.machine.reset = reset  # type: ignore[method-assign]
    with Wire(bench.machine, "uart0") as wire:
        bench.wire = wire
        server.attach(wire)
        yield bench
        server.detach(wire)
    assert wire.errors == []
    assert [str(d) for d in bench.machine.diagnostics] == []


def test_registration_and_reading(server: Lwm2mServer, board: Bench):
    registration = server.wait_registration(deadline=SECONDS)
    assert registration.endpoint.startswith("bench-")
    assert registration.objects[33629].instances == (0, 1)
    assert registration.objects[33629].version == "1.0"
    assert registration.formats == {112, 11542}
    device = server.device(registration)
    app, model = components_of(device)
    assert (app.name(), app.version(), model.name(), model.version()) == ("app", "1.0.0", "model", "1.0.0")
    assert device.read("/3/0/3") == "1.0.0"
    assert device.read("/3/0/11") == {0: 0}
    assert device.read("/33629/0/8") == {0: 0}
    whole = device.read_instance("/33629/0")
    assert whole[14] == "app"
    assert device.read_all("/33629")
    assert next(link.target for link in device.discover("/3")) == "/3"
    with device.observe("/33629/1/11") as observation:
        assert observation.next(SECONDS) == 1
        device.write("/33629/1/11", 2)
        assert observation.next(SECONDS) == 2


def test_push_both_and_update(server: Lwm2mServer, board: Bench):
    first = server.wait_registration(deadline=SECONDS)
    app, model = components_of(server.device(first))
    assert isinstance(app, AdvancedFirmwareUpdate)
    shown: list[tuple[int, int]] = []
    pushed = app.push(board.setup.app("2.0.0"), deadline=SECONDS, progress=lambda *done: shown.append(done))
    assert pushed.accepted
    assert shown[-1][0] == shown[-1][1]
    assert model.push(model_image("2.0.0", 5000), block_size=256, deadline=SECONDS).accepted
    assert [link.instance_id for link in app.linked()] == [1]
    assert app.update()
    server.wait_registration(first.endpoint, after=first, deadline=SECONDS)
    for component in (app, model):
        status = component.wait_state(IDLE, deadline=SECONDS)
        assert status.result is UpdateResult.SUCCESS
        assert component.version() == "2.0.0"
    assert "application 2.0.0 (good) on bench" in board.wire.text


def test_pull_and_refusals(server: Lwm2mServer, board: Bench):
    registration = server.wait_registration(deadline=SECONDS)
    app, model = components_of(server.device(registration))
    publication = server.publish(app_image("3.0.0", 20000))
    app.pull(server.uri_for(publication, registration))
    assert app.wait_downloaded(deadline=SECONDS).state is DOWNLOADED
    assert app.package_version() == "3.0.0"
    assert publication.blocks_served == -(-len(app_image("3.0.0", 20000)) // 1024)
    model.pull("coap://uart0.dev.alt/fw/none")
    assert model.wait_downloaded(deadline=SECONDS).result is UpdateResult.INVALID_URI
    assert not model.push(b"no image", deadline=SECONDS).accepted
    app.cancel()
    assert app.status().result is UpdateResult.CANCELLED
