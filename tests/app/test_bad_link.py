"""The application and the server over bad serial lines: every update ends, and the next one succeeds."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness._errors import PortError
from harness.firmware import Elf, application_program, compile_program
from harness.protocols import (
    BadFrameLink,
    Delivery,
    Ending,
    LinkConditions,
    Lwm2mServer,
    Package,
    Retransmission,
    UpdatableComponent,
    components_of,
    run_update,
)
from harness.protocols.badlink import Direction

from .bench import Bench, Setup, app_payload, image, model_image
from .wired import SECONDS, wired

DOWN, UP = Direction
#: waits in virtual time are short, and the device renews its registration every two seconds of it
SETUP = Setup(
    app_slot=0x20000, defines=(("ACK_TIMEOUT_MS", 40), ("LIFETIME_S", 4), ("REGISTRATION_PAUSE_MS", 50))
)
QUICK = Retransmission(ack_timeout=0.02)


class Rig:
    """A board and a server with a bad line between them."""

    def __init__(self, board: Bench, server: Lwm2mServer, link: BadFrameLink) -> None:
        self.board, self.server, self.link = board, server, link
        self.device = server.device(server.wait_registration(deadline=SECONDS))
        self.device.read("/3/0/3")  # it answers, so it has heard that it is registered

    def update(self, number: int, data: bytes, version: str, delivery: Delivery, deadline: float):
        component = components_of(self.device)[number]
        return run_update(
            self.server, {component: Package(data, version)}, delivery=delivery, deadline=deadline
        )


@contextlib.contextmanager
def running() -> Iterator[Rig]:
    with (
        wired(SETUP, speed=4) as board,
        BadFrameLink(board.wire) as link,
        Lwm2mServer(host=None, retransmission=QUICK) as server,
    ):
        server.attach(link)
        yield Rig(board, server, link)


def big_application(version: str) -> bytes:
    """The application with as much behind its code as makes 64 KiB."""
    _, code = Elf.read(
        compile_program(application_program(SETUP.layout, SETUP.behaviour, options=dict(SETUP.defines)))
    ).binary()
    return image(code + app_payload(65536 - 1024 - len(code)), version)


@pytest.mark.parametrize("delivery", Delivery)
def test_a_fifth_lost_each_way(delivery):
    with running() as rig:
        rig.link.conditions = LinkConditions(loss=0.2, seed=11)
        data = big_application("2.0.0")
        assert len(data) > 64_000
        rig.update(0, data, "2.0.0", delivery, 120).require_installed()
        slot = rig.board.slot(0)
        assert rig.board.flash(slot.address, len(data)) == data
        assert rig.link.report.count(DOWN, "lost") > 10
        assert rig.link.report.count(UP, "lost") > 10


shares = st.sampled_from([0.0, 0.1, 0.3, 0.6])
moments = st.floats(0.0, 0.5)


@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    conditions=st.builds(
        LinkConditions,
        loss=shares,
        duplication=shares,
        reordering=shares,
        corruption=shares,
        silences=st.lists(st.tuples(moments, moments), max_size=2).map(tuple),
        seed=st.integers(0, 2**16),
    ),
    delivery=st.sampled_from(Delivery),
)
def test_whatever_the_line_does_there_is_a_verdict_and_a_next_time(conditions, delivery):
    with running() as rig:
        rig.link.conditions = conditions
        run = rig.update(1, model_image("2.0.0", 5000), "2.0.0", delivery, 1.5)
        assert run.ending in Ending
        rig.link.heal()
        data = model_image("3.0.0", 4000, 3)
        rig.update(1, data, "3.0.0", delivery, 60).require_installed()
        assert rig.board.flash(rig.board.slot(1).address, len(data)) == data


def test_damaged_frames_end_at_the_devices_checksum():
    with running() as rig:
        rig.link.conditions = LinkConditions(corruption=0.5, seed=3)
        component = components_of(rig.device)[1]
        assert component.push(model_image("2.0.0", 8000), deadline=60).accepted
        rig.link.heal()
        damaged = {way: rig.link.report.count(way, "corrupted") for way in Direction}
        assert min(damaged.values()) >= 2
        counts = rig.board.wire.ask("stats", r"checksum (?P<checksum>\d+)")
        assert 0 < int(counts["checksum"]) <= damaged[DOWN]
        assert rig.link.errors


@pytest.mark.parametrize("delivery", Delivery)
def test_the_server_restarts_in_the_middle(delivery):
    """The device goes on with what it was told, and finds out at its next renewal that nobody knows it."""
    with running() as rig:
        component = components_of(rig.device)[1]
        data = model_image("2.0.0", 12_000)
        if delivery is Delivery.PULL:
            rig.link.conditions = LinkConditions(bandwidth=20_000.0)
            publication = rig.server.publish(data)
            component.pull(rig.server.uri_for(publication, rig.device))
            publication.wait_served(3, deadline=SECONDS)
        else:
            stopped = Transfer(component, data)
            stopped.run_to_the_middle()
        rig.server.close()
        rig.link.heal()
        with Lwm2mServer(host=None, retransmission=QUICK) as second:
            second.attach(rig.link)
            after = Rig(rig.board, second, rig.link)
            after.update(1, model_image("3.0.0", 5000, 3), "3.0.0", delivery, 60).require_installed()
            second.detach(rig.link)


class Transfer:
    """A push in a thread of its own, which ends with the server."""

    def __init__(self, component: UpdatableComponent, data: bytes) -> None:
        self._half_way = threading.Event()
        self._thread = threading.Thread(target=self._push, args=(component, data), daemon=True)

    def _push(self, component: UpdatableComponent, data: bytes) -> None:
        with contextlib.suppress(PortError):
            component.push(data, block_size=256, progress=self._progress, deadline=SECONDS)

    def _progress(self, sent: int, total: int) -> None:
        if 2 * sent > total:
            self._half_way.set()

    def run_to_the_middle(self) -> None:
        self._thread.start()
        assert self._half_way.wait(SECONDS)
