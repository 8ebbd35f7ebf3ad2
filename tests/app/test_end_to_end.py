"""The application and this project's LwM2M server, over slipmux, in real time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.protocols import AdvancedFirmwareUpdate, Lwm2mServer, UpdateResult, UpdateState, components_of

from .bench import Bench, Setup, app_image, model_image
from .wired import SECONDS, wired

IDLE, DOWNLOADING, DOWNLOADED, UPDATING = UpdateState


@pytest.fixture
def server() -> Iterator[Lwm2mServer]:
    with Lwm2mServer(host=None) as server:
        yield server


@pytest.fixture
def board(server: Lwm2mServer) -> Iterator[Bench]:
    with wired(Setup()) as bench:
        server.attach(bench.wire)
        yield bench
        server.detach(bench.wire)
        assert bench.wire.errors == []


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
