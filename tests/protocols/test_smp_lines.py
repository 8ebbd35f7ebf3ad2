"""SMP lines out of a shared line, against the encoder of the `smp` package."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smp.packet import encode

from harness.protocols.slipmux import FrameError, FrameErrorKind, Text
from harness.protocols.smp import LineDecoder, SmpMessage

messages = st.binary(min_size=8, max_size=400)
#: what a console prints: no byte of a mark in it
texts = st.binary(max_size=30).map(lambda text: text.replace(b"\x06", b"").replace(b"\x04", b""))


def _lines(message: bytes) -> bytes:
    return b"".join(encode(message))


def _joined(events: list[object]) -> tuple[list[bytes], bytes, list[FrameErrorKind]]:
    found = [event.message for event in events if isinstance(event, SmpMessage)]
    text = b"".join(event.data for event in events if isinstance(event, Text))
    return found, text, [event.kind for event in events if isinstance(event, FrameError)]


@given(st.lists(st.tuples(texts, messages), max_size=4), texts, st.lists(st.integers(0, 2000), max_size=8))
def test_messages_and_text_come_apart_wherever_the_line_is_cut(
    pairs: list[tuple[bytes, bytes]], last: bytes, cuts: list[int]
) -> None:
    line = b"".join(text + _lines(message) for text, message in pairs) + last
    decoder, events = LineDecoder(), []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(line)], strict=True):
        events += decoder.feed(line[start:end])
    events += decoder.flush()
    assert _joined(events) == (
        [message for _, message in pairs],
        b"".join([*(text for text, _ in pairs), last]),
        [],
    )


@given(st.binary(max_size=200), messages)
def test_noise_never_raises_and_costs_one_line(noise: bytes, message: bytes) -> None:
    decoder = LineDecoder()
    decoder.feed(noise)
    decoder.feed(b"\n")
    assert _joined(decoder.feed(_lines(message)))[0] == [message]


@given(messages, st.integers(0, 1000), st.integers(0, 7))
def test_a_damaged_bit_is_never_a_message(message: bytes, where: int, bit: int) -> None:
    line = bytearray(_lines(message))
    line[where % len(line)] ^= 1 << bit
    found, _, _ = _joined(LineDecoder().feed(bytes(line) + b"\n"))
    assert found in ([], [message])  # base64 has spare bits, and a line feed may come late


def test_text_of_a_boot_loader_gets_out_of_a_line_that_a_reset_cut_off() -> None:
    decoder = LineDecoder()
    start = _lines(bytes(300))[:50]
    found, text, errors = _joined(decoder.feed(start + b"*** boot\nimage 1.0.0\n"))
    assert (found, text, errors) == ([], b"*** boot\nimage 1.0.0\n", [FrameErrorKind.TRUNCATED])


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"\x04\x14QUJD\n", FrameErrorKind.SHORT),
        (b"\x06\x09QUJ\n", FrameErrorKind.ESCAPE),
        (b"\x06\x09AAMBAgMAAAAA\n", FrameErrorKind.OVERSIZED),
        (b"\x06\x09" + b"QUJD" * 1100 + b"\n", FrameErrorKind.OVERSIZED),
        (_lines(bytes(20)).replace(b"AAAA", b"AAAB", 1), FrameErrorKind.CHECKSUM),
    ],
)
def test_broken_lines_are_named(line: bytes, kind: FrameErrorKind) -> None:
    decoder = LineDecoder()
    assert kind in _joined([*decoder.feed(line), *decoder.flush()])[2]
    assert decoder.errors[kind]
    assert not decoder.in_frame
