"""The SMP client over UDP, against the application as a program of the host."""

from __future__ import annotations

import contextlib
import itertools
import socket
from typing import Any

import pytest

from harness._errors import DeadlineExceeded, HarnessError, PortError, RequestError
from harness.boards import Board, find_board
from harness.devices import CommandSwitch, Device
from harness.mcuboot import Image
from harness.protocols import LinkConditions, UdpBadLink, UpdateResult, UpdateState
from harness.protocols.badlink import Direction, LinkModel
from harness.protocols.smp import SmpClient
from harness.updates import ImageFactory, UpdateRig
from tests.app.bench import app_image, model_image

from .._boards import BOARD
from .conftest import SECONDS


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def rig(start):
    return start(smp_port=_free_port())


@pytest.fixture
def client(rig):
    with SmpClient.at("127.0.0.1", rig.client.smp_port) as client:
        yield client


def _hash(data: bytes) -> bytes:
    found = Image.parse(data).stored_digest
    assert found is not None
    return bytes(found.data)


def test_update_of_both(rig, client):
    app, model = app_image("2.0.0", 60_000), model_image("2.0.0", 9000)
    assert client.echo("hällo") == "hällo"
    assert client.parameters().buffer_size == 2048
    for number, new in enumerate((app, model)):
        seen = []
        client.upload(new, number, progress=lambda sent, total, seen=seen: seen.append((sent, total)))
        assert seen[-1] == (len(new), len(new))
        states = client.test(_hash(new))
        assert any(slot.pending and slot.image == number and slot.hash == _hash(new) for slot in states)
    client.reset()
    rig.server.wait_registration(after=rig.registration, deadline=SECONDS)
    assert rig.holds(0, app)
    assert rig.holds(1, model)
    for number, new in enumerate((app, model)):
        slot = client.image(number)
        assert (slot.version, slot.hash, slot.confirmed) == ("2.0.0", _hash(new), True)
    status = rig.components[0].wait_state(UpdateState.IDLE, deadline=SECONDS)
    assert status.result is UpdateResult.SUCCESS


def test_interrupted_upload_goes_on(rig, client):
    new = app_image("2.0.0", 30_000)

    class EnoughError(Exception):
        pass

    def stop(sent: int, _total: int) -> None:
        if sent > 30_000:
            raise EnoughError

    with pytest.raises(EnoughError):
        client.upload(new, progress=stop)
    rig.restart()
    seen: list[int] = []
    client.upload(new, progress=lambda sent, _: seen.append(sent))
    assert 24_000 < seen[0] < 32_000
    assert rig.holds(0, new, secondary=True)


def test_refusals_and_silence(rig, client):
    with pytest.raises(RequestError) as refused:
        client.confirm(bytes(32))
    assert refused.value.code == "HASH_NOT_FOUND"
    with pytest.raises(RequestError, match="image 3") as refused:
        client.upload(app_image("2.0.0"), 3)
    assert refused.value.code == "NO_FREE_SLOT"
    with pytest.raises(RequestError) as refused:
        client.erase(0)
    assert refused.value.code == "INVALID_SLOT"
    rig.client.stop()
    with pytest.raises((DeadlineExceeded, PortError), match=str(rig.client.smp_port)):
        client.echo("anybody?", deadline=0.1)
    rig.client.start()


def _loses_only_answer(number: int) -> LinkConditions:
    """The conditions whose first loss is this answer."""
    for seed in itertools.count():
        conditions = LinkConditions(loss=0.2, seed=seed)
        model = LinkModel(conditions, checked=True)
        passed = {
            way: [bool(model.fate(way, b"x", 0).arrivals) for _ in range(number + 1)] for way in Direction
        }
        if all(passed[Direction.TO_DEVICE]) and passed[Direction.TO_SERVER] == [True] * number + [False]:
            return conditions
    raise AssertionError


def test_the_answer_to_the_last_piece_may_be_lost(rig):
    uri = f"smp://127.0.0.1:{rig.client.smp_port}"
    with UdpBadLink(uri) as link, SmpClient.at(*link.address) as client:
        client.upload(app_image("2.0.0", 9000), 0)
        answers = link.report.count(Direction.TO_SERVER)
    new = app_image("3.0.0", 9000)
    with (
        UdpBadLink(uri, _loses_only_answer(answers - 1)) as link,
        SmpClient.at(*link.address, patience=0.02) as client,
    ):
        client.upload(new, 0)
        assert any("'rc': 20" in entry.message for entry in link.report.entries), "INVALID_OFFSET"
    assert rig.holds(0, new, secondary=True)


@pytest.mark.parametrize(
    "conditions", ["loss=20%", "loss=60%,duplication=30%,reordering=30%", "corruption=30%,undetected=1"]
)
def test_a_bad_path_ends_in_a_verdict_and_the_next_upload_is_taken(rig, conditions):
    port, app = rig.client.smp_port, app_image("2.0.0", 30_000)
    with (
        UdpBadLink(f"smp://127.0.0.1:{port}", LinkConditions.parse(f"{conditions},seed=7")) as link,
        SmpClient.at(*link.address, patience=0.02) as client,
    ):
        with contextlib.suppress(HarnessError):  # or it gets through
            client.upload(app, 0, deadline=1)
            assert rig.holds(0, app, secondary=True)
        assert link.report.harmed()
        link.heal()
        client.upload(model_image("3.0.0", 9000), 1)
        assert rig.holds(1, model_image("3.0.0", 9000), secondary=True)


def test_a_board_file_names_the_address(rig):
    address = {"host": "127.0.0.1", "port": rig.client.smp_port}
    board = Board.load(find_board(BOARD).file, {("smp",): address, ("protocols",): ["smp"]})
    nothing: Any = None  # SMP over UDP needs no probe and no port
    power = CommandSwitch(["true"], ["true"]).switch(contextlib.ExitStack())
    device = Device(board, "hardware", nothing, power, {}, nothing, contextlib.ExitStack())
    with UpdateRig(device, ImageFactory(board)) as made:
        assert made.smp.echo("hello") == "hello"
        assert not made.bad_links
    with UpdateRig(device, ImageFactory(board), conditions=LinkConditions(duplication=1.0)) as made:
        assert made.smp.echo("hello") == "hello"
        assert made.link.report.count(Direction.TO_DEVICE, "duplicated") > 0
    assert Device(board, "embedded", nothing, power, {}, nothing, contextlib.ExitStack()).smp_address is None
