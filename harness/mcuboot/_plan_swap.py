"""The next boot in modes with a primary slot: scratch, move, offset, overwrite-only, single.

Source: ``context_boot_go``, ``boot_prepare_image_for_update``, ``boot_validate_slot``,
``boot_review_image_swap_types`` and ``check_downgrade_prevention`` in bootutil's
``loader.c`` (MCUboot 2.4.0).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ._dependencies import searchable, unmet_dependency
from ._limits import has_room, slots_problem
from ._modes import SwapMode
from ._plan import BootAction, BootPlan, Erasure, ImagePlan
from ._settings import BootSettings, DowngradePrevention
from ._slots import FlashState, ImageState, SlotCheck, SlotState
from ._swap_type import UnfinishedSwap, swap_type
from ._trailer import FlagState, MagicState, SwapType, TrailerState

_ACTIONS = {
    SwapType.TEST: BootAction.TEST,
    SwapType.PERMANENT: BootAction.PERMANENT,
    SwapType.REVERT: BootAction.REVERT,
}


@dataclass(slots=True)
class _Work:
    """One image while the plan is made."""

    state: ImageState
    type: SwapType = SwapType.NONE
    action: BootAction = BootAction.KEEP
    reason: str = ""
    runs: SlotState | None = None
    resumed: bool = False
    broken: str = ""
    """Why the primary holds no usable image afterwards, whatever was validated."""
    erased: list[Erasure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def keep(self, reason: str, action: BootAction = BootAction.KEEP) -> None:
        self.type, self.action, self.reason = SwapType.NONE, action, reason

    def erase(self, extent: str, why: str, slot: str = "secondary") -> None:
        self.erased.append(Erasure(self.state.number, slot, extent, why))

    @property
    def active(self) -> SlotState:
        """The slot whose image is in the primary afterwards, as things stand."""
        if self.type.changes_image and self.state.secondary:
            return self.state.secondary
        return self.runs or self.state.primary

    def done(self) -> ImagePlan:
        return ImagePlan(
            self.state.number,
            self.action,
            self.reason,
            self.type,
            None if self.broken or self.action in (BootAction.PANIC, BootAction.UNKNOWN) else self.active,
            tuple(self.erased),
            tuple(self.notes),
        )


def plan_swaps(state: FlashState) -> BootPlan:
    """See :func:`plan_boot`."""
    settings = state.settings
    works = [_Work(image) for image in state.images]
    changing = False
    for work in works:
        _prepare(work, works, state)
        changing = changing or work.type.changes_image
    # A boot loader for one image is built without the dependency check.
    if len(works) > 1 and changing:
        _check_dependencies(works, settings)
    for work in works:
        _perform(work, settings)
        if work.action is BootAction.PANIC:
            break
    return _conclude(works, settings)


def _prepare(work: _Work, works: list[_Work], state: FlashState) -> None:
    """Find out what is asked for, and validate the secondary if it is to be used."""
    image, settings = work.state, state.settings
    if image.secondary is None:
        work.keep("only one slot, nothing to update")
        return
    missing = _missing_trailer(image, state)
    if missing:
        work.keep(f"the trailer of the {missing} is not in the dump", BootAction.UNKNOWN)
        return
    problem = slots_problem(settings, image.number)
    if problem:
        work.keep(f"never updated: {problem}")
        return
    if _hides_updates(image, settings):
        work.keep(f"the primary has no image header, and {settings.mode} then does not look for updates")
        return
    if image.unfinished and image.resuming:
        _resume(work, image.unfinished, settings)
    elif image.unfinished:
        _start_again(work, image.unfinished, settings)
    else:
        _request(work, settings)
    idle = work.type is SwapType.NONE and work.action is BootAction.KEEP
    if settings.bootstrap and idle and not image.resuming:
        _bootstrap(work, settings)
    # A higher image in the middle of an update shows that power was lost between
    # two updates: what looks like a revert of a lower one is an update just made.
    begun = work.resumed or work.action is BootAction.PANIC
    if begun or work.type in (SwapType.TEST, SwapType.PERMANENT, SwapType.FAIL):
        for lower in works[: image.number]:
            if lower.type is SwapType.REVERT:
                lower.keep(
                    f"would revert, but the update of image {image.number} is not finished: "
                    "power was lost between the two updates"
                )


def _hides_updates(image: ImageState, settings: BootSettings) -> bool:
    """Move and offset want a header in the primary; with bootstrap an erased one will do."""
    if settings.mode not in (SwapMode.MOVE, SwapMode.OFFSET) or image.resuming or image.primary.image.header:
        return False
    return not (settings.bootstrap and image.primary.check is SlotCheck.EMPTY)


def _missing_trailer(image: ImageState, state: FlashState) -> str | None:
    if state.settings.mode is SwapMode.SCRATCH and state.scratch is None:
        return "scratch area"
    slots = (image.primary, image.secondary)
    return next((slot.name for slot in slots if slot and slot.trailer is None), None)


def _resume(work: _Work, unfinished: UnfinishedSwap, settings: BootSettings) -> None:
    image = work.state
    incoming, outgoing = image.incoming, image.outgoing
    headers = [slot.image.header for slot in (incoming, outgoing) if slot]
    if settings.mode is not SwapMode.SCRATCH and not all(headers):
        work.keep("a swap is unfinished, but the image headers are not where it left them")
        return
    name = unfinished.type.name.lower() if unfinished.type else "unknown"
    scratch = settings.scratch.size if settings.scratch else None
    progress = unfinished.trailer.status.describe(unfinished.trailer.swap_size, settings.sector_size, scratch)
    work.resumed, work.runs = True, incoming
    version = incoming.image.version if incoming else None
    outcome = f"; {version} will be in the primary" if version else "; which image arrives cannot be told"
    work.keep(
        f"a {name} swap is unfinished ({unfinished.source}, {progress}) and is finished first{outcome}",
        BootAction.RESUME,
    )
    if incoming is None:
        work.notes.append("its swap_size makes no sense: MCUboot reads outside of the slot or never ends")
    if unfinished.type is None or not unfinished.type.changes_image:
        work.notes.append("swap_info names no swap: copy_done is never set, and each boot resumes again")


def _start_again(work: _Work, unfinished: UnfinishedSwap, settings: BootSettings) -> None:
    """``swap_info`` is written and no entry is: the swap begins without a request in the secondary."""
    said = f"swap_info {unfinished.trailer.swap_info} in the {unfinished.source} and no status entry"
    if not _validate_secondary(work, SwapType.NONE, settings):
        work.keep(f"{said}: a swap was about to begin, but the secondary's image is refused", BootAction.FAIL)
        work.type = SwapType.FAIL
    elif unfinished.type is None:
        work.keep(f"{said}: the boot loader stops", BootAction.PANIC)
    elif unfinished.type is SwapType.FAIL:
        work.keep(f"{said}: taken as a failed update", BootAction.FAIL)
        work.type = SwapType.FAIL
    else:
        work.type = unfinished.type
        work.reason = f"{said}: the swap begins although the secondary carries no request"


def _request(work: _Work, settings: BootSettings) -> None:
    request = work.state.request
    if not request.changes_image:
        work.keep(_no_request(work.state))
    elif _validate_secondary(work, request, settings):
        work.type = request
        work.reason = _request_reason(work.state, settings)
    else:
        secondary = work.state.secondary
        problem = work.erased[-1].why if work.erased else secondary.problem if secondary else ""
        work.keep(f"{request.name.lower()} is requested, but refused: {problem}")


def _bootstrap(work: _Work, settings: BootSettings) -> None:
    """Fill a primary that cannot be used."""
    primary, secondary = work.state.primary, work.state.secondary
    if primary.valid or secondary is None or work.erased:
        return
    if _validate_secondary(work, SwapType.NONE, settings) and secondary.image.header:
        work.type = SwapType.REVERT
        work.reason = f"the primary is unusable ({primary.problem}): filled with {secondary.image.version}"


def _no_request(image: ImageState) -> str:
    primary, secondary = image.primary.trailer, image.secondary.trailer if image.secondary else None
    if secondary and secondary.magic is MagicState.BAD:
        return "the secondary's magic is bad, so it requests nothing"
    if secondary and secondary.magic is MagicState.GOOD:
        return "the secondary's magic is good but its image_ok is bad, which requests nothing"
    if primary and primary.magic is MagicState.GOOD and primary.image_ok is FlagState.SET:
        return "the primary is confirmed and the secondary requests nothing"
    return "the secondary requests nothing"


def _request_reason(image: ImageState, settings: BootSettings) -> str:
    assert image.secondary is not None
    new, old = image.secondary.image.version, image.primary.image.version
    if settings.mode.overwrites:
        return f"the secondary requests an update: {new} is copied over {old}"
    match image.request:
        case SwapType.TEST:
            return (
                f"the secondary requests a test: {new} replaces {old} until the boot after, unless confirmed"
            )
        case SwapType.PERMANENT:
            return f"the secondary requests a permanent update: {new} replaces {old}"
        case _:
            return f"{old} was swapped in and never confirmed: {new} comes back"


def _validate_secondary(work: _Work, expected: SwapType, settings: BootSettings) -> bool:
    """Check the secondary as the boot loader does, and note what it erases in doing so."""
    secondary = work.state.secondary
    assert secondary is not None
    swaps = settings.mode.swaps
    if secondary.check in (SlotCheck.EMPTY, SlotCheck.NOT_BOOTABLE):
        if swaps:
            work.erase("trailer", secondary.problem)
            reverting = _looks_reverting(work.state, settings)
            if settings.mode is SwapMode.MOVE and reverting:
                work.erase("trailer", "the revert has no image to go back to", "primary")
        return False
    problem = secondary.problem
    asked = expected in (SwapType.TEST, SwapType.PERMANENT)
    if settings.mode is SwapMode.OFFSET and asked and secondary.header_at_start:
        problem = "an image header at its first sector: swap-offset wants uploads one sector further up"
    elif settings.mode.overwrites and settings.downgrade_prevention is not DowngradePrevention.NONE:
        problem = _older(work.state, settings) or problem
    if problem:
        work.erase(settings.refused_extent, problem)
    return not problem


def _looks_reverting(image: ImageState, settings: BootSettings) -> bool:
    """Whether the primary looks like a revert once the secondary's trailer is erased."""
    if image.unfinished and image.unfinished.low_nibble == SwapType.REVERT:
        return True
    primary = image.primary.trailer
    return primary is not None and swap_type(primary.state, TrailerState(), settings.mode) is SwapType.REVERT


