"""The SMP side of a bench: framing by the `smp` package, bodies by cbor2."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Generator
from typing import Any

import cbor2
from smp.packet import decode, encode

from harness.mcuboot import Image

from .bench import Bench
from .wire import Frames

READ, WRITE = 0, 2
OS, IMAGES = 0, 1
ECHO, RESET, PARAMETERS = 0, 5, 6
STATE, UPLOAD, ERASE = 0, 1, 5


class Peer:
    """The SMP side of a bench."""

    def __init__(self, device: Bench) -> None:
        self.device = device
        self._numbers = itertools.count(7)
        self._decoder: Generator[None, bytes, bytes] | None = None
        device._frames = Frames(bare=True)

    def message(self, op: int, group: int, command: int, body: bytes, version: int = 1) -> bytes:
        number = next(self._numbers) & 0xFF
        size = len(body).to_bytes(2, "big")
        return bytes([version << 3 | op, 0]) + size + bytes([0, group, number, command]) + body

    def send(self, message: bytes) -> None:
        self.device.machine.uarts[0].feed(b"".join(encode(message)))

    def answers(self) -> list[bytes]:
        """Whole messages that have come so far; console text stays."""
        found, rest = [], []
        for line in self.device.text.splitlines(keepends=True):
            if not line.startswith(("\x06\t", "\x04\x14")) or not line.endswith("\n"):
                rest.append(line)
                continue
            assert len(line) <= 127
            if self._decoder is None:
                self._decoder = decode()
                next(self._decoder)
            try:
                self._decoder.send(line.encode())
            except StopIteration as end:
                found.append(end.value)
                self._decoder = None
        self.device.text = "".join(rest)
        return found

    def raw(self, op: int, group: int, command: int, content: bytes, version: int = 1) -> dict[str, Any]:
        request = self.message(op, group, command, content, version)
        self.send(request)
        found: list[bytes] = []
        self.device.until(lambda: found.extend(self.answers()) or found, 20_000)
        (answer,) = found
        assert answer[0] == version << 3 | op + 1
        assert answer[4:8] == request[4:8]
        assert int.from_bytes(answer[2:4], "big") == len(answer) - 8
        body: dict[str, Any] = cbor2.loads(answer[8:])
        return body

    def ask(self, op: int, group: int, command: int, /, **body: Any) -> dict[str, Any]:
        return self.raw(op, group, command, cbor2.dumps(body))

    def state(self) -> dict[tuple[int, int], dict[str, Any]]:
        found = self.ask(READ, IMAGES, STATE)["images"]
        return {(slot["image"], slot["slot"]): slot for slot in found}

    def upload(
        self, data: bytes, image: int = 0, *, step: int = 1000, stop: int | None = None
    ) -> dict[str, Any]:
        """Upload, by the offsets that the device asks for; the last answer."""
        sha = hashlib.sha256(data).digest()
        answer = self.ask(WRITE, IMAGES, UPLOAD, image=image, off=0, len=len(data), sha=sha, data=data[:step])
        while "off" in answer and answer["off"] < (len(data) if stop is None else stop):
            at = answer["off"]
            answer = self.ask(WRITE, IMAGES, UPLOAD, off=at, data=data[at : at + step])
        return answer


def digest(data: bytes) -> bytes:
    found = Image.parse(data).stored_digest
    assert found is not None
    return bytes(found.data)
