"""Wear of the flash: what each step erases and writes, held against what it needs.

A boot that installs or takes back has to erase, sector by sector, what
`harness.mcuboot.boot_wear` says of the board's mode: it takes the sizes of both images and the
place of the trailers, and stands there as a table. Between two erases nothing is written
twice, so a sector that was blank takes at most its size, and once more for each erase.

A download has to erase the sectors of its image, one more to mark its end, those of the
trailer, and in mode offset the one below the image; each once, and none that is blank.

A step may touch both slots of the components that it is about, the scratch area in mode scratch,
and partitions that are neither of these nor the boot loader's: they are the application's
own. With hardware rollback protection the boot loader keeps counters in its own partition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest

from .._errors import VerdictError
from ..boards import Board, Component
from ..emulator import Operation
from ..mcuboot import FlashArea, SwapMode, boot_wear
from ..updates import SignedImage, UpdateRig, Verdict, Wear, sector_name, upload_area
from .conftest import Images

pytestmark = pytest.mark.hil_requires("flash-journal", "signing", "installs")

_SHOWN = 8


def _own_areas(board: Board) -> list[FlashArea]:
    """What the application keeps for itself, and the boot loader's counters."""
    settings = board.boot_settings()
    used = [area for _, area in settings.areas()]
    used += [settings.scratch] if settings.scratch else []
    if not board.mcuboot.rollback_protection:
        used.append(board.partition(board.mcuboot.partition))
    areas = [board.partition(name) for name in board.flash.partitions]
    unused_scratch = [] if settings.scratch else [board.mcuboot.scratch]
    return [
        area
        for name, area in zip(board.flash.partitions, areas, strict=True)
        if name not in unused_scratch
        and not any(area.address < other.end and other.address < area.end for other in used)
    ]


def _expect_wear(
    rig: UpdateRig,
    operations: Iterable[Operation],
    erases: Mapping[int, int],
    written: int,
    *,
    may_write: Iterable[FlashArea] = (),
    why: str,
) -> Wear:
    """Raise `VerdictError` for a sector that was erased more often than this, and for more bytes than these.

    Sectors outside of ``may_write`` that need no erase must not be written to. Returns what happened
    in the application's own areas, which is not held against ``erases``.
    """
    board, size = rig.board, rig.board.flash.sector_size
    every = Wear.count(board, operations)
    own = every.within(*_own_areas(board))
    touched = sorted({*every.erases, *every.written} - {*own.erases, *own.written})
    allowed = list(may_write)
    problems = []
    for sector in touched:
        name, times, needed = sector_name(board, sector), every.erases.get(sector, 0), erases.get(sector, 0)
        if times > needed:
            problems.append(f"{name}: erased {times} times by {every.by[sector]}, needed: {needed}")
        elif not needed and not any(area.address <= sector < area.end for area in allowed):
            problems.append(f"{name}: written to by {every.by[sector]}, it has no business there")
        elif every.written.get(sector, 0) > size * (times + 1):
            problems.append(
                f"{name}: {every.written[sector]} bytes written by {every.by[sector]} in {times} erases"
            )
    total = sum(every.written.get(sector, 0) for sector in touched)
    if total > written:
        problems.append(f"{total} bytes written in all, needed: {written} at most")
    if problems:
        raise _too_much(rig, problems, why)
    return own


def _too_much(rig: UpdateRig, problems: Sequence[str], why: str) -> VerdictError:
    """What to raise for sectors that are worn without need."""
    more = [f"and {len(problems) - _SHOWN} more like that"] if len(problems) > _SHOWN else []
    look = "look at: what erases and writes these sectors; the rules stand in the docstrings of"
    lines = [*problems[:_SHOWN], *more, f"rule: {why}", f"{look} test_wear.py and harness.mcuboot.boot_wear"]
    return VerdictError("\n".join([*lines, "", rig.evidence()]))


def _expect_boot_wear(
    rig: UpdateRig,
    operations: Sequence[Operation],
    *updates: SignedImage,
    revert: bool = False,
    downloaded: int = 0,
    why: str,
) -> Wear:
    """`_expect_wear` for a boot that exchanges these updates and what was installed."""
    settings, erases, copied = rig.board.boot_settings(), Counter[int](), downloaded
    for new in updates:
        number = rig.board.component(new.component).image
        old = len(rig.installed[new.component].data)
        sizes = (len(new.data), old) if revert else (old, len(new.data))
        wear = boot_wear(settings, number, primary=sizes[0], secondary=sizes[1], revert=revert)
        erases.update(wear.erases)
        areas = settings.images[number]
        trailers = [settings.layout(area).size for area in (areas.primary, areas.secondary) if area]
        copied += wear.copied + 2 * sum(trailers)
        moved = any(areas.primary.address <= op.address < areas.primary.end for op in operations)
        if not moved:
            raise VerdictError(f"no write to the primary slot of {new.component} was recorded\nrule: {why}")
    return _expect_wear(rig, operations, erases, copied, may_write=_slots(rig.board, *updates), why=why)


