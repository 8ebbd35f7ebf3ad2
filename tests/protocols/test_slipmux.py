import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.protocols.slipmux import (
    CoapFrame,
    Decoder,
    FrameError,
    FrameErrorKind,
    Text,
    encode_coap,
    encode_text,
    fcs16,
)

GET_S = bytes.fromhex("41010001 01B173")
EMPTY_ACK = bytes.fromhex("6000C0DB")

messages = st.binary(min_size=4, max_size=300)
# What a boot loader prints; an END never is among it, and a line feed at the start is ambiguous.
console = st.binary(min_size=1, max_size=60).filter(
    lambda data: 0xC0 not in data and data[0] not in (0x0A, 0xA9)
)
framed_text = st.text(max_size=60)


def decode(stream: bytes, cuts: list[int] | None = None) -> list:
    decoder = Decoder()
    edges = sorted({0, len(stream), *(c % (len(stream) + 1) for c in cuts or ())})
    return [e for a, b in itertools.pairwise(edges) for e in decoder.feed(stream[a:b])]


def merged(events: list) -> list:
    """Join neighbouring texts: where they are cut depends on the chunks."""
    out: list = []
    for event in events:
        last = out[-1] if out else None
        if isinstance(event, Text) and isinstance(last, Text) and last.diagnostic == event.diagnostic:
            out[-1] = Text(last.data + event.data, event.diagnostic)
        else:
            out.append(event)
    return out


def test_checksum_vector_of_the_draft():
    assert fcs16(b"coap is cool!").to_bytes(2, "little") == bytes.fromhex("2426")


@given(st.binary(max_size=200))
def test_checksum_is_rfc_1662_bit_by_bit(data):
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x8408 if register & 1 else 0)
    assert fcs16(data) == register ^ 0xFFFF
    # The receiver's check of the same appendix: the register over data and FCS ends up as F0B8.
    assert fcs16(data + fcs16(data).to_bytes(2, "little")) ^ 0xFFFF == 0xF0B8


@pytest.mark.parametrize(
    ("message", "frame"),
    [(GET_S, "C0 A9 41010001 01B173 572A C0"), (EMPTY_ACK, "C0 A9 6000DBDCDBDD C74F C0")],
)
def test_frames_of_the_vectors(message, frame):
    assert encode_coap(message) == bytes.fromhex(frame)
    assert decode(bytes.fromhex(frame)) == [CoapFrame(message)]


def test_text_frame_of_the_vectors():
    frame = bytes.fromhex("C0 0A 68690A C0")
    assert encode_text("hi\n") == frame
    assert decode(frame) == [Text(b"hi\n", diagnostic=True)]


def test_the_end_of_one_frame_may_begin_the_next_and_empty_frames_do_not_count():
    one, two = encode_coap(GET_S), encode_coap(EMPTY_ACK)
    assert decode(one + two[1:]) == [CoapFrame(GET_S), CoapFrame(EMPTY_ACK)]
    assert decode(b"\xc0\xc0\xc0" + one + b"\xc0\xc0" + two + b"\xc0") == [
        CoapFrame(GET_S),
        CoapFrame(EMPTY_ACK),
    ]


def test_plain_text_is_handed_out_at_once():
    decoder = Decoder()
    assert decoder.feed(b"boot") == [Text(b"boot", diagnostic=False)]
    assert decoder.feed(b"ing\r\n" + encode_coap(GET_S) + b"Swap") == [
        Text(b"ing\r\n", diagnostic=False),
        CoapFrame(GET_S),
        Text(b"Swap", diagnostic=False),
    ]


def test_text_frames_are_handed_out_before_they_end():
    decoder = Decoder()
    assert decoder.feed(b"\xc0\x0aassert") == [Text(b"assert", diagnostic=True)]
    assert decoder.feed(b" failed\xc0") == [Text(b" failed", diagnostic=True)]


@pytest.mark.parametrize("cuts", [[], [4], [5], range(20)])
def test_escapes_in_text_frames(cuts):
    text = "a\u06c0\u06db b"  # their UTF-8 has the byte DB
    assert b"\xdb\xdd" in encode_text(text)
    assert merged(decode(encode_text(text), list(cuts))) == [Text(text.encode(), diagnostic=True)]


@pytest.mark.parametrize("first", [0x45, 0x4F, 0x60, 0x6F, 0x21])
def test_types_that_are_not_used_here_begin_plain_text(first):
    assert decode(bytes((0xC0, first)) + b"rest") == [Text(bytes((first,)) + b"rest", diagnostic=False)]


