"""Packages that the device fetches itself."""

from __future__ import annotations

import itertools

import pytest

from .bench import QUICK, SECTOR, Bench, app_image, model_image
from .wire import ACK, BLOCK2, CON, ETAG, GET, OPAQUE, POST, PUT, RST, URI_HOST, URI_QUERY, Message, block

GOOD = app_image("2.0.0", 5003)


class File:
    """A file that is served block by block; ``asked`` are the offsets in the order they were asked for."""

    def __init__(self, body: bytes, *, largest: int = 1024, etag: bytes = b"tag1", code: int = 0x45) -> None:
        self.body, self.largest, self.etag, self.code = body, largest, etag, code
        self.asked: list[int] = []
        self.requests: list[Message] = []

    def __call__(self, request: Message) -> Message | None:
        self.requests.append(request)
        number, _, size = request.block(BLOCK2)
        size = min(size, self.largest)
        offset = number * request.block(BLOCK2)[2]
        self.asked.append(offset)
        answer = Message(ACK, self.code, request.mid, request.token)
        if self.code == 0x45:
            more = offset + size < len(self.body)
            answer.options = [(BLOCK2, block(offset // size, more, size))]
            if self.etag:
                answer.options.append((ETAG, self.etag))
            answer.payload = self.body[offset : offset + size]
        return answer


def serve(device: Bench, body: bytes = GOOD, name: str = "/fw/1", **options) -> File:
    device.files[name] = file = File(body, **options)
    return file


def pull(device: Bench, at: str = "/33629/0", uri: str = "coap://bench/fw/1") -> None:
    assert device.write(f"{at}/1", uri) == "2.04"


def settled(device: Bench, component: int = 0) -> tuple[int, int]:
    for _ in range(400):
        status = device.status(component)
        if status[0] != 1:
            return status
        device.run(10)
    raise AssertionError("the download does not end")


@pytest.mark.parametrize(
    ("size", "largest"),
    [(20000, 1024), *((size, largest) for size in (1, 500, 372, 5003) for largest in (64, 1024))],
)
@pytest.mark.parametrize("alignment", [4, 16])
def test_image_arrives_byte_for_byte(make, size: int, largest: int, alignment: int):
    device = make(alignment=alignment)
    body = app_image("2.0.0", size, alignment=alignment)
    file = serve(device, body, largest=largest)
    pull(device)
    assert settled(device) == (2, 0)
    slot = device.slot(0, secondary=True)
    assert device.flash(slot.address, len(body)) == body
    assert file.asked == list(range(0, len(body), largest))
    assert device.read("/33629/0/1") == "coap://bench/fw/1"


def test_a_file_in_one_answer(device: Bench):
    body = app_image("2.0.0", 300)

    def whole(request: Message) -> Message:
        return Message(ACK, 0x45, request.mid, request.token, [], body)

    device.files["/fw/1"] = whole
    pull(device)
    assert settled(device) == (2, 0)


def test_separate_answers(device: Bench):
    """First an empty acknowledgement, then the answer in a message of its own (RFC 7252 section 5.2.2)."""
    file = serve(device)

    def later(request: Message) -> None:
        device.send(Message(ACK, 0, request.mid))
        answer = file(request)
        answer.type, answer.mid = CON, 0x7000 + len(file.asked)
        device.send(answer)

    device.files["/fw/1"] = later
    pull(device)
    assert settled(device) == (2, 0)
    acknowledged = [m.mid for m in device.received if m.type == ACK and m.code == 0]
    assert acknowledged == [0x7001 + n for n in range(len(file.asked))]
    device.received.clear()
    repeated = file(file.requests[-1])
    repeated.type, repeated.mid = CON, acknowledged[-1]  # as if its acknowledgement had been lost
    assert device.exchange(repeated).type == ACK


def test_every_request_has_a_token_of_its_own(device: Bench):
    file = serve(device)
    pull(device)
    assert settled(device) == (2, 0)
    assert len({r.token for r in file.requests}) == len(file.requests)
    assert len({r.mid for r in file.requests}) == len(file.requests)


@pytest.mark.parametrize(
    ("code", "result"),
    [(0x84, 7), (0x80, 7), (0x81, 7), (0xA0, 4), (0xA3, 4)],
    ids=["4.04", "4.00", "4.01", "5.00", "5.03"],
)
def test_server_refuses(device: Bench, code: int, result: int):
    serve(device, code=code)
    pull(device)
    assert settled(device) == (0, result)


def test_server_is_silent(make):
    slower = {"ACK_TIMEOUT_MS": 200, "PULL_TIMEOUT_MS": 3000}  # than the steps in which time goes on
    device = make(defines=tuple({**dict(QUICK), **slower}.items()))
    asked = []
    device.files["/fw/1"] = lambda request: asked.append((device.machine.now, request.mid))
    pull(device)
    began = device.machine.now
    assert settled(device) == (0, 4)
    assert device.machine.now - began >= 3000 * 64000
    mids = [mid for _, mid in asked]
    assert len(mids) == 3 * len(set(mids)) > 3
    assert len(set(mids[:3])) == 1
    waits = [(b - a) / 64000 for (a, _), (b, _) in itertools.pairwise(asked)]
    assert 200 <= waits[0] <= 320
    assert 1.8 <= waits[1] / waits[0] <= 2.2


def test_server_acknowledges_and_forgets(make):
    device = make(defines=QUICK)
    device.files["/fw/1"] = lambda request: Message(ACK, 0, request.mid)
    pull(device)
    assert settled(device) == (0, 4)


def test_server_resets(device: Bench):
    device.files["/fw/1"] = lambda request: Message(RST, 0, request.mid)
    pull(device)
    assert settled(device) == (0, 4)


@pytest.mark.parametrize("wrong", ["number", "short", "size 7"])
def test_server_makes_no_sense(device: Bench, wrong: str):
    file = serve(device)

    def confuse(request: Message) -> Message:
        answer = file(request)
        if len(file.asked) == 3:
            if wrong == "number":
                answer.options = [(BLOCK2, block(1, True, 1024))]
            elif wrong == "short":
                answer.payload = answer.payload[:-1]
            else:
                answer.options = [(BLOCK2, b"\x2f")]
        return answer

    device.files["/fw/1"] = confuse
    pull(device)
    assert settled(device) == (0, 4)


def test_lost_answers_are_asked_for_again(make):
    device = make(defines=QUICK)
    file = serve(device)
    lost = []

    def drop_every_third(request: Message) -> Message | None:
        lost.append(request)
        return file(request) if len(lost) % 3 else None

    device.files["/fw/1"] = drop_every_third
    pull(device)
    assert settled(device) == (2, 0)
    assert len(lost) > len(file.asked)


@pytest.mark.parametrize("etag", [b"tag2", b""])
def test_file_changes_on_the_way(device: Bench, etag: bytes):
    old, new = app_image("2.0.0", 5003, seed=3), app_image("2.0.1", 4004, seed=4)
    file = serve(device, old)

    def change(request: Message) -> Message:
        if len(file.asked) == 3:
            file.body, file.etag = new, etag
        return file(request)

    device.files["/fw/1"] = change
    pull(device)
    assert settled(device) == (2, 0)
    assert device.read("/33629/0/7") == "2.0.1"
    assert device.flash(device.slot(0, secondary=True).address, len(new)) == new


def test_file_that_never_stops_changing(device: Bench):
    file = serve(device)

    def change(request: Message) -> Message:
        file.etag = bytes([len(file.asked) + 1])
        return file(request)

    device.files["/fw/1"] = change
    pull(device)
    assert settled(device) == (0, 4)


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b"no image, but long enough for a header", 6),
        (GOOD[:-4], 5),
        (GOOD + b"x", 5),
        (b"\xff" * 0x11000, 6),
    ],
)
def test_bad_package(device: Bench, body: bytes, result: int):
    file = serve(device, body)
    pull(device)
    assert settled(device) == (0, result)
    if result == 6:
        assert len(file.asked) == 1  # nothing is fetched for nothing


