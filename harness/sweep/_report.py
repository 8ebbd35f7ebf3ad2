"""What a sweep has found, as data for programs. The schema of these classes is the one of the JSON file."""

from __future__ import annotations

import base64
import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .._errors import SweepError

__all__ = [
    "BootLoaderFacts",
    "Failure",
    "FlashMap",
    "ImageFacts",
    "Report",
    "Settings",
    "Surprise",
    "schema_text",
]

Count = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """Base of all parts: no unknown keys, read-only."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ImageFacts(Section):
    """An image of the scenario."""

    component: str
    role: Literal["old", "new"]
    version: str
    size: Count
    """Bytes, header to end of TLVs."""
    sha256: str


class BootLoaderFacts(Section):
    """What was swept."""

    file: str
    sha256: str
    swap_mode: str


class Settings(Section):
    """How it was swept."""

    seed: int
    inside: bool
    """Also inside operations: torn writes and erases."""
    random: Count
    """Random choices of each kind for each operation."""
    weak: bool
    pairs: Count | None
    """About how many points with a second cut; null for all there are."""
    chains: Count
    """Points with more cuts in a row."""
    chain: Count
    """How many that are."""
    merging: bool
    """Whether equal machine states were judged once only."""
    workers: Count


class Where(Section):
    """A flash operation that lost power."""

    number: Count
    """Since the start of the recording, or since power-on for a cut behind the first one."""
    kind: Literal["write", "erase", "end"]
    """``end``: everything was done."""
    address: int
    size: Count
    value: int
    """What a write had on the bus, little-endian."""
    tear: str
    """How far it came, see docs/power-cuts.md."""
    place: str
    """What lies there: slot, trailer field, status entry, scratch."""
    kind_of_place: str
    """The same without what tells single words apart."""
    source: str
    """Function, file and line of the instruction; empty if no ELF file tells."""
    pc: int


class Failure(Section):
    """All points that failed for one cause. What is told in detail is the simplest of them."""

    number: Annotated[int, Field(ge=1)]
    rules: list[str]
    """Rules that did not hold, with how."""
    count: Annotated[int, Field(ge=1)]
    """Points with this cause."""
    cuts: list[Where]
    """Power was lost here, one after the other."""
    runs: list[list[str]]
    """What ran at each power-on afterwards, component by component: ``old``, ``new`` or ``neither``."""
    before: str
    """The slots after the last cut."""
    after: str
    """The slots in the end."""
    console: str
    """The last that the device said."""
    replay: str
    """Command that does it again."""


class Surprise(Section):
    """Points at which a test update was complete, but power was lost before its image ran."""

    count: Count
    example: list[Where]


class FlashMap(Section):
    """Every operation of the scenario, in order, one entry or character each."""

    addresses: list[int]
    sizes: list[int]
    kinds: str
    """``w`` write, ``e`` erase."""
    outcomes: str
    """``.`` held, ``u`` used up, ``F`` failed, ``?`` not tried; the last one is behind all operations."""
    areas: list[tuple[str, int, int]]
    """Name, address and size of what is in the flash."""


class Report(Section):
    """Results of one sweep."""

    schema_version: Literal[1] = 1
    scenario: str
    board: str
    soc: str
    bootloader: BootLoaderFacts
    images: list[ImageFacts]
    settings: Settings
    complete: bool
    """False if it was interrupted."""
    operations: Count
    """Flash operations of the scenario."""
    tried: Count
    """Those whose points were tried, with the point behind the last one."""
    points: Count
    by_cuts: dict[int, Count]
    """Points by their number of cuts."""
    held: Count
    used_up: Surprise
    failed: Count
    boots: Count
    """Power-ons that were executed."""
    merged: Count
    """Those of them that ended in a machine state that was known."""
    foreseen: Count
    """Power-ons that need not be executed: they see the same as one that was."""
    instructions: Count
    seconds: float
    points_per_second: float
    without_cut: list[str]
    """Rules that do not hold even if power is never lost."""
    failures: list[Failure]
    flash: FlashMap
    recording: str = Field(repr=False)
    """The scenario for replay: base64."""

    def to_json(self) -> str:
        """The JSON file's text."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, *, where: str) -> Report:
        """Read it back. Raises `SweepError`."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            raise SweepError(
                "no sweep report",
                where=where,
                found=f"{'.'.join(map(str, first['loc'])) or 'text'}: {first['msg']}",
                remedy="name the file that harness sweep --json wrote",
            ) from None

    def packed(self) -> bytes:
        """The recording as `Recording.unpack` takes it. Raises `SweepError`."""
        try:
            return base64.b64decode(self.recording, validate=True)
        except ValueError as error:
            raise SweepError("the report's recording is damaged", found=str(error)) from None


def schema_text() -> str:
    """JSON schema of the report."""
    return json.dumps(Report.model_json_schema(), indent=2, sort_keys=True) + "\n"
