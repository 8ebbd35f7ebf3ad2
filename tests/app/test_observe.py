"""Notifications (RFC 7641)."""

from __future__ import annotations

import cbor2
import pytest

from .bench import QUICK, Bench, app_image
from .wire import ACK, BLOCK2, CON, ETAG, GET, OBSERVE, RST, Message, block

START, END = (OBSERVE, b""), (OBSERVE, b"\x01")


def observe(device: Bench, path: str, **arguments) -> Message:
    answer = device.request(GET, path, **{"more": [START]} | arguments)
    assert answer.dotted == "2.05"
    assert answer.values(OBSERVE)
    return answer


def values(device: Bench, token: bytes) -> list[str]:
    return [m.payload.decode() for m in device.notifications if m.token == token]


def test_state_and_result_are_notified(device: Bench):
    state, result = observe(device, "/33629/0/3"), observe(device, "/33629/0/5")
    assert (state.payload, result.payload) == (b"0", b"0")
    assert device.push(0, app_image("2.0.0", 900)) == "2.04"
    device.run(50)
    assert values(device, state.token)[-1] == "2"
    assert set(values(device, state.token)) <= {"1", "2"}
    assert values(device, result.token) == []
    assert device.execute("/33629/0/10") == "2.04"
    device.run(50)
    assert values(device, state.token)[-1] == "0"
    assert values(device, result.token) == ["10"]


def test_state_updating_is_notified_before_the_restart(device: Bench):
    token = observe(device, "/33629/0/3").token
    device.push(0, app_image("2.0.0", 300))
    before = len(device.registrations)
    assert device.execute("/33629/0/2") == "2.04"
    device.until(lambda: len(device.registrations) > before)
    assert values(device, token)[-2:] == ["2", "3"]


def test_notifications_are_numbered_and_confirmable(device: Bench):
    token = observe(device, "/33629/0/3").token
    for _ in range(5):
        device.push(0, app_image("2.0.0", 300))
        device.run(20)
        device.execute("/33629/0/10")
        device.run(20)
    seen = [m for m in device.notifications if m.token == token]
    assert len(seen) >= 10
    assert {m.type for m in seen} == {CON}
    numbers = [m.number(OBSERVE) for m in seen]
    assert numbers == sorted(set(numbers))
    assert len({m.mid for m in seen}) == len(seen)
    assert {m.format for m in seen} == {0}


@pytest.mark.parametrize("how", ["RST", "GET"])
def test_cancelled(device: Bench, how: str):
    token = observe(device, "/33629/0/3").token
    if how == "GET":
        request = device.build(GET, "/33629/0/3", more=[END])
        request.token = token
        assert device.exchange(request).values(OBSERVE) == []
    else:
        device.acknowledges_notifications = False
        device.push(0, app_image("2.0.0", 300))
        device.until(lambda: device.notifications)
        device.send(Message(RST, 0, device.notifications[-1].mid))
        device.acknowledges_notifications = True
        device.run(20)
    before = len(device.notifications)
    device.execute("/33629/0/10")
    device.push(0, app_image("2.0.0", 300))
    device.run(100)
    assert len(device.notifications) == before


def test_lost_notification_is_repeated_then_given_up(make):
    device = make(defines=QUICK)
    token = observe(device, "/33629/0/3").token
    device.acknowledges_notifications = False
    device.push(0, app_image("2.0.0", 300))
    device.run(1000)
    assert len(device.notifications) == 3
    assert len({m.mid for m in device.notifications}) == 1
    device.acknowledges_notifications = True
    device.execute("/33629/0/10")
    device.run(200)
    assert len(device.notifications) == 3
    assert device.read("/33629/0/3") == "0"
    assert observe(device, "/33629/0/3").token != token


def test_only_the_newest_value_comes_after_a_delay(device: Bench):
    token = observe(device, "/33629/0/3").token
    device.acknowledges_notifications = False
    device.push(0, app_image("2.0.0", 300))
    device.until(lambda: device.notifications)
    device.execute("/33629/0/10")
    device.push(0, app_image("2.0.0", 300))
    device.execute("/33629/0/10")
    device.acknowledges_notifications = True
    device.send(Message(ACK, 0, device.notifications[0].mid))
    device.run(50)
    assert values(device, token)[1:] == ["0"]


def test_whole_instance_is_observed(device: Bench):
    answer = observe(device, "/33629/0", accept=112)
    before = len(cbor2.loads(answer.payload))
    device.push(0, app_image("2.0.0", 300))
    device.run(50)
    last = device.notifications[-1]
    records = {record[0]: record.get(2, record.get(3)) for record in cbor2.loads(last.payload)}
    assert last.token == answer.token
    assert last.format == 112
    assert records["0/3"] == 2
    assert records["0/7"] == "2.0.0"
    assert len(records) > before


def test_long_notifications_come_in_blocks(device: Bench):
    """The first block is in the notification, the rest is fetched; a tag says what belongs together."""
    token = observe(device, "/33629", accept=112, more=[START, (BLOCK2, block(0, False, 128))]).token
    assert device.write("/33629/1/13", "4711") == "2.04"
    device.run(50)
    first = device.notifications[-1]
    assert first.token == token
    assert first.block(BLOCK2) == (0, True, 128)
    body, tag = first.payload, first.values(ETAG)
    more = True
    while more:
        rest = device.request(GET, "/33629", more=[(BLOCK2, block(len(body) // 128, False, 128))], accept=112)
        assert rest.values(ETAG) == tag != []
        body, more = body + rest.payload, rest.block(BLOCK2)[1]
    assert {record[0]: record.get(2) for record in cbor2.loads(body)}["1/13"] == 4711


def test_one_token_observes_once(device: Bench):
    first = observe(device, "/33629/0/3")
    again = device.build(GET, "/33629/0/5", more=[START])
    again.token = first.token
    device.exchange(again)
    device.push(0, b"no image")
    device.run(100)
    assert values(device, first.token) == ["6"]


def test_there_is_room_for_sixteen(device: Bench):
    for _ in range(16):
        observe(device, "/33629/0/3")
    answer = device.request(GET, "/33629/0/3", more=[START])
    assert answer.dotted == "2.05"
    assert answer.values(OBSERVE) == []
    device.push(0, app_image("2.0.0", 300))
    device.run(200)
    assert len({m.token for m in device.notifications}) == 16


def test_new_registration_ends_observations(device: Bench):
    observe(device, "/33629/0/3")
    device.accepts_registrations = False
    device._accepted = 7  # the server has forgotten the device
    device.accepts_registrations = True
    assert device.execute("/1/0/8") == "2.04"
    device.until(lambda: device.registrations[-1].path == "/rd", 10000)
    device.run(20)
    device.push(0, app_image("2.0.0", 300))
    device.run(100)
    assert device.notifications == []


@pytest.mark.parametrize("path", ["/33629/9/3", "/33629/0/2", "/33629/0/6", "/0/0/0"])
def test_what_cannot_be_read_cannot_be_observed(device: Bench, path: str):
    answer = device.request(GET, path, more=[START])
    assert answer.dotted[0] == "4"
    assert answer.values(OBSERVE) == []


def test_later_blocks_do_not_observe(device: Bench):
    answer = device.request(GET, "/33629/0", more=[START, (BLOCK2, block(1, False, 64))], accept=112)
    assert answer.dotted == "2.05"
    assert answer.values(OBSERVE) == []