@pytest.mark.parametrize(
    ("uri", "path", "host", "query"),
    [
        ("coap://dev.alt/fw/1", "/fw/1", "dev.alt", []),
        ("COAP://Dev.ALT/fw/1", "/fw/1", "dev.alt", []),
        ("coap://[2001:db8::1]/a%20b/c", "/a b/c", "[2001:db8::1]", []),
        ("coap://h:5683/x?a=1&b=%26", "/x", "h", ["a=1", "b=&"]),
        ("coap://h/", "/", "h", []),
        ("coap://h", "/", "h", []),
        ("coap://h?q", "/", "h", ["q"]),
        ("coap://h/a//b/", "/a//b/", "h", []),
    ],
)
def test_uri_as_options(device: Bench, uri: str, path: str, host: str, query: list[str]):
    file = serve(device, name=path)
    pull(device, uri=uri)
    assert settled(device) == (2, 0)
    request = file.requests[0]
    assert [v.decode() for v in request.values(URI_HOST)] == [host]
    assert [v.decode() for v in request.values(URI_QUERY)] == query
    assert request.values(7) == []


def test_port_that_is_not_the_usual_one(device: Bench):
    file = serve(device)
    pull(device, uri="coap://h:61616/fw/1")
    assert settled(device) == (2, 0)
    assert file.requests[0].values(7) == [(61616).to_bytes(2, "big")]


