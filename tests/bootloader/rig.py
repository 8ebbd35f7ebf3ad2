"""Bootloader builds on an emulated chip: put content into flash, boot, look at the flash."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, cached_property

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from harness.emulator import Machine, Operation, OperationKind, Snapshot
from harness.firmware import (
    Component,
    Elf,
    FirmwareLayout,
    Region,
    bootloader_program,
    compile_program,
)
from harness.mcuboot import SigningKey, SigningOptions, SwapMode, Version, sign

SECTOR = 4096
BOOTLOADER = Region(0, 0xC000)
STORAGE = Region(0xFC000, 0x4000)
HEADER = 0x20
#: no boot of these tests takes longer, in cycles
PATIENCE = 64_000_000 * 120
#: what power-fail sweeps plant to save time: signatures have nothing to do with power
FAST = {"DEFECT_signature_not_checked": 1}


@cache
def key_pair(number: int = 1) -> Ed25519PrivateKey:
    """The same key for the same number; 1 is the one that bootloaders trust."""
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


@cache
def signing_key(number: int = 1) -> SigningKey:
    return SigningKey.from_pem(
        key_pair(number).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )


@dataclass(frozen=True)
class Board:
    """A bootloader build: its flash map and options. ``slots`` are sectors of (primary, secondary)."""

    mode: SwapMode
    slots: tuple[tuple[int, int], ...] = ((6, 6),)
    scratch: int = 2
    align: int = 4
    max_align: int = 8
    max_sectors: int = 8
    options: tuple[tuple[str, int], ...] = ()
    recovery: bool = False

    def planted(self, *defects: str) -> Board:
        """The same build with planted defects."""
        extra = {f"DEFECT_{name}": 1 for name in defects}
        return self.with_options(extra)

    def with_options(self, options: Mapping[str, int]) -> Board:
        return replace(self, options=tuple(sorted({**dict(self.options), **options}.items())))

    @cached_property
    def areas(self) -> tuple[tuple[Region, Region], ...]:
        """(primary, secondary) of each image."""
        address, areas = BOOTLOADER.address + BOOTLOADER.size, []
        for primary, secondary in self.slots:
            first = Region(address, primary * SECTOR)
            second = Region(first.address + first.size, secondary * SECTOR)
            address = second.address + second.size
            areas.append((first, second))
        return tuple(areas)

    @property
    def scratch_area(self) -> Region | None:
        if self.mode is not SwapMode.SCRATCH:
            return None
        last = self.areas[-1][1]
        return Region(last.address + last.size, self.scratch * SECTOR)

    @property
    def end(self) -> int:
        """Address behind all that the bootloader looks at."""
        last = self.scratch_area or self.areas[-1][1]
        return last.address + last.size

    @property
    def layout(self) -> FirmwareLayout:
        public = key_pair().public_key()
        names = ("app", "model")
        return FirmwareLayout(
            board="test",
            soc="nrf52840",
            ram=Region(0x20000000, 0x40000),
            bootloader=BOOTLOADER,
            scratch=self.scratch_area,
            storage=STORAGE,
            components=[Component(names[number], number, *slots) for number, slots in enumerate(self.areas)],
            mode=self.mode,
            sector_size=SECTOR,
            write_alignment=self.align,
            max_alignment=self.max_align,
            max_sectors=self.max_sectors,
            header_size=HEADER,
            public_key=public.public_bytes(Encoding.Raw, PublicFormat.Raw),
            key_hash=hashlib.sha256(
                public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            ).digest(),
            console_baud=1_000_000,
            serial_recovery=self.recovery,
        )

    def compile(self) -> Elf:
        return Elf.read(compile_program(bootloader_program(self.layout, options=dict(self.options))))


SWAPPING = (SwapMode.SCRATCH, SwapMode.MOVE, SwapMode.OFFSET)
COPYING = (SwapMode.OVERWRITE_ONLY, SwapMode.OVERWRITE_ONLY_FAST)
IN_PLACE = (SwapMode.DIRECT_XIP, SwapMode.DIRECT_XIP_REVERT)


def board_for(mode: SwapMode, images: int = 1, **settings: int) -> Board:
    """A small board on which all of a slot can be used, with the spare sector that the mode wants."""
    more = {SwapMode.MOVE: (1, 0), SwapMode.OFFSET: (0, 1)}.get(mode, (0, 0))
    slots = tuple((size + more[0], size + more[1]) for size in (6, 4)[:images])
    return Board(mode, slots, **settings)


def fast_board(mode: SwapMode, images: int = 1, **settings: int) -> Board:
    """The same without checking signatures, which takes most of the time of a boot."""
    return board_for(mode, images, **settings).with_options(FAST)


@dataclass
class Boot:
    """How a boot went. ``started`` is the address of the slot whose image runs, ``None`` if none does."""

    flash: bytes
    started: int | None
    console: str
    operations: list[Operation]
    findings: list[str]
    instructions: int


_planted: list[str] = []


@contextmanager
def planted(defect: str) -> Iterator[None]:
    """All builds have this defect meanwhile."""
    _planted.append(defect)
    try:
        yield
    finally:
        _planted.remove(defect)


class Rig:
    """One emulated chip for all builds of a test process."""

    def __init__(self) -> None:
        self.machine = Machine()
        self._fresh = self.machine.snapshot()
        self._board: Board | None = None
        self._loaded: Snapshot = self._fresh

    def load(self, board: Board) -> None:
        """Bring a build into the chip, on erased flash."""
        board = board.planted(*_planted)
        if board == self._board:
            self.machine.restore(self._loaded)
            return
        base, code = board.compile().binary()
        self.machine.restore(self._fresh)
        self.machine.program(base, code)
        self._board, self._loaded = board, self.machine.snapshot()

    def boot(self, board: Board, flash: Mapping[int, bytes] | bytes) -> Boot:
        """Boot once from power-on. ``flash`` is content by address, or all that is behind the bootloader."""
        self.load(board)
        end = BOOTLOADER.address + BOOTLOADER.size
        for address, content in flash.items() if isinstance(flash, Mapping) else [(end, flash[end:])]:
            self.machine.program(address, content)
        return self.go(board)

    def go(self, board: Board) -> Boot:
        """Switch on and run until an image runs or nothing more happens."""
        machine, console = self.machine, bytearray()
        machine.uarts[0].sink = console.extend
        machine.diagnostics.clear()
        machine.start_journal()
        began = machine.hot.instructions
        machine.power_on()
        stop = machine.run(PATIENCE, sleep_until=0)
        slots = [area for pair in board.areas for area in pair]
        operations = machine.stop_journal()
        _assert_in_bounds(board, operations)
        return Boot(
            flash=bytes(machine.flash.view[: board.end]),
            started=next(
                (area.address for area in slots if area.address <= stop.pc < area.address + area.size), None
            ),
            console=console.decode(),
            operations=operations,
            findings=[str(diagnostic) for diagnostic in machine.diagnostics],
            instructions=machine.hot.instructions - began,
        )


def _assert_in_bounds(board: Board, operations: Iterable[Operation]) -> None:
    """Nothing but slots, scratch and, where they are kept, security counters is ever written."""
    allowed = [area for pair in board.areas for area in pair]
    if board.scratch_area:
        allowed.append(board.scratch_area)
    if "BOOT_HARDWARE_ROLLBACK" in dict(board.options):
        allowed.append(Region(BOOTLOADER.address + BOOTLOADER.size - 2 * SECTOR, 2 * SECTOR))
    for operation in operations:
        assert any(
            area.address <= operation.address
            and operation.address + operation.size <= area.address + area.size
            for area in allowed
        ), operation


@cache
def rig() -> Rig:
    return Rig()


@dataclass(frozen=True, eq=False)
class Image:
    """A signed image and what it was made of."""

    data: bytes
    version: Version

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def ordinary_tlvs(self) -> int:
        """Size of the TLV area that is not signed."""
        header = int.from_bytes(self.data[8:10], "little")
        payload = int.from_bytes(self.data[12:16], "little")
        protected = int.from_bytes(self.data[10:12], "little")
        return self.size - header - payload - protected


#: TLVs of a plain image: info header, SHA-256, key hash and signature with their own headers
TLV_SIZE = 4 + (4 + 32) * 2 + (4 + 64)


def make_image(
    slot: Region,
    version: str = "1.0.0",
    *,
    size: int = 1500,
    key: int = 1,
    sparse: bool = False,
    total: int | None = None,
    **options: object,
) -> Image:
    """An image for a slot, whose program sleeps at once. ``size`` is the payload's, ``total`` the image's.

    A sparse one is mostly erased bytes, which take no flash operation to copy, with
    something of its own in every sector.
    """
    if total is not None:
        size = total - HEADER - TLV_SIZE
    parsed = Version.parse(version)
    noise = random.Random(f"{version} {size}")
    code = slot.address + HEADER
    body = bytearray((0x20040000).to_bytes(4, "little") + (code + 8 | 1).to_bytes(4, "little") + b"\xfe\xe7")
    if sparse:
        body += b"\xff" * (size - len(body))
        for at in [*range(512, size - 8, SECTOR // 2), size - 8]:
            body[at : at + 8] = noise.randbytes(8)
    else:
        body += noise.randbytes(size - len(body))
    defaults: dict[str, object] = {
        "version": parsed,
        "slot_size": 1 << 24,
        "header_size": HEADER,
        "key": signing_key(key) if key else None,
        "max_sectors": 4096,
    }
    signed = sign(bytes(body), SigningOptions(**{**defaults, **options}))  # type: ignore[arg-type]
    return Image(signed, parsed)


@dataclass
class Flash:
    """Flash content behind the bootloader, as a test puts it together."""

    board: Board
    data: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        if not self.data:
            self.data = bytearray(b"\xff" * self.board.end)

    def put(self, address: int, content: bytes) -> Flash:
        self.data[address : address + len(content)] = content
        return self

    def primary(self, image: Image | bytes, number: int = 0) -> Flash:
        data = image.data if isinstance(image, Image) else image
        return self.put(self.board.areas[number][0].address, data)

    def secondary(self, image: Image | bytes, number: int = 0) -> Flash:
        """Where an upload goes."""
        data = image.data if isinstance(image, Image) else image
        shift = SECTOR if self.board.mode is SwapMode.OFFSET else 0
        return self.put(self.board.areas[number][1].address + shift, data)

    def boot(self) -> Boot:
        """Boot once; the content becomes what the boot leaves."""
        result = rig().boot(self.board, bytes(self.data))
        self.data[:] = result.flash
        return result

    def area(self, area: Region) -> bytes:
        return bytes(self.data[area.address : area.address + area.size])

    def copy(self) -> Flash:
        return Flash(self.board, bytearray(self.data))


def apply(flash: bytearray, operations: Iterable[Operation]) -> Iterator[Operation]:
    """Carry out flash operations on a copy of the flash; each is yielded before it is carried out."""
    for operation in operations:
        yield operation
        start, end = operation.address, operation.address + operation.size
        if operation.kind is OperationKind.WRITE:
            old = int.from_bytes(flash[start:end], "little")
            flash[start:end] = (old & operation.value).to_bytes(4, "little")
        else:
            flash[start:end] = b"\xff" * operation.size
