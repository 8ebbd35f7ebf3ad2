"""What is not let in changes nothing, is counted, and shows who and why."""

from __future__ import annotations

import socket

import pytest

from harness._errors import DeadlineExceeded
from harness.protocols import DtlsSettings, Lwm2mServer, Psk
from harness.protocols.slipmux import encode_coap
from harness.protocols.testing import StandIn

GET, POST, PUT = 1, 2, 3
QUERY = ("ep=raw", "lt=300", "lwm2m=1.1")


def message(kind, code, mid, options, payload=b"", token=b"t"):
    """A message with options as (number, value), whatever they are."""
    data, last = bytearray((0x40 | kind << 4 | len(token), code, mid >> 8, mid & 255)), 0
    data += token
    for number, value in options:
        delta, last = number - last, number
        fields = [n if n < 13 else 13 if n < 269 else 14 for n in (delta, len(value))]
        data.append(fields[0] << 4 | fields[1])
        for field, n in zip(fields, (delta, len(value)), strict=True):
            data += b"" if field < 13 else bytes((n - 13,)) if field == 13 else (n - 269).to_bytes(2, "big")
        data += value
    return bytes(data) + (b"\xff" + payload if payload else b"")


REGISTRATION = [(11, b"rd"), (12, b"\x28"), (15, b"ep=other"), (15, b"lwm2m=1.1")]
CON, ACK = 0, 2
SENML_CBOR = b"\x70"


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        (b"\x40", "malformed", "1 bytes that are no CoAP message"),
        (b"\x4f\x01\x00\x01" + bytes(20), "malformed", "24 bytes"),  # a token of 15 bytes
        (message(CON, POST, 1, REGISTRATION)[:-4], "malformed", "bytes that are no CoAP message"),
        (message(CON, POST, 1, REGISTRATION, b"<</1>"), "registration 4.00", "the list of objects"),
        (message(CON, POST, 1, [*REGISTRATION, (65001, b"x")], b"</1/1>"), "registration 4.02", "65001"),
        (message(CON, POST, 1, [*REGISTRATION[:3], (15, b"lwm2m=2.0")]), "registration 4.12", "2.0"),
        (message(CON, POST, 1, [(11, b"rd"), (12, b"\x3c"), *REGISTRATION[2:]]), "registration 4.15", ""),
        (message(CON, POST, 1, [*REGISTRATION, (19, b"\x08")], b"</1/1>"), "registration 4.02", "option 19"),
        (message(CON, POST, 1, [*REGISTRATION, (27, b"\x0e")], b"x" * 1024), None, ""),  # 2.31
        (message(CON, POST, 1, [*REGISTRATION, (27, b"\x04\x06")], b"x" * 1024), "registration 4.13", ""),
        (message(CON, POST, 1, [*REGISTRATION, (27, b"\x16")], b"x" * 1024), "registration 4.08", ""),
        (message(CON, POST, 1, [(11, b"dp"), (12, SENML_CBOR)], b"\x80"), "send 4.04", "not registered"),
        (message(CON, PUT, 1, [(11, b"rd")]), "registration 4.05", "method not allowed"),
        (message(CON, GET, 1, [(11, b"fw"), (11, b"9")]), "request 4.04", "GET /fw/9"),
        (message(CON, 69, 1, [], b"hello"), "stray answer", "2.05 with token 74 to nothing"),
        (message(ACK, 68, 1, [], token=b""), "stray answer", "2.04 with token (none)"),
    ],
)  # fmt: skip
def test_from_a_stranger(server, raw, data, kind, said):
    with StandIn(server=server.uri):
        before = server.wait_registration(deadline=10)
        raw.send(data)
        if kind is None:
            assert raw.receive().code.dotted == "2.31"
            assert server.rejections.counts == {}
        else:
            rejection = server.rejections.wait(kind, deadline=5)
            assert said in rejection.reason
            assert rejection.address == "coap://{}:{}".format(*raw.address)
            assert server.rejections.counts == {kind: 1}
        assert server.registrations == (before,)
        assert server.device(before).read("/3/0/3") == "1.0.0"


