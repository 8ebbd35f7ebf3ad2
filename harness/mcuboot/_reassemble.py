"""Where the pieces of both images lie while a swap is unfinished.

A step's source stays intact until the step's status entry is written, so the
position in the status area says for each sector where its content is. Source:
``swap_run`` in bootutil's ``swap_scratch.c``, ``swap_move.c`` and ``swap_offset.c`` (MCUboot 2.4.0).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ._modes import SwapMode
from ._status import SwapStatus

_PRIMARY: Final = 0
_SECONDARY: Final = 1
_SCRATCH: Final = 2

_Place: TypeAlias = tuple[int, int]
"""Area and sector number in it."""


@dataclass(frozen=True, slots=True)
class SwapParts:
    """The two images of an unfinished swap, put together sector by sector."""

    incoming: bytes = field(repr=False)
    """What the primary will hold when the swap is finished."""
    outgoing: bytes = field(repr=False)
    """What the secondary will hold."""


def reassemble(
    status: SwapStatus,
    swap_size: int,
    *,
    primary: bytes,
    secondary: bytes,
    scratch: bytes = b"",
    sector_size: int,
    revert: bool = False,
) -> SwapParts | None:
    """Put both images together from the whole areas; ``None`` if that cannot be done.

    ``swap_size`` is the trailer's, in bytes. ``revert`` matters in offset mode
    only, where a revert runs the other way.
    """
    sectors = -(-swap_size // sector_size)
    if not status.mode.swaps or not 0 < sectors <= status.max_sectors:
        return None
    chunk = len(scratch) // sector_size
    if status.mode is SwapMode.SCRATCH and not chunk:
        return None
    areas = (primary, secondary, scratch)
    incoming, outgoing = bytearray(), bytearray()
    for sector in range(sectors):
        if status.mode is SwapMode.SCRATCH:
            places = _scratch_places(status, sector, sectors, chunk)
        elif status.mode is SwapMode.MOVE:
            places = _move_places(status, sector, sectors)
        else:
            places = _offset_places(status, sector, sectors, revert)
        for half, (area, index) in zip((incoming, outgoing), places, strict=True):
            piece = areas[area][index * sector_size : (index + 1) * sector_size]
            if len(piece) != sector_size:
                return None
            half.extend(piece)
    return SwapParts(bytes(incoming[:swap_size]), bytes(outgoing[:swap_size]))


def _scratch_places(status: SwapStatus, sector: int, sectors: int, chunk: int) -> tuple[_Place, _Place]:
    """Chunks run from the end: secondary to scratch, primary to secondary, scratch to primary."""
    mine = (sectors - 1 - sector) // chunk
    at = status.next_step
    if mine < at.unit:
        return (_PRIMARY, sector), (_SECONDARY, sector)
    if mine > at.unit or at.step == 0:
        return (_SECONDARY, sector), (_PRIMARY, sector)
    first = max(0, sectors - (mine + 1) * chunk)
    held = (_SCRATCH, sector - first)
    return held, (_PRIMARY if at.step == 1 else _SECONDARY, sector)


def _move_places(status: SwapStatus, sector: int, sectors: int) -> tuple[_Place, _Place]:
    """The primary is shifted up from its end, then sectors change sides from the start."""
    at = status.next_step
    if at.phase == "move":
        shifted = sector >= sectors - at.unit
        return (_SECONDARY, sector), (_PRIMARY, sector + shifted)
    if sector < at.unit:
        return (_PRIMARY, sector), (_SECONDARY, sector)
    arrived = sector == at.unit and at.step == 1
    return (_PRIMARY if arrived else _SECONDARY, sector), (_PRIMARY, sector + 1)


def _offset_places(status: SwapStatus, sector: int, sectors: int, revert: bool) -> tuple[_Place, _Place]:
    """Upgrade: the new image comes from one sector up. Revert: the new image goes there, from the end."""
    at = status.next_step
    mine = sectors - 1 - sector if revert else sector
    came_from, goes_to = (sector, sector + 1) if revert else (sector + 1, sector)
    if mine < at.unit:
        return (_PRIMARY, sector), (_SECONDARY, goes_to)
    if mine == at.unit and at.step == 1:
        return (_SECONDARY, came_from), (_SECONDARY, goes_to)
    return (_SECONDARY, came_from), (_PRIMARY, sector)
