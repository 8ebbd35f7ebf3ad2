"""Flash contents as values, against plain bytes."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.emulator import Master, Operation, OperationKind
from harness.sweep._contents import Contents, Origin

SIZE = 4 * 4096
BASE = 0x1000


def write(address: int, value: int, size: int = 4) -> Operation:
    return Operation(OperationKind.WRITE, address, size, value, 0, 0, 0, Master.CPU)


def erase(address: int, size: int) -> Operation:
    return Operation(OperationKind.ERASE_PAGE, address, size, 0, 0, 0, 0, Master.CPU)


@cache
def origin() -> Origin:
    return Origin([(BASE, SIZE), (0x100000, 256)], {BASE + 100: bytes(range(256)) * 20, 0x100000: b"abcd"})


def model() -> bytearray:
    data = bytearray(b"\xff" * SIZE)
    data[100 : 100 + 256 * 20] = bytes(range(256)) * 20
    return data


def carry_out(data: bytearray, operation: Operation) -> None:
    at = operation.address - BASE
    if operation.kind is OperationKind.WRITE:
        old = int.from_bytes(data[at : at + operation.size], "little")
        data[at : at + operation.size] = (old & operation.value).to_bytes(operation.size, "little")
    else:
        data[at : at + operation.size] = b"\xff" * operation.size


writes = st.builds(
    lambda unit, at, value: write(BASE + at // unit * unit, value & (1 << 8 * unit) - 1, unit),
    st.sampled_from([4, 8]),
    st.integers(0, SIZE - 8),
    st.integers(0, (1 << 64) - 1),
)
erases = st.builds(
    lambda size, at: erase(BASE + at // size * size, size),
    st.sampled_from([1024, 2048, 4096, 8192]),
    st.integers(0, SIZE - 1),
)
operations = st.lists(st.one_of(writes, writes, erases), max_size=12)


@given(operations)
def test_operations_do_what_flash_does(todo: list[Operation]) -> None:
    data, contents = model(), Contents(origin())
    for operation in todo:
        carry_out(data, operation)
        contents = contents.after(operation)
    assert contents.read(BASE, SIZE) == data
    assert Contents(origin()).after_all(todo).key == contents.key
    assert contents.compact().key == contents.key
    assert contents.compact().read(BASE, SIZE) == data


@given(operations, operations)
def test_equal_key_means_equal_content(one: list[Operation], other: list[Operation]) -> None:
    first, second = Contents(origin()).after_all(one), Contents(origin()).after_all(other)
    assert (first.key == second.key) == (first.read(BASE, SIZE) == second.read(BASE, SIZE))
    differing = {start for start, _, _ in first.differing(second)}
    assert (first.key == second.key) == (not differing)


@given(st.integers(0, SIZE - 1), st.binary(min_size=1, max_size=6000))
def test_with_bytes_and_holds(at: int, data: bytes) -> None:
    data = data[: SIZE - at]
    contents = Contents(origin()).with_bytes(BASE + at, data)
    assert contents.read(BASE + at, len(data)) == data
    assert contents.holds(BASE + at, data)
    spoiled = bytes([data[0] ^ 1]) + data[1:]
    assert not contents.holds(BASE + at, spoiled)


def test_going_back_gives_the_first_key() -> None:
    start = Contents(origin())
    there = start.with_bytes(BASE + 4090, b"across the edge")
    back = there.with_bytes(BASE + 4090, start.read(BASE + 4090, 15))
    assert there.key != start.key == back.key
    assert back.compact().changed == {}


def test_short_arrays_and_what_is_not_there() -> None:
    contents = Contents(origin())
    assert contents.read(0x100000, 6) == b"abcd\xff\xff"
    with pytest.raises(ValueError, match="no flash"):
        contents.read(0x100000, 257)
    with pytest.raises(ValueError, match="no flash"):
        Origin([(0, 4096)], {4090: b"too long for it"})
