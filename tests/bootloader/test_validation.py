"""What is accepted as an image, in the secondary and in the primary."""

from __future__ import annotations

import struct

import pytest

from harness.mcuboot import SwapMode

from .contract import Offsets, image_limit, request
from .rig import (
    COPYING,
    HEADER,
    SECTOR,
    SWAPPING,
    TLV_SIZE,
    Board,
    Flash,
    Image,
    board_for,
    fast_board,
    key_pair,
    make_image,
)

SCRATCH = SwapMode.SCRATCH


def tlvs(image: Image) -> int:
    """Offset of the TLV areas."""
    header, _, payload = struct.unpack("<HHI", image.data[8:16])
    return header + payload


def spoiled(image: Image, at: int, value: bytes | None = None) -> Image:
    data = bytearray(image.data)
    if value is None:
        data[at] ^= 0x10
    else:
        data[at : at + len(value)] = value
    return Image(bytes(data), image.version)


def foreign_signature(image: Image) -> Image:
    """The key hash of the right key, and a signature by another one over the right digest."""
    import hashlib

    digest = hashlib.sha256(image.data[: tlvs(image)]).digest()
    return spoiled(image, image.size - 64, key_pair(2).sign(digest))


def without_signature(image: Image) -> Image:
    """The TLV area ends behind the digest."""
    at = tlvs(image)
    return Image(
        image.data[: at + 2] + struct.pack("<H", 4 + 36) + image.data[at + 4 : at + 40], image.version
    )


def changed(found: bytes | bytearray, wanted: bytes) -> list[int]:
    """Sectors, by number, that are not as wanted: no difference for pytest to print byte by byte."""
    assert len(found) == len(wanted)
    starts = range(0, len(wanted), SECTOR)
    return [at // SECTOR for at in starts if found[at : at + SECTOR] != wanted[at : at + SECTOR]]


def assert_refused(board: Board, bad: Image) -> None:
    """A request leaves the primary alone and erases the image; in the primary it does not boot."""
    primary, secondary = board.areas[0]
    flash = request(Flash(board).primary(make_image(primary)).secondary(bad))
    before = flash.area(primary)
    boot = flash.boot()
    assert boot.started == primary.address, boot.console
    assert changed(flash.area(primary), before) == []
    assert changed(flash.area(secondary), b"\xff" * secondary.size) == [], boot.console
    assert not flash.boot().operations
    assert_not_booted(board, bad)


def assert_not_booted(board: Board, bad: Image) -> None:
    flash = Flash(board).primary(bad)
    before = bytes(flash.data[0xC000:])
    boot = flash.boot()
    assert boot.started is None, boot.console
    assert changed(flash.data[0xC000:], before) == []


def assert_accepted(board: Board, good: Image) -> None:
    primary = board.areas[0][0]
    flash = request(Flash(board).primary(make_image(primary, "0.1.0")).secondary(good))
    boot = flash.boot()
    assert boot.started == primary.address, boot.console
    assert flash.area(primary)[: good.size] == good.data, boot.console


def wrong_signature(image: Image) -> Image:
    return spoiled(image, image.size - 40)


def wrong_body(image: Image) -> Image:
    return spoiled(image, HEADER + 700)


@pytest.mark.parametrize("mode", [*SWAPPING, *COPYING])
def test_signature_by_another_key_for_the_right_one(mode: SwapMode) -> None:
    board = board_for(mode)
    assert_refused(board, foreign_signature(make_image(board.areas[0][0], "2.0.0")))


def test_one_wrong_bit_in_the_signature() -> None:
    board = board_for(SCRATCH)
    for byte in (64, 33, 32, 1):
        image = make_image(board.areas[0][0], "2.0.0")
        assert_refused(board, spoiled(image, image.size - byte))


@pytest.mark.parametrize("mode", [*SWAPPING, *COPYING])
def test_wrong_body(mode: SwapMode) -> None:
    board = fast_board(mode)
    image = make_image(board.areas[0][0], "2.0.0")
    assert_refused(board, wrong_body(image))
    assert_refused(board, spoiled(image, HEADER + 1499))
    assert_refused(board, spoiled(image, 20))  # the version is signed, too


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (0, b"\x3c"),  # the old format's magic
        (0, b"\x00\x00\x00\x00"),
        (8, b"\x40\x00"),  # header size
        (10, b"\x08\x00"),  # a protected area that is not there
        (12, struct.pack("<I", 1499)),
        (12, struct.pack("<I", 1501)),
        (12, struct.pack("<I", 0xFFFFFFFF)),
        (12, struct.pack("<I", 6 * SECTOR - HEADER)),
        (16, b"\x04"),  # encrypted
        (16, b"\x08"),
        (17, b"\x02"),  # compressed
        (17, b"\x04"),
        (17, b"\x08"),
    ],
)
def test_wrong_header(offset: int, value: bytes) -> None:
    board = fast_board(SCRATCH)
    assert_refused(board, spoiled(make_image(board.areas[0][0], "2.0.0"), offset, value))


