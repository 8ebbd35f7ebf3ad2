import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness._errors import DeadlineExceeded, PortError, RegistrationError
from harness.protocols import Lwm2mServer
from harness.protocols.slipmux import encode_coap
from harness.protocols.testing import StandIn, link_pair

POST, DELETE, GET, PUT = 2, 4, 1, 3
OBJECTS = b'</>;rt="oma.lwm2m";ct="110 11542",</1/0>,</3/0>,</33629>;ver=1.0,</33629/0>,</33629/1>'
QUERY = ("ep=raw", "lt=60", "lwm2m=1.1", "b=UQ", "sms=123")


def test_a_registration_carries_all_that_the_device_said(bench):
    stand_in, _ = bench.start()
    registration = bench.first
    assert registration.endpoint == "stand-in"
    assert registration.location == "/" + "/".join(stand_in.location)
    assert (registration.lifetime, registration.lwm2m_version, registration.binding) == (300, "1.1", "U")
    assert registration.objects[33629].version == "1.0"
    assert registration.objects[33629].instances == (0, 1)
    assert registration.objects[3].version is None
    assert registration.formats == {110, 112, 11542}
    assert bench.server.registrations == (registration,)


def test_terms_of_a_registration_are_read(server, raw):
    answer = raw.ask(POST, "/rd", uri_query=(*QUERY, "Q"), payload=OBJECTS, content_format=40)
    assert answer.code.dotted == "2.01"
    registration = server.wait_registration("raw", deadline=5)
    assert registration.location == "/" + "/".join(answer.opt.location_path)
    assert registration.sms == "123"
    assert registration.queue_mode
    assert registration.address.startswith("coap://127.0.0.1:")


@pytest.mark.parametrize(
    ("terms", "queues"),
    [
        (("lwm2m=1.0", "b=UQ"), True),
        (("lwm2m=1.0", "b=U"), False),
        (("lwm2m=1.1", "b=U", "Q"), True),
        (("lwm2m=1.2", "b=UT", "Q", "pid=x"), True),
        (("lwm2m=1.1", "b=UQ"), False),
        (("lwm2m=1.1",), False),
    ],
)
def test_each_version_has_its_own_way_to_say_that_a_device_sleeps(server, raw, terms, queues):
    raw.ask(POST, "/rd", uri_query=("ep=raw", *terms), payload=OBJECTS)
    assert server.wait_registration("raw", deadline=5).queue_mode is queues


class Sleepy:
    """A device in queue mode, which is asked by a thread of its own."""

    def __init__(self, server, raw):
        self.server, self.raw = server, raw
        self._pool = ThreadPoolExecutor(1)
        self.register(1)

    def register(self, mid):
        answer = self.raw.ask(POST, "/rd", mid=mid, uri_query=("ep=raw", "lwm2m=1.1", "Q"), payload=OBJECTS)
        self.location = "/".join(answer.opt.location_path)
        self.server.wait_registration("raw", deadline=5)

    def ask(self, deadline=5.0):
        return self._pool.submit(self.server.device("raw").read, "/3/0/3", deadline=deadline)

    def answer(self):
        request = self.raw.receive()
        assert "/".join(request.opt.uri_path) == "3/0/3"
        self.raw.send(
            bytes((0x60 | len(request.token), 0x45)) + request.mid.to_bytes(2) + request.token + b"\xff1.0"
        )


@pytest.fixture
def sleepy(raw_server):
    server, raw = raw_server(awake_seconds=0.25)
    return Sleepy(server, raw)


def test_a_sleeping_device_is_asked_when_it_wakes_up(sleepy):
    sleepy.raw.drain(0.3)
    value = sleepy.ask()
    assert not sleepy.raw.peek(0.1)
    assert sleepy.raw.ask(POST, sleepy.location, mid=2).code.dotted == "2.04"
    sleepy.answer()
    assert value.result() == "1.0"


def test_a_device_that_is_awake_is_asked_at_once(raw_server):
    server, raw = raw_server()
    sleepy = Sleepy(server, raw)
    value = sleepy.ask()
    sleepy.answer()
    assert value.result() == "1.0"


