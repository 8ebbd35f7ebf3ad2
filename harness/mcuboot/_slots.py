"""A whole flash, read with the boot loader's eyes.

The checks are those of ``boot_validate_slot`` and ``bootutil_img_validate`` in bootutil's
``loader.c`` and ``image_validate.c``; where swap-offset looks for the secondary's header is
``boot_read_image_header`` in ``swap_offset.c`` (MCUboot 2.4.0).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace

from harness._errors import ImageError

from ._findings import Finding, Severity
from ._flash_view import FlashView
from ._header import HEADER_SIZE, IMAGE_MAGIC, ImageFlags, ImageHeader
from ._image import Image
from ._limits import max_image_size, slot_image_limit
from ._modes import SwapMode
from ._reassemble import reassemble
from ._settings import BootSettings, FlashArea
from ._signature import SignatureResult, SignatureVerdict, verify_signature
from ._swap_type import UnfinishedKind, UnfinishedSwap, swap_type, unfinished_swap
from ._trailer import SwapType, Trailer


class SlotCheck(enum.StrEnum):
    """What validation makes of a slot."""

    VALID = "valid"
    EMPTY = "empty"
    """Header erased."""
    NOT_BOOTABLE = "not bootable"
    """Flagged as such."""
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class SlotState:
    """One slot. ``check`` and ``problem`` say whether the boot loader would take its image."""

    name: str
    area: FlashArea
    image: Image
    trailer: Trailer | None
    """``None`` if the dump does not show it."""
    signature: SignatureResult
    check: SlotCheck
    problem: str = ""
    """Why it is not valid, as a phrase."""
    header_offset: int = 0
    """Where the image was found, in bytes from the start of the slot."""
    header_at_start: bool = False
    """There is an image header (also) at the very start of the slot."""
    limit: int | None = None
    """Largest image in bytes; ``None`` if the slots do not go together."""
    findings: tuple[Finding, ...] = ()
    """About the slot; those about the image are in ``image``."""
    raw_header: ImageHeader | None = field(default=None, repr=False)
    """The first 32 bytes decoded, whatever they are."""

    @property
    def valid(self) -> bool:
        """The boot loader would take the image."""
        return self.check is SlotCheck.VALID


@dataclass(frozen=True, slots=True)
class ImageState:
    """Both slots of an image, and an unfinished swap between them.

    While ``unfinished`` is a swap to resume, what lies at the start of the slots
    is no image: ``incoming`` and ``outgoing`` are the images put together from
    where the swap has left their sectors.
    """

    number: int
    primary: SlotState
    secondary: SlotState | None = None
    request: SwapType = SwapType.NONE
    """What the swap type table says."""
    unfinished: UnfinishedSwap | None = None
    incoming: SlotState | None = None
    outgoing: SlotState | None = None

    @property
    def resuming(self) -> bool:
        """The next boot continues a swap that has moved sectors already."""
        return self.unfinished is not None and self.unfinished.kind is UnfinishedKind.RESUME


@dataclass(frozen=True, slots=True)
class FlashState:
    """All slots and the scratch trailer."""

    settings: BootSettings
    images: tuple[ImageState, ...]
    scratch: Trailer | None = None


def read_flash(view: FlashView, settings: BootSettings) -> FlashState:
    """Read all slots of a flash. Any content is legal; what is not in ``view`` is missing in the result."""
    scratch: Trailer | None = None
    layout = settings.scratch_layout
    if layout is not None and settings.scratch is not None:
        raw = view.read(settings.scratch.address, settings.scratch.size)
        scratch = None if raw is None else Trailer.parse(raw, layout)
    images = tuple(_read_image(view, settings, number, scratch) for number in range(len(settings.images)))
    return FlashState(settings, images, scratch)


def _read_image(view: FlashView, settings: BootSettings, number: int, scratch: Trailer | None) -> ImageState:
    areas = settings.images[number]
    trailer = _read_trailer(view, settings, areas.primary)
    if areas.secondary is None:
        return ImageState(number, _read_slot(view, settings, number, "primary", areas.primary, trailer))
    other = _read_trailer(view, settings, areas.secondary)
    request, unfinished = SwapType.NONE, None
    if trailer and other and not settings.mode.selects:
        request = swap_type(trailer.state, other.state, settings.mode)
        scratch_known = settings.mode is not SwapMode.SCRATCH or scratch is not None
        if scratch_known:
            unfinished = unfinished_swap(
                settings.mode, trailer, other, scratch, image=number, images=len(settings.images)
            )
    offset = _secondary_offset(view, settings, areas.secondary, request, unfinished)
    state = ImageState(
        number,
        _read_slot(view, settings, number, "primary", areas.primary, trailer),
        _read_slot(view, settings, number, "secondary", areas.secondary, other, offset),
        request,
        unfinished,
    )
    if state.resuming:
        return _reassembled(view, settings, state)
    return state


def _read_trailer(view: FlashView, settings: BootSettings, area: FlashArea) -> Trailer | None:
    layout = settings.layout(area)
    raw = view.read(area.address + layout.status, layout.size)
    return None if raw is None else Trailer(layout, raw)


def has_header(view: FlashView, address: int) -> bool:
    """True if the header magic is at an address."""
    return view.read(address, 4) == IMAGE_MAGIC.to_bytes(4, "little")


def _secondary_offset(
    view: FlashView,
    settings: BootSettings,
    area: FlashArea,
    request: SwapType,
    unfinished: UnfinishedSwap | None,
) -> int:
    """Where the secondary's header is looked for: one sector up in swap-offset, or at 0."""
    if settings.mode is not SwapMode.OFFSET:
        return 0
    sector = settings.sector_size
    if unfinished and unfinished.low_nibble == SwapType.REVERT:
        return 0
    first, other = (0, sector) if request is SwapType.REVERT else (sector, 0)
    return first if has_header(view, area.address + first) else other