def test_wrong_tlv_areas() -> None:
    board = fast_board(SCRATCH)
    image = make_image(board.areas[0][0], "2.0.0")
    at = tlvs(image)
    changes = [
        (at, b"\x08"),  # info magic of a protected area
        (at, b"\x00"),
        (at + 2, struct.pack("<H", 4)),  # no entry
        (at + 2, struct.pack("<H", TLV_SIZE - 1)),  # the last entry does not fit
        (at + 2, struct.pack("<H", TLV_SIZE + 3)),  # half an entry behind the last one
        (at + 2, struct.pack("<H", 0xFFFF)),
        (at + 4, b"\x11"),  # the digest's type
        (at + 6, struct.pack("<H", 31)),
        (at + 40, b"\x03"),  # the key hash's type
        (at + 44, b"\x00"),  # the key hash
        (at + 76, b"\x22"),  # the signature's type
        (at + 78, struct.pack("<H", 63)),
    ]
    for offset, value in changes:
        assert_refused(board, spoiled(image, offset, value))


def test_missing_entries() -> None:
    board = fast_board(SCRATCH)
    primary = board.areas[0][0]
    assert_refused(board, without_signature(make_image(primary, "2.0.0")))
    assert_refused(board, make_image(primary, "2.0.0", key=0))
    assert_refused(board, make_image(primary, "2.0.0", key=2))
    assert_refused(board, make_image(primary, "2.0.0", hash_algorithm="sha512"))


def test_signature_before_its_key() -> None:
    board = fast_board(SCRATCH)
    image = make_image(board.areas[0][0], "2.0.0")
    at = tlvs(image) + 40
    key, signature = image.data[at : at + 36], image.data[at + 36 :]
    assert_refused(board, Image(image.data[:at] + signature + key, image.version))


def test_second_signature_counts() -> None:
    """Somebody else's key and signature in front of ours are passed over."""
    board = board_for(SCRATCH)
    image = make_image(board.areas[0][0], "2.0.0")
    other = make_image(board.areas[0][0], "2.0.0", key=2)
    at = tlvs(image)
    size = struct.pack("<H", TLV_SIZE + 36 + 68)
    data = (
        image.data[: at + 2]
        + size
        + image.data[at + 4 : at + 40]
        + other.data[at + 40 :]
        + image.data[at + 40 :]
    )
    assert_accepted(board, Image(data, image.version))
    swapped = image.data[: at + 2] + size + image.data[at + 4 :] + other.data[at + 40 :]
    assert_accepted(board, Image(swapped, image.version))


def test_whole_key_instead_of_its_hash() -> None:
    board = board_for(SCRATCH)
    primary = board.areas[0][0]
    assert_accepted(board, make_image(primary, "2.0.0", public_key_format="full"))
    assert_refused(board, make_image(primary, "2.0.0", public_key_format="full", key=2))


def test_signature_over_the_image_itself() -> None:
    board = board_for(SCRATCH)
    image = make_image(board.areas[0][0], "2.0.0", pure=True)
    assert_accepted(board, image)
    assert_refused(board, wrong_body(image))
    assert_refused(board, wrong_signature(image))


def test_unknown_entries_and_flags_are_passed_over() -> None:
    board = board_for(SCRATCH)
    primary = board.areas[0][0]
    extras = {"custom_tlvs": {0xA0: b"something"}, "security_counter": 3, "boot_record": "app"}
    image = make_image(primary, "2.0.0", **extras)
    assert_accepted(board, image)
    assert_refused(board, spoiled(image, tlvs(image) + 8))  # protected entries are signed
    flagged = bytearray(make_image(primary, "2.0.0").data)
    flagged[18] = 0x80  # a flag that nobody knows
    digest_at = tlvs(image := Image(bytes(flagged), image.version))
    import hashlib

    digest = hashlib.sha256(bytes(flagged[:digest_at])).digest()
    flagged[digest_at + 8 : digest_at + 40] = digest
    flagged[-64:] = key_pair().sign(digest)
    assert_accepted(board, Image(bytes(flagged), image.version))


