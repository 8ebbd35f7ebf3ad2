"""What is left of a flash operation during which power fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Tear", "TearWord"]


class Tear(Protocol):
    """What is left of a flash operation during which power fails."""

    def word(self, previous: int, value: int) -> int:
        """A word in the array; ``value`` is what should have been programmed. Called for each of a unit."""

    def erase(self, previous: bytes) -> bytes:
        """The content of the area that should have been erased."""


@dataclass(frozen=True, slots=True)
class TearWord:
    """The operation did not start (``programmed`` 0) or reached only these bits of a word."""

    programmed: int = 0

    def word(self, previous: int, value: int) -> int:
        """Bits outside ``programmed`` keep their old state."""
        return previous & (value | ~self.programmed & 0xFFFFFFFF)

    def erase(self, previous: bytes) -> bytes:
        """Nothing was erased."""
        return previous
