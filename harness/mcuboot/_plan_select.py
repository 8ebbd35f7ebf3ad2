"""The next boot in modes that pick a slot by version: direct-xip and RAM load.

Source: ``boot_load_and_validate_images``, ``boot_select_or_erase`` and
``boot_rom_address_check`` in bootutil's ``loader.c``, ``boot_load_image_to_sram`` in
``ram_load.c`` (MCUboot 2.4.0).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ._dependencies import unmet_dependency
from ._header import ImageFlags
from ._plan import BootAction, BootPlan, Erasure, ImagePlan
from ._settings import BootSettings
from ._slots import FlashState, ImageState, SlotCheck, SlotState
from ._trailer import FlagState, MagicState


@dataclass(slots=True)
class _Choice:
    """One image while slots are tried."""

    state: ImageState
    available: list[SlotState]
    active: SlotState | None = None
    erased: list[Erasure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def drop(self, slot: SlotState, why: str, *, erase: str = "") -> None:
        self.available = [other for other in self.available if other is not slot]
        self.active = None
        if erase:
            self.erased.append(Erasure(self.state.number, slot.name, erase, why))
        else:
            self.notes.append(f"{slot.name} skipped: {why}")

    def candidate(self, with_build: bool) -> SlotState | None:
        """Highest version; of equal ones the primary."""
        best: SlotState | None = None
        for slot in self.available:
            ours, theirs = slot.image.version, best.image.version if best else None
            if ours and (theirs is None or ours.compare(theirs, with_build=with_build) > 0):
                best = slot
        return best


def plan_selection(state: FlashState) -> BootPlan:
    """See :func:`plan_boot`."""
    settings = state.settings
    choices = [_Choice(image, _candidates(image, settings)) for image in state.images]
    if settings.mode.needs_confirmation:
        unknown = _unknown_trailer(state)
        if unknown:
            plans = tuple(ImagePlan(choice.state.number, BootAction.UNKNOWN, unknown) for choice in choices)
            return BootPlan(plans, None, f"cannot be told: {unknown}")
    while True:
        for choice in choices:
            if choice.active is None and not _select(choice, choices, settings):
                return _conclude(
                    choices, settings, f"does not boot: image {choice.state.number} has no usable slot"
                )
        unmet = _drop_unmet(choices, settings) if len(choices) > 1 else False
        if not unmet:
            return _conclude(choices, settings, None)


def _candidates(image: ImageState, settings: BootSettings) -> list[SlotState]:
    slots = [image.primary, image.secondary]
    options = {"encryption": settings.encryption_key_size > 0, "compression": settings.compression}
    return [
        slot
        for slot in slots
        if slot and slot.raw_header and not slot.raw_header.problems(slot.area.size, **options)
    ]


def _unknown_trailer(state: FlashState) -> str | None:
    for image in state.images:
        for slot in (image.primary, image.secondary):
            if slot and slot.image.header and slot.trailer is None:
                return f"the trailer of image {image.number} {slot.name} is not in the dump"
    return None


def _select(choice: _Choice, choices: list[_Choice], settings: BootSettings) -> bool:
    """Try slots until one can be used; False if none can."""
    while (slot := choice.candidate(settings.compare_build_number)) is not None:
        problem, erase = _refusal(slot, choice, choices, settings)
        if problem is None:
            choice.active = slot
            return True
        choice.drop(slot, problem, erase=erase)
    return False


def _refusal(
    slot: SlotState, choice: _Choice, choices: list[_Choice], settings: BootSettings
) -> tuple[str | None, str]:
    """Why a slot is not used, and how much of it is erased for that."""
    header = slot.image.header
    assert header is not None
    if settings.mode.executes_in_place and header.flags & ImageFlags.ROM_FIXED:
        place = slot.area.address - settings.flash_base
        if header.load_address != place:
            return f"built for {header.load_address:#x}, the slot is at {place:#x}", ""
    if settings.mode.needs_confirmation and slot.trailer:
        trailer = slot.trailer
        if trailer.magic is not MagicState.GOOD:
            return f"its magic is {trailer.magic}", "whole slot"
        if trailer.copy_done is FlagState.SET and trailer.image_ok is not FlagState.SET:
            return "it was booted once and not confirmed", "whole slot"
    if settings.mode.loads_to_ram:
        problem = _load_problem(slot, choice, choices, settings)
        if problem:
            return problem, settings.refused_extent
    if slot.check is SlotCheck.NOT_BOOTABLE:
        return slot.problem, ""
    return (None, "") if slot.valid else (slot.problem, settings.refused_extent)


def _load_problem(
    slot: SlotState, choice: _Choice, choices: list[_Choice], settings: BootSettings
) -> str | None:
    header, size = slot.image.header, slot.image.size
    assert header is not None
    if not header.flags & ImageFlags.RAM_LOAD:
        return "not flagged for loading to RAM"
    if size is None:
        return "its size cannot be read"
    start, end = header.load_address, header.load_address + size
    window = settings.executable_ram
    if window and not (window.address <= start and end <= window.end):
        return f"would be loaded to {start:#x}..{end:#x}, outside of the executable RAM {window}"
    for other in choices:
        if other is choice or other.active is None:
            continue
        there = other.active.image
        if there.header is None or there.size is None:
            continue
        low, high = there.header.load_address, there.header.load_address + there.size
        # An image that begins right where this one ends counts as overlapping, too.
        if start <= low <= end or low < start < high:
            return f"would be loaded over image {other.state.number}"
    return None


def _drop_unmet(choices: list[_Choice], settings: BootSettings) -> bool:
    """Take the first image with an unmet dependency out of use; True if there was one."""
    active = [choice.active for choice in choices if choice.active]
    for choice in choices:
        unmet = unmet_dependency(choice.state.number, active, with_build=settings.compare_build_number)
        if unmet and choice.active:
            choice.drop(choice.active, unmet)
            return True
    return False


def _conclude(choices: list[_Choice], settings: BootSettings, failure: str | None) -> BootPlan:
    plans = tuple(_plan(choice, settings) for choice in choices)
    if failure:
        return BootPlan(plans, False, failure)
    first = plans[0]
    slot = first.runs.name if first.runs else ""
    return BootPlan(plans, True, f"boots image 0, {first.version}, from the {slot}")


def _plan(choice: _Choice, settings: BootSettings) -> ImagePlan:
    slot, number = choice.active, choice.state.number
    erased, notes = tuple(choice.erased), list(choice.notes)
    if slot is None:
        return ImagePlan(number, BootAction.NOTHING, "no slot can be used", erased=erased, notes=tuple(notes))
    if settings.mode.needs_confirmation and slot.trailer and slot.trailer.copy_done is not FlagState.SET:
        notes.append("copy_done is written: without a confirmation this is its only boot")
    others = [
        other for other in (choice.state.primary, choice.state.secondary) if other and other is not slot
    ]
    rivals = [f"{other.name} {other.image.version}" for other in others if other.image.version]
    reason = f"{slot.name} {slot.image.version}" + (
        f" before {', '.join(rivals)}" if rivals else " is the only image"
    )
    return ImagePlan(number, BootAction.SELECT, reason, runs=slot, erased=erased, notes=tuple(notes))
