from __future__ import annotations

import itertools

import pytest

from harness import BoardError
from harness.mcuboot import SwapMode, TrailerLayout, magic_alignment, magic_bytes

from ._build import SECTOR

S = 48 * SECTOR
ALIGNMENTS = [(1, 8), (2, 8), (4, 8), (8, 8), (16, 16), (32, 32)]


def layout(mode: SwapMode, write: int = 4, most: int = 8, sectors: int = 64, **other: int) -> TrailerLayout:
    return TrailerLayout(S, mode, write, most, sectors, **other)


@pytest.mark.parametrize("mode", list(SwapMode))
@pytest.mark.parametrize(
    ("most", "image_ok", "copy_done", "swap_info", "swap_size", "offset_swap_size"),
    [(8, 24, 32, 40, 48, 56), (16, 32, 48, 64, 80, 96), (32, 64, 96, 128, 160, 192)],
)
def test_fields_from_the_end_of_the_slot(
    mode: SwapMode,
    most: int,
    image_ok: int,
    copy_done: int,
    swap_info: int,
    swap_size: int,
    offset_swap_size: int,
) -> None:
    found = layout(mode, 8, most)
    assert S - found.magic == 16
    assert S - found.image_ok == image_ok
    assert S - found.copy_done == copy_done
    assert S - found.swap_info == swap_info
    if mode is SwapMode.OFFSET:
        assert found.tlv_sizes is not None
        assert S - found.tlv_sizes == swap_size
        assert S - found.swap_size == offset_swap_size == found.info_size
    else:
        assert found.tlv_sizes is None
        assert S - found.swap_size == swap_size == found.info_size


@pytest.mark.parametrize(
    ("write", "most", "size", "offset_size"),
    [
        (1, 8, 240, 184),
        (2, 8, 432, 312),
        (4, 8, 816, 568),
        (8, 8, 1584, 1080),
        (16, 16, 3152, 2144),
        (32, 32, 6304, 4288),
    ],
)
def test_trailer_sizes_with_64_sectors(write: int, most: int, size: int, offset_size: int) -> None:
    for mode in SwapMode:
        expected = {SwapMode.OFFSET: offset_size, SwapMode.SINGLE: {8: 48, 16: 80, 32: 160}[most]}.get(
            mode, size
        )
        assert layout(mode, write, most).size == expected
        assert layout(mode, write, most).status == S - expected


@pytest.mark.parametrize(("write", "most", "size"), [(4, 8, 60), (8, 8, 72), (16, 16, 128), (32, 32, 256)])
def test_scratch_trailer_sizes(write: int, most: int, size: int) -> None:
    found = layout(SwapMode.SCRATCH, write, most).for_scratch(4 * SECTOR)
    assert found.size == size
    assert found.status_entries == 3
    assert found.status == 4 * SECTOR - size
    assert found.magic == 4 * SECTOR - 16


def test_status_entries_are_one_write_unit_apart() -> None:
    found = layout(SwapMode.MOVE, 4, 32)
    assert [found.status_entry(index) for index in (0, 1, 191)] == [
        found.status,
        found.status + 4,
        found.status + 764,
    ]
    assert found.status_entry(191) + 4 == found.swap_size
    with pytest.raises(IndexError):
        found.status_entry(192)
    assert layout(SwapMode.OFFSET).status_entries == 128
    assert layout(SwapMode.SINGLE).status_entries == 0


def test_magics() -> None:
    assert magic_bytes(8).hex() == "77c295f360d2ef7f3552500f2cb67980"
    assert magic_bytes(16).hex() == "10002de15d29410b8d77679c110f1f8a"
    assert magic_bytes(32).hex() == "20002de15d29410b8d77679c110f1f8a"
    assert [magic_alignment(magic_bytes(align)) for align in (8, 16, 32)] == [8, 16, 32]
    assert magic_alignment(b"\xff" * 16) is None


@pytest.mark.parametrize(("size", "most", "room"), [(16, 8, 16), (32, 8, 32), (16, 32, 32), (113, 8, 120)])
def test_encryption_keys_lie_below_swap_size(size: int, most: int, room: int) -> None:
    plain, found = (
        layout(SwapMode.SCRATCH, 4, most),
        layout(SwapMode.SCRATCH, 4, most, encryption_key_size=size),
    )
    assert plain.keys is None
    assert found.keys == (found.swap_size - room, found.swap_size - 2 * room)
    assert found.size == plain.size + 2 * room


@pytest.mark.parametrize("mode", list(SwapMode))
@pytest.mark.parametrize(("write", "most"), ALIGNMENTS)
def test_fields_do_not_overlap(mode: SwapMode, write: int, most: int) -> None:
    found = layout(mode, write, most, encryption_key_size=16)
    pieces = [(offset, offset + size) for _, offset, size in found.fields()]
    pieces.append((found.status, found.status + found.status_entries * write))
    pieces.sort()
    assert pieces[0][0] == found.status
    assert pieces[-1][1] == S
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(pieces))


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"write_align": 3}, "write alignment"),
        ({"write_align": 64}, "write alignment"),
        ({"max_align": 4}, "maximum alignment"),
        ({"write_align": 16}, "larger than the maximum alignment"),
        ({"max_sectors": 0}, "number of sectors"),
        ({"erased_value": 0x55}, "erased value"),
        ({"encryption_key_size": -1}, "key size"),
        ({"slot_size": 815}, "not aligned"),
        ({"slot_size": 808}, "smaller than its trailer"),
    ],
)
def test_layouts_no_boot_loader_can_have(arguments: dict[str, int], what: str) -> None:
    good = {"slot_size": S, "mode": SwapMode.SCRATCH, "max_sectors": 64}
    with pytest.raises(BoardError, match=what):
        TrailerLayout(**(good | arguments))  # type: ignore[arg-type]
