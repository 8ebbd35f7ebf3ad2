"""Packets of the GDB remote protocol: what is sent comes back, what is broken is refused."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.renode._packets import ACKNOWLEDGED, REFUSED, Packet, PacketParser, encode


def _in_pieces(stream: bytes, cuts: list[int]) -> list[Packet | bytes]:
    parser, found = PacketParser(), []
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for start, end in pairwise(edges):
        found += parser.feed(stream[start:end])
    return found


@given(st.lists(st.binary(max_size=40), max_size=5), st.lists(st.integers(0, 999), max_size=8))
def test_packets_arrive_however_the_stream_is_cut(contents: list[bytes], cuts: list[int]):
    stream = b"".join(b"+" + encode(content) for content in contents)
    wanted = [event for content in contents for event in (ACKNOWLEDGED, Packet(content))]
    assert _in_pieces(stream, cuts) == wanted


@given(st.binary(max_size=200), st.binary(max_size=20))
def test_any_garbage_is_survived(garbage: bytes, content: bytes):
    parser = PacketParser()
    parser.feed(garbage)
    parser.feed(b"#00")  # the end of whatever packet the garbage has begun
    assert parser.feed(encode(content)) == [Packet(content)]


@given(st.binary(min_size=1, max_size=30), st.integers(1, 255))
def test_a_changed_byte_is_refused(content: bytes, flip: int):
    good = encode(content)
    broken = bytearray(good)
    broken[1] ^= flip
    if broken[1] in b"#$":
        return  # that is another packet, not a broken one
    assert PacketParser().feed(bytes(broken))[0] == REFUSED


@pytest.mark.parametrize(
    ("body", "content"),
    [(b"0* ", b"0000"), (b"a}\x03b", b"a#b"), (b"", b""), (b"x*!y", b"xxxxxy")],
    ids=["repeat", "escape", "empty", "repeat in the middle"],
)
def test_repeats_and_escapes(body: bytes, content: bytes):
    assert PacketParser().feed(b"$%b#%02x" % (body, sum(body) & 0xFF)) == [Packet(content)]


@pytest.mark.parametrize("body", [b"*!", b"a*", b"a}", b"a*\x1d"])
def test_half_a_repeat_or_escape_is_refused(body: bytes):
    assert PacketParser().feed(b"$%b#%02x" % (body, sum(body) & 0xFF)) == [REFUSED]
