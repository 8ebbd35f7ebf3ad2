"""How large an image may be, and whether two slots can be used together.

Source: ``app_max_size``, ``boot_slots_compatible`` and ``swap_run`` in bootutil's ``swap_scratch.c``,
``swap_move.c`` and ``swap_offset.c``, ``bootutil_max_image_size`` in ``bootutil_misc.c``
(MCUboot 2.4.0). Sectors of one size are assumed.
"""

from __future__ import annotations

from harness._errors import ImageError

from ._modes import SwapMode
from ._settings import BootSettings, FlashArea


def max_image_size(settings: BootSettings, number: int = 0) -> int:
    """Largest accepted image of this image number, header to end of TLVs, in bytes.

    The boot loader holds both slots to it at every boot. imgtool's own check is
    a looser one.

    Raises:
        ImageError: the slots cannot be used with this mode; the text says why.
    """
    areas = settings.images[number]
    problem = slots_problem(settings, number)
    if problem:
        raise ImageError(problem, where=settings.name(number))
    primary, secondary = areas.primary, areas.secondary or areas.primary
    if settings.mode is SwapMode.SCRATCH:
        return _scratch_limit(settings, primary)
    if settings.mode.swaps:
        trailer = _up(settings.layout(primary).size, settings.sector_size)
        pad = settings.sector_size
        move = settings.mode is SwapMode.MOVE
        spare_primary, spare_secondary = (pad, 0) if move else (0, pad)
        usable = min(primary.size - spare_primary, secondary.size - spare_secondary)
        return max(0, usable - trailer)
    return min(slot_image_limit(settings, area) for area in (primary, secondary))


def slot_image_limit(settings: BootSettings, area: FlashArea) -> int:
    """The limit of a single slot in the modes that do not swap, in bytes.

    Overwrite-only, direct-xip and RAM load: the offset of ``swap_info``. Single
    slot: the start of the trailer.
    """
    layout = settings.layout(area)
    return layout.status if settings.mode is SwapMode.SINGLE else layout.swap_info


def _scratch_limit(settings: BootSettings, area: FlashArea) -> int:
    """Slot less trailer, less room for the scratch trailer if the trailer's first sector lacks it."""
    layout = settings.layout(area)
    scratch = settings.scratch_layout
    assert scratch is not None
    first_sector_end = _up(layout.status + 1, settings.sector_size)
    inside = first_sector_end - layout.status
    return max(0, layout.status - max(0, scratch.size - inside))


def slots_problem(settings: BootSettings, number: int = 0) -> str | None:
    """Why the boot loader would never update this image, as a sentence; ``None`` if it would."""
    areas = settings.images[number]
    primary, secondary = areas.primary, areas.secondary
    if secondary is None or settings.mode.selects:
        return None
    sector = settings.sector_size
    if primary.size % sector or secondary.size % sector:
        return f"slots are no whole number of {sector}-byte sectors"
    ours, theirs = primary.size // sector, secondary.size // sector
    allowed = {
        SwapMode.MOVE: (theirs, theirs + 1),
        SwapMode.OFFSET: (theirs, theirs - 1),
    }.get(settings.mode, (theirs,))
    if ours not in allowed:
        wanted = " or ".join(str(count) for count in sorted(allowed))
        return f"primary has {ours} sectors, {settings.mode} with this secondary wants {wanted}"
    if max(ours, theirs) > settings.max_sectors:
        return f"slot has {max(ours, theirs)} sectors, the boot loader is built for {settings.max_sectors}"
    if settings.mode is SwapMode.SCRATCH:
        return _scratch_problem(settings)
    if settings.mode.swaps and settings.layout(primary).size + sector > primary.size:
        return "trailer leaves no sector for an image"
    return None


def has_room(settings: BootSettings, number: int, size: int) -> bool:
    """False if a new swap of ``size`` bytes would not even be begun: move and offset count sectors first.

    An image that is accepted always has room; the old one in the primary may not.
    """
    if settings.mode not in (SwapMode.MOVE, SwapMode.OFFSET):
        return True
    primary, sector = settings.images[number].primary, settings.sector_size
    usable = (primary.size - _up(settings.layout(primary).size, sector)) // sector
    spare = 1 if settings.mode is SwapMode.MOVE else 0
    return _up(size, sector) // sector + spare <= usable


def _scratch_problem(settings: BootSettings) -> str | None:
    scratch, layout = settings.scratch, settings.scratch_layout
    assert scratch is not None
    if scratch.size % settings.sector_size:
        return f"scratch is no whole number of {settings.sector_size}-byte sectors"
    if scratch.size < settings.sector_size:
        return f"scratch of {scratch.size} bytes cannot hold a sector of {settings.sector_size}"
    assert layout is not None
    return None


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
