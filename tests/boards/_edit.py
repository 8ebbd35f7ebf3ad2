"""A good board file in a folder of its own, and edits that spoil it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from harness.boards import Board, Problem, check_board
from harness.mcuboot import KeyType, SigningKey

GOOD = """\
name: example
soc: some Cortex-M4
debug:
  target: some_target
flash:
  size: 0x20000
  sector_size: 1KiB
  write_alignment: 4
  partitions:
    bootloader: {offset: 0, size: 16K}
    app_primary: {offset: 0x4000, size: 0x8000}
    app_secondary: {offset: 0xc000, size: 0x8000}
    model_primary: {offset: 0x14000, size: 8KiB}
    model_secondary: {offset: 0x16000, size: 8KiB}
    scratch: {offset: 0x18000, size: 4096}
mcuboot:
  swap_mode: scratch
  max_alignment: 8
  max_sectors: 64
  signature:
    type: ed25519
    public_key: key.pub.pem
    private_key: key.pem
components:
  - name: app
    image: 0
    primary: app_primary
    secondary: app_secondary
    lwm2m_instance: 0
  - name: model
    image: 1
    primary: model_primary
    secondary: model_secondary
    lwm2m_instance: 1
serial:
  - role: console
    baud: 115200
    usb: {vid: 0x1366, pid: 0x1015}
    carries: [console, slipmux]
protocols: [lwm2m]
emulator: example
"""


@functools.cache
def key(type_: KeyType = KeyType.ED25519, number: int = 0) -> SigningKey:
    return SigningKey.generate(type_)


def public_pem(signing_key: SigningKey) -> bytes:
    return signing_key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@dataclass
class Edited:
    """A board file whose text is the good one with replacements."""

    folder: Path
    text: str = GOOD

    def __post_init__(self) -> None:
        (self.folder / "key.pem").write_bytes(key().to_pem())
        (self.folder / "key.pub.pem").write_bytes(public_pem(key()))

    @property
    def file(self) -> Path:
        return self.folder / "board.yaml"

    def replace(self, old: str, new: str) -> Edited:
        assert self.text.count(old) == 1, f"{old!r} is there {self.text.count(old)} times"
        self.text = self.text.replace(old, new)
        return self

    def add(self, name: str, signing_key: SigningKey, *, private: bool = False) -> Edited:
        (self.folder / name).write_bytes(signing_key.to_pem() if private else public_pem(signing_key))
        return self

    def line(self, part: str) -> int:
        """Number of the one line that holds `part`."""
        numbers = [number for number, line in enumerate(self.text.splitlines(), 1) if part in line]
        assert len(numbers) == 1, f"{part!r} is in lines {numbers}"
        return numbers[0]

    def write(self) -> Path:
        self.file.write_text(self.text, encoding="utf-8")
        return self.file

    def problems(self) -> tuple[Problem, ...]:
        return check_board(self.write())

    def board(self) -> Board:
        return Board.load(self.write())
