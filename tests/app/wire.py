"""CoAP messages and slipmux frames for tests: small, strict, and not the harness's own codec."""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field

CON, NON, ACK, RST = range(4)
GET, POST, PUT, DELETE = 1, 2, 3, 4
ETAG, OBSERVE, LOCATION_PATH, URI_PATH, CONTENT_FORMAT, URI_QUERY, ACCEPT = 4, 6, 8, 11, 12, 15, 17
URI_HOST, BLOCK2, BLOCK1, SIZE1 = 3, 23, 27, 60
TEXT, LINK, OPAQUE, SENML, TLV = 0, 40, 42, 112, 11542


def fcs(data: bytes) -> int:
    """CRC-16/X-25, bit by bit."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return crc ^ 0xFFFF


_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _fast_fcs(data: bytes) -> int:
    """The same from the C library's CRC, which is the mirror image."""
    register = binascii.crc_hqx(data.translate(_MIRRORED), 0xFFFF) ^ 0xFFFF
    return _MIRRORED[register & 0xFF] << 8 | _MIRRORED[register >> 8]


def escape(body: bytes) -> bytes:
    return body.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")


def frame(message: bytes) -> bytes:
    body = b"\xa9" + message
    return b"\xc0" + escape(body + _fast_fcs(body).to_bytes(2, "little")) + b"\xc0"


def text_frame(text: str) -> bytes:
    return b"\xc0" + escape(b"\n" + text.encode()) + b"\xc0"


class Frames:
    """Splits what the device sends; anything but good frames is an error of the device.

    With ``bare`` there may be text outside of frames, which is how a boot loader talks.
    """

    def __init__(self, *, bare: bool = False) -> None:
        self._frame: bytearray | None = None
        self._bare = bare

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        found = []
        for byte in data:
            if self._bare and (self._frame is None or (not self._frame and byte not in b"\xc0\xa9\x0a")):
                self._frame = None
                if byte != 0xC0:
                    found.append(("bare", bytes([byte])))
                    continue
            if byte != 0xC0:
                assert self._frame is not None, f"byte {byte:#x} outside of a frame"
                self._frame.append(byte)
                continue
            raw, self._frame = self._frame, bytearray()
            if raw:
                body = bytes(raw).replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
                found.append(self._frame_of(body))
        return found

    def _frame_of(self, body: bytes) -> tuple[str, bytes]:
        if body[0] == 0x0A:
            return "text", body[1:]
        assert body[0] == 0xA9, f"frame type {body[0]:#x}"
        assert _fast_fcs(body[:-2]) == int.from_bytes(body[-2:], "little")
        return "coap", body[1:-2]

    def reset(self) -> None:
        """The device was reset, maybe in the middle of a frame."""
        self._frame = None


def uint(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def block(number: int, more: bool, size: int) -> bytes:
    return uint(number << 4 | more << 3 | size.bit_length() - 5)


def _nibble(value: int) -> tuple[int, bytes]:
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes([value - 13])
    return 14, (value - 269).to_bytes(2, "big")


@dataclass
class Message:
    """A CoAP message; ``options`` are (number, value) in order."""

    type: int
    code: int
    mid: int
    token: bytes = b""
    options: list[tuple[int, bytes]] = field(default_factory=list)
    payload: bytes = b""

    @property
    def dotted(self) -> str:
        return f"{self.code >> 5}.{self.code & 31:02}"

    def values(self, number: int) -> list[bytes]:
        return [value for found, value in self.options if found == number]

    def number(self, number: int) -> int | None:
        values = self.values(number)
        return int.from_bytes(values[0], "big") if values else None

    @property
    def path(self) -> str:
        return "/" + "/".join(value.decode() for value in self.values(URI_PATH))

    @property
    def format(self) -> int | None:
        return self.number(CONTENT_FORMAT)

    def block(self, number: int) -> tuple[int, bool, int] | None:
        """Number, more and size of Block1 or Block2."""
        value = self.number(number)
        return None if value is None else (value >> 4, bool(value & 8), 16 << (value & 7))

    def encode(self) -> bytes:
        out = bytearray([1 << 6 | self.type << 4 | len(self.token), self.code])
        out += self.mid.to_bytes(2, "big") + self.token
        last = 0
        for number, value in sorted(self.options, key=lambda option: option[0]):
            delta, delta_more = _nibble(number - last)
            size, size_more = _nibble(len(value))
            out += bytes([delta << 4 | size]) + delta_more + size_more + value
            last = number
        return bytes(out) + (b"\xff" + self.payload if self.payload else b"")

    @classmethod
    def decode(cls, data: bytes) -> Message:
        assert data[0] >> 6 == 1
        size = data[0] & 15
        assert size <= 8
        message = cls(data[0] >> 4 & 3, data[1], int.from_bytes(data[2:4], "big"), data[4 : 4 + size])
        at, number = 4 + size, 0
        while at < len(data) and data[at] != 0xFF:
            first, at = data[at], at + 1
            lengths = []
            for nibble in (first >> 4, first & 15):
                more = {13: 1, 14: 2}.get(nibble, 0)
                assert nibble != 15
                extra = int.from_bytes(data[at : at + more], "big")
                lengths.append(nibble if not more else extra + (13 if more == 1 else 269))
                at += more
            number += lengths[0]
            message.options.append((number, data[at : at + lengths[1]]))
            assert at + lengths[1] <= len(data)
            at += lengths[1]
        if at < len(data):
            message.payload = data[at + 1 :]
            assert message.payload, "a payload marker without payload"
        return message


def path_options(path: str) -> list[tuple[int, bytes]]:
    return [(URI_PATH, part.encode()) for part in path.strip("/").split("/") if part]


def options(*groups: Iterable[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    return [option for group in groups for option in group]
