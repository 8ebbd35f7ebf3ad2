"""SMP messages as lines of base64 between the text of a console.

Source: "MCUmgr over Console" in Zephyr's documentation of MCUmgr. A line starts with the bytes
06 09, or with 04 14 if it goes on with a message, and ends with a line feed. The lines of a
message hold its size (u16), the message, and a CRC-16 of it (polynomial 1021, from 0; the
size counts it), all in network order.

`smp.packet` has the sender's side of this. It has no receiver for a line that is shared, which
takes whatever is no such line for text and gets over what a reset has cut off.
"""

from __future__ import annotations

import binascii
import re
from collections import Counter
from dataclasses import dataclass
from typing import Final, TypeAlias

from harness.protocols.slipmux import FrameError, FrameErrorKind, Text

__all__ = ["LineDecoder", "LineEvent", "SmpMessage", "encode_message"]

_FIRST: Final = b"\x06\x09"
_NEXT: Final = b"\x04\x14"
_MARK: Final = re.compile(_FIRST + b"|" + re.escape(_NEXT))
_HALF_MARK: Final = (_FIRST[:1], _NEXT[:1])
_NO_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/=]")
_SIZE: Final = 2
_CRC: Final = 2
_LONGEST: Final = 4096
"""Lines have 127 bytes by convention; some devices write longer ones."""


@dataclass(frozen=True, slots=True)
class SmpMessage:
    """An SMP message whose checksum was right, header included."""

    message: bytes


def encode_message(message: bytes) -> bytes:
    """The lines that carry a message."""
    from smp.packet import encode

    return b"".join(encode(message))


LineEvent: TypeAlias = SmpMessage | Text | FrameError


class LineDecoder:
    """Takes text as it comes and returns messages and the text around them, in their order.

    It never raises for what is on the line. Each broken line is a `FrameError`, counted in
    ``errors``; what follows the first byte that is no base64 is text again.
    """

    def __init__(self) -> None:
        self.messages = 0
        self.errors: Counter[FrameErrorKind] = Counter()
        self._held = b""  # half a mark, or a line without its end
        self._body: bytearray | None = None

    @property
    def in_frame(self) -> bool:
        """True while bytes of an unfinished line are held back."""
        return bool(self._held)

    def feed(self, data: bytes) -> list[LineEvent]:
        """The events that ``data`` completes."""
        data, self._held = self._held + bytes(data), b""
        events: list[LineEvent] = []
        at = 0
        while at < len(data):
            mark = _MARK.match(data, at)
            at = self._line(data, at, events) if mark else self._text(data, at, events)
        return events

    def flush(self) -> list[LineEvent]:
        """Give up what is unfinished: the device was reset, or the line went quiet."""
        held, self._held, self._body = self._held, b"", None
        if not held:
            return []
        if held in _HALF_MARK:
            return [Text(held, diagnostic=False)]
        events: list[LineEvent] = []
        self._failed(FrameErrorKind.TRUNCATED, held, events)
        return events

    def _text(self, data: bytes, at: int, events: list[LineEvent]) -> int:
        mark = _MARK.search(data, at)
        end = mark.start() if mark else len(data)
        if not mark and data[-1:] in _HALF_MARK:
            end -= 1
            self._held = data[end:]
        if end > at:
            events.append(Text(data[at:end], diagnostic=False))
        return end + len(self._held)

    def _line(self, data: bytes, at: int, events: list[LineEvent]) -> int:
        start = at + len(_FIRST)
        strange = _NO_BASE64.search(data, start, start + _LONGEST)
        if strange is None:
            if len(data) < start + _LONGEST:
                self._held = data[at:]
                return len(data)
            self._failed(FrameErrorKind.OVERSIZED, data[at : start + _LONGEST], events)
            return start + _LONGEST
        end = strange.start()
        if data[end : end + 1] == b"\r":
            if end + 1 == len(data):
                self._held = data[at:]
                return len(data)
            end += data[end + 1 : end + 2] == b"\n"
        if data[end : end + 1] != b"\n":
            self._failed(FrameErrorKind.TRUNCATED, data[at:end], events)
            return end
        self._take(data[at:start] == _FIRST, data[at : strange.start()], events)
        return end + 1

    def _take(self, first: bool, line: bytes, events: list[LineEvent]) -> None:
        try:
            part = binascii.a2b_base64(line[len(_FIRST) :], strict_mode=True)
        except binascii.Error:
            return self._failed(FrameErrorKind.ESCAPE, line, events)
        if first:
            self._body = bytearray()
        if self._body is None:
            return self._failed(FrameErrorKind.SHORT, line, events)
        self._body += part
        if len(self._body) < _SIZE + _CRC:
            return self._failed(FrameErrorKind.SHORT, line, events)
        missing = _SIZE + int.from_bytes(self._body[:_SIZE], "big") - len(self._body)
        if missing > 0:
            return None
        body = bytes(self._body)
        if missing < 0:
            return self._failed(FrameErrorKind.OVERSIZED, body, events)
        if binascii.crc_hqx(body[_SIZE:], 0):
            return self._failed(FrameErrorKind.CHECKSUM, body, events)
        self._body = None
        self.messages += 1
        events.append(SmpMessage(body[_SIZE:-_CRC]))
        return None

    def _failed(self, kind: FrameErrorKind, data: bytes, events: list[LineEvent]) -> None:
        self._body = None
        self.errors[kind] += 1
        events.append(FrameError(kind, data))
