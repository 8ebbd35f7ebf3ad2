"""Counting what is erased and written, on an emulated board."""

from __future__ import annotations

import pytest

from harness import CapabilityMissing
from harness.boards import find_board
from harness.devices import open_device
from harness.emulator import Master, Operation, OperationKind
from harness.mcuboot import FlashArea
from harness.updates import ImageFactory, UpdateRig, Wear, sector_name

from .._boards import BOARD

SECTOR = 0x1000


def operation(kind: OperationKind, address: int, size: int, pc: int) -> Operation:
    return Operation(kind, address, size, 0, 0, 1, pc, Master.CPU)


def test_operations_are_counted_by_sector():
    board = find_board(BOARD)
    boot, slot = board.partition("bootloader").address, board.partition("app_primary").address
    wear = Wear.count(
        board,
        [
            operation(OperationKind.ERASE_PAGE, slot, SECTOR, boot + 8),
            operation(OperationKind.ERASE_PAGE, slot, SECTOR, boot + 8),
            operation(OperationKind.WRITE, slot + SECTOR - 4, 4, slot + 0x200),
            operation(OperationKind.WRITE, slot + SECTOR, 4, boot),
            operation(OperationKind.ERASE_ALL, slot + 2 * SECTOR, 2 * SECTOR, boot),
        ],
    )
    assert wear.erases == {slot: 2, slot + 2 * SECTOR: 1, slot + 3 * SECTOR: 1}
    assert wear.written == {slot: 4, slot + SECTOR: 4}
    assert wear.by[slot] == "the application"
    assert wear.by[slot + SECTOR] == "the boot loader"
    inside = wear.within(FlashArea(slot + SECTOR, SECTOR))
    assert (inside.erases, inside.written) == ({}, {slot + SECTOR: 4})


def test_sectors_have_names():
    board = find_board(BOARD)
    assert sector_name(board, board.partition("scratch").address + SECTOR).startswith(
        "sector 1 of scratch (0x"
    )
    assert sector_name(board, 0x10001000) == "a sector in no partition (0x10001000)"


def test_recording_holds_what_firmware_did_meanwhile():
    board = find_board(BOARD)
    with open_device(board) as device, UpdateRig(device, ImageFactory(board)) as rig:
        assert "flash-journal" in device.capabilities
        old = [rig.images.make(part, "1.0.0") for part in board.components]
        rig.install(*old, staged=rig.stage(rig.images.make("model", "2.0.0")))
        with device.recording() as operations:
            rig.boot()
        touched = Wear.count(board, operations).within(board.partition("model_primary"))
        assert touched.erases
        assert set(touched.by.values()) == {"the boot loader", "the application"}
        with device.recording() as operations:
            rig.reset()
        assert operations == []
        device._journal = None
        assert "flash-journal" not in device.capabilities
        with pytest.raises(CapabilityMissing, match="flash-journal"), device.recording():
            pass