def _older(image: ImageState, settings: BootSettings) -> str:
    """The downgrade rule by version; an erased primary allows everything."""
    assert image.secondary is not None
    ours, theirs = image.primary.raw_header, image.secondary.raw_header
    if ours is None or theirs is None:
        return ""
    if settings.mode.overwrites and ours.is_erased(settings.erased_value):
        return ""
    if theirs.version.compare(ours.version, with_build=settings.compare_build_number) >= 0:
        return ""
    return f"{theirs.version} is older than {ours.version}"


def _downgrade(image: ImageState, settings: BootSettings) -> str:
    """Why downgrade prevention refuses the swap; empty if it does not."""
    if settings.downgrade_prevention is DowngradePrevention.VERSION:
        return _older(image, settings)
    if settings.downgrade_prevention is DowngradePrevention.SECURITY_COUNTER and image.secondary:
        old = image.primary.image
        ours = old.security_counter if searchable(old) else None
        theirs = image.secondary.image.security_counter
        if ours is not None and theirs is None:
            return f"it has no security counter, the primary has {ours}"
        if ours is not None and theirs is not None and theirs < ours:
            return f"security counter {theirs} is below the primary's {ours}"
    return ""


def _check_dependencies(works: list[_Work], settings: BootSettings) -> None:
    """One unmet dependency stops all updates of this boot; nothing is erased, requests stay."""
    active = [work.active for work in works]
    for work in works:
        # A type that is none still counts as one when the image's own entries are looked for.
        own = work.state.secondary if work.action is BootAction.PANIC else None
        unmet = unmet_dependency(work.state.number, active, own=own, with_build=settings.compare_build_number)
        if unmet is None:
            continue
        for other in works:
            if other.type is not SwapType.NONE or other.action is BootAction.PANIC:
                other.keep(f"{other.type.name.lower()} is put off: {unmet}; requests stay")
        return


