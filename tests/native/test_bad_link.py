"""The application over bad networks: at speed, in many ways."""

from __future__ import annotations

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.protocols import (
    Delivery,
    Ending,
    LinkConditions,
    Lwm2mServer,
    Package,
    components_of,
    run_update,
)
from tests.app.bench import app_image

from .conftest import QUICK, SECONDS, running


def update(rig, version, delivery, *, size=8000, deadline=60.0):
    package = Package(app_image(version, size), version)
    return run_update(
        rig.server, {rig.components[0]: package}, delivery=delivery, deadline=deadline
    ), package.data


@pytest.mark.parametrize("delivery", Delivery)
def test_a_fifth_lost_each_way(start, delivery):
    rig = start(conditions=LinkConditions(loss=0.2, seed=5))
    run, data = update(rig, "2.0.0", delivery, size=64_000)
    run.require_installed()
    assert rig.holds(0, data)


shares = st.sampled_from([0.0, 0.1, 0.3, 0.6])
moments = st.floats(0.0, 0.4)


@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(
    conditions=st.builds(
        LinkConditions,
        loss=shares,
        duplication=shares,
        reordering=shares,
        corruption=shares,
        hold=st.sampled_from([0.01, 0.05]),
        silences=st.lists(st.tuples(moments, moments), max_size=2).map(tuple),
        moves=st.lists(moments, max_size=2).map(tuple),
        seed=st.integers(0, 2**16),
    ),
    delivery=st.sampled_from(Delivery),
)
def test_whatever_the_network_does_there_is_a_verdict_and_a_next_time(tmp_path_factory, conditions, delivery):
    with running(tmp_path_factory.mktemp("link"), conditions=conditions) as rig:
        run, _ = update(rig, "2.0.0", delivery, deadline=0.8)
        assert run.ending in Ending
        rig.link.heal()
        run, data = update(rig, "3.0.0", delivery)
        run.require_installed()
        assert rig.holds(0, data)


@pytest.mark.parametrize("delivery", Delivery)
def test_the_address_changes_in_the_middle(start, delivery):
    rig = start(conditions=LinkConditions(bandwidth=150_000.0))
    before = rig.server.registration(rig.registration.endpoint)
    timer = threading.Timer(0.2, rig.link.move)
    timer.start()
    run, _ = update(rig, "2.0.0", delivery, size=60_000)
    timer.join()
    run.require_installed()
    assert rig.server.registration(rig.registration.endpoint).address != before.address


def test_the_server_restarts_in_the_middle(start):
    rig = start(conditions=LinkConditions(bandwidth=100_000.0))
    component = rig.components[0]
    publication = rig.server.publish(app_image("2.0.0", 60_000))
    component.pull(rig.server.uri_for(publication, rig.device))
    publication.wait_served(5, deadline=SECONDS)
    rig.server.close()
    with Lwm2mServer(retransmission=QUICK) as second:
        rig.link.server_restarted(second.uri)
        rig.link.heal()
        registration = second.wait_registration(deadline=SECONDS)
        main = components_of(second.device(registration))[0]
        package = Package(app_image("3.0.0", 9000), "3.0.0")
        run_update(second, {main: package}, deadline=SECONDS).require_installed()