@pytest.mark.parametrize(
    "uri",
    ["coap://", "coap:///x", "coap://h/%zz", "coap://h/%1", "coap://h:70000/x", "coap://h:1x/",
     "coap://h/a b", "coap://h/x#f", "coap://[::1/x", "coap://h/\x01", "coap://h/é"],
)  # fmt: skip
def test_uri_that_is_none(device: Bench, uri: str):
    pull(device, uri=uri)
    device.run(5)
    assert device.status() == (0, 7)


@pytest.mark.parametrize(
    "uri", ["http://h/x", "coaps://h/x", "coap+tcp://h/x", "coap:h", "coap", "/fw/1", "x" * 255]
)
def test_scheme_that_is_not_supported(device: Bench, uri: str):
    assert device.write("/33629/0/1", uri) == "4.00"
    assert device.status() == (0, 9)
    assert device.read("/33629/0/1") == ""


def test_uri_length(device: Bench):
    device.files["/" + "a" * 246] = lambda request: None
    longest = "coap://h/" + "a" * 246
    assert device.write("/33629/0/1", longest + "a") == "4.00"
    assert device.status() == (0, 0)
    assert device.write("/33629/0/1", longest) == "2.04"
    assert device.status() == (1, 0)
    assert device.read("/33629/0/1") == longest


# -- several pulls


def waiting(device: Bench, name: str) -> list[Message]:
    """A file whose answers are held back."""
    asked: list[Message] = []
    device.files[name] = asked.append  # type: ignore[func-returns-value]
    return asked


def test_second_pull_waits_for_the_first(device: Bench):
    first, second = waiting(device, "/fw/1"), serve(device, model_image("2.0.0"), "/fw/2")
    pull(device)
    pull(device, "/33629/1", "coap://bench/fw/2")
    device.run(50)
    assert (device.status(0), device.status(1)) == ((1, 0), (1, 0))
    assert (len(first), len(second.asked)) == (1, 0)
    assert device.write("/33629/1/1", "coap://bench/fw/3") == "4.00"
    file = serve(device)
    device.send(file(first[0]))
    assert settled(device, 1) == (2, 0)
    assert device.status(0) == (2, 0)


@pytest.mark.parametrize("how", ["fails", "cancelled", "reset"])
def test_second_pull_starts_whatever_became_of_the_first(device: Bench, how: str):
    first, _ = waiting(device, "/fw/1"), serve(device, model_image("2.0.0"), "/fw/2")
    pull(device)
    pull(device, "/33629/1", "coap://bench/fw/2")
    device.run(20)
    if how == "fails":
        device.send(Message(ACK, 0x84, first[0].mid, first[0].token))
    elif how == "cancelled":
        assert device.execute("/33629/0/10") == "2.04"
    else:
        assert device.push(0, b"\x00") == "2.04"
    assert settled(device, 1) == (2, 0)
    assert device.status(0) == (0, {"fails": 7, "cancelled": 10, "reset": 0}[how])


def test_waiting_pull_is_cancelled(device: Bench):
    first = waiting(device, "/fw/1")
    second = serve(device, model_image("2.0.0"), "/fw/2")
    pull(device)
    pull(device, "/33629/1", "coap://bench/fw/2")
    assert device.execute("/33629/1/10") == "2.04"
    device.send(serve(device)(first[0]))
    assert settled(device) == (2, 0)
    assert device.status(1) == (0, 10)
    assert second.asked == []