def test_a_device_that_does_not_wake_up_is_named(sleepy):
    sleepy.raw.drain(0.3)
    with pytest.raises(DeadlineExceeded, match="sleeps") as info:
        sleepy.ask(0.1).result()
    assert "last heard" in str(info.value)


def test_what_waits_for_a_sleeping_device_ends_with_its_registration(sleepy):
    sleepy.raw.drain(0.3)
    value = sleepy.ask()
    sleepy.raw.drain(0.3)
    assert sleepy.raw.ask(DELETE, sleepy.location, mid=3).code.dotted == "2.02"
    with pytest.raises(RegistrationError, match="slept"):
        value.result()


def test_objects_may_live_below_another_root(server, raw):
    payload = b'</lwm2m>;rt="oma.lwm2m",</lwm2m/3/0>,</other>'
    raw.ask(POST, "/rd", uri_query=QUERY, payload=payload)
    registration = server.wait_registration("raw", deadline=5)
    assert registration.root == ("lwm2m",)
    assert registration.objects.keys() == {3}


def test_large_registrations_come_in_blocks(server, raw):
    one, two = OBJECTS[:64], OBJECTS[64:]
    first = raw.ask(POST, "/rd", mid=1, uri_query=QUERY, payload=one, block1=(0, True, 2))
    assert first.code.dotted == "2.31"
    second = raw.ask(POST, "/rd", mid=2, uri_query=QUERY, payload=two, block1=(1, False, 2))
    assert second.code.dotted == "2.01"
    assert server.wait_registration("raw", deadline=5).objects[33629].instances == (0, 1)


def test_rd_and_what_lies_below_it_are_both_served(raw):
    created = raw.ask(POST, "/rd", mid=1, uri_query=QUERY, payload=OBJECTS)
    location = "/".join(created.opt.location_path)
    assert raw.ask(POST, location, mid=2).code.dotted == "2.04"
    assert raw.ask(DELETE, location, mid=3).code.dotted == "2.02"
    assert raw.ask(POST, location, mid=4).code.dotted == "4.04"
    assert raw.ask(GET, "/rd", mid=5).code.dotted == "4.05"
    assert raw.ask(DELETE, "/rd", mid=6).code.dotted == "4.05"
    assert raw.ask(POST, "/rd/1/2", mid=7).code.dotted == "4.04"
    assert raw.ask(GET, "/elsewhere", mid=8).code.dotted == "4.04"


@pytest.mark.parametrize(
    ("query", "payload", "code"),
    [
        (("lt=60", "lwm2m=1.1"), OBJECTS, "4.00"),
        (("ep=", "lwm2m=1.1"), OBJECTS, "4.00"),
        (("ep=raw", "lt=60"), OBJECTS, "4.00"),
        (("ep=raw", "lwm2m=2.0"), OBJECTS, "4.12"),
        (("ep=raw", "lwm2m=1.1", "lt=soon"), OBJECTS, "4.00"),
        (("ep=raw", "lwm2m=1.1", "lt=0"), OBJECTS, "4.00"),
        (("ep=raw", "lwm2m=1.1"), b"</3/0/1>", "4.00"),
        (("ep=raw", "lwm2m=1.1"), b"</3/x>", "4.00"),
        (("ep=raw", "lwm2m=1.1"), b"<", "4.00"),
    ],
)
def test_unusable_registrations_are_refused_and_show_up_in_errors(server, raw, query, payload, code):
    assert raw.ask(POST, "/rd", uri_query=query, payload=payload).code.dotted == code
    with pytest.raises(DeadlineExceeded, match=f"refused with {code}"):
        server.wait_registration("raw", deadline=0)
    assert server.registrations == ()


def test_other_formats_of_the_object_list_are_refused(raw):
    answer = raw.ask(POST, "/rd", uri_query=QUERY, payload=b"[]", content_format=50)
    assert answer.code.dotted == "4.15"