@pytest.mark.parametrize(
    ("content_format", "payload", "code"),
    [
        (b"\x70", b"\x9f\x9f", "4.00"),
        (b"\x70", b"", "4.00"),
        (b"\x6e", b"[{]", "4.00"),
        (b"\x2d\x18", b"\xa1\x00", "4.00"),
        (b"\x2d\x16", b"\xc8\x00", "4.15"),
    ],
)
def test_values_that_cannot_be_read(server, raw, content_format, payload, code):
    raw.ask(POST, "/rd", uri_query=QUERY, payload=b"</1/1>,</3/0>")
    server.wait_registration("raw", deadline=5)
    raw.send(message(CON, POST, 2, [(11, b"dp"), (12, content_format)], payload))
    assert raw.receive().code.dotted == code
    assert server.rejections.wait(f"send {code}", deadline=5).reason.startswith("POST /dp: ")
    with pytest.raises(DeadlineExceeded):
        server.wait_send(deadline=0)


def test_an_answer_with_a_wrong_token_is_not_taken(server, raw, until):
    """Neither from the device nor from somebody who guesses message ids."""
    import threading

    raw.ask(POST, "/rd", uri_query=QUERY, payload=b"</3/0>")
    server.wait_registration("raw", deadline=5)
    found = []
    asking = threading.Thread(target=lambda: found.append(server.device("raw").read("/3/0/3", deadline=10)))
    asking.start()
    request = raw.receive()
    wrong = bytes(byte ^ 0xFF for byte in request.token)
    raw.send(message(1, 69, 77, [(12, b"")], b"9.9.9", token=wrong))
    assert wrong.hex() in server.rejections.wait("stray answer", deadline=5).reason
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(
            message(ACK, 69, request.mid, [(12, b"")], b"6.6.6", token=request.token), server.address
        )
        until(lambda: server.rejections.counts["stray answer"] == 2)
    raw.send(message(ACK, 69, request.mid, [(12, b"")], b"1.2.3", token=request.token))
    asking.join()
    assert found == ["1.2.3"]


def test_a_replay_is_answered_from_memory(server, raw):
    data = message(CON, POST, 5, [*REGISTRATION], b"</1/1>")
    raw.send(data)
    first = raw.receive()
    server.wait_registration("other", deadline=5)
    raw.send(data)
    assert raw.receive().opt.location_path == first.opt.location_path
    assert len(server.registrations) == 1


def test_a_replay_over_dtls_is_dropped_and_counted(monkeypatch):
    """Between server and device sits somebody who sends everything twice."""
    from harness.protocols import LinkConditions, UdpBadLink

    settings = DtlsSettings({"me": Psk(bytes(16))})
    with (
        Lwm2mServer(dtls=settings) as server,
        UdpBadLink(server.secure_uri) as link,
        StandIn(server=link.uri, psk=("me", bytes(16))) as device,
    ):
        registration = server.wait_registration(deadline=10)
        link.conditions = LinkConditions(duplication=1.0, hold=0.001)
        device.update_registration()
        assert "it came before" in server.rejections.wait("dropped record", deadline=5).reason
        link.heal()
        assert server.registrations[0].sequence == registration.sequence


def test_frames_that_arrive_broken(line):
    _, device = line.start()
    good = encode_coap(message(CON, POST, 1, REGISTRATION, b"</1/1>"))
    line.device_link.damage = lambda frame: frame[:-3] + bytes((frame[-3] ^ 1,)) + frame[-2:]
    line.device_link.send(good)
    line.device_link.damage = None
    rejection = line.server.rejections.wait("broken frame", deadline=5)
    assert rejection.reason.startswith("checksum, ")
    assert rejection.address == "coap://memory.dev.alt"
    assert device.read("/3/0/3") == "1.0.0"
    line.server.detach(line.link)
    line.device_link.send(good[:4] + b"\xc0")
    assert line.server.rejections.counts["broken frame"] == 1
