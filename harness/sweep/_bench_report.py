"""What power cuts on a real device have found, as data for programs; rules and verdicts are the sweep's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ._report import BootLoaderFacts, Count, Failure, ImageFacts, Section

__all__ = ["BenchReport", "Jitter", "TimedCut"]

Seconds = Annotated[float, Field(ge=0)]


class TimedCut(Section):
    """One cut. Power went between ``earliest`` and ``latest``, in seconds since it came."""

    wanted: Seconds
    earliest: Seconds
    latest: Seconds
    outcome: Literal["held", "used up", "failed"]
    rules: list[str]
    """Rules that did not hold."""
    runs: list[list[str]]
    """What ran at each power-on afterwards, component by component."""


class Jitter(Section):
    """How well the cuts were placed, in seconds."""

    mean: float
    """Of the middle of each cut's range against the wanted time."""
    largest: Seconds
    """Largest distance of it."""
    spread: Seconds
    """Largest distance between earliest and latest."""


class BenchReport(Section):
    """Results of power cuts at random times. They say nothing about single flash operations."""

    schema_version: Literal[1] = 1
    kind: Literal["hardware"] = "hardware"
    scenario: str
    board: str
    soc: str
    probe: str
    device_id: str
    """Empty if the part does not tell."""
    bootloader: BootLoaderFacts
    images: list[ImageFacts]
    method: Literal["power", "reset"]
    """``reset``: no power switch; the core was stopped and reset, each flash operation was finished."""
    seed: int
    window: Seconds
    """From power to a running image without a cut, measured; cuts lie in it."""
    points: Count
    held: Count
    used_up: Count
    failed: Count
    complete: bool
    """False if it was interrupted."""
    seconds: Seconds
    jitter: Jitter
    cuts: list[TimedCut]
    failures: list[Failure]
    """By cause; their ``cuts`` are empty, as no operation is known."""

    def to_json(self) -> str:
        """The JSON file's text."""
        return self.model_dump_json(indent=1) + "\n"
