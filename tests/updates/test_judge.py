"""What became of an update: flash contents as a boot loader leaves them, and the verdict's words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from harness.boards import Board
from harness.mcuboot import FlashView, SwapInfo, SwapType, Trailer, Version, build_trailer, set_pending, sign
from harness.protocols import UpdateResult, UpdateState, UpdateStatus
from harness.protocols.smp import ImageSlot
from harness.updates import ComponentVerdict, SignedImage, Told, ToldSlots, Verdict, Words, judge, meaning

from ..boards._edit import Edited

SWAPS = ("scratch", "move", "offset")
OVERWRITES = ("overwrite-only", "overwrite-only-fast")
#: move needs a sector more in the primary, offset in the secondary
MORE = {
    "move": [
        ("app_secondary: {offset: 0xc000, size: 0x8000}", "app_secondary: {offset: 0xc000, size: 0x7c00}")
    ],
    "offset": [
        ("app_primary: {offset: 0x4000, size: 0x8000}", "app_primary: {offset: 0x4000, size: 0x7c00}")
    ],
}


@dataclass
class Slots:
    """A flash whose application is to be updated from 1.0.0 to 2.0.0."""

    board: Board
    flash: FlashView
    old: SignedImage
    new: SignedImage

    @classmethod
    def make(cls, folder: Path, mode: str) -> Slots:
        edited = Edited(folder).replace("swap_mode: scratch", f"swap_mode: {mode}")
        for old, new in MORE.get(mode, []):
            edited.replace(old, new)
        if mode != "scratch":
            edited.replace("    scratch: {offset: 0x18000, size: 4096}\n", "")
        board = edited.board()
        erased = FlashView.from_bytes(b"\xff" * board.flash.size, board.flash.base)
        return cls(board, erased, cls.image(board, "1.0.0"), cls.image(board, "2.0.0"))

    @staticmethod
    def image(board: Board, version: str, component: str = "app") -> SignedImage:
        payload = version.encode() * 300
        data = sign(payload, board.signing_options(component, version=version))
        return SignedImage(component, Version.parse(version), data, f"{component} {version}")

    def put(self, partition: str, data: bytes | SignedImage, offset: int = 0) -> Slots:
        content = data.data if isinstance(data, SignedImage) else data
        at = self.board.partition(partition).address + offset
        return replace(self, flash=self.flash.with_bytes(at, content))

    def waiting(self, image: SignedImage) -> Slots:
        return self.put("app_secondary", image, self.board.upload_offset("app"))

    def trailer(self, partition: str, **fields: Any) -> Slots:
        layout = self.board.boot_settings().layout(self.board.partition(partition))
        return self.put(partition, build_trailer(layout, **fields), layout.status)

    def requested(self, *, permanent: bool = False) -> Slots:
        area = self.board.partition("app_secondary")
        layout = self.board.boot_settings().layout(area)
        slots = self
        erased = Trailer.parse(b"\xff" * area.size, layout)
        for write in set_pending(erased, permanent=permanent, image=0).writes:
            slots = slots.put("app_secondary", write.data, write.offset)
        return slots

    def swapped(self, kind: SwapType = SwapType.TEST, **fields: Any) -> Slots:
        """The primary's trailer after a swap."""
        info = SwapInfo.build(kind, 0)
        return self.trailer("app_primary", **({"magic": True, "copy_done": True, "swap_info": info} | fields))

    def verdict(self, told: Words | None = None) -> ComponentVerdict:
        found = judge(
            self.board, self.flash, {"app": self.old}, {"app": self.new}, {"app": told} if told else None
        )
        assert list(found) == ["app"]
        return found["app"]


@pytest.fixture
def slots(tmp_path: Path, request: pytest.FixtureRequest) -> Slots:
    return Slots.make(tmp_path, getattr(request, "param", "scratch"))


every_swap = pytest.mark.parametrize("slots", SWAPS, indirect=True)


@every_swap
def test_swapped(slots: Slots):
    found = slots.put("app_primary", slots.new).waiting(slots.old).swapped().verdict()
    assert found.verdict is Verdict.SWAPPED
    assert found.because == "app 2.0.0 is in the primary slot, image_ok is unset, copy_done set"
    assert str(found) == f"app: swapped ({found.because})"


@every_swap
def test_confirmed(slots: Slots):
    found = slots.put("app_primary", slots.new).waiting(slots.old).swapped(image_ok=True).verdict()
    assert found.verdict is Verdict.CONFIRMED
    assert found.because == "app 2.0.0 is in the primary slot, image_ok is set"


@every_swap
def test_an_image_ok_that_is_neither_set_nor_erased_confirms_nothing(slots: Slots):
    found = slots.put("app_primary", slots.new).swapped(image_ok=0x7F).verdict()
    assert found.verdict is Verdict.SWAPPED


