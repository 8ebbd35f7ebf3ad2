"""What a flash operation leaves behind when power fails in it. Each way has a name.

``before``: it did not start. Writes: ``byte-N``, the first N bytes of the unit are programmed;
``bits-N``, some of its bits. Erases: ``first-half``, ``second-half``; ``words-N``, some of the words;
``bits-N``, some of the cells; ``weak-N``, all cells that were to change are undecided and read
differently each time. N tells random choices apart: they depend on N, the sweep's seed and on what is
written where, so that the same situation gives the same outcome.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from ..emulator import Operation, OperationKind
from ._contents import Contents, done

__all__ = ["BEFORE", "Cut", "Tears", "cut_contents"]

BEFORE: Final = "before"
_WORD: Final = 4
_ALL_OR_NOTHING: Final = bytes(255 * (byte & 1) for byte in range(256))


@dataclass(frozen=True, slots=True, order=True)
class Cut:
    """Power lost at an operation, by its number since the start of the recording or since power-on."""

    operation: int
    tear: str = BEFORE

    def __str__(self) -> str:
        return f"{self.operation}:{self.tear}"

    @classmethod
    def parse(cls, text: str) -> Cut:
        """Read ``str()`` back. Raises ValueError."""
        number, _, tear = text.partition(":")
        return cls(int(number), tear or BEFORE)


@dataclass(frozen=True, slots=True)
class Tears:
    """Which ways a sweep tries. ``random`` is how many random choices there are of each kind."""

    inside: bool = True
    random: int = 1
    weak: bool = False
    seed: int = 0

    def of(self, operation: Operation) -> list[str]:
        """Names for one operation, the plainest first."""
        if not self.inside:
            return [BEFORE]
        if operation.kind is OperationKind.WRITE:
            whole_bytes = [f"byte-{count}" for count in range(1, operation.size)]
            return [BEFORE, *whole_bytes, *(f"bits-{number}" for number in range(self.random))]
        chosen = [
            f"{kind}-{number}"
            for kind in ("words", "bits", *(("weak",) if self.weak else ()))
            for number in range(self.random)
        ]
        return [BEFORE, "first-half", "second-half", *chosen]


def cut_contents(before: Contents, operation: Operation, tear: str, seed: int) -> Contents:
    """Flash after power was lost in an operation that had not begun in ``before``.

    Raises ValueError for a name that is none.
    """
    kind, _, number = tear.partition("-")
    if tear == BEFORE:
        return before
    if kind == "weak":
        return before.weakened(operation.address, operation.size, seed * 1000 + int(number))
    old = before.read(operation.address, operation.size)
    if operation.kind is OperationKind.WRITE:
        left = _torn_write(old, done(operation, before), tear, operation, seed)
    else:
        left = _torn_erase(old, tear, operation, seed)
    return before if left == old else before.with_bytes(operation.address, left)


def _torn_write(old: bytes, new: bytes, tear: str, operation: Operation, seed: int) -> bytes:
    kind, _, number = tear.partition("-")
    if kind == "byte":
        count = int(number)
        return new[:count] + old[count:]
    if kind == "bits":
        mask = _noise(len(old), tear, operation, old, seed)
        return bytes(o & (n | ~m & 0xFF) for o, n, m in zip(old, new, mask, strict=True))
    raise ValueError(f"{tear!r} is no way to tear a write")


def _torn_erase(old: bytes, tear: str, operation: Operation, seed: int) -> bytes:
    half = len(old) // 2
    kind = tear.partition("-")[0]
    match kind:
        case "first":
            return b"\xff" * half + old[half:]
        case "second":
            return old[:half] + b"\xff" * (len(old) - half)
        case "words":
            chosen = _noise(len(old) // _WORD, tear, operation, b"", seed).translate(_ALL_OR_NOTHING)
            mask = bytearray(len(old))
            for byte in range(_WORD):
                mask[byte::_WORD] = chosen
            return _or(old, mask)
        case "bits":
            return _or(old, _noise(len(old), tear, operation, b"", seed))
    raise ValueError(f"{tear!r} is no way to tear an erase")


def _or(one: bytes, other: bytes | bytearray) -> bytes:
    either = int.from_bytes(one, "little") | int.from_bytes(other, "little")
    return either.to_bytes(len(one), "little")


def _noise(size: int, tear: str, operation: Operation, old: bytes, seed: int) -> bytes:
    """Random bytes that depend on the situation only."""
    text = f"{seed} {tear} {operation.kind} {operation.address} {operation.value} {old.hex()}"
    return hashlib.shake_128(text.encode()).digest(size)
