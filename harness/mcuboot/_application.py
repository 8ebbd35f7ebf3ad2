"""What an application's calls write into trailers, and how trailers look after each step.

Source: ``boot_set_next`` in bootutil's ``bootutil_public.c`` (MCUboot 2.4.0), and its design
document, "Image swapping"; the states were measured on the unmodified boot loader.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ._modes import SwapMode
from ._settings import BootSettings
from ._trailer import FLAG_SET, FlagState, MagicState, SwapInfo, SwapType, Trailer, TrailerState

_BAD_VECTOR = 4
_BAD_IMAGE = 3


@dataclass(frozen=True, slots=True)
class TrailerWrite:
    """One write of the boot library. ``offset`` counts from the start of the slot."""

    field: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ApiOutcome:
    """Return value of a call and what it writes, in order."""

    result: int
    writes: tuple[TrailerWrite, ...] = ()


def set_pending(secondary: Trailer, *, permanent: bool, image: int = 0) -> ApiOutcome:
    """What ``boot_set_pending_multi`` does to the secondary slot.

    With a good magic it writes nothing and returns 0, so a test request cannot
    be made permanent this way; with a bad one it returns 3.

    In the selecting modes the request is the magic alone, and a permanent one
    is a confirmation.
    """
    if secondary.layout.mode.selects:
        return _select_next(secondary, confirm=permanent)
    if secondary.magic is not MagicState.UNSET:
        return ApiOutcome(0 if secondary.magic is MagicState.GOOD else _BAD_IMAGE)
    kind = SwapType.PERMANENT if permanent else SwapType.TEST
    writes = [_magic(secondary)]
    if permanent:
        writes.append(_flag(secondary, "image_ok", secondary.layout.image_ok))
    info = SwapInfo.build(kind, image).raw
    writes.append(_unit(secondary, "swap_info", secondary.layout.swap_info, info))
    return ApiOutcome(0, tuple(writes))


def set_confirmed(active: Trailer) -> ApiOutcome:
    """What ``boot_set_confirmed_multi`` does to the running image's slot.

    Without a magic it writes nothing and returns 0: an image flashed without a
    trailer need not be confirmed. A bad magic returns 4. ``copy_done`` is not
    looked at, except in the selecting modes.
    """
    if active.layout.mode.selects:
        return _select_next(active, confirm=True)
    if active.magic is MagicState.BAD:
        return ApiOutcome(_BAD_VECTOR)
    if active.magic is MagicState.GOOD and active.image_ok is FlagState.UNSET:
        return ApiOutcome(0, (_flag(active, "image_ok", active.layout.image_ok),))
    return ApiOutcome(0)


def _select_next(slot: Trailer, *, confirm: bool) -> ApiOutcome:
    if slot.magic is MagicState.BAD:
        return ApiOutcome(_BAD_IMAGE)
    writes = [_magic(slot)] if slot.magic is MagicState.UNSET else []
    if confirm and slot.copy_done is FlagState.UNSET:
        writes.append(_flag(slot, "copy_done", slot.layout.copy_done))
    if confirm and slot.image_ok is FlagState.UNSET:
        writes.append(_flag(slot, "image_ok", slot.layout.image_ok))
    return ApiOutcome(0, tuple(writes))


def _magic(trailer: Trailer) -> TrailerWrite:
    layout = trailer.layout
    size = max(len(layout.magic_bytes), layout.max_align)
    padded = layout.magic_bytes.rjust(size, bytes([layout.erased_value]))
    return TrailerWrite("magic", layout.slot_size - size, padded)


def _flag(trailer: Trailer, name: str, offset: int) -> TrailerWrite:
    return _unit(trailer, name, offset, FLAG_SET)


def _unit(trailer: Trailer, name: str, offset: int, value: int) -> TrailerWrite:
    layout = trailer.layout
    data = bytes([value]).ljust(layout.write_align, bytes([layout.erased_value]))
    return TrailerWrite(name, offset, data)


class UpdateStep(enum.StrEnum):
    """Points in the life of an update at which trailers are known."""

    FRESH = "fresh"
    """Image flashed without a trailer, secondary erased."""
    TEST_PENDING = "test pending"
    PERMANENT_PENDING = "permanent pending"
    TESTING = "testing"
    """A test swap is done, nothing confirmed."""
    CONFIRMED = "confirmed"
    """The tested image confirmed itself."""
    REVERTED = "reverted"
    INSTALLED = "installed"
    """A permanent update is done."""


@dataclass(frozen=True, slots=True)
class ExpectedTrailer:
    """State and ``swap_info`` of one slot; ``None`` is erased."""

    state: TrailerState = TrailerState()  # noqa: RUF009  (immutable)
    swap_info: int | None = None

    def mismatches(self, trailer: Trailer) -> tuple[str, ...]:
        """What differs in a trailer, as phrases; empty if nothing does."""
        info = None if trailer.swap_info.erased else trailer.swap_info.raw
        pairs = (
            ("magic", self.state.magic, trailer.magic),
            ("image_ok", self.state.image_ok, trailer.image_ok),
            ("copy_done", self.state.copy_done, trailer.copy_done),
            ("swap_info", _hex(self.swap_info), _hex(info)),
        )
        return tuple(
            f"{name}: expected {wanted}, found {found}" for name, wanted, found in pairs if wanted != found
        )


def _hex(value: int | None) -> str:
    return "erased" if value is None else f"{value:#04x}"


def expected_trailers(
    step: UpdateStep, settings: BootSettings, image: int = 0
) -> tuple[ExpectedTrailer, ExpectedTrailer]:
    """Trailers of primary and secondary after a step that began with a fresh image.

    Requests are taken as made by the application (an image padded on the host
    has no ``swap_info``). Overwrite-only knows no test: both kinds of update end
    in the copied trailer, or in the bare magic with the fast build.

    Raises:
        ValueError: the mode has no such step.
    """
    mode = settings.mode
    good, yes = MagicState.GOOD, FlagState.SET
    nothing = ExpectedTrailer()
    test, permanent, revert = (
        SwapInfo.build(kind, image).raw for kind in (SwapType.TEST, SwapType.PERMANENT, SwapType.REVERT)
    )
    if mode.selects or mode is SwapMode.SINGLE:
        raise ValueError(f"{mode} has no requests in trailers")
    asked_test = ExpectedTrailer(TrailerState(good), test)
    asked_permanent = ExpectedTrailer(TrailerState(good, yes), permanent)
    pending = {
        UpdateStep.FRESH: (nothing, nothing),
        UpdateStep.TEST_PENDING: (nothing, asked_test),
        UpdateStep.PERMANENT_PENDING: (nothing, asked_permanent),
    }
    if step in pending:
        return pending[step]
    if mode.overwrites:
        if step not in (UpdateStep.TESTING, UpdateStep.INSTALLED):
            raise ValueError(f"{mode} has no step {step}")
        if mode is SwapMode.OVERWRITE_ONLY_FAST:
            return ExpectedTrailer(TrailerState(good)), nothing
        return (asked_test if step is UpdateStep.TESTING else asked_permanent), nothing
    done = {
        UpdateStep.TESTING: (FlagState.UNSET, test),
        UpdateStep.CONFIRMED: (yes, test),
        UpdateStep.REVERTED: (yes, revert),
        UpdateStep.INSTALLED: (yes, permanent),
    }
    confirmed, info = done[step]
    return ExpectedTrailer(TrailerState(good, confirmed, yes), info), nothing