@pytest.mark.parametrize("slots", OVERWRITES, indirect=True)
def test_overwritten_is_confirmed(slots: Slots):
    found = slots.put("app_primary", slots.new).verdict()
    assert found.verdict is Verdict.CONFIRMED
    assert "never takes it back" in found.because


@every_swap
def test_rolled_back(slots: Slots):
    back = slots.put("app_primary", slots.old).waiting(slots.new)
    found = back.swapped(SwapType.REVERT, image_ok=True).verdict()
    assert found.verdict is Verdict.ROLLED_BACK
    assert found.because == "app 1.0.0 is in the primary slot, its trailer records a revert"


@pytest.mark.parametrize("slots", SWAPS + OVERWRITES, indirect=True)
@pytest.mark.parametrize("permanent", [False, True])
def test_pending(slots: Slots, permanent: bool):
    found = slots.put("app_primary", slots.old).waiting(slots.new).requested(permanent=permanent).verdict()
    assert found.verdict is Verdict.PENDING
    assert (
        found.because
        == "app 1.0.0 is in the primary slot, app 2.0.0 waits in the secondary slot with a request"
    )


@pytest.mark.parametrize("slots", SWAPS + OVERWRITES, indirect=True)
def test_unchanged(slots: Slots):
    found = slots.put("app_primary", slots.old).waiting(slots.new).verdict()
    assert found.verdict is Verdict.UNCHANGED
    assert (
        found.because
        == "app 1.0.0 is in the primary slot, app 2.0.0 is in the secondary slot without a request"
    )


@pytest.mark.parametrize("slots", SWAPS + OVERWRITES, indirect=True)
def test_refused(slots: Slots):
    found = slots.put("app_primary", slots.old).verdict()
    assert found.verdict is Verdict.REFUSED
    assert found.because == "app 1.0.0 is in the primary slot, app 2.0.0 is gone from the secondary slot"


def test_one_wrong_byte_is_no_image(slots: Slots):
    spoiled = slots.put("app_primary", slots.new).swapped(image_ok=True)
    spoiled = spoiled.put("app_primary", b"!", 0x300)
    found = spoiled.verdict()
    assert found.verdict is Verdict.BRICKED
    assert "holds neither app 1.0.0 nor app 2.0.0: " in found.because


def test_bricked_by_an_empty_slot(slots: Slots):
    assert slots.waiting(slots.new).verdict().verdict is Verdict.BRICKED


def test_foreign(slots: Slots):
    found = slots.put("app_primary", slots.image(slots.board, "1.5.0")).waiting(slots.new).verdict()
    assert found.verdict is Verdict.FOREIGN
    assert found.because == "the primary slot holds neither app 1.0.0 nor app 2.0.0, but version 1.5.0"


def test_unfinished_swap_is_pending(slots: Slots):
    """The old image has left the primary slot, and the new one has not all arrived."""
    half = slots.put("app_primary", slots.new.data[:1024]).waiting(slots.new)
    found = half.swapped(copy_done=False, swap_size=len(slots.new.data), status=[1, 2]).verdict()
    assert found.verdict is Verdict.PENDING, found
    assert "the next boot goes on with a swap" in found.because


def test_components_are_judged_apart(slots: Slots):
    old, new = (slots.image(slots.board, version, "model") for version in ("1.0.0", "2.0.0"))
    flash = slots.put("app_primary", slots.new).swapped(image_ok=True).put("model_primary", old).flash
    found = judge(slots.board, flash, {"app": slots.old, "model": old}, {"app": slots.new, "model": new})
    assert {name: each.verdict for name, each in found.items()} == {
        "app": Verdict.CONFIRMED,
        "model": Verdict.REFUSED,
    }


def told(result: UpdateResult, version: str, state: UpdateState = UpdateState.IDLE) -> Told:
    return Told(UpdateStatus(state, result), version)


def test_a_device_that_tells_the_truth(slots: Slots):
    installed = slots.put("app_primary", slots.new).swapped(image_ok=True)
    said = told(UpdateResult.SUCCESS, "2.0.0")
    found = installed.verdict(said)
    assert (found.verdict, found.told, found.lie) == (Verdict.CONFIRMED, said, "")
    assert str(found).endswith("; the device says: 0/1 (idle, updated successfully), version 2.0.0")
    stays = slots.put("app_primary", slots.old)
    assert stays.verdict(told(UpdateResult.UPDATE_FAILED, "1.0.0")).lie == ""
    assert stays.verdict(told(UpdateResult.UPDATE_FAILED, "1.0.0+7")).lie == ""