def _perform(work: _Work, settings: BootSettings) -> None:
    if work.type in (SwapType.TEST, SwapType.PERMANENT) and settings.mode.swaps:
        older = _downgrade(work.state, settings)
        if older:
            asked = work.type.name.lower()
            work.keep(f"{asked} is requested, but refused by downgrade prevention: {older}")
            work.erase(settings.refused_extent, older)
            return
    if not work.type.changes_image:
        return
    # A boot loader built for bootstrap copies over any primary that it could not use.
    copied = settings.mode.overwrites or (settings.bootstrap and not work.state.primary.valid)
    if not copied and not searchable(work.state.primary.image, empty=True):
        work.keep("the TLV areas of the primary's image cannot be found: swapping it fails", BootAction.PANIC)
        return
    sizes = [slot.image.size or 0 for slot in (work.state.primary, work.state.secondary) if slot]
    if not copied and not has_room(settings, work.state.number, max(sizes)):
        kept = f"{work.type.name.lower()} is not begun: the primary's {sizes[0]} bytes leave no room to swap"
        work.notes.append("its copy_done is set all the same, and the request stays")
        work.keep(kept)
        return
    work.action = BootAction.OVERWRITE if copied else _ACTIONS[work.type]
    if copied:
        whole = settings.mode.overwrites or settings.mode is SwapMode.SCRATCH
        work.erase("first and last sector" if whole else "last sector", "copied")
    work.broken = _misplaced(work, settings, copied=copied)


