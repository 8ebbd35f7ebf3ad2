"""The two kinds of bad link as such: bytes in, bytes out."""

import contextlib
import socket

import pytest

from harness._errors import PortError
from harness.protocols.badlink import BadFrameLink, Direction, LinkConditions, UdpBadLink
from harness.protocols.slipmux import encode_coap
from harness.protocols.testing import link_pair

DOWN, UP = Direction
PING = bytes.fromhex("40000001")


class Ends:
    """Sockets of a device and of a server with a relay between."""

    def __init__(self, stack, **conditions):
        self.server, self.device = (self.socket(stack) for _ in range(2))
        uri = f"coap://127.0.0.1:{self.server.getsockname()[1]}"
        self.link = stack.enter_context(UdpBadLink(uri, LinkConditions(**conditions)))

    @staticmethod
    def socket(stack):
        made = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        made.bind(("127.0.0.1", 0))
        made.settimeout(5)
        return made

    def send(self, data):
        self.device.sendto(data, self.link.address)

    def receive(self):
        return self.server.recvfrom(2000)


@pytest.fixture
def ends():
    with contextlib.ExitStack() as stack:
        yield lambda **conditions: Ends(stack, **conditions)


def test_datagrams_go_both_ways(ends):
    pair = ends()
    pair.send(b"one")
    data, path = pair.receive()
    assert data == b"one"
    pair.server.sendto(b"two", path)
    assert pair.device.recvfrom(100) == (b"two", pair.link.address)
    assert pair.link.report.count(UP) == pair.link.report.count(DOWN) == 1


def test_devices_are_told_apart(ends):
    with contextlib.ExitStack() as stack:
        pair = ends()
        other = Ends.socket(stack)
        pair.send(b"one")
        other.sendto(b"two", pair.link.address)
        paths = dict(pair.receive() for _ in range(2))
        assert paths[b"one"] != paths[b"two"]
        pair.server.sendto(b"for two", paths[b"two"])
        assert other.recv(100) == b"for two"


def test_a_move_changes_the_address_and_cuts_the_old_one_off(ends):
    pair = ends()
    pair.send(b"one")
    _, before = pair.receive()
    pair.link.move()
    pair.send(b"two")
    data, after = pair.receive()
    assert (data, after != before) == (b"two", True)
    pair.server.sendto(b"too late", before)
    pair.server.sendto(b"here", after)
    assert pair.device.recv(100) == b"here"
    assert "the device's address changed" in str(pair.link.report)


def test_moves_and_silences_of_the_conditions_happen_by_themselves(ends):
    pair = ends(moves=(0.05,), silences=((0.0, 0.05),))
    for number in range(1000):
        pair.send(b"%d" % number)
        pair.server.settimeout(0.01)
        with contextlib.suppress(TimeoutError):
            assert int(pair.receive()[0]) > 0
            break
    assert pair.link.report.count(UP, "lost in silence") > 0


def test_another_server_takes_over(ends):
    with contextlib.ExitStack() as stack:
        pair = ends()
        pair.send(b"one")
        pair.receive()
        other = Ends.socket(stack)
        pair.link.server_restarted(f"coap://127.0.0.1:{other.getsockname()[1]}")
        pair.send(b"two")
        assert other.recv(100) == b"two"


def test_a_dead_server_does_not_end_the_link(ends):
    with contextlib.ExitStack() as stack:
        pair = ends()
        dead = Ends.socket(stack)
        where = dead.getsockname()
        dead.close()
        server = pair.server.getsockname()[1]
        pair.link.server_restarted(f"coap://127.0.0.1:{where[1]}")
        pair.send(b"lost")
        pair.send(b"lost too")
        pair.link.server_restarted(f"coap://127.0.0.1:{server}")
        pair.server.settimeout(0.05)
        for _ in range(100):
            pair.send(b"found")
            with contextlib.suppress(TimeoutError):
                if pair.receive()[0] == b"found":
                    break
        else:
            raise AssertionError("nothing came through")


def test_uris_lead_through_the_link(ends):
    pair = ends()
    host, port = pair.link.address
    assert pair.link.uri == f"coap://{host}:{port}"
    assert pair.link.uri_for("coap://192.0.2.1:1234/fw/7?x=1") == f"coap://{host}:{port}/fw/7?x=1"


@pytest.mark.parametrize(
    "uri", ["", "http://127.0.0.1:5683", "coap://:1", "127.0.0.1:5683", "coap://h:99999"]
)
def test_what_is_no_server_is_refused(uri):
    with pytest.raises(ValueError, match="no URI of a server"):
        UdpBadLink(uri)


def test_a_taken_port_is_named(ends):
    pair = ends()
    with pytest.raises(PortError, match="cannot listen for devices"):
        UdpBadLink("coap://127.0.0.1:1", port=pair.link.address[1])


class Line:
    """Two ends of a serial line, with a bad link in front of one."""

    def __init__(self, **conditions):
        self.near, self.far = link_pair()
        self.link = BadFrameLink(self.near, LinkConditions(**conditions))
        self.at_device, self.at_server, self.ends = [], [], []
        self.far.subscribe(self.at_device.append, self.ends.append)
        self.link.subscribe(self.at_server.append, self.ends.append)


def test_frames_go_both_ways_and_damaged_ones_end_at_the_checksum(until):
    line = Line(corruption=0.5, seed=1)
    messages = [bytes([0x40, 0, 1, n]) for n in range(200)]
    for message in messages:
        line.link.send(encode_coap(message))
        line.far.send(encode_coap(message))
    line.link.heal()
    line.link.send(encode_coap(PING))
    line.far.send(encode_coap(PING))
    until(lambda: PING in line.at_device and PING in line.at_server)
    for got, errors, way in (
        (line.at_device, line.far.errors, DOWN),
        (line.at_server, line.link.errors, UP),
    ):
        assert [m for m in messages if m in got] == got[:-1]
        assert 60 < len(got) < 140
        assert len(got) - 1 + line.link.report.count(way, "corrupted") == 200
        assert len(errors) > 50
    line.link.close()


def test_a_line_has_no_address():
    near, _ = link_pair()
    with pytest.raises(ValueError, match="no address"):
        BadFrameLink(near, LinkConditions(moves=(1.0,)))
    with BadFrameLink(near) as link, pytest.raises(ValueError, match="no address"):
        link.conditions = LinkConditions(moves=(1.0,))


def test_the_end_of_the_line_is_passed_on():
    line = Line()
    reason = PortError("pulled out")
    line.near.close(reason)
    assert line.ends == [reason]
    late = []
    line.link.subscribe(late.append, late.append)
    assert late == [reason]
    with pytest.raises(PortError, match="closed"):
        line.link.send(encode_coap(PING))
    line.link.close()
    line.link.close()


def test_a_closed_link_leaves_the_line_alone():
    line = Line()
    line.link.close()
    line.near.send(encode_coap(PING))
    assert line.at_device == [PING]
    assert line.ends == []
