"""The facts of a report as short labelled texts, shared by text form and diff."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ._image import Image
from ._settings import BootSettings
from ._slots import ImageState, SlotState
from ._tlv import TlvType
from ._tlv_values import DIGESTS, explain_tlv

IMAGE_LABELS: Final = (
    "version",
    "image",
    "size",
    "flags",
    "digest",
    "signature",
    "refused",
    "protected",
    "tlvs",
)
"""Labels of :func:`image_rows` in the order they are shown."""
_MOVING: Final = "(swap under way)"
_SHOWN_DIGITS: Final = 8


def size_text(size: int) -> str:
    """``256 KiB``, ``1 MiB`` or ``1000 bytes``."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"


def image_rows(slot: SlotState) -> Iterator[tuple[str, str]]:
    """Label and text for what is in the image; texts may have several lines."""
    image = slot.image
    if image.header is None:
        yield "version", "-"
        yield "image", slot.problem or "none"
        return
    at = f" at +{slot.header_offset:#x}" if slot.header_offset else ""
    yield "version", f"{image.version}{at}"
    limit = f" of {slot.limit}" if slot.limit is not None else ""
    yield "size", f"{image.size if image.size is not None else '?'}{limit} bytes"
    if image.header.flags:
        address = f" {image.header.load_address:#x}" if image.header.load_address else ""
        yield "flags", " ".join(image.header.flags.names) + address
    yield "digest", _digest(image)
    yield "signature", f"{slot.signature.verdict}, {slot.signature.detail}"
    if slot.problem and slot.problem != str(slot.signature):
        yield "refused", slot.problem
    protected = [f"{entry.name} {explain_tlv(entry)}" for entry in image.tlvs(protected=True)]
    if protected:
        yield "protected", "\n".join(protected)
    yield "tlvs", " ".join(entry.name for entry in image.tlvs(protected=False)) or "none"


def _digest(image: Image) -> str:
    entry = image.stored_digest
    if entry is None:
        return "none"
    name, matches = DIGESTS[TlvType(entry.type)], image.digest_matches
    verdict = {True: "ok", False: "WRONG", None: "not checkable"}[matches]
    return f"{name} {entry.data.hex()[:_SHOWN_DIGITS]} {verdict}"


def trailer_rows(slot: SlotState, settings: BootSettings) -> Iterator[tuple[str, int, str]]:
    """Name, offset and meaning of each trailer field, from the end of the slot downwards."""
    if slot.trailer is None:
        return
    for item in slot.trailer.fields():
        yield item.name, item.offset, item.meaning
    if settings.mode.swaps:
        scratch = settings.scratch.size if settings.scratch else None
        status = slot.trailer.status.describe(slot.trailer.swap_size, settings.sector_size, scratch)
        yield "status", slot.trailer.layout.status, status


def slot_rows(state: ImageState, slot: SlotState, settings: BootSettings) -> dict[str, str]:
    """All facts of a slot by label, offsets left out."""
    rows: dict[str, str] = {}
    if state.resuming:
        rows["version"] = _MOVING
    else:
        rows.update(image_rows(slot))
    rows.update((name, meaning) for name, _, meaning in trailer_rows(slot, settings))
    findings = [
        str(finding) for finding in (*slot.findings, *(() if state.resuming else slot.image.findings))
    ]
    if findings:
        rows["findings"] = "\n".join(findings)
    return rows


def moving_rows(state: ImageState) -> Iterator[tuple[str, str]]:
    """The two images of an unfinished swap."""
    if not state.resuming:
        return
    for label, slot in (("arriving", state.incoming), ("leaving", state.outgoing)):
        if slot is None:
            yield label, "cannot be told: swap_size makes no sense"
        elif slot.image.header is None:
            yield label, "no image header"
        else:
            yield label, f"{slot.image.version}, {slot.signature}"
