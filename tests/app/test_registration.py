"""Registration with the server (OMA-TS-LightweightM2M_Core-V1_1 section 6.2)."""

from __future__ import annotations

from .bench import MS, QUICK, Bench, rough_jump
from .wire import ACK, CONTENT_FORMAT, LOCATION_PATH, URI_QUERY, Message


def queries(request: Message) -> list[str]:
    return [value.decode() for value in request.values(URI_QUERY)]


def restart(device: Bench) -> None:
    """Power-cycle without waiting for anything."""
    device.machine.power_cycle()
    device._frames.reset()
    device.registrations.clear()
    device._accepted = 0


def test_registration(device: Bench):
    (request,) = device.registrations
    assert request.path == "/rd"
    endpoint, lifetime, version, binding = queries(request)
    assert endpoint == f"ep=bench-{device.read('/3/0/2')}"
    assert (lifetime, version, binding) == ("lt=300", "lwm2m=1.1", "b=U")
    assert request.number(CONTENT_FORMAT) == 40
    assert request.payload.decode().split(",") == [
        '</>;rt="oma.lwm2m";ct="112 11542"',
        *("</1>;ver=1.1", "</1/0>", "</3/0>", "</4/0>", "</5>;ver=1.1", "</5/0>"),
        *("</33629>;ver=1.0", "</33629/0>", "</33629/1>"),
    ]


def test_lost_registration_is_repeated(make):
    device = make(defines=QUICK)
    restart(device)
    device.accepts_registrations = False
    seen: list[tuple[int, Message]] = []
    serve = device._serve

    def note(request: Message) -> Message | None:
        seen.append((device.machine.now, request))
        return serve(request)

    device._serve = note  # type: ignore[method-assign]
    try:
        device.run(1500)
        assert [m.encode() for _, m in seen[:3]] == [seen[0][1].encode()] * 3
        assert seen[3][1].mid != seen[0][1].mid
        assert seen[3][1].token != seen[0][1].token
        assert (seen[3][0] - seen[2][0]) / MS > 1000 - 300  # the pause after giving up
        device.accepts_registrations = True
        device.until(lambda: device.registrations, 10000)
    finally:
        del device._serve


def test_refused_registration_is_tried_again(device: Bench):
    restart(device)
    asked = []

    def refuse(request: Message) -> Message:
        asked.append(request)
        return Message(ACK, 0x80, request.mid, request.token)

    device._serve = refuse  # type: ignore[method-assign]
    device.run(500)
    del device._serve
    assert len(asked) == 1
    device.until(lambda: device.registrations, 3000)


def test_registration_without_location_does_not_count(device: Bench):
    restart(device)
    device._serve = lambda request: Message(ACK, 0x41, request.mid, request.token)  # type: ignore[method-assign]
    device.run(500)
    del device._serve
    device.until(lambda: device.registrations, 3000)
    assert device.registrations[0].path == "/rd"


def test_location_of_many_segments(device: Bench):
    restart(device)

    def answer(request: Message) -> Message:
        device.registrations.append(request)
        location = [(LOCATION_PATH, part) for part in (b"rd", b"a", b"x" * 40)]
        return Message(ACK, 0x41 if request.path == "/rd" else 0x44, request.mid, request.token, location)

    device._serve = answer  # type: ignore[method-assign]
    device.run(100)
    assert device.execute("/1/0/8") == "2.04"
    device.run(100)
    del device._serve
    assert [r.path for r in device.registrations] == ["/rd", "/rd/a/" + "x" * 40]


def test_triggered_renewal(device: Bench):
    assert device.execute("/1/0/8") == "2.04"
    device.run(20)
    assert [r.path for r in device.registrations] == ["/rd", "/rd/dev-1"]
    assert device.registrations[-1].options[2:] == []
    assert device.registrations[-1].payload == b""


def test_new_lifetime_is_told(device: Bench):
    assert device.write("/1/0/1", "4") == "2.04"
    device.run(20)
    assert queries(device.registrations[-1]) == ["lt=4"]
    device.run(1800)
    assert len(device.registrations) == 2
    device.run(400)
    assert len(device.registrations) == 3  # half of a short lifetime has passed
    assert queries(device.registrations[-1]) == []


def test_forgotten_registration_is_made_anew(device: Bench):
    device._accepted = 5
    assert device.execute("/1/0/8") == "2.04"
    device.until(lambda: len(device.registrations) == 2, 1000)
    assert device.registrations[-1].path == "/rd"
    assert queries(device.registrations[-1])[0].startswith("ep=bench-")


def test_restarted_devices_vary(device: Bench):
    """RAM survives a reset by software, so that not even the first message is the same."""
    first = device.registrations[0]
    assert device.execute("/3/0/4") == "2.04"
    device.until(lambda: len(device.registrations) == 2)
    assert (device.registrations[1].mid, device.registrations[1].token) != (first.mid, first.token)


def test_boot_loader_may_leave_the_core_as_it_likes(make):
    device = make(start=rough_jump)
    assert device.read("/3/0/3") == "1.0.0"
    assert device.command("echo still there") == ("still there", "ok")