@pytest.mark.parametrize(
    ("stream", "kind", "data"),
    [
        ("C0 A9 41010001 01B173 572B C0", FrameErrorKind.CHECKSUM, "A9 41010001 01B173 572B"),
        ("C0 A9 4101 DBC0", FrameErrorKind.ABORTED, "A9 4101 DB"),
        ("C0 A9 4101 DB41 C0", FrameErrorKind.ESCAPE, "A9 4101 DB41"),
        ("C0 A9 4101 DBDB C0", FrameErrorKind.ESCAPE, "A9 4101 DBDB"),
        ("C0 A9 C0", FrameErrorKind.SHORT, "A9"),
        ("C0 A9 01 02 C0", FrameErrorKind.SHORT, "A9 01 02"),
    ],
)
def test_broken_frames_are_reported_whole_counted_and_followed_by_good_ones(stream, kind, data):
    decoder = Decoder()
    events = decoder.feed(bytes.fromhex(stream) + encode_coap(GET_S))
    assert events == [FrameError(kind, bytes.fromhex(data)), CoapFrame(GET_S)]
    assert decoder.errors == {kind: 1}
    assert decoder.frames == 1


@pytest.mark.parametrize("stream", ["C0 0A 6869 DBC0", "C0 0A 6869 DB41"])
def test_text_in_a_broken_text_frame_is_not_lost(stream):
    events = decode(bytes.fromhex(stream) + encode_coap(GET_S))
    assert events[0] == Text(b"hi", diagnostic=True)
    assert isinstance(events[1], FrameError)
    assert events[-1] == CoapFrame(GET_S)


@pytest.mark.parametrize("chunk", [1, 7, 10_000])
def test_an_oversized_frame_ends_and_what_follows_is_text(chunk):
    decoder = Decoder(max_message=64)
    stream = b"\xc0\xa9" + b"x" * 500
    events = merged([e for i in range(0, len(stream), chunk) for e in decoder.feed(stream[i : i + chunk])])
    error, text = events
    assert error.kind is FrameErrorKind.OVERSIZED
    assert error.data + text.data == stream[1:]
    assert decoder.feed(encode_coap(GET_S)) == [CoapFrame(GET_S)]


def test_the_limit_is_on_the_message_and_not_on_its_escapes():
    decoder = Decoder(max_message=64)
    assert decoder.feed(encode_coap(b"\xc0" * 64)) == [CoapFrame(b"\xc0" * 64)]
    assert [e.kind for e in decoder.feed(encode_coap(b"x" * 65))] == [FrameErrorKind.OVERSIZED]


def test_a_frame_cut_off_by_a_reset_is_given_up_on_request():
    decoder = Decoder()
    assert decoder.feed(encode_coap(GET_S)[:5] + b"Boot") == []
    assert decoder.in_frame
    assert decoder.flush() == [FrameError(FrameErrorKind.TRUNCATED, encode_coap(GET_S)[1:5] + b"Boot")]
    assert decoder.feed(b"ok") == [Text(b"ok", diagnostic=False)]
    assert decoder.flush() == []


@given(messages, st.lists(st.integers(0, 2000)))
def test_round_trip_in_any_chunks(message, cuts):
    assert decode(encode_coap(message), cuts) == [CoapFrame(message)]


@given(
    st.lists(
        messages.map(lambda m: (encode_coap(m), CoapFrame(m)))
        | console.map(lambda d: (d, Text(d, diagnostic=False)))
        | framed_text.map(lambda t: (encode_text(t), Text(t.encode(), diagnostic=True)))
    ),
    st.lists(st.integers(0, 5000)),
)
def test_text_and_frames_arrive_complete_and_in_order(items, cuts):
    # Plain text directly after a frame begins right behind its END, which is how a boot loader does it.
    stream = b"".join(sent for sent, _ in items)
    expected = [event for _, event in items if not (isinstance(event, Text) and not event.data)]
    assert merged(decode(stream, cuts)) == merged(expected)


@given(st.binary(max_size=400), st.lists(st.integers(0, 400)))
def test_arbitrary_bytes_never_raise_and_their_chunks_do_not_matter(data, cuts):
    assert merged(decode(data, cuts)) == merged(decode(data))


@given(
    st.lists(
        st.sampled_from([b"\xc0", b"\xdb", b"\xa9", b"\x0a", b"\xdc", b"\xdd", b"boot", b"\x41"]), max_size=60
    )
)
def test_noise_made_of_framing_bytes_does_not_swallow_the_next_frame(parts):
    decoder = Decoder()
    decoder.feed(b"".join(parts))
    assert decoder.feed(encode_coap(GET_S))[-1] == CoapFrame(GET_S)


@given(st.binary(max_size=300).filter(lambda data: not set(data) & {0xC0, 0xDB}))
def test_nothing_but_framing_is_lost(data):
    assert merged(decode(data)) == ([Text(data, diagnostic=False)] if data else [])
    assert merged(decode(b"\xc0\x0a" + data + b"\xc0")) == ([Text(data, diagnostic=True)] if data else [])
    (frame,) = decode(b"\xc0\xa9" + data + b"\xc0")
    assert frame == CoapFrame(data[:-2]) or (isinstance(frame, FrameError) and frame.data == b"\xa9" + data)
