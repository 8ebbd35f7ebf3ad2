"""Slipmux: CoAP messages, diagnostic text and a bare console on one serial line.

Sources: RFC 1055 (SLIP framing), draft-bormann-t2trg-slipmux-03 (frame types),
RFC 1662 appendix C (FCS-16, also known as CRC-16/X-25).

On the line a frame is ``C0 type payload C0``. Inside it C0 is sent as DB DC and
DB as DB DD. Type A9 is a CoAP message followed by a two byte checksum, low byte
first, over type and message; type 0A is UTF-8 text for a person to read.
The draft's IP packet types (45-4F, 60-6F) are not used on our links.

A boot loader knows nothing of all this and prints plain text on the same line.
The :class:`Decoder` therefore takes whatever is no frame for text, and hands
text out as it comes instead of waiting for an end that may never arrive.
"""

from __future__ import annotations

import binascii
from collections import Counter
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, TypeAlias

__all__ = [
    "MAX_MESSAGE",
    "CoapFrame",
    "Decoder",
    "Event",
    "FrameError",
    "FrameErrorKind",
    "Text",
    "encode_coap",
    "encode_text",
    "fcs16",
]

END: Final = 0xC0
ESC: Final = 0xDB
TYPE_COAP: Final = 0xA9
TYPE_TEXT: Final = 0x0A

MAX_MESSAGE: Final = 2048
"""Longest CoAP message accepted by default, in bytes: a 1024 byte block and generous options."""

_END: Final = b"\xc0"
_ESC: Final = b"\xdb"
_ESCAPED: Final = {0xDC: 0xC0, 0xDD: 0xDB}
_FCS_LENGTH: Final = 2
_COAP_HEADER: Final = 4
_MIRRORED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class FrameErrorKind(StrEnum):
    """Why a frame was dropped."""

    CHECKSUM = "checksum"
    ESCAPE = "escape"
    ABORTED = "aborted"
    SHORT = "short"
    OVERSIZED = "oversized"
    TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True)