@pytest.mark.parametrize(
    ("installed", "said", "lie"),
    [
        (
            False,
            told(UpdateResult.SUCCESS, "1.0.0"),
            "the application reports an update that was not carried out",
        ),
        (False, told(UpdateResult.SUCCESS, "2.0.0"), "reports success .*, but flash holds app 1.0.0"),
        (False, told(UpdateResult.UPDATE_FAILED, "2.0.0"), "reports version 2.0.0, but flash holds 1.0.0"),
        (True, told(UpdateResult.SUCCESS, "1.0.0"), "reports version 1.0.0, but flash holds 2.0.0"),
        (
            True,
            told(UpdateResult.UPDATE_FAILED, "2.0.0"),
            "reports a failed update .*, but flash holds app 2.0.0",
        ),
    ],
)
def test_a_device_that_contradicts_its_flash(slots: Slots, installed: bool, said: Told, lie: str):
    content = slots.put("app_primary", slots.new if installed else slots.old)
    found = (content.swapped(image_ok=True) if installed else content).verdict(said)
    assert found.verdict is (Verdict.CONFIRMED if installed else Verdict.REFUSED), (
        "the verdict is that of the flash"
    )
    assert found.lie

    assert re.search(lie, found.lie)


def slot(version: str, image: SignedImage, number: int = 0, **flags: bool) -> ImageSlot:
    every = {"bootable": True, "pending": False, "confirmed": False, "active": False, "permanent": False}
    return ImageSlot(0, number, version, image.image_hash, **{**every, **flags})


def test_slots_that_tell_the_truth(slots: Slots):
    old, new = slots.old, slots.new
    active, there = {"active": True, "confirmed": True}, {"number": 1}
    trial = ToldSlots(slot("2.0.0", new, active=True), slot("1.0.0", old, **there, confirmed=True))
    waits = ToldSlots(slot("1.0.0", old, **active), slot("2.0.0", new, **there, pending=True))
    installed = slots.put("app_primary", new).waiting(old)
    assert installed.swapped().verdict(trial).lie == ""
    assert slots.put("app_primary", old).waiting(new).requested().verdict(waits).lie == ""
    kept = ToldSlots(slot("2.0.0", new, **active), None)
    assert installed.swapped(image_ok=True).verdict(kept).lie == ""


@pytest.mark.parametrize(
    ("said", "lie"),
    [
        (
            lambda old, new: slot("1.0.0", old, active=True, confirmed=True),
            "version 1.0.0, but flash holds 2",
        ),
        (lambda old, new: slot("2.0.0", old, active=True, confirmed=True), "names another hash than that of"),
        (lambda old, new: slot("2.0.0", new, active=True), "is not confirmed .SMP., but flash keeps it"),
        (lambda old, new: None, "version none, but flash holds 2.0.0"),
    ],
)
def test_slots_that_contradict_flash(
    slots: Slots, said: Callable[[SignedImage, SignedImage], ImageSlot | None], lie: str
):
    found = slots.put("app_primary", slots.new).waiting(slots.old).swapped(image_ok=True)
    assert re.search(lie, found.verdict(ToldSlots(said(slots.old, slots.new), None)).lie)
    trial = slots.put("app_primary", slots.new).waiting(slots.old).swapped()
    kept = ToldSlots(slot("2.0.0", slots.new, active=True, confirmed=True), None)
    assert "image_ok is not set in flash" in trial.verdict(kept).lie
    waiting = slots.put("app_primary", slots.old).waiting(slots.new)
    idle = ToldSlots(slot("1.0.0", slots.old, active=True, confirmed=True), slot("2.0.0", slots.new, 1))
    assert "not pending (SMP), but flash holds a request" in waiting.requested().verdict(idle).lie
    assert waiting.verdict(idle).lie == ""


@pytest.mark.parametrize(
    ("expected", "found", "words"),
    [
        (Verdict.ROLLED_BACK, Verdict.SWAPPED, "ignores a missing confirm"),
        (Verdict.ROLLED_BACK, Verdict.CONFIRMED, "somebody confirmed it"),
        (Verdict.PENDING, Verdict.CONFIRMED, "ignores an unmet dependency"),
        (Verdict.PENDING, Verdict.SWAPPED, "ignores an unmet dependency"),
        (Verdict.REFUSED, Verdict.SWAPPED, "does not check hash or signature"),
        (Verdict.REFUSED, Verdict.CONFIRMED, "does not check hash or signature"),
        (Verdict.CONFIRMED, Verdict.SWAPPED, "nobody confirmed it"),
        (Verdict.CONFIRMED, Verdict.ROLLED_BACK, "not confirmed in time"),
        (Verdict.CONFIRMED, Verdict.UNCHANGED, "did not reach the trailer"),
        (Verdict.CONFIRMED, Verdict.PENDING, "did not follow it"),
        (Verdict.CONFIRMED, Verdict.REFUSED, "refused the image and erased it"),
        (Verdict.SWAPPED, Verdict.CONFIRMED, "before it was asked to"),
        *(
            (expected, Verdict.BRICKED, "needs a debug probe")
            for expected in Verdict
            if expected != "bricked"
        ),
        *(
            (expected, Verdict.FOREIGN, "that this test has not brought")
            for expected in Verdict
            if expected != "foreign"
        ),
    ],
)
def test_a_wrong_verdict_has_a_meaning(expected: Verdict, found: Verdict, words: str):
    assert words in meaning(expected, found)
