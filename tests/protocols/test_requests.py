"""Requests under adverse conditions: every way in which aiocoap alone would hang or mislead."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness._deadline import Deadline
from harness._errors import (
    DeadlineExceeded,
    HarnessError,
    PortError,
    ProtocolError,
    RegistrationError,
    RequestError,
)
from harness.protocols import Path, Retransmission, Transfer
from harness.protocols._messages import MessageIds
from harness.protocols.testing import StandIn, make_image


def lost(frame: bytes) -> bytes:
    return b""


def test_a_request_ends_with_its_deadline_after_an_empty_acknowledgement(bench):
    stand_in, device = bench.start()
    stand_in.faults.hang.add("/33629/0/3")
    with pytest.raises(DeadlineExceeded) as info:
        device.read("/33629/0/3", deadline=0.3)
    text = str(info.value)
    assert "GET /33629/0/3 on 'stand-in' #1" in text
    assert "an empty acknowledgement, but no answer" in text
    assert "last sent: CON GET /33629/0/3 mid 0x" in text
    assert "last heard" in text
    assert "ACK 0.00" in text
    assert device.read("/33629/0/5") == 0


def test_nothing_is_sent_after_the_deadline(bench):
    stand_in, device = bench.start()
    with pytest.raises(DeadlineExceeded, match="before anything was sent"):
        device.execute("/3/0/4", deadline=0)
    assert device.read("/3/0/0") == "Stand-in"
    assert stand_in.requests == [("GET", "/3/0/0")]


def test_a_device_that_is_gone_is_told_from_one_that_thinks(bench):
    stand_in, device = bench.start()
    stand_in.power_off()
    with pytest.raises(DeadlineExceeded, match="no acknowledgement, given up"):
        device.read("/3/0/0", deadline=0.05)


def test_giving_up_repetitions_is_a_missing_answer_too(bench, quick):
    stand_in, device = bench.start(server=quick)
    stand_in.power_off()
    with pytest.raises(DeadlineExceeded, match="no acknowledgement \\("):
        device.read("/3/0/0", deadline=5)


def test_slow_answers_come_separately(bench):
    stand_in, device = bench.start()
    stand_in.faults.delay = 0.15
    assert device.read("/3/0/0") == "Stand-in"
    assert device.push("/33629/0/0", make_image(0, "2", size=2048), deadline=5).code == "2.04"


def test_lost_frames_are_repeated(line, quick):
    _, device = line.start(server=quick)
    frames = iter([b""])
    line.link.damage = lambda frame: next(frames, frame)
    assert device.read("/3/0/0", deadline=5) == "Stand-in"
    answers = iter([b""])
    line.device_link.damage = lambda frame: next(answers, frame)
    device.write("/1/1/1", 61, deadline=5)


def test_damaged_frames_are_dropped_and_repeated(line, quick):
    stand_in, device = line.start(server=quick)
    bits = iter(range(30, 60))

    def flip(frame: bytes) -> bytes:
        at = next(bits, None)
        if at is None or at % 2:
            return frame
        return frame[:-4] + bytes((frame[-4] ^ 1,)) + frame[-3:]

    line.link.damage = flip
    for number in range(12):
        device.write("/1/1/1", number, deadline=5)
        assert stand_in.settings[Path(1, 1, 1)] == number
    assert len(line.device_link.errors) >= 10


def test_a_request_that_could_not_leave_says_so(line, until):
    stand_in, device = line.start()
    line.link.damage = lost
    errors = []

    def first() -> None:
        with pytest.raises(DeadlineExceeded) as info:
            device.read("/3/0/0", deadline=3)
        errors.append(str(info.value))

    sent = line.link.frames_sent
    thread = threading.Thread(target=first)
    thread.start()
    until(lambda: line.link.frames_sent > sent)
    with pytest.raises(DeadlineExceeded, match="never sent, because an earlier message"):
        device.read("/3/0/1", deadline=1)
    thread.join()
    assert "no acknowledgement" in errors[0]
    # Neither of them is in the way of the next one.
    line.link.damage = None
    assert device.read("/3/0/2", deadline=10) == "stand-in"
    assert stand_in.requests == [("GET", "/3/0/2")]


def test_a_rebooted_device_does_not_get_requests_from_before(line, until):
    slow = Retransmission(ack_timeout=0.3, random_factor=1.0)
    stand_in, device = line.start(server={"retransmission": slow})
    line.link.damage = lost
    outcome = []

    def execute() -> None:
        with pytest.raises(RegistrationError, match="registered anew, as #2") as info:
            device.execute("/33629/0/2", deadline=20)
        outcome.append(info.value)

    sent = line.link.frames_sent
    thread = threading.Thread(target=execute)
    thread.start()
    until(lambda: line.link.frames_sent > sent)
    line.link.damage = None
    stand_in.reboot()
    thread.join()
    line.server.wait_registration("stand-in", after=line.first, deadline=5)
    assert "POST /33629/0/2 on 'stand-in' #1" in str(outcome[0])
    # Long enough for a repetition of the old request to come, were there any.
    pause = Deadline(0.5)
    while not pause.expired:
        assert device.read("/3/0/0") == "Stand-in"
    assert set(stand_in.requests) == {("GET", "/3/0/0")}


def test_requests_end_when_the_link_closes(line):
    stand_in, device = line.start()
    stand_in.faults.hang.add("/3/0/0")
    thread = threading.Timer(0.15, lambda: line.link.close(PortError("adapter pulled out")))
    thread.start()
    with pytest.raises(PortError, match="adapter pulled out"):
        device.read("/3/0/0", deadline=20)
    thread.join()
    with pytest.raises(RegistrationError, match="link closed"):
        device.read("/3/0/0")


def test_a_link_that_fails_on_sending_ends_what_was_sent(line):
    _, device = line.start()

    def broken(frame: bytes) -> None:
        raise OSError("unplugged")

    line.link.send = broken
    with pytest.raises((PortError, RegistrationError), match="unplugged"):
        device.read("/3/0/0", deadline=20)


def test_requests_end_when_the_server_closes(bench):
    stand_in, device = bench.start()
    stand_in.faults.hang.add("/3/0/0")
    thread = threading.Timer(0.15, bench.server.close)
    thread.start()
    with pytest.raises((PortError, RegistrationError), match="closed"):
        device.read("/3/0/0", deadline=20)
    thread.join()


@pytest.mark.parametrize("block_size", [16, 64, 256, 1024])
def test_pushes_arrive_whole_in_blocks_of_any_size(bench, block_size):
    stand_in, device = bench.start()
    image = make_image(0, "2.0.0", size=block_size * 5 + 3)
    seen = []
    transfer = device.push(
        "/33629/0/0", image, block_size=block_size, progress=lambda a, b: seen.append((a, b)), deadline=10
    )
    assert transfer == Transfer("2.04", b"", len(image), len(image), 6, block_size)
    assert seen[0] == (block_size, len(image))
    assert seen[-1] == (len(image), len(image))
    assert stand_in.components[0].image_version == "2.0.0"


def test_a_device_may_ask_for_smaller_blocks(bench):
    stand_in, device = bench.start()
    stand_in.faults.max_block_size = 128
    transfer = device.push("/33629/0/0", make_image(0, "2", size=3000), deadline=10)
    assert (transfer.code, transfer.block_size) == ("2.04", 128)
    assert stand_in.components[0].image_version == "2"


def test_continue_at_the_end_is_no_success(bench):
    stand_in, device = bench.start()
    stand_in.faults.continue_at_end = True
    with pytest.raises(RequestError, match="asked for more after the last block") as info:
        device.push("/33629/0/0", make_image(0, "2", size=3000), deadline=10)
    assert info.value.code == "2.31"


def test_continue_without_a_block_option_is_no_success(bench):
    stand_in, device = bench.start()
    stand_in.faults.continue_without_block1 = True
    with pytest.raises(RequestError, match="no Block1 option") as info:
        device.push("/33629/0/0", make_image(0, "2", size=3000), deadline=10)
    assert info.value.code == "2.31"


def test_continue_is_no_answer_to_a_plain_write(bench):
    stand_in, device = bench.start()
    resources = stand_in._resources

    async def answer(request, path):
        from aiocoap import CONTINUE, Message

        return Message(code=CONTINUE)

    resources._answer = answer
    for call in (
        lambda: device.write("/1/1/1", 5),
        lambda: device.execute("/3/0/4"),
        lambda: device.read("/3/0/0"),
        lambda: device.discover("/3"),
    ):
        with pytest.raises(RequestError) as info:
            call()
        assert info.value.code == "2.31"


def test_a_device_that_abandons_a_push_is_named_with_the_block(bench):
    stand_in, device = bench.start()
    stand_in.faults.abandon_after = 2
    with pytest.raises(DeadlineExceeded) as info:
        device.push("/33629/0/0", make_image(0, "2", size=5000), deadline=0.4)
    assert "PUT /33629/0/0 on 'stand-in'" in str(info.value)
    assert "block 2 of 1024 bytes" in info.value.found


def test_nothing_else_is_asked_during_a_push(bench):
    stand_in, device = bench.start()
    reader_says = []

    def read() -> None:
        reader_says.append(device.read("/33629/0/3", deadline=10))

    reader = threading.Thread(target=read)
    device.push(
        "/33629/0/0",
        make_image(0, "2", size=20_000),
        progress=lambda sent, _: reader.start() if sent == 1024 else time.sleep(0.002),
        deadline=10,
    )
    reader.join()
    assert reader_says == [2]
    methods = [method for method, _ in stand_in.requests]
    assert methods == ["PUT"] * 20 + ["GET"]


def test_waiting_for_a_push_is_bounded_too(bench):
    stand_in, device = bench.start()
    stand_in.faults.abandon_after = 1
    started = threading.Event()

    def push() -> None:
        with pytest.raises(DeadlineExceeded):
            device.push("/33629/0/0", bytes(4000), progress=lambda *_: started.set(), deadline=0.6)

    thread = threading.Thread(target=push)
    thread.start()
    started.wait(5)
    with pytest.raises(DeadlineExceeded, match="the end of a block-wise write"):
        device.read("/3/0/0", deadline=0.05)
    thread.join()


@pytest.mark.parametrize(
    ("change", "problem", "what"),
    [
        (
            lambda answer, start: setattr(answer.opt, "etag", bytes((start > 0,))),
            ProtocolError,
            "changed while",
        ),
        (lambda answer, start: setattr(answer.opt, "block2", (0, True, 6)), ProtocolError, "do not fit"),
        (
            lambda answer, start: setattr(answer.opt, "block2", None) if start else None,
            ProtocolError,
            "do not fit",
        ),
        (
            lambda answer, start: setattr(answer, "code", type(answer.code)(0x88)) if start else None,
            RequestError,
            r"4\.08",
        ),
    ],
    ids=["etag", "number", "option", "code"],
)
def test_blocks_of_an_answer_have_to_fit_together(bench, change, problem, what):
    stand_in, device = bench.start()
    stand_in.set_value("/3/0/0", "long " * 600)
    resources = stand_in._resources
    original = resources._slice

    def tampered(request, payload, content_format):
        answer = original(request, payload, content_format)
        change(answer, 0 if request.opt.block2 is None else request.opt.block2.start)
        return answer

    resources._slice = tampered
    with pytest.raises(problem, match=what):
        device.read("/3/0/0")


def test_a_device_that_hangs_delays_nobody_else(server):
    """Neither requests to others nor their deadlines."""
    with StandIn("hung", server=server.uri) as hung, StandIn("other", server=server.uri) as other:
        hung.faults.abandon_after = 1
        outcome = []

        def push():
            try:
                server.device("hung").push("/33629/0/0", bytes(5000), deadline=30)
            except HarnessError as problem:
                outcome.append(problem)

        pushing = threading.Thread(target=push)
        pushing.start()
        image = make_image(0, "2.0.0", size=20_000)
        assert server.device("other").push("/33629/0/0", image, deadline=20).code == "2.04"
        other.faults.hang.add("/3/0/0")
        with pytest.raises(DeadlineExceeded, match=r"0\.05 s"):
            server.device("other").read("/3/0/0", deadline=0.05)
        assert not outcome
        hung.reboot()
        pushing.join()
        assert len(outcome) == 1


def test_message_ids_are_each_devices_own(server, raw, raw_to):
    """Many devices do not use up each other's."""
    peers = raw, raw_to(server.uri)
    seen = []
    for n, peer in enumerate(peers):
        peer.ask(2, "/rd", uri_query=(f"ep=p{n}", "lwm2m=1.1"), payload=b"</3/0>")
        server.wait_registration(f"p{n}", deadline=5)
    for _ in range(2):
        for n, peer in enumerate(peers):
            asking = threading.Thread(target=server.device(f"p{n}").read, args=("/3/0/0",))
            asking.start()
            request = peer.receive()
            seen.append(request.mid)
            head = bytes((0x60 | len(request.token), 0x45)) + request.mid.to_bytes(2) + request.token
            peer.send(head + b"\xffx")
            asking.join()
    assert seen[2:] == [(mid + 1) & 0xFFFF for mid in seen[:2]]
    assert seen[0] == seen[1]