class CoapFrame:
    """A CoAP message whose checksum was right; ``message`` is RFC 7252 section 3."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Text:
    """Bytes for the console. ``diagnostic`` tells text sent in frames from bare output."""

    data: bytes
    diagnostic: bool


@dataclass(frozen=True, slots=True)
class FrameError:
    """A frame that was dropped. ``data`` is what it held, type byte first, escapes untouched.

    When a device resets within a frame, the text it prints next ends up in there.
    """

    kind: FrameErrorKind
    data: bytes


Event: TypeAlias = CoapFrame | Text | FrameError


def fcs16(data: bytes) -> int:
    """Return the checksum of RFC 1662 appendix C, complemented, as it is sent.

    The C library's ``crc_hqx`` is the same polynomial with the bits the other way
    round, which is some twenty times faster than a table in Python.
    """
    register = binascii.crc_hqx(data.translate(_MIRRORED), 0xFFFF) ^ 0xFFFF
    return (_MIRRORED[register & 0xFF] << 8) | _MIRRORED[register >> 8]


def encode_coap(message: bytes) -> bytes:
    """Return the frame that carries one CoAP message, both END bytes included.

    The leading END makes the receiver drop noise that was on the line before.
    """
    body = b"\xa9" + message
    return _frame(body + fcs16(body).to_bytes(2, "little"))


def encode_text(text: str) -> bytes:
    """Return the frame that carries diagnostic text."""
    return _frame(b"\x0a" + text.encode())


def _frame(body: bytes) -> bytes:
    return _END + body.replace(_ESC, b"\xdb\xdd").replace(_END, b"\xdb\xdc") + _END


class _In(Enum):
    """Where in the stream the decoder stands."""

    PLAIN = "plain text"
    START = "right after an END"
    COAP = "a CoAP frame"
    TEXT = "a text frame"


class Decoder:
    """Takes the bytes of a serial line as they come and returns what they mean.

    It never raises for what is on the line. Every byte but framing turns up in an
    event: broken frames are returned whole in :class:`FrameError` and counted in
    ``errors``; what follows an oversized frame is text again.

    One ambiguity is inherent: bare output that starts with a line feed directly
    after a frame looks like the start of a text frame, and loses that line feed.
    """

    def __init__(self, *, max_message: int = MAX_MESSAGE) -> None:
        self.frames = 0
        self.errors: Counter[FrameErrorKind] = Counter()
        self._max_message = max_message
        # Escaping can double a frame; more than this is certainly too long.
        self._max_raw = 2 * (1 + max_message + _FCS_LENGTH)
        self._in = _In.PLAIN
        self._frame = bytearray()
        self._escape = False

    @property
    def in_frame(self) -> bool:
        """True while bytes of an unfinished CoAP frame are held back."""
        return self._in is _In.COAP

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that ``data`` completes, in the order of the line."""
        data = bytes(data)
        events: list[Event] = []
        at = 0
        while at < len(data):
            if self._in is _In.START:
                at = self._start(data, at)
            elif self._in is _In.PLAIN:
                at = self._plain(data, at, events)
            elif self._in is _In.COAP:
                at = self._coap(data, at, events)
            else:
                at = self._text(data, at, events)
        return events

    def flush(self) -> list[Event]:
        """Give up an unfinished frame, because the device was reset or the line went quiet."""
        events: list[Event] = []
        if self._in is _In.COAP:
            self._failed(FrameErrorKind.TRUNCATED, bytes(self._frame), events)
        elif self._escape:
            events.append(Text(_ESC, diagnostic=True))
        self._frame.clear()
        self._escape = False
        self._in = _In.PLAIN
        return events

    def _start(self, data: bytes, at: int) -> int:
        first = data[at]
        if first == END:
            return at + 1
        if first == TYPE_COAP:
            self._in = _In.COAP
            self._frame = bytearray((first,))
            return at + 1
        if first == TYPE_TEXT:
            self._in = _In.TEXT
            return at + 1
        self._in = _In.PLAIN
        return at

    def _plain(self, data: bytes, at: int, events: list[Event]) -> int:
        end = data.find(_END, at)
        stop = len(data) if end < 0 else end
        if stop > at:
            events.append(Text(data[at:stop], diagnostic=False))
        if end < 0:
            return stop
        self._in = _In.START
        return end + 1

    def _coap(self, data: bytes, at: int, events: list[Event]) -> int:
        end = data.find(_END, at)
        stop = len(data) if end < 0 else end
        room = self._max_raw - len(self._frame)
        if stop - at > room:
            self._frame += data[at : at + room]
            self._failed(FrameErrorKind.OVERSIZED, bytes(self._frame), events)
            self._in = _In.PLAIN
            return at + room
        self._frame += data[at:stop]
        if end < 0:
            return stop
        self._in = _In.START
        self._finish(bytes(self._frame), events)
        return end + 1

    def _finish(self, raw: bytes, events: list[Event]) -> None:
        body, problem = _unescape(raw)
        if problem is not None:
            self._failed(problem, raw, events)
        elif len(body) < 1 + _COAP_HEADER + _FCS_LENGTH:
            self._failed(FrameErrorKind.SHORT, raw, events)
        elif len(body) > 1 + self._max_message + _FCS_LENGTH:
            self._failed(FrameErrorKind.OVERSIZED, raw, events)
        elif fcs16(body[:-2]) != int.from_bytes(body[-2:], "little"):
            self._failed(FrameErrorKind.CHECKSUM, raw, events)
        else:
            self.frames += 1
            events.append(CoapFrame(body[1:-2]))

    def _text(self, data: bytes, at: int, events: list[Event]) -> int:
        if self._escape:
            return self._text_escape(data[at], at, events)
        end = data.find(_END, at)
        stop = len(data) if end < 0 else end
        escape = data.find(_ESC, at, stop)
        if escape >= 0:
            stop = escape
        if stop > at:
            events.append(Text(data[at:stop], diagnostic=True))
        if escape >= 0:
            self._escape = True
            return escape + 1
        if end < 0:
            return stop
        self._in = _In.START
        return end + 1

    def _text_escape(self, byte: int, at: int, events: list[Event]) -> int:
        self._escape = False
        if byte in _ESCAPED:
            events.append(Text(bytes((_ESCAPED[byte],)), diagnostic=True))
        elif byte == END:
            self._failed(FrameErrorKind.ABORTED, _ESC, events)
            self._in = _In.START
        else:
            # Its beginning was handed out already, so the rest is text as well.
            self._failed(FrameErrorKind.ESCAPE, bytes((ESC, byte)), events)
            self._in = _In.PLAIN
        return at + 1

    def _failed(self, kind: FrameErrorKind, data: bytes, events: list[Event]) -> None:
        self.errors[kind] += 1
        events.append(FrameError(kind, data))


def _unescape(raw: bytes) -> tuple[bytes, FrameErrorKind | None]:
    if _ESC not in raw:
        return raw, None
    if _ends_in_escape(raw):
        return raw, FrameErrorKind.ABORTED
    first, *rest = raw.split(_ESC)
    parts = [first]
    for part in rest:
        plain = _ESCAPED.get(part[0]) if part else None
        if plain is None:
            return raw, FrameErrorKind.ESCAPE
        parts += [bytes((plain,)), part[1:]]
    return b"".join(parts), None


def _ends_in_escape(raw: bytes) -> bool:
    """Tell an abort (a lone ESC before the END) from a pair ESC ESC, which is a framing error."""
    return raw.endswith(_ESC) and (len(raw) - len(raw.rstrip(_ESC))) % 2 == 1
