"""What power-ons did step by step, and for which other flash contents they would do exactly the same.

A CPU that starts with empty RAM sees of the flash only what it loads and what it runs. So if two contents
agree in all words that were loaded and all pages that were run up to some moment, the machine is in the
same state at that moment for both, and has made the same flash operations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..emulator import Machine, Operation, OperationKind
from ._contents import KEYS, Contents, digest_of
from ._power import Power

__all__ = ["Path", "Paths", "Step"]

_WORD: Final = 4
_LOADED: Final = re.compile(b"\x01+")

#: parts of a piece, as (start, end) in it
Spans = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a power-on, from one look at the machine to the next.

    ``counted`` is where in the flash before the power-on there was something that it depended on, by
    piece. ``operations`` were made. ``key`` is that of the flash at the end, ``fingerprint`` and
    ``clocks`` describe the machine then.
    """

    counted: Mapping[int, Spans]
    operations: tuple[Operation, ...]
    erased: frozenset[int]
    """Pieces that hold nothing now, whatever they held before."""
    written: Mapping[int, Sequence[Operation]]
    """Operations that changed parts of other pieces."""
    key: int
    fingerprint: bytes
    clocks: tuple[int, ...]


class Path:
    """The steps of one power-on from ``contents``. If they lead to its end, ``power`` is what came of it."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.steps: list[Step] = []
        self.power: Power | None = None
        self._made: dict[int, bytearray] = {}  # words that the power-on has erased: 1, by piece

    def add(
        self, machine: Machine, operations: tuple[Operation, ...], now: Contents, fingerprint: bytes
    ) -> None:
        """The machine has come to the end of a step, in which it made these operations."""
        assert machine.reads is not None
        counted = dict(self._counted(machine, operations))
        erased: set[int] = set()
        written: dict[int, list[Operation]] = {}
        for operation in operations:
            for start, first, last in self._words(operation):
                if operation.kind is OperationKind.WRITE:
                    erased.discard(start)
                    written.setdefault(start, []).append(operation)
                    continue
                words = self._made.setdefault(start, bytearray(self._size(start) // _WORD))
                words[first:last] = b"\x01" * (last - first)
                if last - first == len(words):
                    erased.add(start)
                else:
                    written.setdefault(start, []).append(operation)
        self.steps.append(
            Step(counted, operations, frozenset(erased), written, now.key, fingerprint, machine.clocks)
        )
        machine.reads.clear()

    def _size(self, start: int) -> int:
        return self.contents.origin.piece_at(start)[1]

    def _words(self, operation: Operation) -> Iterator[tuple[int, int, int]]:
        """What an operation touches: pieces, and the first and last word in them."""
        at, end = operation.address, operation.address + operation.size
        while at < end:
            start, size = self.contents.origin.piece_at(at)
            stop = min(end, start + size)
            yield start, (at - start) // _WORD, (stop - start) // _WORD
            at = stop

    def _counted(self, machine: Machine, operations: Sequence[Operation]) -> Iterator[tuple[int, Spans]]:
        """Words loaded since the last step and pages ever run, but for what the power-on has made itself."""
        origin = self.contents.origin
        for array in machine.bus.arrays:
            run = {
                origin.piece_at(array.base + page * array.page_size + at)[0]
                for page, state in enumerate(bytes(array.executed))
                if state
                for at in range(0, array.page_size, 1024)
            }
            yield from ((start, [(0, self._size(start))]) for start in run)
            loaded = bytearray(machine.reads.words(array.base, array.size)) if machine.reads else bytearray()
            for operation in operations if array.write_once else ():
                if operation.kind is OperationKind.WRITE and operation.address in array:
                    first = (operation.address - array.base) // _WORD  # what was there could refuse the write
                    loaded[first : first + operation.size // _WORD] = b"\x01" * (operation.size // _WORD)
            at = loaded.find(1)
            while at >= 0:
                start, size = origin.piece_at(array.base + _WORD * at)
                first = (start - array.base) // _WORD
                last = first + size // _WORD
                if start not in run:
                    spans = self._spans(start, loaded[first:last])
                    if spans:
                        yield start, spans
                at = loaded.find(1, last)

    def _spans(self, start: int, loaded: bytearray) -> Spans:
        made = self._made.get(start)
        if made is not None:
            loaded = bytearray(new & ~old for new, old in zip(loaded, made, strict=True))
        return [(_WORD * found.start(), _WORD * found.end()) for found in _LOADED.finditer(loaded)]

    def along(self, contents: Contents) -> Iterator[tuple[Step, int]]:
        """The steps that other contents lead along, each with the key of these contents after it."""
        ours, theirs = self.contents, contents
        differing = [
            start
            for start in ours.changed.keys() | theirs.changed.keys()
            if ours.changed.get(start) is not theirs.changed.get(start)
        ]
        here = {start: (ours.digest(start), theirs.digest(start)) for start in differing}
        now: dict[int, tuple[bytes, bytes]] = {}  # pieces that were written to, as they are now
        for step in self.steps:
            for start in differing:
                spans = step.counted.get(start)
                if spans is None:
                    continue
                mine, other = ours.piece(start), theirs.piece(start)
                if any(mine[first:last] != other[first:last] for first, last in spans):
                    return
            for start in list(here):
                if start in step.erased:
                    del here[start]
                elif start in step.written:
                    pieces = now.get(start) or (ours.piece(start), theirs.piece(start))
                    mine, other = (_written(start, piece, step.written[start]) for piece in pieces)
                    now[start] = mine, other
                    here[start] = digest_of(start, mine), digest_of(start, other)
            yield step, (step.key + sum(other - mine for mine, other in here.values())) % KEYS


def _written(start: int, piece: bytes, operations: Sequence[Operation]) -> bytes:
    """A piece after operations that touch it."""
    held = bytearray(piece)
    for operation in operations:
        first, last = operation.address - start, operation.address + operation.size - start
        if operation.kind is OperationKind.WRITE:
            old = int.from_bytes(held[first:last], "little")
            held[first:last] = (old & operation.value).to_bytes(last - first, "little")
        else:
            first, last = max(first, 0), min(last, len(held))
            held[first:last] = b"\xff" * (last - first)
    return bytes(held)


class Paths:
    """Paths that were taken, the one of use latest first."""

    def __init__(self, room: int = 64) -> None:
        self._room = room
        self._paths: list[Path] = []

    def __iter__(self) -> Iterator[Path]:
        return iter(list(self._paths))

    def add(self, path: Path) -> None:
        """Remember a path; the one that was of use longest ago is forgotten."""
        self._paths.insert(0, path)
        del self._paths[self._room :]

    def used(self, path: Path) -> None:
        """This path was of use."""
        if self._paths[0] is not path:
            self._paths.remove(path)
            self._paths.insert(0, path)