def _misplaced(work: _Work, settings: BootSettings, *, copied: bool) -> str:
    """Swap-offset validates an image where it finds one, but swaps from a fixed place."""
    secondary = work.state.secondary
    taken_from = 0 if work.type is SwapType.REVERT and not copied else settings.sector_size
    if settings.mode is not SwapMode.OFFSET or secondary is None or secondary.header_offset == taken_from:
        return ""
    return (
        f"its image lies at +{secondary.header_offset:#x} of the secondary, "
        f"but a {work.type.name.lower()} takes it from +{taken_from:#x}"
    )


def _conclude(works: list[_Work], settings: BootSettings) -> BootPlan:
    if settings.rollback_protection:
        for work in works:
            work.notes += _counter_note(work)
    plans = tuple(work.done() for work in works)
    for plan in plans:
        if plan.action is BootAction.PANIC:
            return BootPlan(plans, False, f"does not boot: {plan.reason}")
    if any(plan.action is BootAction.UNKNOWN for plan in plans):
        return BootPlan(plans, None, "cannot be told: the dump does not show enough")
    for work, plan in zip(works, plans, strict=True):
        if work.resumed and work.runs is None:
            return BootPlan(plans, None, f"cannot be told: image {plan.image} after its swap is not known")
        problem = work.broken or _primary_problem(work.active, settings)
        if problem:
            where = "the primary's" if work.active is work.state.primary else "the new"
            return BootPlan(plans, False, f"does not boot: {where} image of image {plan.image}: {problem}")
    return BootPlan(plans, True, f"boots image 0, {plans[0].version}")


def _counter_note(work: _Work) -> list[str]:
    """When the stored security counter rises to that of the image, if it is lower."""
    counter, trailer = work.active.image.security_counter, work.state.primary.trailer
    if counter is None or trailer is None:
        return []
    if work.action in (BootAction.OVERWRITE, BootAction.PERMANENT, BootAction.REVERT, BootAction.FAIL):
        return [f"the stored security counter is {counter} or more after this boot"]
    waits = work.action is BootAction.TEST or (
        work.action is BootAction.KEEP
        and trailer.magic is MagicState.GOOD
        and trailer.image_ok is not FlagState.SET
    )
    if waits:
        return [f"the stored security counter rises to {counter} at the first boot after the confirmation"]
    return [f"the stored security counter is {counter} or more after this boot"] if not work.resumed else []


def _primary_problem(slot: SlotState, settings: BootSettings) -> str:
    if settings.validate_primary:
        return slot.problem
    return "" if slot.image.header else "no image header"