# -- message ids


def test_message_ids_are_not_used_again_within_their_lifetime():
    ids = MessageIds(capacity=100, lifetime=10.0)
    assert [ids.wait_needed(n, now=0.0) for n in range(100)] == [0.0] * 100
    assert ids.wait_needed(100, now=4.0) == pytest.approx(6.0, abs=0.1)
    assert ids.wait_needed(100, now=10.1) == 0.0


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 40)), max_size=60))
def test_never_more_than_capacity_within_a_lifetime(steps):
    ids = MessageIds(capacity=50, lifetime=10.0)
    now, next_id, sent = 0.0, 65500, []
    for pause, burst in steps:
        now += pause
        for _ in range(burst):
            while wait := ids.wait_needed(next_id, now):
                now += wait
            sent.append(now)
            next_id = (next_id + 1) & 0xFFFF
    for index in range(50, len(sent)):
        assert sent[index] - sent[index - 50] >= 10.0 - 10.0 / 250 - 0.01


def test_requests_wait_for_free_message_ids_and_say_so(line):
    _, device = line.start()
    ((node, remote),) = line.server._links.values()
    node.message_ids[remote] = MessageIds(capacity=20, lifetime=0.4)
    began = time.monotonic()
    for _ in range(30):
        device.read("/3/0/0", deadline=10)
    assert time.monotonic() - began >= 0.3
    node.message_ids[remote] = MessageIds(capacity=5, lifetime=60)
    for _ in range(5):
        device.read("/3/0/0", deadline=5)
    with pytest.raises(DeadlineExceeded, match="5 ids used within 60 s") as info:
        device.read("/3/0/0", deadline=0.5)
    assert info.value.remedy == "use larger blocks, poll less often"


# -- tokens


def test_a_device_may_use_one_token_for_all_its_requests(server, raw):
    publication = server.publish(bytes(5000), name="x")
    answers = [raw.ask(1, "/fw/x", mid=n, token=b"", block2=(n, False, 6)) for n in range(5)]
    assert [a.code.dotted for a in answers] == ["2.05"] * 5
    assert publication.blocks_served == 5
