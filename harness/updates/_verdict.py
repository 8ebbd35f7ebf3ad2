"""Verdicts: what became of each component, judged from flash, and held against what the device says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from ..boards import Board
from ..mcuboot import (
    BootAction,
    FlagState,
    FlashReport,
    FlashView,
    ImageState,
    MagicState,
    SwapType,
)
from ._images import SignedImage
from ._told import Told, Verdict, Words

__all__ = ["ComponentVerdict", "Told", "Verdict", "judge"]


@dataclass(frozen=True, slots=True)
class ComponentVerdict:
    """Verdict on one component. ``because`` is what in flash decided, as a phrase.

    ``told`` is None if nobody asked the device; ``lie`` says how it contradicts flash.
    """

    component: str
    verdict: Verdict
    because: str
    told: Words | None = None
    lie: str = ""
    others: tuple[Words, ...] = ()

    def also(self, words: Words, old: SignedImage, new: SignedImage) -> ComponentVerdict:
        """With what the device says over another protocol."""
        lie = "; ".join(filter(None, (self.lie, words.lie(self.verdict, old, new))))
        return replace(self, others=(*self.others, words), lie=lie)

    def __str__(self) -> str:
        said = "".join(f"; the device says: {words}" for words in (self.told, *self.others) if words)
        return f"{self.component}: {self.verdict} ({self.because}){said}"


#: (expected, found): what that usually means
_MEANINGS: Final = {
    (
        Verdict.ROLLED_BACK,
        Verdict.SWAPPED,
    ): "the boot loader kept an image that nobody confirmed: it ignores a"
    " missing confirm (image_ok is unset and copy_done set, so that this boot had to revert)",
    (Verdict.ROLLED_BACK, Verdict.CONFIRMED): "the new image stays although it had to be given up: somebody"
    " confirmed it (image_ok is set); look at when the application confirms",
    (
        Verdict.PENDING,
        Verdict.SWAPPED,
    ): "the boot loader installed an image although what it depends on is not"
    " there: it ignores an unmet dependency",
    (
        Verdict.PENDING,
        Verdict.CONFIRMED,
    ): "the boot loader installed an image although what it depends on is not"
    " there: it ignores an unmet dependency",
    (
        Verdict.REFUSED,
        Verdict.SWAPPED,
    ): "the boot loader installed an image that it had to refuse: it does not check hash or signature",
    (
        Verdict.REFUSED,
        Verdict.CONFIRMED,
    ): "the boot loader installed an image that it had to refuse: it does not check hash or signature",
    (
        Verdict.CONFIRMED,
        Verdict.SWAPPED,
    ): "the new image runs, but nobody confirmed it: the next boot will give it"
    " up; look at the application's self test and confirm",
    (
        Verdict.CONFIRMED,
        Verdict.ROLLED_BACK,
    ): "the new image was tried and given up: it was not confirmed in time",
    (
        Verdict.CONFIRMED,
        Verdict.UNCHANGED,
    ): "nothing was installed: the request did not reach the trailer, or the boot loader did not see it",
    (
        Verdict.CONFIRMED,
        Verdict.PENDING,
    ): "the request is in the trailer, and the boot loader did not follow it",
    (
        Verdict.CONFIRMED,
        Verdict.REFUSED,
    ): "the boot loader refused the image and erased it: look at its signature,"
    " its size and its dependencies",
    (
        Verdict.SWAPPED,
        Verdict.PENDING,
    ): "the request is in the trailer, and the boot loader did not follow it: look at dependencies, versions"
    " and security counters",
    (
        Verdict.REFUSED,
        Verdict.ROLLED_BACK,
    ): "the boot loader tried an image that it had to refuse: it does not check hash or signature",
    (
        Verdict.REFUSED,
        Verdict.PENDING,
    ): "the boot loader keeps an image that it has to erase: it looks at it again at each boot",
    (
        Verdict.REFUSED,
        Verdict.UNCHANGED,
    ): "the boot loader keeps an image that it has to erase: the next request meets it again",
    (
        Verdict.UNCHANGED,
        Verdict.CONFIRMED,
    ): "the boot loader followed a request that is none: it does not compare all of the magic",
    (
        Verdict.UNCHANGED,
        Verdict.SWAPPED,
    ): "the boot loader followed a request that is none: it does not compare all of the magic",
    (
        Verdict.ROLLED_BACK,
        Verdict.PENDING,
    ): "the boot loader goes on installing what it has given up: the revert was not recorded",
    (Verdict.SWAPPED, Verdict.CONFIRMED): "somebody confirmed the image before it was asked to",
}


def meaning(expected: Verdict, found: Verdict) -> str:
    """What a wrong verdict usually means, for people; may be empty."""
    if found is Verdict.FOREIGN:
        return "an image got there that this test has not brought: look at what was installed before"
    if found is Verdict.BRICKED:
        return "the primary slot holds nothing that can be started: this device needs a debug probe now"
    return _MEANINGS.get((expected, found), "")


def judge(
    board: Board,
    flash: FlashView,
    old: Mapping[str, SignedImage],
    new: Mapping[str, SignedImage],
    told: Mapping[str, Words] | None = None,
) -> dict[str, ComponentVerdict]:
    """The verdict on each component of ``new``, from flash; ``old`` is what ran before."""
    report = FlashReport.build(flash, board.boot_settings())
    verdicts = {}
    for name, image in new.items():
        verdict, because = _judge_one(board, flash, report, old[name], image)
        said = (told or {}).get(name)
        lie = said.lie(verdict, old[name], image) if said is not None else ""
        verdicts[name] = ComponentVerdict(name, verdict, because, said, lie)
    return verdicts


def _judge_one(
    board: Board, flash: FlashView, report: FlashReport, old: SignedImage, new: SignedImage
) -> tuple[Verdict, str]:
    component = board.component(new.component)
    state = report.image(component.image)
    plan = report.plan.images[component.image]
    primary = board.partition(component.primary).address
    if new.lies_at(flash, primary):
        return _installed(board, state, new)
    if old.lies_at(flash, primary):
        return _not_installed(board, flash, state, old, new, plan.action)
    if state.resuming:
        return Verdict.PENDING, f"{new} is being installed: the next boot goes on with a swap"
    if state.primary.valid:
        found = state.primary.image.version
        return Verdict.FOREIGN, f"the primary slot holds neither {old} nor {new}, but version {found}"
    return Verdict.BRICKED, f"the primary slot holds neither {old} nor {new}: {state.primary.problem}"


def _installed(board: Board, state: ImageState, new: SignedImage) -> tuple[Verdict, str]:
    where = f"{new} is in the primary slot"
    trailer = state.primary.trailer
    if not board.mcuboot.swap_mode.swaps or trailer is None or trailer.magic is MagicState.UNSET:
        return Verdict.CONFIRMED, f"{where}, from which this boot loader never takes it back"
    if trailer.image_ok is FlagState.SET:
        return Verdict.CONFIRMED, f"{where}, image_ok is set"
    return Verdict.SWAPPED, f"{where}, image_ok is {trailer.image_ok}, copy_done {trailer.copy_done}"


def _not_installed(
    board: Board,
    flash: FlashView,
    state: ImageState,
    old: SignedImage,
    new: SignedImage,
    next_boot: BootAction,
) -> tuple[Verdict, str]:
    where = f"{old} is in the primary slot"
    component = board.component(new.component)
    if component.secondary is None:
        return Verdict.UNCHANGED, where
    upload = board.partition(component.secondary).address + board.upload_offset(component)
    secondary = state.secondary.trailer if state.secondary is not None else None
    if not new.lies_at(flash, upload):
        return Verdict.REFUSED, f"{where}, {new} is gone from the secondary slot"
    if next_boot in {BootAction.TEST, BootAction.PERMANENT, BootAction.OVERWRITE} or (
        secondary is not None and secondary.magic is MagicState.GOOD
    ):
        return Verdict.PENDING, f"{where}, {new} waits in the secondary slot with a request"
    trailer = state.primary.trailer
    if trailer is not None and trailer.swap_info.type is SwapType.REVERT:
        return Verdict.ROLLED_BACK, f"{where}, its trailer records a revert"
    return Verdict.UNCHANGED, f"{where}, {new} is in the secondary slot without a request"