def test_waiting_says_who_was_waited_for_and_who_came(bench):
    bench.start()
    with pytest.raises(DeadlineExceeded) as info:
        bench.server.wait_registration("somebody else", deadline=0.01)
    assert "'somebody else'" in info.value.expected
    assert "'stand-in' #1" in info.value.found


def test_a_reboot_makes_a_later_registration(bench):
    stand_in, device = bench.start()
    stand_in.reboot()
    second = bench.server.wait_registration("stand-in", after=bench.first, deadline=5)
    assert second.sequence > bench.first.sequence
    assert bench.server.wait_registration("stand-in", deadline=0) == second
    assert bench.server.registrations == (second,)
    if bench.transport == "udp":
        assert second.address != bench.first.address
    with pytest.raises(DeadlineExceeded, match=f"later than #{second.sequence}"):
        bench.server.wait_registration("stand-in", after=second.sequence, deadline=0.01)
    assert device.read("/3/0/0") == "Stand-in"


def test_waiting_for_any_device(bench):
    bench.start()
    assert bench.server.wait_registration(deadline=0) == bench.first


def test_updates_renew_the_lifetime_without_a_new_registration(line):
    stand_in, _ = line.start(lifetime=1, server={"lifetime_margin": 0.2})
    stand_in.update_registration(lifetime=300)
    assert line.server.registration("stand-in").lifetime == 300
    assert line.server.registration("stand-in").sequence == line.first.sequence
    with pytest.raises(DeadlineExceeded):
        line.server.wait_unregistered(line.first, deadline=1.4)


def test_registrations_expire_after_lifetime_and_margin(line):
    _, device = line.start(lifetime=1, server={"lifetime_margin": 0.1})
    line.server.wait_unregistered(line.first, deadline=5)
    with pytest.raises(RegistrationError, match=r"lifetime of 1 s and 0.1 s more"):
        device.read("/3/0/0")


def test_an_update_after_the_end_is_refused_so_that_the_device_registers_again(line):
    stand_in, _ = line.start(lifetime=1, server={"lifetime_margin": 0.1})
    line.server.wait_unregistered(line.first, deadline=5)
    with pytest.raises(RegistrationError, match=r"4\.04"):
        stand_in.update_registration()


def test_an_update_meant_for_the_server_before_a_restart_renews_nobody_else(raw_server, raw_to):
    first, device = raw_server()
    old = device.ask(POST, "/rd", uri_query=QUERY, payload=OBJECTS).opt.location_path
    host, port = first.address
    first.close()
    with Lwm2mServer(host=host, port=port) as second:
        other = raw_to(second.uri)
        assert (
            other.ask(POST, "/rd", uri_query=("ep=other", *QUERY[1:]), payload=OBJECTS).code.dotted == "2.01"
        )
        before = second.wait_registration("other", deadline=5)
        assert device.ask(POST, "/".join(old), mid=2).code.dotted == "4.04"
        assert second.registrations == (before,)


def test_deregistration(bench):
    stand_in, device = bench.start()
    stand_in.deregister()
    bench.server.wait_unregistered(bench.first, deadline=5)
    with pytest.raises(RegistrationError, match="de-registered"):
        device.read("/3/0/0")


def test_an_update_from_a_new_address_moves_the_registration(server, raw, request):
    created = raw.ask(POST, "/rd", uri_query=QUERY, payload=OBJECTS)
    other = type(raw)(server.address)
    request.addfinalizer(other.close)
    before = server.wait_registration("raw", deadline=5).address
    other.ask(POST, "/".join(created.opt.location_path), uri_query=("b=U",), payload=b"</3/0>")
    after = server.wait_registration("raw", deadline=5)
    assert after.address != before
    assert (after.sequence, after.binding, after.objects.keys()) == (1, "U", {3})


def test_firmware_without_entropy_registers_anew_with_the_same_bytes(bench):
    stand_in, device = bench.start(entropy=False)
    device.read("/3/0/0")
    last = bench.first
    for _ in range(3):
        stand_in.reboot()
        last = bench.server.wait_registration("stand-in", after=last, deadline=5)
        assert device.read("/3/0/0") == "Stand-in"


