"""The bootloader on flash that takes a double word only once: an STM32L475, with power cuts."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from harness.emulator import Machine, Operation, OperationKind
from harness.firmware import (
    Component,
    Elf,
    FirmwareLayout,
    Region,
    bootloader_program,
    compile_program,
)
from harness.mcuboot import SwapMode

from .contract import magic
from .rig import FAST, HEADER, SWAPPING, key_pair, make_image

BASE, SECTOR = 0x08000000, 2048
SLOTS = BASE + 0xC000
SCRATCH = SLOTS + 13 * SECTOR
END = SCRATCH + 3 * SECTOR
TEST, REVERT, PERMANENT = "test", "revert", "permanent"


def layout(mode: SwapMode) -> FirmwareLayout:
    primary = Region(SLOTS, (6 + (mode is SwapMode.MOVE)) * SECTOR)
    secondary = Region(primary.address + primary.size, (6 + (mode is SwapMode.OFFSET)) * SECTOR)
    public = key_pair().public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return FirmwareLayout(
        board="write-once",
        soc="stm32l475",
        ram=Region(0x20000000, 0x18000),
        bootloader=Region(BASE, SLOTS - BASE),
        scratch=Region(SCRATCH, END - SCRATCH) if mode is SwapMode.SCRATCH else None,
        storage=Region(BASE + 0xFC000, 4 * SECTOR),
        components=[Component("app", 0, primary, secondary)],
        mode=mode,
        sector_size=SECTOR,
        write_alignment=8,
        max_alignment=8,
        max_sectors=8,
        header_size=HEADER,
        public_key=public.public_bytes(Encoding.Raw, PublicFormat.Raw),
        key_hash=hashlib.sha256(der).digest(),
        console_baud=1_000_000,
    )


@dataclass
class Boot:
    """How a boot went: flash behind the bootloader, what it did, and the version that runs."""

    flash: bytes
    operations: list[Operation]
    version: int | None
    findings: list[str]


class Chip:
    """One bootloader build on an emulated chip."""

    def __init__(self, mode: SwapMode) -> None:
        self.layout = layout(mode)
        program = bootloader_program(self.layout, options=FAST)
        self.machine = Machine("stm32l475")
        self.machine.program(*Elf.read(compile_program(program)).binary())
        self._fresh = self.machine.snapshot()

    def boot(self, flash: bytes) -> Boot:
        machine, primary = self.machine, self.layout.components[0].primary
        machine.restore(self._fresh)
        machine.program(SLOTS, flash)
        machine.diagnostics.clear()
        machine.start_journal()
        machine.power_on()
        stop = machine.run(80_000_000 * 60, sleep_until=0)
        content = bytes(machine.flash.view)
        runs = primary.address <= stop.pc < primary.address + primary.size
        return Boot(
            content[SLOTS - BASE : END - BASE],
            machine.stop_journal(),
            content[primary.address - BASE + 20] if runs else None,
            [str(finding) for finding in machine.diagnostics],
        )

    def prepared(self, kind: str) -> bytes:
        """The flash right before the boot that carries out this kind of update."""
        primary, secondary = self.layout.components[0].primary, self.layout.components[0].secondary
        flash = bytearray(b"\xff" * (END - SLOTS))
        shift = SECTOR * (self.layout.mode is SwapMode.OFFSET)
        end = secondary.address + secondary.size - SLOTS
        for at, content in (
            (0, make_image(primary, "1.0.0", total=2600, sparse=True).data),
            (secondary.address - SLOTS + shift, make_image(primary, "2.0.0", total=900, sparse=True).data),
            (end - 16, magic(8)),
            (end - 24, b"\x01" if kind == PERMANENT else b"\xff"),
            (end - 40, b"\x03" if kind == PERMANENT else b"\x02"),
        ):
            flash[at : at + len(content)] = content
        return self.boot(bytes(flash)).flash if kind == REVERT else bytes(flash)


@cache
def chip(mode: SwapMode) -> Chip:
    return Chip(mode)


def torn(flash: bytes, operation: Operation, seed: int) -> bytes:
    """Power lost inside an operation: some of the bits, one of its words (seeds 1 and 2), half a page."""
    at, size = operation.address - SLOTS, operation.size
    old, noise = flash[at : at + size], random.Random(seed).randbytes(size)
    if operation.kind is OperationKind.WRITE:
        new = (operation.previous & operation.value).to_bytes(size, "little")
        mask = {1: b"\xff" * 4 + bytes(4), 2: bytes(4) + b"\xff" * 4}.get(seed, noise)
        left = bytes(o & (n | ~m & 0xFF) for o, n, m in zip(old, new, mask, strict=True))
    else:
        left = b"\xff" * (size // 2) + old[size // 2 :] if seed == 1 else bytes(map(int.__or__, old, noise))
    return flash[:at] + left + flash[at + size :]


def cuts(chip: Chip, kind: str, seeds: tuple[int, ...]) -> Iterator[tuple[int, Operation, bytes]]:
    """Every flash that a cut in this update can leave, and how many operations were still to come."""
    flash = chip.prepared(kind)
    operations = chip.boot(flash).operations
    for number, operation in enumerate(operations):
        for seed in seeds:
            yield len(operations) - number, operation, torn(flash, operation, seed)
        at = operation.address - SLOTS
        content = b"\xff" * operation.size
        if operation.kind is OperationKind.WRITE:
            content = (operation.previous & operation.value).to_bytes(operation.size, "little")
        flash = flash[:at] + content + flash[at + operation.size :]


@pytest.mark.parametrize("kind", [TEST, REVERT, PERMANENT])
@pytest.mark.parametrize("mode", SWAPPING)
def test_torn_flags_at_the_end_do_not_stop_it(mode: SwapMode, kind: str) -> None:
    """A half written flag cannot be completed: it counts as written."""
    target = chip(mode)
    seen = 0
    for left, operation, flash in cuts(target, kind, (3, 4, 5)):
        if left > 2:
            continue
        boot = target.boot(flash)
        assert boot.findings == []
        # A test whose copy_done is torn has had its try: nobody can tell that it had not.
        had_its_try = kind == TEST and left == 1 and flash[operation.address - SLOTS] != 0xFF
        assert boot.version == (1 if kind == REVERT or had_its_try else 2)
        again = target.boot(boot.flash)
        assert again.version == (1 if kind in {REVERT, TEST} else 2)
        seen += 1
    assert seen == 6


@pytest.mark.parametrize("mode", SWAPPING)
def test_cuts_everywhere(mode: SwapMode) -> None:
    target = chip(mode)
    for left, operation, flash in cuts(target, TEST, (1, 2, 6)):
        if (left * 7 + operation.size) % 4 == 0:
            boot = target.boot(flash)
            assert boot.findings == []
            assert boot.version is not None, operation
