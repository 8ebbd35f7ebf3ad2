"""The message layer (RFC 7252 sections 3 to 5, RFC 7959 section 2.4)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .bench import Bench
from .wire import (
    ACCEPT,
    ACK,
    BLOCK1,
    BLOCK2,
    CON,
    DELETE,
    ETAG,
    GET,
    NON,
    POST,
    PUT,
    RST,
    URI_HOST,
    URI_PATH,
    URI_QUERY,
    Message,
    block,
    frame,
    path_options,
    uint,
)

VERSION = path_options("/3/0/3")


def answers(device: Bench, data: bytes, milliseconds: float = 20) -> list[Message]:
    """What the device sends when it gets these bytes as a message."""
    device.received.clear()
    device.machine.uarts[0].feed(frame(data))
    device.run(milliseconds)
    found, device.received = device.received, []
    return found


def count(device: Bench, name: str) -> int:
    words = device.command("stats")[0].replace("\n", " ").split()
    return int(words[words.index(name) + 1])


def test_ping(device: Bench):
    (pong,) = answers(device, Message(CON, 0, 0x1234).encode())
    assert pong == Message(RST, 0, 0x1234)


def test_requests_without_confirmation(device: Bench):
    request = Message(NON, GET, 1, b"tok", VERSION)
    (answer,) = answers(device, request.encode())
    assert (answer.type, answer.dotted, answer.token, answer.payload) == (NON, "2.05", b"tok", b"1.0.0")
    assert answers(device, request.encode()) == []


@pytest.mark.parametrize("size", range(9))
def test_tokens_come_back(device: Bench, size: int):
    (answer,) = answers(device, Message(CON, GET, 7, bytes(range(size)), VERSION).encode())
    assert (answer.token, answer.dotted) == (bytes(range(size)), "2.05")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([(9, b"")], "4.02"),  # unassigned and critical
        ([(65001, b"x" * 300)], "4.02"),
        ([(10, b"")], "2.05"),  # unassigned and elective
        ([(65000, b"x" * 300)], "2.05"),
        ([(1, b"etag")], "4.02"),  # If-Match
        ([(5, b"")], "4.02"),  # If-None-Match
        ([(35, b"coap://x/")], "5.05"),
        ([(39, b"coap")], "5.05"),
        ([(URI_HOST, b"host"), (7, b"\x16\x33")], "2.05"),
        ([(ETAG, b"abc")], "2.05"),
        ([(ACCEPT, b""), (ACCEPT, b"")], "4.02"),
        ([(ACCEPT, b"\x01\x02\x03")], "4.02"),
        ([(BLOCK2, b"\x07")], "4.00"),  # the reserved size (RFC 7959 section 2.2)
        ([(BLOCK1, b"\x0f")], "4.00"),
        ([(BLOCK2, b"\x01\x02\x03\x04")], "4.02"),
        ([(BLOCK1, b"\x06"), (BLOCK1, b"\x06")], "4.02"),
        ([(6, b"\x01\x02\x03\x04")], "2.05"),  # Observe is elective
        ([(60, b"\x10")], "2.05"),
        ([(URI_PATH, b"0")], "4.04"),  # one segment too many
    ],
)
def test_options(device: Bench, options: list[tuple[int, bytes]], code: str):
    (answer,) = answers(device, Message(CON, GET, 7, b"t", VERSION + options).encode())
    assert (answer.type, answer.mid, answer.token, answer.dotted) == (ACK, 7, b"t", code)


def test_unconfirmable_request_with_an_unknown_critical_option(device: Bench):
    """It is rejected, and rejecting is done in silence (RFC 7252 section 5.4.1)."""
    assert answers(device, Message(NON, GET, 7, b"t", [*VERSION, (9, b"")]).encode()) == []


@pytest.mark.parametrize(
    "path", ["/", "/x", "/3/0/03x", "/3/0/-1", "/3/0/65536", "/3/0/3/0/0", "/3/ 0", "/.well-known/core"]
)
def test_paths_that_are_none(device: Bench, path: str):
    assert device.request(GET, path).dotted == "4.04"


@pytest.mark.parametrize("method", [DELETE, 5, 6, 7, 8, 31])
def test_methods_that_are_not_for_us(device: Bench, method: int):
    assert device.request(method, "/3/0/3").dotted == "4.05"


@pytest.mark.parametrize(
    "data",
    [
        "",
        "40",
        "400100",
        "00010001",  # version 0
        "80010001",  # version 2
        "c0010001",
    ],
)
def test_not_even_a_header(device: Bench, data: str):
    assert answers(device, bytes.fromhex(data)) == []
    assert device.read("/3/0/3") == "1.0.0"


@pytest.mark.parametrize(
    "data",
    [
        "49010007" + "00" * 9,  # token of nine bytes
        "4f010007" + "00" * 15,
        "44010007010203",  # token cut off
        "40000007ff",  # an empty message with something behind it
        "4100000701",
        "40010007ff",  # payload marker without payload
        "4001000733",  # option cut off
        "40010007d3",  # extended delta cut off
        "40010007e300",
        "400100073d",  # extended length cut off
        "400100073e00",
        "40010007f301",  # reserved delta
        "400100073f01",  # reserved length
        "40010007e3ffffaaaaaa",  # delta beyond 65535
        "400100073effff0102",  # length beyond the message
        "4020000701",  # class 1
        "40c00007",  # class 6
        "40ff0007",
    ],
)
def test_format_errors_are_rejected(device: Bench, data: str):
    """With RST if they want a confirmation, with silence if not (section 4.2)."""
    before = count(device, "malformed")
    raw = bytes.fromhex(data)
    assert answers(device, raw) == [Message(RST, 0, 7)]
    assert answers(device, bytes([raw[0] | 0x10]) + raw[1:]) == []
    assert count(device, "malformed") == before + 2


@pytest.mark.parametrize("type_", [ACK, RST])
def test_requests_cannot_be_acknowledgements(device: Bench, type_: int):
    assert answers(device, Message(type_, GET, 7, b"t", VERSION).encode()) == []


def test_answers_that_nobody_asked_for(device: Bench):
    assert answers(device, Message(CON, 0x45, 7, b"t", [], b"x").encode()) == [Message(RST, 0, 7)]
    assert answers(device, Message(NON, 0x45, 8, b"t", [], b"x").encode()) == []
    assert answers(device, Message(ACK, 0x45, 9, b"t", [], b"x").encode()) == []


# -- repetitions


def test_repeated_request_is_carried_out_once(device: Bench):
    request = device.block_request(0, b"\x00" * 64, 0, 32)
    first = device.exchange(request)
    assert first.dotted == "2.31"
    assert device.exchange(request).encode() == first.encode()
    assert count(device, "duplicates") == 1


def test_a_long_answer_is_made_again(device: Bench):
    request = device.build(GET, "/33629/0", accept=112)
    first = device.exchange(request)
    assert len(first.payload) > 64
    assert device.exchange(request).encode() == first.encode()


def test_same_id_for_another_request(device: Bench):
    """A server that was started anew may begin with the same message ids."""
    first = Message(CON, GET, 0x42, b"a", VERSION)
    second = Message(CON, GET, 0x42, b"b", path_options("/33629/1/14"))
    assert answers(device, first.encode())[0].payload == b"1.0.0"
    assert answers(device, second.encode())[0].payload == b"model"


def test_sixteen_requests_are_remembered(device: Bench):
    request = device.build(POST, "/3/0/12")
    device.exchange(request)
    for _ in range(15):
        device.read("/3/0/3")
    device.exchange(request)
    assert count(device, "duplicates") == 1


# -- long answers


@pytest.mark.parametrize("size", [16, 32, 64, 256, 1024])
def test_answers_in_blocks(device: Bench, size: int):
    whole = device.request(GET, "/33629", accept=112).payload
    body, number, more = b"", 0, True
    tags = set()
    while more:
        answer = device.request(GET, "/33629", accept=112, more=[(BLOCK2, block(number, False, size))])
        assert answer.dotted == "2.05"
        found, more, used = answer.block(BLOCK2)
        assert (found, used) == (number, size)
        assert len(answer.payload) == size or not more
        tags.add(answer.values(ETAG)[0])
        body += answer.payload
        number += 1
    assert body == whole
    assert len(tags) == 1
    beyond = device.request(GET, "/33629", accept=112, more=[(BLOCK2, block(number, False, size))])
    assert beyond.dotted == "4.00"


def test_tag_changes_with_the_content(device: Bench):
    ask = {"accept": 112, "more": [(BLOCK2, block(0, False, 64))]}
    before = device.request(GET, "/33629", **ask).values(ETAG)
    device.write("/33629/1/11", "2")
    assert device.request(GET, "/33629", **ask).values(ETAG) != before


# -- bodies in blocks that are no packages


@pytest.mark.parametrize("size", [16, 32, 64])
def test_uri_in_blocks(device: Bench, size: int):
    uri = ("coap://host/" + "p" * 100).encode()
    device.files["/" + "p" * 100] = lambda request: None
    count_ = -(-len(uri) // size)
    for number in range(count_):
        more = number + 1 < count_
        answer = device.request(
            PUT,
            "/33629/0/1",
            uri[number * size :][:size],
            more=[(BLOCK1, block(number, more, size))],
            content_format=0,
        )
        assert answer.dotted == ("2.31" if more else "2.04")
    assert device.read("/33629/0/1").encode() == uri


def test_body_in_blocks_is_limited(device: Bench):
    codes = [
        device.request(
            PUT, "/33629/0/1", b"x" * 256, more=[(BLOCK1, block(n, True, 256))], content_format=0
        ).dotted
        for n in range(3)
    ]
    assert codes == ["2.31", "2.31", "4.13"]


def test_body_in_blocks_must_be_whole(device: Bench):
    assert (
        device.request(
            PUT, "/33629/0/1", b"x" * 16, more=[(BLOCK1, block(1, False, 16))], content_format=0
        ).dotted
        == "4.08"
    )
    first = [(BLOCK1, block(0, True, 16))]
    assert (
        device.request(PUT, "/33629/0/1", b"coap://h/1234567", more=first, content_format=0).dotted == "2.31"
    )
    last = [(BLOCK1, block(1, False, 16))]
    assert device.request(PUT, "/33629/1/1", b"x", more=last, content_format=0).dotted == "4.08"
    assert device.request(PUT, "/33629/0/1", b"x" * 8, more=first, content_format=0).dotted == "4.00"


# -- garbage

MESSAGES = st.builds(
    Message,
    st.integers(0, 3),
    st.one_of(st.integers(0, 5), st.integers(0, 255)),
    st.integers(0, 0xFFFF),
    st.binary(max_size=8),
    st.lists(
        st.one_of(
            st.tuples(
                st.sampled_from([1, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 17, 20, 23, 27, 28, 35, 60]),
                st.binary(max_size=20),
            ),
            st.tuples(
                st.just(URI_PATH), st.sampled_from([b"0", b"1", b"3", b"5", b"11", b"13", b"16", b"33629"])
            ),
            st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=300)),
        ),
        max_size=6,
    ),
    st.binary(max_size=100),
)
# Update and Reboot end in a reset, which is right, but slow
HARMLESS = st.one_of(MESSAGES.filter(lambda m: m.code != POST).map(Message.encode), st.binary(max_size=60))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(HARMLESS, min_size=1, max_size=8), st.data())
def test_no_message_can_do_harm(device: Bench, messages: list[bytes], data):
    for number, message in enumerate(messages):
        broken = bytearray(message)
        if broken and data.draw(st.booleans(), label=f"damage {number}"):
            at = data.draw(st.integers(0, len(broken) - 1))
            broken[at] = data.draw(st.integers(0, 255))
        device.machine.uarts[0].feed(frame(bytes(broken)))
    device.run(10)
    device.received.clear()
    device.notifications.clear()
    assert device.read("/3/0/3") == "1.0.0"
    assert device.text == ""  # it says something only when it starts


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 0xFFFF), st.text(max_size=60), st.sampled_from(["2", "10", "4", "12", "8"]))
def test_arguments_can_do_no_harm(device: Bench, object_: int, arguments: str, resource: str):
    for path in (f"/33629/0/{resource}", f"/{object_}/0/{resource}", f"/5/0/{resource}"):
        if path == "/3/0/4":
            continue
        request = device.build(POST, path, arguments.encode(), more=[(URI_QUERY, uint(object_))])
        assert device.exchange(request).dotted[0] in "24"
    assert device.read("/3/0/3") == "1.0.0"