def test_a_reset_right_after_a_registration_is_announced(line):
    stand_in, _ = line.start(entropy=False)
    stand_in.power_off()
    line.server.device_was_reset(line.link)
    stand_in.power_on()
    assert line.server.wait_registration("stand-in", after=line.first, deadline=5).sequence == 2


def test_a_repeated_registration_gets_the_same_answer_and_is_no_new_one(server, raw):
    register = raw.encode(POST, "/rd", mid=7, token=b"a", uri_query=QUERY, payload=OBJECTS)
    answers = []
    for _ in range(3):
        raw.send(register)
        answers.append(raw.receive().opt.location_path)
    assert len(set(answers)) == 1
    assert server.wait_registration("raw", deadline=5).sequence == 1


def test_other_bytes_under_a_known_message_id_are_a_new_message(server, raw):
    assert raw.ask(POST, "/rd", mid=9, token=b"a", uri_query=QUERY, payload=OBJECTS).code.dotted == "2.01"
    assert raw.ask(GET, "/nothing", mid=9, token=b"b").code.dotted == "4.04"
    assert raw.ask(POST, "/rd", mid=9, token=b"c", uri_query=QUERY, payload=OBJECTS).code.dotted == "2.01"
    assert server.wait_registration("raw", after=1, deadline=5).sequence == 2


def test_the_device_has_its_answer_before_anybody_sees_the_registration(server):
    end, other_end = link_pair()
    seen = []
    send = end.send
    end.send = lambda frame: (seen.append(server.registrations), send(frame))[1]
    server.attach(end)
    with StandIn(link=other_end):
        server.wait_registration(deadline=5)
    server.detach(end)
    assert seen == [()]


def test_many_devices_on_many_transports_do_not_mix():
    pairs = [link_pair(f"line{i}", f"device{i}") for i in range(2)]
    with Lwm2mServer() as server:
        for end, _ in pairs:
            server.attach(end)
        with (
            StandIn("a", link=pairs[0][1]),
            StandIn("b", link=pairs[1][1]),
            StandIn("c", server=server.uri),
            StandIn("d", server=server.uri),
        ):
            names = {name: server.device(name).read("/3/0/2") for name in "abcd"}
            addresses = [r.address for r in server.registrations]
    assert names == {name: name for name in "abcd"}
    assert addresses[:2] == ["coap://line0.dev.alt", "coap://line1.dev.alt"]


def test_a_port_in_use_is_not_shared(server):
    host, port = server.address
    with pytest.raises(PortError, match="listen"):
        Lwm2mServer(host=host, port=port)


def test_a_server_without_udp_has_no_uri():
    with Lwm2mServer(host=None) as server, pytest.raises(PortError, match="without UDP"):
        _ = server.uri


@pytest.mark.parametrize(("host", "reached_at"), [("0.0.0.0", "127.0.0.1"), ("::1", "[::1]")])
def test_other_addresses_to_listen_on(host, reached_at):
    try:
        server = Lwm2mServer(host=host)
    except PortError:
        pytest.skip(f"no {host} on this machine")
    with server:
        uri = f"coap://{reached_at}:{server.address[1]}"
        with StandIn(server=uri):
            device = server.device(server.wait_registration(deadline=5))
            assert device.read("/3/0/0") == "Stand-in"
            assert server.uri_for(server.publish(b"", name="x"), device) == f"{uri}/fw/x"


def test_links_may_have_any_name(server):
    end, other_end = link_pair("/dev/ttyACM0", "device")
    server.attach(end)
    with StandIn(link=other_end):
        assert server.wait_registration(deadline=5).address == "coap://dev-ttyacm0.dev.alt"
    server.detach(end)


def test_a_closed_server_says_so(line):
    _, device = line.start()
    line.server.close()
    line.server.close()
    with pytest.raises(PortError, match="closed"):
        device.read("/3/0/0")


def test_attaching_a_link_twice_is_refused(line):
    line.start()
    with pytest.raises(ValueError, match="attached already"):
        line.server.attach(line.link)


