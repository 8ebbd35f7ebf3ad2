"""SMP over bad links: lines with a CRC-16, and datagrams. Bytes of messages by the specification of SMP."""

from __future__ import annotations

import contextlib
import queue
import socket

import cbor2
from hypothesis import given, settings
from hypothesis import strategies as st
from smp.packet import encode

from harness.protocols.badlink import BadFrameLink, Direction, LinkConditions, UdpBadLink
from harness.protocols.smp import LineDecoder, SmpMessage

DOWN, UP = Direction


def echo(number: int, text: str = "x", *, answer: bool = False) -> bytes:
    body = cbor2.dumps({"r" if answer else "d": text})
    return bytes([3 if answer else 2, 0, *len(body).to_bytes(2, "big"), 0, 0, number, 0]) + body


def lines(message: bytes) -> bytes:
    return b"".join(encode(message))


class Line:
    """The SMP side of a serial line whose device is the test."""

    name = "line"

    def __init__(self) -> None:
        self.sent: queue.Queue[bytes] = queue.Queue()

    def send(self, frame, /):
        self.sent.put(frame)

    def subscribe(self, received, closed, /):
        self.answer = received
        return lambda: None


def test_what_is_done_to_lines_is_told_of_messages():
    line = Line()
    with BadFrameLink(line, LinkConditions(duplication=1.0, hold=0.0), protocol="smp") as link:
        link.send(lines(echo(7)))
        assert [line.sent.get(timeout=10) for _ in range(2)] == 2 * [lines(echo(7))]
        link.conditions = LinkConditions(corruption=1.0)
        link.send(lines(echo(8)))
        damaged = line.sent.get(timeout=10)
        assert damaged != lines(echo(8))
        assert not [event for event in LineDecoder().feed(damaged) if isinstance(event, SmpMessage)]
        link.conditions = LinkConditions(loss=1.0)
        link.send(lines(echo(9)))
        link.silence(60)
        link.send(lines(echo(10)))
        harmed = [(passage.message, passage.fate.deeds[0]) for passage in link.report.harmed()]
    size = len(echo(7))
    assert harmed[0] == (f"write os echo seq 7, {size} bytes", "duplicated")
    assert harmed[1][0] == f"write os echo seq 8, {size} bytes"
    assert harmed[1][1].startswith("corrupted at bit ")
    assert harmed[2:] == [
        (f"write os echo seq 9, {size} bytes", "lost"),
        (f"write os echo seq 10, {size} bytes", "lost in silence"),
    ]


def test_pieces_of_an_upload_are_told_apart():
    body = cbor2.dumps({"image": 1, "off": 512, "data": bytes(64)})
    link = BadFrameLink(Line(), LinkConditions(loss=1.0), protocol="smp")
    with link:
        link.send(lines(bytes([0x0A, 0, *len(body).to_bytes(2, "big"), 0, 1, 3, 1]) + body))
        link.send(b"no line")
    told = [passage.message for passage in link.report.harmed()]
    assert told == [
        f"write image upload seq 3, image 1, off 512, {len(body) + 8} bytes",
        "7 bytes that are no SMP message",
    ]


@settings(max_examples=20)
@given(seed=st.integers(0, 2**16))
def test_damaged_answers_end_at_the_checksum_and_later_ones_get_through(seed):
    heard: queue.Queue[bytes] = queue.Queue()
    line = Line()
    with BadFrameLink(line, LinkConditions(corruption=1.0, seed=seed), protocol="smp") as link:
        link.subscribe(heard.put, lambda _: None)
        for number in range(4):
            line.answer(echo(number, "x" * 150, answer=True))
        link.heal()
        for number in (4, 5):  # the first is lost if the end of the line before it was damaged
            line.answer(echo(number, answer=True))
        found = heard.get(timeout=10)
        assert found in {echo(4, answer=True), echo(5, answer=True)}
    assert link.report.count(UP, "corrupted") == 4


def test_over_udp_it_is_the_device_that_is_relayed_to():
    with contextlib.ExitStack() as stack:
        device, client = (
            stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)
        )
        for end in (device, client):
            end.bind(("127.0.0.1", 0))
            end.settimeout(10)
        link = stack.enter_context(UdpBadLink(f"smp://127.0.0.1:{device.getsockname()[1]}"))
        client.sendto(echo(5), link.address)
        data, path = device.recvfrom(100)
        assert data == echo(5)
        device.sendto(echo(5, answer=True), path)
        assert client.recv(100) == echo(5, answer=True)
        assert link.uri == "smp://{}:{}".format(*link.address)
        told = [(entry.fate.direction, entry.message) for entry in link.report.entries]
    size = len(echo(5))
    assert told == [
        (DOWN, f"write os echo seq 5, {size} bytes"),
        (UP, f"write answer os echo seq 5, {size} bytes"),
    ]