def assert_limit(board: Board) -> None:
    """The largest image is accepted, and one byte more is not."""
    primary = board.areas[0][0]
    limit = image_limit(board)
    assert_accepted(board, make_image(primary, "2.0.0", total=limit, sparse=True))
    assert_refused(board, make_image(primary, "2.0.0", total=limit + 1, sparse=True))


@pytest.mark.parametrize("mode", [*SWAPPING, *COPYING])
@pytest.mark.parametrize(("align", "max_align", "max_sectors"), [(4, 8, 8), (16, 16, 128), (8, 32, 200)])
def test_largest_image(mode: SwapMode, align: int, max_align: int, max_sectors: int) -> None:
    assert_limit(fast_board(mode, align=align, max_align=max_align, max_sectors=max_sectors))


def test_largest_image_next_to_a_full_scratch_trailer() -> None:
    """Few bytes of the trailer in its first sector: the image must leave room for scratch's own."""
    for max_sectors in (335, 337, 338, 340):
        assert_limit(fast_board(SCRATCH, scratch=1, max_sectors=max_sectors))


def test_not_bootable() -> None:
    board = fast_board(SCRATCH)
    primary, secondary = board.areas[0]
    image = make_image(primary, "2.0.0", non_bootable=True)
    flash = request(Flash(board).primary(make_image(primary)).secondary(image))
    boot = flash.boot()
    assert boot.started == primary.address
    assert flash.area(primary)[: image.size] != image.data
    assert flash.area(secondary)[:100] == image.data[:100]
    assert flash.area(secondary)[-16:] == b"\xff" * 16
    assert_not_booted(board, image)


@pytest.mark.parametrize("mode", [*SWAPPING, *COPYING])
def test_broken_primary_is_replaced(mode: SwapMode) -> None:
    """As long as its header is there; nothing good is lost by it."""
    board = fast_board(mode)
    primary = board.areas[0][0]
    old, new = make_image(primary), make_image(primary, "2.0.0")
    for bad in (spoiled(old, tlvs(old)), wrong_body(old)):
        flash = request(Flash(board).primary(bad).secondary(new))
        assert flash.boot().started == primary.address
        assert flash.area(primary)[: new.size] == new.data
    if mode in SWAPPING:  # the revert finds that there is nothing to go back to
        boot = flash.boot()
        assert boot.started == primary.address
        assert flash.area(primary)[: new.size] == new.data
        flash.boot()  # move forgets the revert here
        assert not flash.boot().operations


@pytest.mark.parametrize("mode", [*SWAPPING, *COPYING])
def test_primary_that_is_too_large(mode: SwapMode) -> None:
    """Move and offset need room to swap it, and do not begin; the others replace it."""
    board = fast_board(mode)
    primary, _ = board.areas[0]
    old, new = make_image(primary, total=20490, sparse=True), make_image(primary, "2.0.0")
    if mode not in (SwapMode.MOVE, SwapMode.OFFSET):
        old = make_image(primary, total=image_limit(board) + 1, sparse=True)
    flash = request(Flash(board).primary(old).secondary(new), permanent=True)
    before = flash.copy()
    boot = flash.boot()
    if mode not in (SwapMode.MOVE, SwapMode.OFFSET):
        assert boot.started == primary.address
        assert flash.area(primary)[: new.size] == new.data
        return
    assert boot.started is None
    offsets = Offsets.of(board, primary.size)
    for flag in (offsets.image_ok, offsets.copy_done):  # as if it had been done: MCUboot does so
        before.put(primary.address + flag, b"\x01")
    assert flash.data[primary.address :] == before.data[primary.address :]
    assert not flash.boot().operations


@pytest.mark.parametrize("mode", [*SWAPPING, *COPYING])
def test_good_secondary_alone_does_not_help(mode: SwapMode) -> None:
    board = fast_board(mode)
    primary = board.areas[0][0]
    flash = Flash(board).primary(wrong_body(make_image(primary))).secondary(make_image(primary, "2.0.0"))
    boot = flash.boot()
    assert boot.started is None
    assert not boot.operations


def test_every_image_is_validated() -> None:
    board = fast_board(SCRATCH, 2)
    flash = Flash(board).primary(make_image(board.areas[0][0])).primary(make_image(board.areas[1][0]), 1)
    assert flash.copy().boot().started == board.areas[0][0].address
    flash.primary(wrong_body(make_image(board.areas[1][0])), 1)
    assert flash.boot().started is None