def test_detaching_ends_the_registrations_of_the_link(line):
    _, device = line.start()
    line.server.detach(line.link)
    with pytest.raises(RegistrationError, match="detached"):
        device.read("/3/0/0")
    line.server.attach(line.link)


def test_a_link_that_closes_ends_its_registrations(tcp_line):
    _, device = tcp_line.start()
    assert device.read("/3/0/0") == "Stand-in"
    tcp_line.link.close()
    tcp_line.server.wait_unregistered(tcp_line.first, deadline=5)
    with pytest.raises(RegistrationError, match="link closed"):
        device.read("/3/0/0")


def test_links_with_the_same_name_are_told_apart(server):
    pairs = [link_pair() for _ in range(2)]
    for end, _ in pairs:
        server.attach(end)
    with StandIn("a", link=pairs[0][1]), StandIn("b", link=pairs[1][1]):
        for name in "ab":
            server.wait_registration(name, deadline=5)
            assert server.device(name).read("/3/0/2") == name
        server.detach(pairs[0][0])
        assert [r.endpoint for r in server.registrations] == ["b"]
        assert server.device("b").read("/3/0/2") == "b"


def test_a_link_may_come_back_under_its_name(line):
    stand_in, device = line.start()
    stand_in.power_off()
    line.link.close()
    line.server.wait_unregistered(line.first, deadline=5)
    end, other_end = link_pair()
    line.server.attach(end)
    with StandIn(link=other_end):
        line.server.wait_registration("stand-in", after=line.first, deadline=5)
        assert device.read("/3/0/0") == "Stand-in"
    line.server.detach(end)


def test_there_is_one_transport_a_node_and_no_other_socket(line):
    line.start()
    nodes = [line.server._udp, *(node for node, _ in line.server._links.values())]
    assert [len(node._context.request_interfaces) for node in nodes] == [1, 1]
    kinds = [type(node.interface).__name__ for node in nodes]
    assert kinds == ["UdpInterface", "LinkInterface"]


_headers = st.tuples(st.integers(0x40, 0x7F), st.sampled_from([0, 1, 2, 3, 4, 0x41, 0x45, 0x84, 0xE1])).map(
    bytes
)
_options = st.sampled_from(
    [
        b"\xb2rd",
        b"\xb2rd\x019",
        b"\xb2fw\x01x",
        b"\x45ep=xy",
        b"\x08lwm2m=11",
        b"\x60",
        b"\xd1\x06\x0e",
        b"\xff",
        b"\xc1\xfe",
    ]
)


def test_random_messages_do_no_harm(line, caplog):
    stand_in, device = line.start()
    line.server.publish(bytes(2000), name="x")

    @given(st.binary(max_size=30) | st.tuples(_headers, st.binary(min_size=2, max_size=10)).map(b"".join))
    def any_bytes(data):
        line.link.receive(encode_coap(data))

    @given(
        _headers, st.binary(min_size=2, max_size=2), st.lists(_options | st.binary(max_size=3), max_size=6)
    )
    @settings(max_examples=150)
    def likely(header, mid, options):
        token = b"token678"[: header[0] & 15]
        line.link.receive(encode_coap(header + mid + token + b"".join(options)))

    any_bytes()
    likely()
    assert device.read("/3/0/0") == "Stand-in"
    stand_in.reboot()
    line.server.wait_registration("stand-in", after=line.first, deadline=5)
    assert [r.message for r in caplog.records if r.levelno >= logging.ERROR] == []


def test_frames_that_are_no_coap_do_not_disturb(line):
    stand_in, device = line.start()
    for noise in (
        b"Booting...\r\n",
        encode_coap(b"\xff" * 20),
        encode_coap(b"\x4f\x01\x00\x00"),
        b"\xc0\xa9garbage\xc0",
    ):
        line.device_link.print(noise)
    assert device.read("/3/0/0") == "Stand-in"
    assert line.link.console == b"Booting...\r\n"
    assert len(line.link.errors) == 1
    assert stand_in.requests
