"""Flash contents as values: cheap to change, to compare and to keep by the thousand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ..emulator import Operation, OperationKind
from ..mcuboot import FlashView

__all__ = ["KEYS", "Contents", "Origin", "digest_of", "done"]

_PIECE: Final = 4096
KEYS: Final = 1 << 128


class Origin:
    """All flash of a chip at some moment, in pieces of at most 4 KiB.

    ``arrays`` are (base, size) of the flash arrays, in bytes; ``content`` is by address, and
    everything it does not name is erased. Raises ValueError for content outside of the arrays.
    """

    def __init__(self, arrays: Iterable[tuple[int, int]], content: Mapping[int, bytes]) -> None:
        self.arrays = tuple(arrays)
        self._pieces: dict[int, bytearray] = {}
        self._places: dict[int, tuple[int, int]] = {}
        self.content = dict(content)
        for address, data in content.items():
            self._put(address, data)
        self.pieces = {start: bytes(piece) for start, piece in self._pieces.items()}
        self._digests: dict[int, int] = {}
        self._erased: dict[int, tuple[bytes, int]] = {}
        self._shared: dict[bytes, bytes] = {}

    def _put(self, address: int, data: bytes) -> None:
        at = 0
        while at < len(data):
            start, size = self.piece_at(address + at)
            piece = self._pieces.setdefault(start, bytearray(b"\xff" * size))
            inside = address + at - start
            part = data[at : at + size - inside]
            piece[inside : inside + len(part)] = part
            at += len(part)

    def piece_at(self, address: int) -> tuple[int, int]:
        """Start and size of the piece that an address lies in."""
        found = self._places.get(address >> 10)
        if found is None or not found[0] <= address < found[0] + found[1]:
            found = self._places[address >> 10] = self._find(address)
        return found

    def _find(self, address: int) -> tuple[int, int]:
        for base, size in self.arrays:
            if base <= address < base + size:
                start = address - (address - base) % _PIECE
                return start, min(_PIECE, base + size - start)
        raise ValueError(f"no flash at {address:#x}")

    def piece(self, start: int) -> bytes:
        """The content of a piece."""
        found = self.pieces.get(start)
        return b"\xff" * self.piece_at(start)[1] if found is None else found

    def digest(self, start: int) -> int:
        """`digest_of` the piece as it is here."""
        found = self._digests.get(start)
        if found is None:
            found = self._digests[start] = digest_of(start, self.piece(start))
        return found

    def erased(self, start: int) -> tuple[bytes, int]:
        """A piece without content, and its digest."""
        found = self._erased.get(start)
        if found is None:
            piece = b"\xff" * self.piece_at(start)[1]
            found = self._erased[start] = piece, digest_of(start, piece)
        return found

    def shared(self, piece: bytes) -> bytes:
        """The one copy that is kept of equal pieces."""
        return self._shared.setdefault(piece, piece)


def digest_of(start: int, piece: bytes) -> int:
    """A number for one piece of content; those of all pieces add up to the key of the whole."""
    return int.from_bytes(hashlib.sha256(start.to_bytes(4, "little") + piece).digest()[:16], "little")


def _weakness(area: tuple[int, int, int]) -> int:
    return digest_of(area[0], f"weak {area}".encode())


class Contents:
    """Flash content as a value. Equal ``key`` means equal content, for the same `Origin`.

    ``weak`` are areas (address, size, number) whose programmed cells an interrupted erase has left
    undecided; they count as programmed here. Other numbers make them decide in another way.
    """

    __slots__ = ("changed", "key", "origin", "weak")

    def __init__(
        self,
        origin: Origin,
        changed: Mapping[int, tuple[bytes, int]] | None = None,
        key: int = 0,
        weak: tuple[tuple[int, int, int], ...] = (),
    ) -> None:
        self.origin = origin
        self.changed = changed or {}
        self.key = key
        self.weak = weak

    def piece(self, start: int) -> bytes:
        """The content of the piece that begins there."""
        found = self.changed.get(start)
        return self.origin.piece(start) if found is None else found[0]

    def digest(self, start: int) -> int:
        """`digest_of` the piece that begins there."""
        found = self.changed.get(start)
        return self.origin.digest(start) if found is None else found[1]

    def with_pieces(self, pieces: Mapping[int, bytes]) -> Contents:
        """A copy with other pieces, by where they begin."""
        changed, key = dict(self.changed), self.key
        for start, piece in pieces.items():
            before = changed.get(start)
            digest = digest_of(start, piece)
            key += digest - (self.origin.digest(start) if before is None else before[1])
            changed[start] = piece, digest
        return Contents(self.origin, changed, key % KEYS, self.weak)

    def with_bytes(self, address: int, data: bytes) -> Contents:
        """A copy in which ``data`` lies at ``address``."""
        start, size = self.origin.piece_at(address)
        if address + len(data) <= start + size:
            piece, at = self.piece(start), address - start
            return self.with_pieces({start: piece[:at] + data + piece[at + len(data) :]})
        pieces = {}
        for first, part in self._split(address, len(data)):
            piece, at = self.piece(first), part.start - first
            new = data[part.start - address : part.stop - address]
            pieces[first] = piece[:at] + new + piece[at + len(new) :]
        return self.with_pieces(pieces)

    def _split(self, address: int, size: int) -> Iterator[tuple[int, range]]:
        """Pieces that an area touches, with the addresses of it that lie in them."""
        end = address + size
        while address < end:
            start, length = self.origin.piece_at(address)
            part = range(address, min(end, start + length))
            yield start, part
            address = part.stop

    def read(self, address: int, size: int) -> bytes:
        """Bytes from an address on. Raises ValueError where no flash is."""
        return b"".join(
            self.piece(start)[part.start - start : part.stop - start]
            for start, part in self._split(address, size)
        )

    def holds(self, address: int, data: bytes) -> bool:
        """Whether exactly ``data`` lies at ``address``."""
        return all(
            self.piece(start)[part.start - start : part.stop - start]
            == data[part.start - address : part.stop - address]
            for start, part in self._split(address, len(data))
        )

    def after(self, operation: Operation) -> Contents:
        """The content once an operation was carried out."""
        if operation.kind is OperationKind.WRITE:
            return self.with_bytes(operation.address, done(operation, self))
        return self.with_erased(operation.address, operation.size).decided(operation)

    def weakened(self, address: int, size: int, number: int) -> Contents:
        """A copy in which the programmed cells of an area are undecided."""
        area = address, size, number
        return Contents(self.origin, self.changed, (self.key + _weakness(area)) % KEYS, (*self.weak, area))

    def decided(self, operation: Operation) -> Contents:
        """A copy without the undecided cells that an erase covers."""
        end = operation.address + operation.size
        gone = [area for area in self.weak if operation.address <= area[0] and area[0] + area[1] <= end]
        if not gone or operation.kind is OperationKind.WRITE:
            return self
        kept = tuple(area for area in self.weak if area not in gone)
        return Contents(self.origin, self.changed, (self.key - sum(map(_weakness, gone))) % KEYS, kept)

    def with_erased(self, address: int, size: int) -> Contents:
        """A copy in which an area is erased."""
        changed, key, origin = dict(self.changed), self.key, self.origin
        end = address + size
        while address < end:
            start, length = origin.piece_at(address)
            if address != start or end < start + length:
                rest = Contents(origin, changed, key % KEYS, self.weak)
                return rest.with_bytes(address, b"\xff" * (end - address))
            before, now = changed.get(start), origin.erased(start)
            key += now[1] - (origin.digest(start) if before is None else before[1])
            changed[start] = now
            address = start + length
        return Contents(origin, changed, key % KEYS, self.weak)

    def after_all(self, operations: Iterable[Operation]) -> Contents:
        """The content once many operations were carried out, one after the other."""
        pieces: dict[int, bytearray] = {}
        done = list(operations) if self.weak else operations
        for operation in done:
            for start, part in self._split(operation.address, operation.size):
                piece = pieces.get(start)
                if piece is None:
                    piece = pieces[start] = bytearray(self.piece(start))
                first, last = part.start - start, part.stop - start
                if operation.kind is OperationKind.WRITE:
                    old = int.from_bytes(piece[first:last], "little")
                    shift = 8 * (part.start - operation.address)
                    left = old & operation.value >> shift
                    piece[first:last] = left.to_bytes(last - first, "little")
                else:
                    piece[first:last] = b"\xff" * (last - first)
        after = self.with_pieces({start: bytes(piece) for start, piece in pieces.items()})
        for operation in done if self.weak else ():
            after = after.decided(operation)
        return after

    def view(self, areas: Iterable[tuple[int, int]]) -> FlashView:
        """Areas (address, size) for `harness.mcuboot`."""
        return FlashView.build((address, self.read(address, size)) for address, size in areas)

    def differing(self, other: Contents) -> Iterator[tuple[int, bytes, bytes]]:
        """Where pieces differ from ``other``'s: start, ours, theirs."""
        for start in sorted(self.changed.keys() | other.changed.keys()):
            ours, theirs = self.piece(start), other.piece(start)
            if ours != theirs:
                yield start, ours, theirs

    def compact(self) -> Contents:
        """The same, sharing memory with equal pieces of other contents and without what did not change."""
        share = self.origin.shared
        changed = {
            start: (share(piece), digest)
            for start, (piece, digest) in self.changed.items()
            if digest != self.origin.digest(start)
        }
        return Contents(self.origin, changed, self.key, self.weak)


def done(operation: Operation, before: Contents) -> bytes:
    """What the area of an operation holds after it."""
    if operation.kind is not OperationKind.WRITE:
        return b"\xff" * operation.size
    old = int.from_bytes(before.read(operation.address, operation.size), "little")
    return (old & operation.value).to_bytes(operation.size, "little")
