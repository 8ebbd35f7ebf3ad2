from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.mcuboot import SwapMode, SwapStatus, SwapStep

from ._build import SECTOR

N = 64
SWAP = 12 * SECTOR
SCRATCH = 4 * SECTOR


def status(mode: SwapMode, *entries: int) -> SwapStatus:
    values = bytearray(b"\xff" * (N * mode.entries_per_sector))
    for entry in entries:
        values[entry] = 1
    return SwapStatus(mode, bytes(values), max_sectors=N)


def test_scratch_twelve_sectors_in_three_chunks() -> None:
    assert status(SwapMode.SCRATCH).units(SWAP, SECTOR, SCRATCH) == 3
    seen = [status(SwapMode.SCRATCH, *range(count)).next_step for count in range(10)]
    assert seen == [SwapStep("swap", chunk, step) for chunk in range(3) for step in range(3)] + [
        SwapStep("swap", 3, 0)
    ]


def test_move_shifts_from_entry_0_and_swaps_from_entry_n() -> None:
    assert status(SwapMode.MOVE).units(SWAP, SECTOR) == 12
    assert status(SwapMode.MOVE, *range(5)).next_step == SwapStep("move", 5, 0)
    everything = [*range(12), *range(N, N + 24)]
    assert status(SwapMode.MOVE, *everything[:13]).next_step == SwapStep("swap", 0, 1)
    assert status(SwapMode.MOVE, *everything).next_step == SwapStep("swap", 12, 0)
    assert status(SwapMode.MOVE, *everything).consistent


def test_offset_has_pairs_from_entry_0() -> None:
    assert status(SwapMode.OFFSET, *range(5)).next_step == SwapStep("swap", 2, 1)
    assert status(SwapMode.OFFSET, *range(24)).next_step == SwapStep("swap", 12, 0)


@pytest.mark.parametrize(
    ("mode", "entries", "text"),
    [
        (SwapMode.SCRATCH, range(0), "no entry written"),
        (
            SwapMode.SCRATCH,
            range(4),
            "4 of 192 entries: chunk 2 of 3, step 2 of 3 next (primary to secondary)",
        ),
        (SwapMode.SCRATCH, range(9), "9 of 192 entries: all 3 chunks swapped"),
        (SwapMode.MOVE, range(5), "5 of 192 entries: shifting the primary up, sector 6 of 12"),
        (SwapMode.MOVE, range(12), "12 of 192 entries: primary shifted up, no sector swapped yet"),
        (
            SwapMode.MOVE,
            [*range(12), *range(N, N + 3)],
            "15 of 192 entries: sector 2 of 12, step 2 of 2 next (moved-up primary to secondary)",
        ),
        (
            SwapMode.OFFSET,
            range(1),
            "1 of 128 entries: sector 1 of 12, step 2 of 2 next (secondary to primary)",
        ),
        (
            SwapMode.OFFSET,
            [0, 2],
            "2 of 128 entries: sector 2 of 12, step 2 of 2 next (secondary to primary)"
            "; entries are inconsistent",
        ),
        (SwapMode.OVERWRITE_ONLY, range(3), "unused in this mode"),
    ],
)
def test_progress_in_words(mode: SwapMode, entries: range, text: str) -> None:
    assert status(mode, *entries).describe(SWAP, SECTOR, SCRATCH) == text


def test_without_a_usable_swap_size_only_entries_are_counted() -> None:
    for size in (None, 0, 1 << 31):
        assert status(SwapMode.SCRATCH, 0).describe(size, SECTOR, SCRATCH) == "1 of 192 entries"


def test_where_the_boot_loader_goes_on_with_gaps() -> None:
    assert (
        status(SwapMode.SCRATCH, 0, 1, 5).position == 2
    )  # the first erased one behind the first written one
    assert status(SwapMode.SCRATCH, 4, 5).position == 6
    assert status(SwapMode.MOVE, 0, 7).position == 8  # behind the last written one
    assert status(SwapMode.OFFSET, 0, 7).position == 8


@pytest.mark.parametrize(
    ("mode", "entries", "consistent"),
    [
        (SwapMode.SCRATCH, [0, 1], True),
        (SwapMode.SCRATCH, [0, 2], False),
        (SwapMode.SCRATCH, [3], False),
        (SwapMode.MOVE, [0, 1, N], True),
        (SwapMode.MOVE, [N], False),
        (SwapMode.MOVE, [0, N + 1], False),
        (SwapMode.OFFSET, [1], False),
    ],
)
def test_consistency(mode: SwapMode, entries: list[int], consistent: bool) -> None:
    assert status(mode, *entries).consistent is consistent


@given(
    st.sampled_from(SwapMode),
    st.binary(max_size=200),
    st.integers(1, 70),
    st.none() | st.integers(0, 1 << 32),
)
def test_any_entries_are_described(mode: SwapMode, values: bytes, sectors: int, size: int | None) -> None:
    found = SwapStatus(mode, values, max_sectors=sectors)
    assert found.describe(size, SECTOR, SCRATCH)
    assert found.describe(size, SECTOR)
    assert 0 <= found.position <= len(values)
