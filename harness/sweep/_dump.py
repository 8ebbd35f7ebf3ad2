"""A flash dump as the start of a scenario."""

from __future__ import annotations

from .._errors import SweepError
from ..boards import Component
from ..mcuboot import FlashState, FlashView, ImageState, SlotState, SwapType, read_flash, reassemble
from ._record import Setup
from ._recording import Part
from ._scenarios import Maker

__all__ = ["dump_setup"]


def dump_setup(maker: Maker, dump: FlashView) -> Setup:
    """What a device with this flash does when it is switched on. Unknown flash counts as erased.

    The images are those in the dump; of an unfinished swap, those it is putting together. Raises
    `SweepError` if there is none.
    """
    board = maker.board
    settings = board.boot_settings()
    view = dump
    for _, area in settings.areas():
        view = view.filled(area.address, area.size, settings.erased_value)
    if settings.scratch is not None:
        view = view.filled(settings.scratch.address, settings.scratch.size, settings.erased_value)
    state = read_flash(view, settings)
    parts = tuple(_part(maker, component, state, view) for component in board.components)
    content = dict(dump.regions)
    loader = board.partition(board.mcuboot.partition)
    if maker.options.bootloader is not None or dump.read(loader.address, 8) is None:
        dump_without = FlashView.build(dump.regions).filled(loader.address, loader.size)
        blank = dump_without.with_bytes(loader.address, b"\xff" * loader.size)
        for address, data in maker.bootloader().items():
            blank = blank.with_bytes(address, data)
        content = dict(blank.regions)
    return maker.setup_from("flash dump", content, parts)


def _part(maker: Maker, component: Component, state: FlashState, view: FlashView) -> Part:
    image = state.images[component.image]
    old, new = _unfinished(state, image, view) if image.resuming else _waiting(image, view)
    if old is None:
        raise SweepError(
            f"no image of {component.name} in the dump",
            where=f"primary slot at {image.primary.area.address:#010x}",
            found=image.primary.problem or "nothing",
            remedy="dump all slots and the scratch area, and use the board file of the device",
        )
    return maker.part(component, old, new)


def _waiting(image: ImageState, view: FlashView) -> tuple[bytes | None, bytes | None]:
    """The image in use, and the one that is asked for."""
    asked = image.request is not SwapType.NONE or image.unfinished is not None
    other = image.secondary if asked else None
    return _content(image.primary, view), _content(other, view) if other is not None else None


def _content(slot: SlotState, view: FlashView) -> bytes | None:
    if slot.image.size is None or not slot.image.walkable:
        return None
    return view.read(slot.area.address + slot.header_offset, slot.image.size)


def _unfinished(state: FlashState, image: ImageState, view: FlashView) -> tuple[bytes | None, bytes | None]:
    """Both images of a swap that is under way: the one that leaves the primary slot, the one that comes."""
    settings, unfinished, secondary = state.settings, image.unfinished, image.secondary
    assert unfinished is not None
    assert secondary is not None
    scratch = settings.scratch
    parts = reassemble(
        unfinished.trailer.status,
        unfinished.trailer.swap_size or 0,
        primary=view.read(image.primary.area.address, image.primary.area.size) or b"",
        secondary=view.read(secondary.area.address, secondary.area.size) or b"",
        scratch=(view.read(scratch.address, scratch.size) or b"") if scratch else b"",
        sector_size=settings.sector_size,
        revert=unfinished.low_nibble == SwapType.REVERT or image.request is SwapType.REVERT,
    )
    if parts is None:
        return None, None
    sizes = [slot.image.size if slot else None for slot in (image.outgoing, image.incoming)]
    old, new = (
        None if size is None else data[:size]
        for data, size in zip((parts.outgoing, parts.incoming), sizes, strict=True)
    )
    return old, new