def _slots(board: Board, *images: SignedImage) -> Iterator[FlashArea]:
    """Both slots of the components of these images."""
    for image in images:
        component = board.component(image.component)
        yield board.partition(component.primary)
        if component.secondary is not None:
            yield board.partition(component.secondary)


@contextmanager
def _quiet_boot(rig: UpdateRig, *, why: str) -> Iterator[None]:
    """Raise `VerdictError` if anything at all is erased or written meanwhile."""
    with rig.device.recording() as operations:
        yield
    wear = Wear.count(rig.board, operations)
    touched = sorted({*wear.erases, *wear.written})
    if touched:
        problems = [f"{sector_name(rig.board, at)}: changed by {wear.by[at]}" for at in touched]
        raise _too_much(rig, problems, why)


def test_boot_without_an_update_changes_no_flash(rig: UpdateRig) -> None:
    with _quiet_boot(rig, why="a boot with nothing to do erases and writes nothing"):
        rig.reset()


def test_installing_wears_no_more_than_the_mode_needs(
    careless: UpdateRig, images: Images, installed: Verdict, hil_component: Component
) -> None:
    new = images.quiet(hil_component.name)
    careless.install(*careless.installed.values(), staged=careless.stage(new))
    with careless.device.recording() as operations:
        careless.boot()
    careless.expect({new: installed}, why="the boot loader installs what was asked for")
    _expect_boot_wear(careless, operations, new, why="each sector is erased as often as the mode needs it")


@pytest.mark.hil_requires("revert")
def test_taking_back_wears_no_more_than_the_mode_needs(careless: UpdateRig, images: Images) -> None:
    new = [images.quiet(name) for name in images.old]
    careless.offer(*new)
    with careless.device.recording() as operations:
        careless.reset()
    careless.expect(dict.fromkeys(new, Verdict.ROLLED_BACK), why="what nobody confirms is taken back")
    _expect_boot_wear(
        careless, operations, *new, revert=True, why="each sector is erased as often as the mode needs it"
    )
    with _quiet_boot(careless, why="what was taken back is not touched by the boots after that"):
        careless.reset()


def _download_erases(board: Board, image: SignedImage) -> dict[int, int]:
    """How often a download has to erase each sector that is not blank."""
    size, place = board.flash.sector_size, upload_area(board, image.component)
    *_, slot = _slots(board, image)
    trailer = slot.address + board.boot_settings().layout(slot).status // size * size
    end = place.address + (-(-len(image.data) // size) + 1) * size
    sectors = {*range(place.address, end, size), *range(trailer, slot.end, size)}
    if board.mcuboot.swap_mode is SwapMode.OFFSET:
        sectors.add(slot.address)
    return dict.fromkeys(sectors, 1)


@pytest.mark.hil_requires("updates")
def test_download_wears_no_sector_twice(rig: UpdateRig, images: Images, smallest: str) -> None:
    board, name = rig.board, smallest
    unit, noted = board.flash.write_alignment, []
    for version, size, blank in (("2.0.0", 5000, True), ("3.0.0", 25000, False)):
        image = images.factory.make(name, version, size=size)
        with rig.device.recording() as operations:
            rig.download(image)
        rig.discard(name)
        own = _expect_wear(
            rig,
            operations,
            {} if blank else _download_erases(board, image),
            -(-len(image.data) // unit) * unit,
            may_write=[upload_area(board, name)],
            why="sectors that are blank need no erase" if blank else "each sector is erased once",
        )
        noted.append(sum(own.written.values()))
    if noted[1] > noted[0]:
        raise VerdictError(
            f"{noted[0]} bytes written to the application's own sectors in a download of 5000 bytes,"
            f" {noted[1]} in one of 25000\n"
            "rule: what the application notes of a download does not grow with it\n"
            "look at: how often the application stores its record\n\n" + rig.evidence()
        )


@pytest.mark.hil_requires("updates")
def test_update_of_everything_stays_in_its_place(rig: UpdateRig, images: Images, application: str) -> None:
    new = [images.new(name) for name in images.old]
    with rig.device.recording() as operations:
        for image in new:
            rig.download(image)
        rig.update(application)
        rig.expect(dict.fromkeys(new, Verdict.CONFIRMED), why="a good update is confirmed")
    downloaded = sum(len(image.data) + rig.board.flash.write_alignment for image in new)
    own = _expect_boot_wear(
        rig,
        operations,
        *new,
        downloaded=downloaded,
        why="slots that were blank are erased by the boot loader alone",
    )
    size = rig.board.flash.sector_size
    erased, written = sum(own.erases.values()), sum(own.written.values())
    if erased > written // size + 1:
        raise VerdictError(
            f"the application erased {erased} sectors of its own to write {written} bytes\n"
            f"rule: a sector is erased when {size} bytes have been written to it\n"
            "look at: where the application puts its record\n\n" + rig.evidence()
        )