def test_pull_waits_for_a_push(device: Bench):
    package = model_image("2.0.0")
    device.exchange(device.block_request(1, package, 0, 512))
    file = serve(device)
    pull(device)
    device.run(50)
    assert (device.status(0), file.asked) == ((1, 0), [])
    for number in range(1, -(-len(package) // 512)):
        assert device.exchange(device.block_request(1, package, number, 512)).dotted[0] == "2"
    assert settled(device) == (2, 0)
    assert device.status(1) == (2, 0)


def test_answer_after_a_cancel_is_refused(device: Bench):
    asked = waiting(device, "/fw/1")
    file = File(GOOD)
    pull(device)
    device.run(20)
    assert device.execute("/33629/0/10") == "2.04"
    late = file(asked[0])
    late.type, late.mid = CON, 0x5555
    assert device.exchange(late).type == RST
    assert device.status() == (0, 10)


# -- over a reboot


def partly(device: Bench, at: str, blocks: int, body: bytes = GOOD) -> File:
    """Pull, and lose power when so many blocks are there."""
    file = serve(device, body)
    limited = lambda request: file(request) if len(file.asked) < blocks else None  # noqa: E731
    device.files["/fw/1"] = limited
    pull(device, at)
    device.until(lambda: len(file.asked) == blocks)
    device.run(200)
    return file


def test_pull_through_33629_is_dropped_by_a_reboot(device: Bench):
    partly(device, "/33629/0", 3)
    device.reset()
    assert device.status() == (0, 0)
    assert device.push(0, GOOD) == "2.04"
    assert device.status() == (2, 0)


def test_push_is_dropped_by_a_reboot(device: Bench):
    device.exchange(device.block_request(0, GOOD, 0, 256))
    device.reset()
    assert device.status() == (0, 0)
    assert device.exchange(device.block_request(0, GOOD, 1, 256)).dotted == "4.08"


@pytest.mark.parametrize("blocks", [1, 4, 5, 9, 14])
def test_pull_through_object_5_is_resumed(device: Bench, blocks: int):
    """In whole sectors: the last one may be torn. What an earlier image left is not taken for progress."""
    slot = device.slot(0, secondary=True)
    device.machine.program(slot.address, b"\x3d" * slot.size)
    body = app_image("2.0.0", 15000, seed=9)
    partly(device, "/5/0", blocks, body)
    file = serve(device, body)
    device.reset()
    assert device.status("5")[0] in (1, 2)
    assert settled(device) == (2, 0)
    assert file.asked[0] == max(0, (blocks * 1024 - 1) // SECTOR * SECTOR)
    assert device.flash(slot.address, len(body)) == body


def test_resumed_file_has_changed(device: Bench):
    partly(device, "/5/0", 9, app_image("2.0.0", 15000, seed=9))
    body = app_image("2.0.1", 14000, seed=10)
    file = serve(device, body, etag=b"tag2")
    device.reset()
    assert settled(device) == (2, 0)
    assert file.asked[:2] == [2 * SECTOR, 0]
    assert device.read("/5/0/7") == "2.0.1"


def test_file_without_tag_is_not_resumed(device: Bench):
    file = serve(device, app_image("2.0.0", 15000), etag=b"")
    device.files["/fw/1"] = lambda request: file(request) if len(file.asked) < 9 else None
    pull(device, "/5/0")
    device.until(lambda: len(file.asked) == 9)
    device.reset()
    assert device.status("5") == (0, 0)


def test_resumed_pull_waits_for_the_registration(device: Bench):
    body = app_image("2.0.0", 15000, seed=9)
    partly(device, "/5/0", 9, body)
    file = serve(device, body)
    device.accepts_registrations = False
    device.machine.power_cycle()
    device._frames.reset()
    device.run(500)
    assert file.asked == []
    device.accepts_registrations = True
    device.until(lambda: file.asked, 10000)
    assert settled(device) == (2, 0)


@pytest.mark.parametrize("method", [GET, POST])
def test_requests_of_the_server_go_on_during_a_pull(device: Bench, method: int):
    waiting(device, "/fw/1")
    pull(device)
    device.run(20)
    assert device.read("/3/0/3") == "1.0.0"
    assert (
        device.request(PUT, "/33629/1/0", model_image("2.0.0")[:512], content_format=OPAQUE).dotted == "4.05"
    )
