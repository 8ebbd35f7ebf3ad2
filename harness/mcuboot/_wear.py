"""How often a boot has to erase each sector to install an image or to take one back.

Source: ``swap_scratch.c``, ``swap_move.c``, ``swap_offset.c`` and ``loader.c`` of bootutil (MCUboot 2.4.0).
Sectors of one size are assumed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from harness._errors import ImageError

from ._modes import SwapMode
from ._settings import BootSettings, FlashArea


@dataclass(frozen=True, slots=True)
class BootWear:
    """What one boot does to flash at most, for one image.

    ``erases`` is by sector address; sectors that are not in it are left alone. ``copied`` are
    the bytes of images that are written; trailers come on top.
    """

    erases: Mapping[int, int]
    copied: int


def boot_wear(
    settings: BootSettings, number: int, *, primary: int, secondary: int, revert: bool = False
) -> BootWear:
    """What one boot may do to exchange two images of these sizes, in bytes, or to overwrite one.

    ``primary`` and ``secondary`` are the sizes at the start of the boot, header to end of TLVs. With
    n the sectors of the larger image, p and s those of the image in the primary and in the
    secondary, and t the sectors that the trailer lies in:

    ============== =========================== ================================ =====================
    mode           primary                     secondary                        scratch
    ============== =========================== ================================ =====================
    scratch        0..n-1 once, t once         0..n-1 once, t once              all, chunks + 1 times
    move           0 and n once, 1..n-1 twice, 0..n-1 once, t once              -
                   t once                      (revert: twice)
    offset         0..min(n-1,s) once, t once  0..min(n-1,p) once, t once       -
    its revert     0..min(n-1,s) once, t once  1..min(n-1,p)+1 and 0 once,      -
                                               t three times
    overwrite-only all once                    first and last once              -
    its fast build 0..s-1 once, t once         first and last once              -
    ============== =========================== ================================ =====================

    Chunks are n divided by the sectors of scratch, rounded up. Modes that select a slot move
    nothing. Raises `ImageError` for images that reach into their trailer's sectors, which
    are exchanged in another way.
    """
    wear = _Wear(settings, number, primary, secondary)
    match settings.mode:
        case SwapMode.SCRATCH:
            wear.scratch()
        case SwapMode.MOVE:
            wear.move(revert=revert)
        case SwapMode.OFFSET:
            wear.offset(revert=revert)
        case SwapMode.OVERWRITE_ONLY | SwapMode.OVERWRITE_ONLY_FAST:
            wear.overwrite()
    return BootWear(dict(wear.erases), wear.copied)


class _Wear:
    def __init__(self, settings: BootSettings, number: int, primary: int, secondary: int) -> None:
        areas = settings.images[number]
        self.settings, self.sector = settings, settings.sector_size
        self.ours, self.theirs = areas.primary, areas.secondary or areas.primary
        self.p, self.s = (-(-size // self.sector) for size in (primary, secondary))
        self.n = max(self.p, self.s)
        self.erases: Counter[int] = Counter()
        self.copied = 0
        if settings.mode.swaps and self.n > self._trailer(self.ours).start:
            raise ImageError(
                "the wear of images that reach into their trailer's sectors is not known",
                where=settings.name(number),
                expected=f"at most {self._trailer(self.ours).start} sectors",
                found=f"{self.n} sectors",
            )

    def _trailer(self, area: FlashArea) -> range:
        """Sectors that the trailer lies in, counted from the start of the slot."""
        return range(self.settings.layout(area).status // self.sector, area.size // self.sector)

    def _add(self, area: FlashArea, sectors: range, times: int = 1) -> None:
        for number in sectors:
            self.erases[area.address + number * self.sector] += times

    def _copy(self, sectors: int) -> None:
        self.copied += sectors * self.sector

    def _trailers(self, secondary: int = 1) -> None:
        self._add(self.ours, self._trailer(self.ours))
        self._add(self.theirs, self._trailer(self.theirs), secondary)

    def scratch(self) -> None:
        scratch = self.settings.scratch
        assert scratch is not None
        sectors = scratch.size // self.sector
        self._add(scratch, range(sectors), -(-self.n // sectors) + 1)
        self._add(self.ours, range(self.n))
        self._add(self.theirs, range(self.n))
        self._trailers()
        self._copy(3 * self.n)

    def move(self, *, revert: bool) -> None:
        self._add(self.ours, range(1, self.n + 1))
        self._add(self.ours, range(self.n))
        self._add(self.theirs, range(self.n))
        self._trailers(2 if revert else 1)
        self._copy(3 * self.n)

    def offset(self, *, revert: bool) -> None:
        # One sector more than an image has is moved along.
        coming, going = min(self.n, self.s + 1), min(self.n, self.p + 1)
        self._add(self.ours, range(coming))
        self._add(self.theirs, range(1, going + 1) if revert else range(going))
        if revert:
            self._add(self.theirs, range(1))
        self._trailers(3 if revert else 1)
        self._copy(coming + going)

    def overwrite(self) -> None:
        last = self.theirs.size // self.sector - 1
        self._add(self.theirs, range(1))
        self._add(self.theirs, range(last, last + 1))
        if self.settings.mode is SwapMode.OVERWRITE_ONLY_FAST:
            trailer = self._trailer(self.ours)
            self._add(self.ours, range(min(self.s, trailer.start)))
            self._add(self.ours, trailer)
            self._copy(self.s)
        else:
            self._add(self.ours, range(self.ours.size // self.sector))
            self._copy(self.ours.size // self.sector)
