"""Packets of the GDB remote serial protocol, as bytes (GDB manual, "Remote Protocol: Overview")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["ACKNOWLEDGED", "REFUSED", "Packet", "PacketParser", "encode"]

ACKNOWLEDGED: Final = b"+"
REFUSED: Final = b"-"
_START, _END, _ESCAPE, _REPEAT = b"$#}*"
_SPECIAL: Final = frozenset(b"$#}*")


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet whose checksum was right; ``data`` has its escapes and repeats resolved."""

    data: bytes


def encode(data: bytes) -> bytes:
    """The packet on the wire: escaped, framed, with its checksum."""
    body = bytearray()
    for byte in data:
        body += bytes((_ESCAPE, byte ^ 0x20)) if byte in _SPECIAL else bytes((byte,))
    return b"$%b#%02x" % (bytes(body), sum(body) & 0xFF)


def _decode(body: bytes) -> bytes | None:
    """The packet's content; None if an escape or a repeat lacks its second byte, or repeats nothing."""
    data = bytearray()
    index = 0
    while index < len(body):
        byte = body[index]
        if byte in (_ESCAPE, _REPEAT):
            index += 1
            if index == len(body):
                return None
            if byte == _ESCAPE:
                data.append(body[index] ^ 0x20)
            else:
                times = body[index] - 29
                if times < 1 or not data:
                    return None
                data += data[-1:] * times
        else:
            data.append(byte)
        index += 1
    return bytes(data)


class PacketParser:
    """Takes the stream in pieces of any size. A broken packet comes out as `REFUSED`."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Packet | bytes]:
        """`ACKNOWLEDGED`, `REFUSED` and packets, in order; bytes between them are dropped."""
        self._buffer += data
        found: list[Packet | bytes] = []
        while self._buffer:
            if self._buffer[0] != _START:
                byte = bytes(self._buffer[:1])
                if byte in (ACKNOWLEDGED, REFUSED):
                    found.append(byte)
                del self._buffer[0]
                continue
            end = self._buffer.find(_END)
            if end < 0 or len(self._buffer) < end + 3:
                break
            body, digits = bytes(self._buffer[1:end]), bytes(self._buffer[end + 1 : end + 3])
            del self._buffer[: end + 3]
            content = _decode(body) if digits.lower() == b"%02x" % (sum(body) & 0xFF) else None
            found.append(REFUSED if content is None else Packet(content))
        return found
