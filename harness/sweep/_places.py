"""What lies at a flash address, in the words of MCUboot."""

from __future__ import annotations

from dataclasses import dataclass

from ..mcuboot import FlashArea, TrailerLayout
from ._recording import Recording

__all__ = ["Place", "Places"]


@dataclass(frozen=True, slots=True)
class Place:
    """``kind`` is the same for all addresses that play the same part; ``detail`` tells them apart."""

    kind: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}, {self.detail}" if self.detail else self.kind


class Places:
    """Names the places of one recording's flash."""

    def __init__(self, recording: Recording) -> None:
        settings = recording.settings
        self._areas: list[tuple[str, FlashArea, TrailerLayout | None]] = []
        for part in recording.parts:
            for slot, area in (("primary", part.primary), ("secondary", part.secondary)):
                self._areas.append((f"{part.name} {slot}", area, settings.layout(area)))
        if settings.scratch is not None:
            self._areas.append(("scratch", settings.scratch, settings.scratch_layout))
        self._allowed = recording.allowed

    def areas(self) -> list[tuple[str, FlashArea]]:
        """All areas by name."""
        return [(name, area) for name, area, _ in self._areas]

    def at(self, address: int, size: int = 4) -> Place:
        """What an operation on this area touches."""
        for name, area, layout in self._areas:
            if area.address <= address < area.end:
                return _inside(name, address - area.address, size, layout)
        if any(area.address <= address < area.end for area in self._allowed):
            return Place("storage", f"{address:#x}")
        return Place("elsewhere", f"{address:#x}")


def _inside(name: str, offset: int, size: int, layout: TrailerLayout | None) -> Place:
    where = f"+{offset:#x}"
    if layout is None or offset + size <= layout.status:
        return Place(f"{name}, image" if name != "scratch" else name, where)
    if size > layout.max_align and offset < layout.slot_size - size + 1 and size >= 256:
        return Place(f"{name}, sector with trailer", where)
    for field, at, length in layout.fields():
        if at <= offset < at + max(length, layout.max_align if field != "magic" else length):
            return Place(f"{name}, {field}", where)
    if offset < layout.status + layout.status_entries * layout.write_align:
        entry = (offset - layout.status) // layout.write_align
        return Place(f"{name}, status", f"entry {entry}")
    return Place(f"{name}, trailer", where)
