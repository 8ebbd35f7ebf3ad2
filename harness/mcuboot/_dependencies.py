"""Whether images fit each other.

Source: ``boot_verify_dependencies`` and ``boot_verify_slot_dependency`` in bootutil's
``loader.c`` (MCUboot 2.4.0).
"""

from __future__ import annotations

from collections.abc import Sequence

from ._image import Image
from ._slots import SlotState
from ._tlv import TlvType
from ._tlv_values import Dependency, size_problem


def unmet_dependency(
    number: int, active: Sequence[SlotState], *, own: SlotState | None = None, with_build: bool = False
) -> str | None:
    """The first reason why image ``number`` does not fit the others; ``None`` if it does.

    ``active`` are the slots by image number that would be in use after the
    update; ``own`` is where the image's own entries are read, if elsewhere.
    An image that the boot loader cannot walk through fits nothing.
    """
    image = (own or active[number]).image
    if not searchable(image) or not _protected_complete(image):
        return f"image {number} cannot be searched for dependencies"
    for entry in image.tlvs(TlvType.DEPENDENCY, protected=True):
        if size_problem(entry):
            return f"image {number} has a dependency of {len(entry.data)} bytes"
        needed = Dependency.unpack(entry.data)
        if needed.image >= len(active):
            return f"image {number} depends on image {needed.image}, which does not exist"
        # The boot loader compares whatever is in the header's place, even of an erased slot.
        header = active[needed.image].raw_header
        if header is None or header.version.compare(needed.minimum, with_build=with_build) < 0:
            there = header.version if header else "nothing"
            return f"image {number} {image.version} needs {needed}, there would be {there}"
    return None


def searchable(image: Image, *, empty: bool = False) -> bool:
    """The info headers of the TLV areas are where the header says.

    ``empty`` is the answer for no image at all.
    """
    if image.header is None:
        return empty
    if image.ordinary is None:
        return False
    size = image.protected.size if image.protected else 0
    return size == image.header.protected_size


def _protected_complete(image: Image) -> bool:
    return image.protected is None or image.protected.complete
