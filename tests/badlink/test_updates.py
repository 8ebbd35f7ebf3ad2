"""Updates over bad links end well, or with a verdict; and the device takes the next one."""

from __future__ import annotations

import contextlib
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness._errors import VerdictError
from harness.protocols import UpdateResult, UpdateState
from harness.protocols.badlink import Direction, LinkConditions
from harness.protocols.testing import make_image
from harness.protocols.update_run import Delivery, Ending, Package, run_update

from .conftest import Rig

DOWN, UP = Direction


def package(version="2.0.0", size=8192, **options) -> Package:
    return Package(make_image(0, version, size=size, **options), version)


def update(rig, version="2.0.0", *, deadline=30.0, delivery=Delivery.PUSH, **options):
    packages = {rig.main: package(version, **options)}
    return run_update(rig.server, packages, delivery=delivery, deadline=deadline)


@pytest.mark.parametrize("delivery", Delivery)
def test_a_fifth_lost_each_way(rig, delivery):
    rig.behave(loss=0.2, seed=7)
    update(rig, delivery=delivery, size=65536).require_installed()
    assert rig.stand_in.flash.version == "2.0.0"
    assert rig.link.report.count(DOWN, "lost") > 10
    assert rig.link.report.count(UP, "lost") > 10


def test_a_push_goes_on_for_as_long_as_its_deadline_lets_it(rig):
    """A block given up means the whole image again; other requests are repeated four times."""
    rig.stand_in.faults.upload_seconds = 60.0
    rig.behave(loss=0.4, seed=3)
    assert rig.main.push(make_image(0, "2.0.0", size=32768), deadline=60).accepted


shares = st.sampled_from([0.0, 0.1, 0.3, 0.6])
moments = st.floats(0.0, 0.4)
conditions = st.builds(
    LinkConditions,
    loss=shares,
    duplication=shares,
    reordering=shares,
    corruption=shares,
    delay=st.sampled_from([0.0, 0.002]),
    jitter=st.sampled_from([0.0, 0.004]),
    hold=st.sampled_from([0.01, 0.05]),
    bandwidth=st.sampled_from([None, 200_000.0]),
    silences=st.lists(st.tuples(moments, moments), max_size=2).map(tuple),
    moves=st.lists(moments, max_size=2).map(tuple),
    seed=st.integers(0, 2**16),
)


@pytest.mark.parametrize("transport", ["udp", "slipmux"])
@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(conditions=conditions, delivery=st.sampled_from(Delivery))
def test_whatever_the_link_does_there_is_a_verdict_and_a_next_time(transport, conditions, delivery):
    with contextlib.ExitStack() as stack:
        rig = Rig(transport, stack)
        for move in conditions.moves if transport == "udp" else ():
            timer = threading.Timer(move, rig.link.move)
            stack.callback(timer.join)
            stack.callback(timer.cancel)
            timer.start()
        rig.link.conditions = LinkConditions(
            **{name: getattr(conditions, name) for name in LinkConditions.__slots__ if name != "moves"}
        )
        run = update(rig, "2.0.0", delivery=delivery, deadline=0.8)
        assert run.ending in Ending
        assert run.reason
        rig.link.heal()
        update(rig, "3.0.0", delivery=delivery).require_installed()
        assert rig.stand_in.flash.version == "3.0.0"


@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**16), delivery=st.sampled_from(Delivery))
def test_damage_that_no_checksum_finds_ends_in_a_verdict_too(seed, delivery):
    with contextlib.ExitStack() as stack:
        rig = Rig("udp", stack)
        rig.behave(corruption=0.2, undetected=1.0, seed=seed)
        run = update(rig, "2.0.0", delivery=delivery, deadline=1.0)
        assert run.ending in Ending
        assert run.ending is not Ending.INSTALLED or rig.stand_in.flash.version == "2.0.0"


@pytest.mark.parametrize("delivery", Delivery)
def test_silence_in_the_middle(rig, delivery):
    rig.behave(bandwidth=300_000.0)
    timer = threading.Timer(0.1, lambda: rig.link.silence(0.3))
    timer.start()
    update(rig, delivery=delivery, size=65536).require_installed()
    timer.join()
    assert rig.link.report.count(DOWN, "lost in silence") + rig.link.report.count(UP, "lost in silence") > 0


@pytest.mark.parametrize("delivery", Delivery)
def test_the_address_changes_in_the_middle(udp, delivery):
    """The server learns of it with the next registration update, and goes on where it was."""
    udp.behave(bandwidth=200_000.0)
    before = udp.server.registration("stand-in")
    timer = threading.Timer(0.15, udp.link.move)
    timer.start()
    run = update(udp, delivery=delivery, size=65536)
    timer.join()
    run.require_installed()
    assert udp.server.registration("stand-in").address != before.address
    if delivery is Delivery.PUSH:
        assert "push to /33629/0, attempt 2" not in run.history


