"""What an update that waits to be installed looks like in flash."""

from __future__ import annotations

from collections.abc import Iterable

from .._errors import CapabilityMissing
from ..boards import Board, Component
from ..mcuboot import FlashArea, Trailer, TrailerWrite, set_confirmed, set_pending
from ._images import SignedImage

__all__ = ["factory_trailer", "request", "staged", "upload_area"]


def upload_area(board: Board, component: str | int | Component) -> FlashArea:
    """Where an update of a component has to be put. Raises `CapabilityMissing`."""
    chosen = board.component(component)
    if chosen.secondary is None:
        raise CapabilityMissing(f"secondary slot for {chosen.name}", board=board.name)
    area, offset = board.partition(chosen.secondary), board.upload_offset(chosen)
    return FlashArea(area.address + offset, area.size - offset)


def request(board: Board, component: str | int | Component, *, permanent: bool = False) -> dict[int, bytes]:
    """The request in the secondary's trailer as an application makes it (`boot_set_pending`), by address."""
    chosen = board.component(component)
    upload_area(board, chosen)
    assert chosen.secondary is not None
    area = board.partition(chosen.secondary)
    return _written(area, set_pending(_erased(board, area), permanent=permanent, image=chosen.image).writes)


def staged(board: Board, image: SignedImage, *, permanent: bool = False) -> dict[int, bytes]:
    """An image where an update has to lie, and the request to install it, by address.

    Where an image is so large that it reaches into the request, the request counts: it is written last.
    """
    place = upload_area(board, image.component).address
    asked = request(board, image.component, permanent=permanent)
    data = bytearray(image.data)
    for address, content in list(asked.items()):
        covered = data[address - place : address - place + len(content)]
        if covered:
            data[address - place : address - place + len(covered)] = content[: len(covered)]
            del asked[address]
            if len(content) > len(covered):
                asked[address + len(covered)] = content[len(covered) :]
    return {place: bytes(data), **asked}


def factory_trailer(
    board: Board, component: str | int | Component, *, confirmed: bool, secondary: bool = False
) -> dict[int, bytes]:
    """A trailer as ``imgtool sign --pad [--confirm]`` puts it behind an image for a slot."""
    chosen = board.component(component)
    area = board.partition(chosen.secondary if secondary and chosen.secondary else chosen.primary)
    asked = set_pending(_erased(board, area), permanent=False).writes
    magic = [write for write in asked if write.field == "magic"]
    content = _written(area, magic)
    if confirmed:
        data = bytearray([board.flash.erased_value]) * area.size
        for address, written in content.items():
            data[address - area.address : address - area.address + len(written)] = written
        trailer = Trailer.parse(bytes(data), board.boot_settings().layout(area))
        content |= _written(area, set_confirmed(trailer).writes)
    return content


def _erased(board: Board, area: FlashArea) -> Trailer:
    layout = board.boot_settings().layout(area)
    return Trailer.parse(bytes([layout.erased_value]) * area.size, layout)


def _written(area: FlashArea, writes: Iterable[TrailerWrite]) -> dict[int, bytes]:
    return {area.address + write.offset: write.data for write in writes}
