"""One run of a scenario without a cut, as everything else needs it: the start, the journal, the outcome."""

from __future__ import annotations

import dataclasses
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Self

import cbor2

from .._errors import ImageError
from ..emulator import Master, Operation, OperationKind
from ..mcuboot import BootSettings, DowngradePrevention, FlashArea, ImageAreas, KeyType, PublicKey, SwapMode
from ._contents import Contents, Origin

__all__ = ["Goal", "Limits", "Part", "Recording"]

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Part:
    """A component of the board and what its slots may hold.

    ``old`` and ``new`` are whole images; ``new`` is None for a component that is not updated.
    ``upload`` is where in the secondary an update lies, in bytes from its start.
    """

    name: str
    primary: FlashArea
    secondary: FlashArea
    upload: int
    old: bytes = field(repr=False)
    new: bytes | None = field(repr=False)

    def label(self, contents: Contents) -> str:
        """What runs from the primary slot: ``old``, ``new`` or ``neither``."""
        for name, image in (("new", self.new), ("old", self.old)):
            if image is not None and contents.holds(self.primary.address, image):
                return name
        return "neither"

    def other(self, contents: Contents) -> str:
        """What the secondary slot keeps, in the same words."""
        for name, image in (("new", self.new), ("old", self.old)):
            places = (self.secondary.address + self.upload, self.secondary.address)
            if image is not None and any(contents.holds(place, image) for place in places):
                return name
        return "neither"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long one power-on may take: CPU cycles and executed instructions.

    ``boots`` is how many of them there may be until nothing changes any more. An application
    counts as settled after ``settle`` cycles without a flash operation.
    """

    cycles: int
    instructions: int
    boots: int = 6
    settle: int = 0


@dataclass(frozen=True, slots=True)
class Goal:
    """What the scenario is about.

    ``runs`` are the labels of what runs, component by component, one entry for each power-on of
    the run without cuts from the recorded one on, until nothing changes any more. ``legal`` are
    the combinations that fit each other.
    """

    runs: tuple[tuple[str, ...], ...]
    legal: frozenset[tuple[str, ...]]
    keeps: tuple[str, ...]
    """What the secondary slots hold in the end."""

    @property
    def final(self) -> tuple[str, ...]:
        """What runs in the end."""
        return self.runs[-1]


@dataclass(frozen=True, eq=False)
class Recording:
    """A scenario that was run once. Equal ``digest`` means equal recording.

    ``target`` is what pyOCD calls the chip. ``content`` is flash at the start, by address, in the
    chip's ``arrays`` (base, size).
    ``allowed`` are the areas that may change. ``slots`` is the one area in which all images run.
    ``runs_application`` says that images go on to run after the boot loader has started them.
    """

    scenario: str
    board: str
    target: str
    soc: str
    chip_seed: int
    arrays: tuple[tuple[int, int], ...]
    content: Mapping[int, bytes]
    operations: Sequence[Operation]
    settings: BootSettings
    parts: tuple[Part, ...]
    allowed: tuple[FlashArea, ...]
    slots: FlashArea
    runs_application: bool
    limits: Limits
    goal: Goal

    @cached_property
    def origin(self) -> Origin:
        """Flash at the start."""
        return Origin(self.arrays, self.content)

    @property
    def start(self) -> Contents:
        """Flash at the start, to be changed."""
        return Contents(self.origin)

    def by_application(self, operation: Operation) -> bool:
        """Whether an image did this, and not the boot loader."""
        return self.slots.address <= operation.pc < self.slots.end

    def labels(self, contents: Contents) -> tuple[str, ...]:
        """What the primary slots hold."""
        return tuple(part.label(contents) for part in self.parts)

    def others(self, contents: Contents) -> tuple[str, ...]:
        """What the secondary slots hold."""
        return tuple(part.other(contents) for part in self.parts)

    # as bytes, for other processes and for replay

    @cached_property
    def packed(self) -> bytes:
        """All of it as bytes."""
        fields = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        fields["content"] = dict(self.content)
        fields["operations"] = [list(operation) for operation in self.operations]
        fields["settings"] = _plain(self.settings)
        for name in ("parts", "allowed", "slots", "limits", "goal"):
            fields[name] = _plain(fields[name])
        return zlib.compress(cbor2.dumps([_FORMAT, fields], canonical=True), 1)

    @property
    def digest(self) -> str:
        """SHA-256 of `packed`."""
        return hashlib.sha256(self.packed).hexdigest()

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read `packed` back. Raises `ImageError`."""
        try:
            version, fields = cbor2.loads(zlib.decompress(data))
            if version != _FORMAT:
                raise ValueError(f"format {version}, not {_FORMAT}")
            return cls(**_fields(fields))
        except (zlib.error, cbor2.CBORDecodeError, ValueError, TypeError, KeyError) as error:
            raise ImageError("no recording of this version", found=str(error)) from None


def _plain(value: Any) -> Any:
    """Data classes, enums and sets as what CBOR knows."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, frozenset):
        return sorted(_plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


def _area(value: dict[str, int] | None) -> FlashArea | None:
    return None if value is None else FlashArea(**value)


def _must(value: dict[str, int]) -> FlashArea:
    return FlashArea(**value)


def _operation(kind: int, *rest: int) -> Operation:
    address, size, value, previous, instructions, pc, master = rest
    return Operation(OperationKind(kind), address, size, value, previous, instructions, pc, Master(master))


def _fields(raw: dict[str, Any]) -> dict[str, Any]:
    settings = raw["settings"] | {
        "mode": SwapMode(raw["settings"]["mode"]),
        "images": tuple(
            ImageAreas(_must(image["primary"]), _area(image["secondary"]), image["name"])
            for image in raw["settings"]["images"]
        ),
        "scratch": _area(raw["settings"]["scratch"]),
        "keys": tuple(PublicKey(KeyType(key["type"]), key["der"]) for key in raw["settings"]["keys"]),
        "downgrade_prevention": DowngradePrevention(raw["settings"]["downgrade_prevention"]),
        "stored_counters": tuple(raw["settings"]["stored_counters"]),
        "executable_ram": _area(raw["settings"]["executable_ram"]),
    }
    parts = (
        {**part, "primary": _must(part["primary"]), "secondary": _must(part["secondary"])}
        for part in raw["parts"]
    )
    goal = raw["goal"]
    return raw | {
        "arrays": tuple((base, size) for base, size in raw["arrays"]),
        "operations": [_operation(*operation) for operation in raw["operations"]],
        "settings": BootSettings(**settings),
        "parts": tuple(Part(**part) for part in parts),
        "allowed": tuple(_must(area) for area in raw["allowed"]),
        "slots": _must(raw["slots"]),
        "limits": Limits(**raw["limits"]),
        "goal": Goal(
            tuple(tuple(labels) for labels in goal["runs"]),
            frozenset(tuple(labels) for labels in goal["legal"]),
            tuple(goal["keeps"]),
        ),
    }
