"""The serial line: frames, text and noise."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .bench import Bench
from .wire import ACK, GET, Message, escape, fcs, frame, path_options, text_frame

GOOD = Message(0, GET, 0x0101, b"t", path_options("/3/0/3")).encode()


def feed(device: Bench, data: bytes, milliseconds: float = 20) -> list[Message]:
    device.received.clear()
    device.machine.uarts[0].feed(data)
    device.run(milliseconds)
    found, device.received = device.received, []
    return found


def counts(device: Bench) -> dict[str, int]:
    words = device.command("stats")[0].splitlines()[0].split()[1:]
    return {name: int(number) for name, number in zip(words[::2], words[1::2], strict=True)}


def test_checksum_of_the_draft():
    """draft-bormann-t2trg-slipmux-03 and RFC 1662: the check value of CRC-16/X-25."""
    assert fcs(b"123456789") == 0x906E


def test_byte_by_byte(device: Bench):
    for byte in frame(GOOD)[:-1]:
        assert feed(device, bytes([byte]), 2) == []
    (answer,) = feed(device, b"\xc0", 20)
    assert (answer.type, answer.payload) == (ACK, b"1.0.0")


def test_bytes_that_need_escapes(device: Bench):
    request = Message(0, GET, 0xC0DB, b"\xc0\xdb\xdc\xdd", path_options("/3/0/3"))
    (answer,) = feed(device, frame(request.encode()))
    assert (answer.mid, answer.token) == (0xC0DB, b"\xc0\xdb\xdc\xdd")


def test_shared_end(device: Bench):
    """One END may end a frame and begin the next (RFC 1055)."""
    second = Message(0, GET, 0x0102, b"u", path_options("/3/0/3")).encode()
    assert [m.mid for m in feed(device, frame(GOOD)[:-1] + frame(second))] == [0x101, 0x102]
    assert [m.mid for m in feed(device, b"\xc0" * 10 + frame(Message(0, 0, 9).encode()) + b"\xc0" * 10)] == [
        9
    ]


@pytest.mark.parametrize(
    ("noise", "counter"),
    [
        (frame(GOOD)[:6] + b"\x55" + frame(GOOD)[7:], "checksum"),
        (b"\xc0\xa9" + escape(GOOD) + b"\xdb\xc0", "aborted"),
        (b"\xc0\xa9" + escape(GOOD) + b"\xdb\x00" + b"rest\xc0", "escape"),
        (b"\xc0\xa9" + b"x" * 1284 + b"\xc0", "oversized"),
        (b"\xc0\xa9\x40\x01\xc0", "short"),
        (b"\xc0\xa9" + escape(GOOD), "checksum"),  # the END of the next frame ends it
    ],
)
def test_broken_frames_are_dropped_and_counted(device: Bench, noise: bytes, counter: str):
    before = counts(device)
    assert feed(device, noise) == []
    (answer,) = feed(device, frame(GOOD))
    assert answer.payload == b"1.0.0"
    after = counts(device)
    assert after.pop(counter) == before.pop(counter) + 1
    for name in ("checksum", "aborted", "escape", "oversized", "short", "overruns"):
        assert after.get(name) == before.get(name)
    assert after["frames"] == before["frames"] + 1
    assert device.command("echo still here") == ("still here", "ok")


def test_longest_message(device: Bench):
    room = 1280 - 4 - 1 - len(path_options("/33629/0/0")) * 8
    request = device.build(
        3, "/33629/0/0", b"x" * 1024, more=[(60000, b"y" * (room - 1100))], content_format=42
    )
    assert len(request.encode()) <= 1280
    assert device.exchange(request).dotted == "2.04"
    assert device.status() == (0, 6)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_text_outside_of_frames(device: Bench, end: str):
    feed(device, f"echo typed by hand{end}".encode())
    assert device.text == "typed by hand\nok\n"


def test_text_after_and_between_frames(device: Bench):
    """ "h" and "e" are types of IP packets in the draft; here they are letters."""
    answers = feed(device, frame(GOOD) + b"echo hey\n" + frame(Message(0, 0, 9).encode()) + b"hello\n")
    assert [m.mid for m in answers] == [0x101, 9]
    assert device.text.startswith("hey\nok\nerror: ")


def test_text_frames(device: Bench):
    feed(device, text_frame("echo one\necho \xdbtwo\n") + text_frame("echo ") + text_frame("echo three"))
    assert device.text.splitlines() == ["one", "ok", "", "ok", "three", "ok"]


def test_broken_text_frame_is_no_command(device: Bench):
    feed(device, b"\xc0\necho no\xdb\xc0" + b"\xc0\necho no\xdb\x00echo no\n\xc0" + text_frame("echo yes\n"))
    assert device.text == "yes\nok\n"


@pytest.mark.parametrize("noise", [b"ec\x00ho no\n", b"\xff\xfe\n", b"echo " + b"x" * 200 + b"\n"])
def test_noise_is_no_command(device: Bench, noise: bytes):
    feed(device, noise)
    assert device.text == ""
    feed(device, b"echo yes\n")
    assert device.text == "yes\nok\n"


def test_console_within_a_frame_waits(device: Bench):
    """Nothing is ever sent into the middle of a frame: the bench's splitter would fail."""
    for _ in range(20):
        feed(device, b"slots\n" + frame(GOOD), 1)
    feed(device, b"", 100)
    assert device.text.count("ok\n") == 20


LINES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [
                b"\xc0",
                b"\xdb",
                b"\xdb\xc0",
                b"\xc0\xa9",
                b"\xc0\x0a",
                b"\n",
                frame(GOOD)[:-4],
                frame(GOOD)[4:],
            ]
        ),
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LINES)
def test_no_noise_can_do_harm(device: Bench, pieces: list[bytes]):
    feed(device, b"".join(pieces), 5)
    assert any(m.payload == b"1.0.0" for m in feed(device, frame(GOOD))) or any(
        m.payload == b"1.0.0" for m in feed(device, frame(GOOD))
    )
    assert device.command("echo here")[1] == "ok"