@pytest.mark.parametrize("delivery", Delivery)
def test_the_server_restarts_in_the_middle(rig, delivery):
    """Nothing is left of the first update but what the device has; another server starts again."""
    rig.behave(bandwidth=100_000.0)
    main, image = rig.main, make_image(0, "2.0.0", size=65536)
    if delivery is Delivery.PULL:
        publication = rig.server.publish(image)
        main.pull(rig.server.uri_for(publication, main.device))
        publication.wait_served(5, deadline=10)
    else:
        half_way = threading.Event()
        pushing = threading.Thread(target=_push_until_closed, args=(main, image, half_way))
        pushing.start()
        assert half_way.wait(10)
    rig.restart_server()
    if delivery is Delivery.PUSH:
        pushing.join()
    rig.link.heal()
    rig.server.wait_registration("stand-in", deadline=10)
    update(rig, "3.0.0", delivery=delivery).require_installed()


def _push_until_closed(component, image, half_way):
    def progress(sent, total):
        if sent * 2 > total:
            half_way.set()

    with contextlib.suppress(Exception):
        component.push(image, progress=progress, deadline=30)


def test_a_device_that_cannot_be_reached_is_a_verdict_of_its_own(rig):
    rig.link.silence(3600)
    run = update(rig, deadline=0.3)
    assert run.ending is Ending.UNKNOWN
    assert "state of /33629/0" in run.reason
    with pytest.raises(VerdictError, match="did not say so in time"):
        run.require_installed()
    rig.link.heal()
    update(rig).require_installed()


@pytest.mark.parametrize("delivery", Delivery)
@pytest.mark.parametrize(
    ("image", "result"),
    [
        (b"no image of ours", UpdateResult.UNSUPPORTED_PACKAGE),
        (make_image(0, "2", size=3000)[:-1] + b"\xff", UpdateResult.INTEGRITY_CHECK_FAILED),
    ],
)
def test_bad_images_are_refused_and_not_tried_again(rig, delivery, image, result):
    rig.behave(loss=0.2, seed=1)
    run = run_update(rig.server, {rig.main: Package(image, "2.0.0")}, delivery=delivery, deadline=30)
    assert run.ending is Ending.REFUSED
    assert f"0/{result.value}" in run.reason
    assert sum(line.startswith(delivery.value) for line in run.history) == 1
    update(rig).require_installed()


def test_a_dependency_that_is_not_met_is_the_devices_refusal(rig):
    run = run_update(rig.server, {rig.main: package(needs=1)}, deadline=30)
    assert (run.ending, "2/13" in run.reason) == (Ending.REFUSED, True)
    update(rig).require_installed()


@pytest.mark.parametrize(
    ("fault", "said"), [("rolls_back", "0/8"), ("keeps_old_version", "instead of '2.0.0'")]
)
def test_an_update_that_did_not_hold_has_failed(rig, fault, said):
    setattr(rig.stand_in.faults, fault, True)
    run = update(rig)
    assert (run.ending, said in run.reason) == (Ending.FAILED, True)


def test_both_components_and_the_answer_to_update_lost(rig):
    """The device restarts without its answer having arrived: the repetition meets a device that is done."""
    rig.stand_in.faults.silent_update = True
    main, boot = (type(rig.main)(rig.main.device, n) for n in (0, 1))
    packages = {boot: Package(make_image(1, "1.5.0"), "1.5.0"), main: package(needs=1)}
    run = run_update(rig.server, {main: packages[main], boot: packages[boot]}, deadline=30)
    run.require_installed()
    assert run.report is not None
    assert [c.version for c in run.report.components] == ["2.0.0", "1.5.0"]


def test_what_stands_in_the_way_is_reset(rig):
    """A pull of another component that never ends keeps a device from being pushed to."""
    boot = type(rig.main)(rig.main.device, 1)
    rig.stand_in.faults.stall_pull_after = 0
    boot.pull(rig.server.uri_for(rig.server.publish(make_image(1, "9")), rig.main.device))
    run = update(rig)
    run.require_installed()
    assert any(line.startswith("reset /33629/1") for line in run.history)
    assert rig.stand_in.components[1].state is UpdateState.IDLE


def test_a_queue_of_pulls_that_stalls_is_emptied(rig, monkeypatch):
    """The pull before it failed, so the waiting one never begins, nor does any after it."""
    monkeypatch.setattr("harness.protocols.update_run._ATTEMPT_SECONDS", 0.5)
    rig.stand_in.faults.stalls_queue = True
    boot = type(rig.main)(rig.main.device, 1)
    publication = rig.server.publish(b"")
    uri = rig.server.uri_for(publication, rig.main.device)
    publication.hold()
    rig.main.pull(uri)
    boot.pull(uri)
    publication.close()
    publication.release()
    assert rig.main.wait_downloaded(deadline=10).state is UpdateState.IDLE
    run = update(rig, delivery=Delivery.PULL)
    run.require_installed()
    assert any(line.startswith("nothing was fetched for /33629/0") for line in run.history)
    assert any(line.startswith("reset /33629/1") for line in run.history)


def test_an_update_needs_a_package(rig):
    with pytest.raises(ValueError, match="at least one"):
        run_update(rig.server, {}, deadline=1)
