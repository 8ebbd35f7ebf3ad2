"""What trailers say: a swap to begin, a swap to finish, or nothing.

Source: the tables in bootutil's ``bootutil_public.c`` (``boot_swap_type_multi``) and
``swap_scratch.c``, ``swap_move.c``, ``swap_offset.c`` (``swap_status_source``),
``boot_prepare_image_for_update`` in ``loader.c`` (MCUboot 2.4.0).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ._modes import SwapMode
from ._trailer import FlagState, MagicState, SwapType, Trailer, TrailerState


def swap_type(primary: TrailerState, secondary: TrailerState, mode: SwapMode) -> SwapType:
    """The swap type two trailers ask for; first match wins, the secondary goes first.

    ``swap_info`` takes no part. A secondary with good magic and a bad
    ``image_ok`` matches no row of its own. For modes that select a slot by
    version, and for single slots, this has no meaning.
    """
    if secondary.magic is MagicState.GOOD:
        if secondary.image_ok is FlagState.UNSET:
            # Swap-offset prepares a revert by writing copy_done into the secondary.
            if mode is SwapMode.OFFSET and secondary.copy_done is FlagState.SET:
                return SwapType.REVERT
            return SwapType.TEST
        if secondary.image_ok is FlagState.SET:
            return SwapType.PERMANENT
    if (
        primary.magic is MagicState.GOOD
        and primary.image_ok is FlagState.UNSET
        and primary.copy_done is FlagState.SET
    ):
        return SwapType.REVERT
    return SwapType.NONE


class StatusSource(enum.StrEnum):
    """Where the boot loader looks for an unfinished swap."""

    NONE = "none"
    PRIMARY = "primary trailer"
    SCRATCH = "scratch trailer"


def status_source(
    mode: SwapMode,
    primary: Trailer,
    secondary: Trailer,
    scratch: Trailer | None = None,
    *,
    image: int = 0,
    images: int = 1,
) -> StatusSource:
    """Where an unfinished swap of image number ``image`` of ``images`` would have left its status."""
    if not mode.swaps:
        return StatusSource.NONE
    if mode is not SwapMode.SCRATCH:
        under_way = primary.magic is MagicState.GOOD and primary.copy_done is FlagState.UNSET
        if under_way and secondary.magic is not MagicState.GOOD:
            return StatusSource.PRIMARY
        return StatusSource.NONE
    scratch_good = scratch is not None and scratch.magic is MagicState.GOOD
    if primary.magic is MagicState.GOOD and not scratch_good and primary.copy_done is not FlagState.BAD:
        return StatusSource.NONE if primary.copy_done is FlagState.SET else StatusSource.PRIMARY
    if scratch is not None and scratch_good:
        # One scratch area serves all images, so its status may be another image's.
        mine = images == 1 or scratch.swap_info.image == image
        return StatusSource.SCRATCH if mine else StatusSource.NONE
    if primary.magic is MagicState.UNSET and primary.copy_done is FlagState.UNSET:
        return StatusSource.PRIMARY
    return StatusSource.NONE


class UnfinishedKind(enum.StrEnum):
    """What is left of a swap that was begun."""

    RESUME = "resume"
    """Status entries are written: the swap is continued where it stopped."""
    START = "start"
    """Only ``swap_info`` is: the swap is begun although the secondary carries no request."""


@dataclass(frozen=True, slots=True)
class UnfinishedSwap:
    """A swap that the next boot takes up before it looks at the swap type table."""

    kind: UnfinishedKind
    source: StatusSource
    trailer: Trailer
    low_nibble: int
    """Low nibble of ``swap_info`` as stored. The image number in the high one is not looked at."""

    @property
    def type(self) -> SwapType | None:
        """The swap type; ``None`` for a nibble that is none, on which MCUboot panics when it starts."""
        return SwapType(self.low_nibble) if SwapType.NONE <= self.low_nibble <= SwapType.FAIL else None


def unfinished_swap(
    mode: SwapMode,
    primary: Trailer,
    secondary: Trailer,
    scratch: Trailer | None = None,
    *,
    image: int = 0,
    images: int = 1,
) -> UnfinishedSwap | None:
    """The swap a boot would take up, or ``None``."""
    source = status_source(mode, primary, secondary, scratch, image=image, images=images)
    if source is StatusSource.NONE:
        return None
    trailer = scratch if source is StatusSource.SCRATCH and scratch is not None else primary
    low = trailer.swap_info.low
    if trailer.status.started:
        return UnfinishedSwap(UnfinishedKind.RESUME, source, trailer, low)
    if low != SwapType.NONE:
        return UnfinishedSwap(UnfinishedKind.START, source, trailer, low)
    return None
