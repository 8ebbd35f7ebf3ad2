"""What is left of an operation: against the rules of flash, and against the emulator's own power cuts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.emulator import Machine, Operation, OperationKind, StopCause, Tear
from harness.sweep._chip import Chip
from harness.sweep._contents import Contents, Origin
from harness.sweep._tears import BEFORE, Cut, Tears, cut_contents

from .boards import recorded
from .test_contents import erase, write

WHOLE = 0xFFFFFFFF


def after(operation: Operation, tear: str, content: bytes = b"", seed: int = 0) -> bytes:
    origin = Origin([(0, 8192)], {operation.address: content} if content else {})
    return cut_contents(Contents(origin), operation, tear, seed).read(operation.address, operation.size)


def test_writes_by_bytes() -> None:
    operation = write(16, 0x11223344)
    assert [after(operation, f"byte-{n}").hex() for n in (1, 2, 3)] == ["44ffffff", "4433ffff", "443322ff"]
    assert after(operation, BEFORE) == b"\xff" * 4


def test_names_by_kind_and_size() -> None:
    assert Tears().of(write(0, 0)) == ["before", "byte-1", "byte-2", "byte-3", "bits-0"]
    assert Tears(random=2).of(write(0, 0, 8))[-3:] == ["byte-7", "bits-0", "bits-1"]
    assert Tears().of(erase(0, 4096)) == ["before", "first-half", "second-half", "words-0", "bits-0"]
    assert "weak-0" in Tears(weak=True).of(erase(0, 4096))
    assert Tears(inside=False).of(write(0, 0)) == ["before"]


@given(st.integers(0, WHOLE), st.binary(min_size=4, max_size=4), st.integers(0, 3), st.integers(0, 5))
def test_torn_write_only_clears_bits_that_were_to_be_cleared(
    value: int, old: bytes, number: int, seed: int
) -> None:
    left = int.from_bytes(after(write(0, value), f"bits-{number}", old, seed), "little")
    before = int.from_bytes(old, "little")
    assert left & ~before == 0, "a bit was set"
    assert before & ~left & value == 0, "a bit was cleared that was not asked for"


@given(st.sampled_from(["first-half", "second-half", "words-0", "bits-1"]), st.binary(max_size=1024))
def test_torn_erase_only_sets_bits(tear: str, content: bytes) -> None:
    old = content.ljust(1024, b"\x5a")
    left = after(erase(0, 1024), tear, old)
    assert all(new & byte == byte for new, byte in zip(left, old, strict=True))


def test_halves_and_words() -> None:
    old = bytes(1024)
    assert after(erase(0, 1024), "first-half", old) == b"\xff" * 512 + bytes(512)
    assert after(erase(0, 1024), "second-half", old) == bytes(512) + b"\xff" * 512
    words = after(erase(0, 1024), "words-0", old)
    found = {words[at : at + 4] for at in range(0, 1024, 4)}
    assert found == {bytes(4), b"\xff" * 4}


def test_choices_depend_on_the_seed_and_the_situation_only() -> None:
    old = bytes(1024)
    assert after(erase(0, 1024), "words-0", old) == after(erase(0, 1024), "words-0", old)
    assert after(erase(0, 1024), "words-0", old) != after(erase(0, 1024), "words-0", old, seed=1)
    assert after(erase(0, 1024), "words-0", old) != after(erase(0, 1024), "words-1", old)


def test_a_name_that_is_none() -> None:
    with pytest.raises(ValueError, match="no way to tear"):
        after(write(0, 0), "first-half")
    with pytest.raises(ValueError, match="no way to tear"):
        after(erase(0, 1024), "sideways")


@given(st.builds(Cut, st.integers(0, 1 << 30), st.sampled_from(["before", "byte-2", "words-11"])))
def test_cuts_as_text(cut: Cut) -> None:
    assert Cut.parse(str(cut)) == cut


class _Left(Tear):
    """Has the emulator leave what a named tear leaves."""

    def __init__(self, before: Contents, operation: Operation, tear: str) -> None:
        self._left = cut_contents(before, operation, tear, 0).read(operation.address, operation.size)

    def word(self, previous: int, value: int) -> int:
        return int.from_bytes(self._left, "little")

    def erase(self, previous: bytes) -> bytes:
        return self._left


@pytest.mark.parametrize("mode", ["scratch", "move"])
def test_the_emulator_cut_live_leaves_the_same(mode: str) -> None:
    """Flash after a cut is worked out from the journal; the chip itself must agree."""
    recording = recorded(mode, "test")
    operations = recording.operations
    erases = [n for n, operation in enumerate(operations) if operation.kind is not OperationKind.WRITE]
    machine = Machine(recording.soc)
    chip = Chip(recording, merging=False)
    chip.machine = machine
    for number in (0, 1, erases[1], erases[-1], len(operations) // 2, len(operations) - 1):
        before = recording.start.after_all(operations[:number])
        for tear in Tears().of(operations[number]):
            chip._touched = set(recording.origin.pieces) | {start for start, _ in _pieces(recording.origin)}
            chip.load(recording.start)
            machine.cut_power_at(machine.operations + number, _Left(before, operations[number], tear))
            machine.power_on()
            assert machine.run().cause is StopCause.POWER_CUT
            wanted = cut_contents(before, operations[number], tear, 0)
            for start, size in _pieces(recording.origin):
                assert machine.bus.read_block(start, size) == wanted.piece(start), (number, tear, hex(start))


def _pieces(origin: Origin) -> list[tuple[int, int]]:
    return [
        origin.piece_at(address) for base, size in origin.arrays for address in range(base, base + size, 4096)
    ]
