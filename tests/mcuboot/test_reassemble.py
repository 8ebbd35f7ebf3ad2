"""Swaps played through step by step, stopped everywhere, put together again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.mcuboot import SwapMode, SwapStatus, reassemble

SECTOR = 16
N = 8
OLD = bytes(range(5 * SECTOR))
NEW = bytes(255 - index for index in range(5 * SECTOR))
JUNK = b"#" * SECTOR

State = tuple[bytes, bytes, bytes, list[int]]


class Areas:
    """Three areas of whole sectors and the status entries written so far."""

    def __init__(self, primary: bytes, secondary: bytes, scratch: int = 0) -> None:
        self.primary = self._sectors(primary, N)
        self.secondary = self._sectors(secondary, N)
        self.scratch = [JUNK] * scratch
        self.entries: list[int] = []

    @staticmethod
    def _sectors(data: bytes, count: int) -> list[bytes]:
        padded = data.ljust(count * SECTOR, b"\xff")
        return [padded[at : at + SECTOR] for at in range(0, count * SECTOR, SECTOR)]

    def state(self) -> State:
        return b"".join(self.primary), b"".join(self.secondary), b"".join(self.scratch), list(self.entries)

    def copy(
        self, source: list[bytes], start: int, target: list[bytes], to: int, count: int = 1
    ) -> Iterator[State]:
        """Copy sectors; between destroying the target and having copied, it holds junk."""
        for index in range(count):
            target[to + index] = JUNK
            yield self.state()
            target[to + index] = source[start + index]
            yield self.state()


def swap_scratch(areas: Areas, sectors: int) -> Iterator[State]:
    chunk, last, entry = len(areas.scratch), sectors, 0
    while last > 0:
        first = max(0, last - chunk)
        count = last - first
        for source, start, target, to in (
            (areas.secondary, first, areas.scratch, 0),
            (areas.primary, first, areas.secondary, first),
            (areas.scratch, 0, areas.primary, first),
        ):
            yield from areas.copy(source, start, target, to, count)
            areas.entries.append(entry)
            entry += 1
            yield areas.state()
        last = first


def swap_move(areas: Areas, sectors: int) -> Iterator[State]:
    for index in range(sectors):
        at = sectors - 1 - index
        yield from areas.copy(areas.primary, at, areas.primary, at + 1)
        areas.entries.append(index)
        yield areas.state()
    for index in range(sectors):
        yield from areas.copy(areas.secondary, index, areas.primary, index)
        areas.entries.append(N + 2 * index)
        yield from areas.copy(areas.primary, index + 1, areas.secondary, index)
        areas.entries.append(N + 2 * index + 1)
        yield areas.state()


def swap_offset(areas: Areas, sectors: int, *, revert: bool) -> Iterator[State]:
    for step in range(sectors):
        at = sectors - 1 - step if revert else step
        up, down = (at + 1, at) if revert else (at, at + 1)
        yield from areas.copy(areas.primary, at, areas.secondary, up)
        areas.entries.append(2 * step)
        yield from areas.copy(areas.secondary, down, areas.primary, at)
        areas.entries.append(2 * step + 1)
        yield areas.state()


def check(mode: SwapMode, states: Iterator[State], *, revert: bool = False, size: int = len(OLD)) -> int:
    count = 0
    for primary, secondary, scratch, entries in states:
        values = bytearray(b"\xff" * (N * mode.entries_per_sector))
        for entry in entries:
            values[entry] = 1
        status = SwapStatus(mode, bytes(values), max_sectors=N)
        parts = reassemble(
            status,
            size,
            primary=primary,
            secondary=secondary,
            scratch=scratch,
            sector_size=SECTOR,
            revert=revert,
        )
        assert parts is not None
        assert parts.incoming == NEW[:size]
        assert parts.outgoing == OLD[:size]
        count += 1
    return count


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 5, 7])
def test_scratch(chunk: int) -> None:
    assert check(SwapMode.SCRATCH, swap_scratch(Areas(OLD, NEW, chunk), 5)) >= 30


def test_move() -> None:
    assert check(SwapMode.MOVE, swap_move(Areas(OLD, NEW), 5)) == 40


def test_offset_upgrade() -> None:
    assert check(SwapMode.OFFSET, swap_offset(Areas(OLD, JUNK + NEW), 5, revert=False)) == 25


def test_offset_revert() -> None:
    assert check(SwapMode.OFFSET, swap_offset(Areas(OLD, NEW), 5, revert=True), revert=True) == 25


def test_last_sector_partly_used() -> None:
    size = len(OLD) - 5
    assert check(SwapMode.SCRATCH, swap_scratch(Areas(OLD, NEW, 2), 5), size=size)
    assert check(SwapMode.MOVE, swap_move(Areas(OLD, NEW), 5), size=size)


@given(
    st.sampled_from(SwapMode),
    st.binary(max_size=40),
    st.integers(-10, 1 << 33),
    st.tuples(*[st.integers(0, 200)] * 3),
    st.integers(1, 64),
    st.booleans(),
)
def test_whatever_is_given_there_are_parts_or_none(
    mode: SwapMode, values: bytes, size: int, lengths: tuple[int, ...], sector: int, revert: bool
) -> None:
    primary, secondary, scratch = (bytes(length) for length in lengths)
    parts = reassemble(
        SwapStatus(mode, values, max_sectors=N),
        size,
        primary=primary,
        secondary=secondary,
        scratch=scratch,
        sector_size=sector,
        revert=revert,
    )
    assert parts is None or len(parts.incoming) == len(parts.outgoing) == size
