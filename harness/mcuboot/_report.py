"""A flash explained: what is in the slots and what the next boot does.

The text is what ``harness slots`` prints and what failing tests show, the
dictionary is for machines, the flat facts are for comparing.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from ._flash_view import FlashView
from ._plan import BootPlan, plan_boot
from ._report_rows import IMAGE_LABELS, image_rows, moving_rows, size_text, slot_rows, trailer_rows
from ._settings import BootSettings
from ._slots import FlashState, ImageState, SlotState, read_flash
from ._tlv import TlvType
from ._tlv_values import explain_tlv
from ._trailer import MagicState, Trailer

_LABEL: Final = 20
_CELL: Final = 44


@dataclass(frozen=True, slots=True)
class FlashReport:
    """State of all slots and the plan of the next boot."""

    state: FlashState
    plan: BootPlan

    @classmethod
    def build(cls, view: FlashView, settings: BootSettings) -> Self:
        """Read and judge a flash. Never raises for any content."""
        state = read_flash(view, settings)
        return cls(state, plan_boot(state))

    @property
    def settings(self) -> BootSettings:
        """What the flash was read with."""
        return self.state.settings

    def image(self, number: int) -> ImageState:
        """State of both slots of an image."""
        return self.state.images[number]

    def to_text(self) -> str:
        """Aligned text of at most about 110 columns: slots side by side, findings, next boot."""
        lines = [_settings_line(self.settings)]
        for image in self.state.images:
            lines += ["", *_image_lines(image, self.settings)]
        if self.settings.scratch and self.settings.scratch_layout:
            lines += ["", _scratch_line(self.state.scratch, self.settings)]
        lines += ["", "next boot", *(f"  {line}" for line in self.plan.to_text().splitlines())]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.to_text()

    def facts(self) -> dict[str, str]:
        """Everything in the text as flat pairs, for example ``image 0 primary version``: ``1.0.0``."""
        facts: dict[str, str] = {}
        for image in self.state.images:
            for slot in (image.primary, image.secondary):
                if slot:
                    rows = slot_rows(image, slot, self.settings)
                    facts.update(
                        (f"image {image.number} {slot.name} {label}", text) for label, text in rows.items()
                    )
            facts.update((f"image {image.number} {label}", text) for label, text in moving_rows(image))
        if self.state.scratch:
            facts["scratch magic"] = str(self.state.scratch.magic)
            facts["scratch swap_info"] = str(self.state.scratch.swap_info)
        for plan in self.plan.images:
            facts[f"next boot image {plan.image}"] = f"{plan.action}: {plan.reason}"
        facts["next boot"] = self.plan.reason
        return facts

    def to_dict(self) -> dict[str, object]:
        """JSON-able form. Numbers are numbers, sizes and offsets are bytes, unknown is ``None``."""
        settings = self.settings
        return {
            "mode": settings.mode.value,
            "write_align": settings.write_align,
            "max_align": settings.max_align,
            "max_sectors": settings.max_sectors,
            "sector_size": settings.sector_size,
            "keys": [str(key) for key in settings.keys],
            "images": [_image_dict(image, settings) for image in self.state.images],
            "scratch": _trailer_dict(self.state.scratch),
            "next_boot": {
                "boots": self.plan.boots,
                "version": _text(self.plan.version),
                "reason": self.plan.reason,
                "images": [
                    {
                        "image": plan.image,
                        "action": plan.action.value,
                        "reason": plan.reason,
                        "version": _text(plan.version),
                        "slot": plan.runs.name if plan.runs else None,
                        "erases": [
                            {"slot": erasure.slot, "extent": erasure.extent, "why": erasure.why}
                            for erasure in plan.erased
                        ],
                        "notes": list(plan.notes),
                    }
                    for plan in self.plan.images
                ],
            },
        }


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _settings_line(settings: BootSettings) -> str:
    keys = ", ".join(str(key) for key in settings.keys) or "no key, digests only"
    return (
        f"{settings.mode}, write align {settings.write_align}, max align {settings.max_align}, "
        f"at most {settings.max_sectors} sectors of {size_text(settings.sector_size)}; {keys}"
    )


def _image_lines(image: ImageState, settings: BootSettings) -> Iterator[str]:
    slots = [slot for slot in (image.primary, image.secondary) if slot]
    heads = [f"{slot.name} {slot.area.address:#010x} {size_text(slot.area.size)}" for slot in slots]
    yield _row(settings.name(image.number), heads, indent="")
    if image.resuming:
        for label, text in moving_rows(image):
            yield _row(label, [text])
    else:
        yield from _side_by_side([dict(image_rows(slot)) for slot in slots])
    offsets = [{name: offset for name, offset, _ in trailer_rows(slot, settings)} for slot in slots]
    same = all(other == offsets[0] for other in offsets)
    cells = [
        {
            _trailer_label(name, offset, same): _trailer_cell(meaning, offset, same)
            for name, offset, meaning in rows
        }
        for rows in (list(trailer_rows(slot, settings)) for slot in slots)
    ]
    yield from _side_by_side(cells)
    for slot in slots:
        for finding in (*slot.findings, *(() if image.resuming else slot.image.findings)):
            if str(finding) != "info: +0x0: erased":
                yield f"  ! {slot.name} {finding}"


def _trailer_label(name: str, offset: int, same: bool) -> str:
    return f"{name:<10}+{offset:#x}" if same else name


def _trailer_cell(meaning: str, offset: int, same: bool) -> str:
    return meaning if same else f"{meaning} (+{offset:#x})"


def _side_by_side(columns: list[dict[str, str]]) -> Iterator[str]:
    labels = dict.fromkeys(label for column in columns for label in column)
    for label in sorted(labels, key=_label_order):
        yield _row(label, [column.get(label, "") for column in columns])


def _label_order(label: str) -> int:
    """Labels of the image keep one order whichever slot has them; others stay as they come."""
    return IMAGE_LABELS.index(label) if label in IMAGE_LABELS else len(IMAGE_LABELS)


def _row(label: str, cells: list[str], indent: str = "  ") -> str:
    split = (
        [_wrap(cell) for cell in cells] if len(cells) > 1 else [cell.splitlines() or [""] for cell in cells]
    )
    lines = []
    for index in range(max(len(cell) for cell in split)):
        head = f"{indent}{label}" if index == 0 else ""
        texts = [cell[index] if index < len(cell) else "" for cell in split]
        lines.append((f"{head:<{_LABEL}} " + "".join(f"{text:<{_CELL}} " for text in texts)).rstrip())
    return "\n".join(lines)


def _wrap(text: str) -> list[str]:
    lines = [
        part for line in text.splitlines() for part in textwrap.wrap(line, _CELL, subsequent_indent="  ")
    ]
    return lines or [""]


def _scratch_line(scratch: Trailer | None, settings: BootSettings) -> str:
    area = settings.scratch
    assert area is not None
    head = f"scratch {area.address:#010x} {size_text(area.size)}: "
    if scratch is None:
        return head + "not in the dump"
    if scratch.magic is MagicState.GOOD:
        return head + f"holds the status of a swap, {scratch.swap_info}"
    rest = ", what a former swap left there" if scratch.magic is MagicState.BAD else ""
    return head + f"magic {scratch.magic}{rest}"


def _image_dict(image: ImageState, settings: BootSettings) -> dict[str, object]:
    unfinished: dict[str, object] | None = None
    if image.unfinished:
        unfinished = {
            "kind": image.unfinished.kind.value,
            "source": image.unfinished.source.value,
            "type": image.unfinished.type.name.lower() if image.unfinished.type else None,
            "arriving": _content_dict(image.incoming),
            "leaving": _content_dict(image.outgoing),
        }
    return {
        "number": image.number,
        "name": settings.images[image.number].name,
        "primary": _slot_dict(image, image.primary),
        "secondary": _slot_dict(image, image.secondary) if image.secondary else None,
        "request": image.request.name.lower(),
        "unfinished": unfinished,
    }


def _slot_dict(state: ImageState, slot: SlotState) -> dict[str, object]:
    """While a swap is under way no image is reported from the start of a slot."""
    findings = slot.findings if state.resuming else (*slot.findings, *slot.image.findings)
    return {
        "address": slot.area.address,
        "size": slot.area.size,
        "image": None if state.resuming else _content_dict(slot),
        "trailer": _trailer_dict(slot.trailer),
        "findings": [finding.to_dict() for finding in findings],
    }


def _content_dict(slot: SlotState | None) -> dict[str, object] | None:
    if slot is None or slot.image.header is None:
        return None
    image, header = slot.image, slot.image.header
    digest = image.stored_digest
    return {
        "offset": slot.header_offset,
        "version": str(header.version),
        "header_size": header.header_size,
        "payload_size": header.payload_size,
        "protected_size": header.protected_size,
        "size": image.size,
        "limit": slot.limit,
        "flags": list(header.flags.names),
        "load_address": header.load_address,
        "check": slot.check.value,
        "problem": slot.problem or None,
        "digest": None
        if digest is None
        else {"type": TlvType(digest.type).name, "value": digest.data.hex(), "matches": image.digest_matches},
        "signature": {
            "verdict": slot.signature.verdict.value,
            "detail": slot.signature.detail,
            "key": _text(slot.signature.key),
        },
        "security_counter": image.security_counter,
        "dependencies": [{"image": item.image, "minimum": str(item.minimum)} for item in image.dependencies],
        "tlvs": [
            {
                "type": entry.type,
                "name": entry.name,
                "protected": entry.protected,
                "offset": entry.offset,
                "size": len(entry.data),
                "value": explain_tlv(entry),
            }
            for entry in image.tlvs()
        ],
    }


def _trailer_dict(trailer: Trailer | None) -> dict[str, object] | None:
    if trailer is None:
        return None
    status = trailer.status
    return {
        "fields": {
            item.name: {"offset": item.offset, "raw": item.raw.hex(), "meaning": item.meaning}
            for item in trailer.fields()
        },
        "status": {
            "offset": trailer.layout.status,
            "entries": len(status.values),
            "written": status.written,
            "consistent": status.consistent,
        },
    }