def _read_slot(
    view: FlashView,
    settings: BootSettings,
    number: int,
    name: str,
    area: FlashArea,
    trailer: Trailer | None,
    offset: int = 0,
) -> SlotState:
    data = view.read_known(area.address + offset, area.size - offset)
    findings: list[Finding] = []
    if trailer is None:
        findings.append(Finding(Severity.WARNING, "trailer is not in the dump"))
    if len(data) < area.size - offset:
        what = "slot is not in the dump" if not data else "slot is only partly in the dump"
        findings.append(Finding(Severity.WARNING, what, offset + len(data)))
    slot = _judge(settings, number, name, area, data)
    return replace(
        slot,
        trailer=trailer,
        header_offset=offset,
        header_at_start=has_header(view, area.address),
        findings=(*findings, *slot.findings),
    )


def _judge(settings: BootSettings, number: int, name: str, area: FlashArea, data: bytes) -> SlotState:
    """The image in ``data``, as the boot loader would judge it in this slot."""
    image = Image.parse(data, erased_value=settings.erased_value)
    signature = verify_signature(
        image,
        settings.keys,
        hash_algorithm=settings.hash_algorithm,
        pure=settings.pure_signature,
        plain=name == "primary" and settings.encryption_key_size > 0,
    )
    raw = ImageHeader.parse(data) if len(data) >= HEADER_SIZE else None
    limit = _limit(settings, number, area)
    check, problem = _check(settings, number, area, image, raw, signature, limit)
    findings: tuple[Finding, ...] = ()
    if image.size and limit is not None and image.size > limit:
        size = f"{image.size} bytes"
        findings = (Finding(Severity.ERROR, "image is too large", None, f"<= {limit} bytes", size),)
    return SlotState(
        name=name,
        area=area,
        image=image,
        trailer=None,
        signature=signature,
        check=check,
        problem=problem,
        limit=limit,
        findings=findings,
        raw_header=raw,
    )


def _limit(settings: BootSettings, number: int, area: FlashArea) -> int | None:
    if not settings.mode.swaps:
        return slot_image_limit(settings, area)
    try:
        return max_image_size(settings, number)
    except ImageError:
        return None


def _check(
    settings: BootSettings,
    number: int,
    area: FlashArea,
    image: Image,
    raw: ImageHeader | None,
    signature: SignatureResult,
    limit: int | None,
) -> tuple[SlotCheck, str]:
    if raw is None:
        return SlotCheck.INVALID, "not in the dump"
    if raw.is_erased(settings.erased_value):
        return SlotCheck.EMPTY, "no image, header erased"
    if raw.flags & ImageFlags.NON_BOOTABLE:
        return SlotCheck.NOT_BOOTABLE, "flagged as not bootable"
    problems = raw.problems(
        area.size, encryption=settings.encryption_key_size > 0, compression=settings.compression
    )
    if problems:
        return SlotCheck.INVALID, problems[0].what
    if not image.walkable:
        errors = [finding.what for finding in image.findings if finding.severity is Severity.ERROR]
        return SlotCheck.INVALID, errors[0] if errors else "TLV areas cannot be read"
    if limit is not None and image.size is not None and image.size > limit:
        return SlotCheck.INVALID, f"{image.size} bytes are too large, at most {limit} are accepted"
    unverifiable = raw.flags.encrypted and signature.verdict is SignatureVerdict.UNREADABLE
    if not signature.ok and not unverifiable:
        return SlotCheck.INVALID, str(signature)
    problem = _counter_problem(settings, number, image)
    return (SlotCheck.INVALID, problem) if problem else (SlotCheck.VALID, "")


def _counter_problem(settings: BootSettings, number: int, image: Image) -> str:
    if not settings.rollback_protection:
        return ""
    if image.security_counter is None:
        return "no security counter, which rollback protection requires"
    stored = settings.stored_counter(number)
    if stored is not None and image.security_counter < stored:
        return f"security counter {image.security_counter} is below the stored {stored}"
    return ""


def _reassembled(view: FlashView, settings: BootSettings, state: ImageState) -> ImageState:
    unfinished, secondary = state.unfinished, state.secondary
    assert unfinished is not None
    assert secondary is not None
    trailer = unfinished.trailer
    scratch = settings.scratch
    parts = reassemble(
        trailer.status,
        trailer.swap_size or 0,
        primary=view.read(state.primary.area.address, state.primary.area.size) or b"",
        secondary=view.read(secondary.area.address, secondary.area.size) or b"",
        scratch=(view.read(scratch.address, scratch.size) or b"") if scratch else b"",
        sector_size=settings.sector_size,
        revert=unfinished.low_nibble == SwapType.REVERT or state.request is SwapType.REVERT,
    )
    if parts is None:
        return state
    incoming = _judge(settings, state.number, "primary", state.primary.area, parts.incoming)
    outgoing = _judge(settings, state.number, "secondary", secondary.area, parts.outgoing)
    return replace(state, incoming=incoming, outgoing=outgoing)
