"""What a power-on comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ._contents import Contents

__all__ = ["Ending", "Power"]


class Ending(StrEnum):
    """How a power-on ended."""

    STARTED = "an image runs"
    STOPPED = "the boot loader stops without starting an image"
    LOCKED_UP = "the core is locked up"
    ENDLESS = "no end: neither an image runs nor does the boot loader stop"


@dataclass(frozen=True, slots=True, eq=False)
class Power:
    """One power-on up to its end. ``end`` is flash then, ``pc`` where the CPU is.

    ``findings`` are rules of the flash controller that were broken.
    """

    end: Contents
    ending: Ending
    pc: int
    findings: tuple[str, ...] = ()

    def with_findings(self, findings: Sequence[str]) -> Power:
        """The same with other findings."""
        if list(findings) == list(self.findings):
            return self
        return Power(self.end, self.ending, self.pc, tuple(findings))
