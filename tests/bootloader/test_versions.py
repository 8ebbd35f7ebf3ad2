"""Dependencies between images, downgrade prevention and stored security counters."""

from __future__ import annotations

import pytest

from harness.mcuboot import SwapMode, Version

from .contract import confirm, put_trailer, request
from .power import tear
from .rig import BOOTLOADER, COPYING, SECTOR, SWAPPING, Board, Flash, Image, apply, fast_board, make_image

ALL = [*SWAPPING, *COPYING]


def needs(image: int, version: str) -> dict[str, object]:
    return {"dependencies": {image: Version.parse(version)}}


def image(board: Board, number: int, version: str, **options: object) -> Image:
    return make_image(board.areas[number][0], version, size=600, sparse=True, **options)


def versions(flash: Flash) -> tuple[str, ...]:
    """Versions in the primaries."""
    headers = (flash.area(primary)[:32] for primary, _ in flash.board.areas)
    return tuple(f"{header[20]}.{header[21]}.{int.from_bytes(header[22:24], 'little')}" for header in headers)


def start(board: Board, *, own: dict[str, object] | None = None) -> Flash:
    """Version 1.0.0 of both images; ``own`` are options of image 0."""
    return Flash(board).primary(image(board, 0, "1.0.0", **(own or {}))).primary(image(board, 1, "1.0.0"), 1)


def pending(flash: Flash, number: int, version: str, **options: object) -> Flash:
    flash.secondary(image(flash.board, number, version, **options), number)
    return request(flash, number=number)


@pytest.mark.parametrize("mode", ALL)
def test_unmet_dependency(mode: SwapMode) -> None:
    board = fast_board(mode, 2)
    flash = pending(start(board), 0, "2.0.0", **needs(1, "2.0.0"))
    for _ in range(2):
        boot = flash.boot()
        assert boot.started == board.areas[0][0].address
        assert versions(flash) == ("1.0.0", "1.0.0"), boot.console
        assert not boot.operations
    pending(flash, 1, "2.0.0")  # the missing one arrives
    flash.boot()
    assert versions(flash) == ("2.0.0", "2.0.0")


@pytest.mark.parametrize("mode", ALL)
def test_dependency_met_by_what_is_there(mode: SwapMode) -> None:
    board = fast_board(mode, 2)
    flash = Flash(board).primary(image(board, 0, "1.0.0")).primary(image(board, 1, "2.0.0"), 1)
    pending(flash, 0, "2.0.0", **needs(1, "2.0.0"))
    boot = flash.boot()
    assert versions(flash) == ("2.0.0", "2.0.0"), boot.console


@pytest.mark.parametrize(
    ("needed", "happens"),
    [
        (needs(1, "2.0.0"), True),
        (needs(1, "1.9.9"), True),
        (needs(1, "2.0.0+9"), True),  # build numbers are not compared
        (needs(1, "2.0.1"), False),
        (needs(1, "2.1.0"), False),
        (needs(1, "3.0.0"), False),
        (needs(0, "2.0.0"), True),
        (needs(0, "2.0.1"), False),
        (needs(2, "0.0.0"), False),  # there is no such image
    ],
    ids=str,
)
def test_dependencies_of_two_updates(needed: dict[str, object], happens: bool) -> None:
    board = fast_board(SwapMode.SCRATCH, 2)
    flash = pending(pending(start(board), 1, "2.0.0"), 0, "2.0.0", **needed)
    boot = flash.boot()
    assert versions(flash) == (("2.0.0",) * 2 if happens else ("1.0.0",) * 2), boot.console


def test_image_that_stays_must_not_lose_what_it_needs() -> None:
    board = fast_board(SwapMode.SCRATCH, 2)
    flash = Flash(board).primary(image(board, 0, "1.0.0", **needs(1, "1.5.0")))
    flash.primary(image(board, 1, "2.0.0"), 1)
    pending(flash, 1, "1.0.0")
    flash.boot()
    assert versions(flash) == ("1.0.0", "2.0.0")
    pending(Flash(board, flash.data), 1, "1.6.0")
    assert versions(flash) == ("1.0.0", "2.0.0")


def test_dependencies_do_not_matter_while_nothing_changes() -> None:
    board = fast_board(SwapMode.SCRATCH, 2)
    boot = start(board, own=needs(1, "2.0.0")).boot()
    assert boot.started == board.areas[0][0].address


def test_corrupt_update_of_what_is_needed() -> None:
    board = fast_board(SwapMode.SCRATCH, 2)
    flash = pending(pending(start(board), 1, "2.0.0"), 0, "2.0.0", **needs(1, "2.0.0"))
    area = board.areas[1][1]
    flash.put(area.address + 0x50, b"\x00" * 16)
    flash.boot()
    assert versions(flash) == ("1.0.0", "1.0.0")
    assert flash.area(area) == b"\xff" * area.size
    assert flash.area(board.areas[0][1])[-16:] != b"\xff" * 16  # still asks for it


@pytest.mark.parametrize("mode", SWAPPING)
def test_nothing_confirmed_reverts_both(mode: SwapMode) -> None:
    board = fast_board(mode, 2)
    flash = pending(pending(start(board), 1, "2.0.0"), 0, "2.0.0", **needs(1, "2.0.0"))
    flash.boot()
    assert versions(flash) == ("2.0.0", "2.0.0")
    flash.boot()
    assert versions(flash) == ("1.0.0", "1.0.0")
    assert not flash.boot().operations


@pytest.mark.parametrize("mode", SWAPPING)
def test_confirmed_image_keeps_what_it_needs(mode: SwapMode) -> None:
    """Only image 0 confirmed: its dependency stops the revert of image 1; without one, 1 reverts alone."""
    board = fast_board(mode, 2)
    for options, left in ((needs(1, "2.0.0"), "2.0.0"), ({}, "1.0.0")):
        flash = pending(pending(start(board), 1, "2.0.0"), 0, "2.0.0", **options)
        flash.boot()
        confirm(flash, 0)
        for _ in range(2):
            boot = flash.boot()
            assert versions(flash) == ("2.0.0", left), boot.console


@pytest.mark.parametrize("mode", SWAPPING)
def test_power_lost_between_two_swaps(mode: SwapMode) -> None:
    """Power lost between the two swaps: image 0 looks unconfirmed, and must not be reverted yet."""
    board = fast_board(mode, 2)
    flash = pending(pending(start(board), 0, "2.0.0"), 1, "2.0.0")
    alone = flash.copy()
    done = alone.boot()
    second = board.areas[1]
    data = bytearray(flash.data)
    for operation in apply(data, done.operations):
        if any(area.address <= operation.address < area.address + area.size for area in second):
            flash.data[:] = data
            break
    boot = flash.boot()
    assert boot.started == board.areas[0][0].address
    assert versions(flash) == ("2.0.0", "2.0.0"), boot.console


def test_scratch_of_the_other_image() -> None:
    """Power lost while scratch describes the swap of image 1."""
    board = fast_board(SwapMode.SCRATCH, 2)
    flash = pending(start(board), 1, "2.0.0")
    done = flash.copy().boot()
    data = bytearray(flash.data)
    second = board.areas[1]
    for operation in apply(data, done.operations):
        if second[0].address <= operation.address < second[0].address + second[0].size:
            break
    cut = Flash(board, data)
    cut.boot()
    assert versions(cut) == ("1.0.0", "2.0.0")
    assert cut.area(board.areas[0][0]) == flash.area(board.areas[0][0])


# downgrades


def assert_downgrade_refused(board: Board, old: str, new: str) -> None:
    primary, secondary = board.areas[0]
    flash = Flash(board).primary(image(board, 0, old)).secondary(image(board, 0, new))
    boot = request(flash).boot()
    assert boot.started == primary.address
    assert versions(flash) == (old.partition("+")[0],), boot.console
    assert flash.area(secondary) == b"\xff" * secondary.size


def installs(board: Board, old: Image, new: Image, *, permanent: bool = False) -> tuple[Flash, bool]:
    primary = board.areas[0][0]
    flash = request(Flash(board).primary(old).secondary(new), permanent=permanent)
    assert flash.boot().started == primary.address
    return flash, flash.area(primary)[: new.size] == new.data


@pytest.mark.parametrize("mode", ALL)
def test_downgrade_by_version(mode: SwapMode) -> None:
    board = fast_board(mode).with_options({"BOOT_DOWNGRADE_VERSION": 1})
    assert_downgrade_refused(board, "1.2.3", "1.2.2")
    assert_downgrade_refused(board, "1.2.3", "1.1.9")
    assert_downgrade_refused(board, "2.0.0", "1.9.9")
    for new in ("1.2.3", "1.2.4", "2.0.0"):
        assert installs(board, image(board, 0, "1.2.3"), image(board, 0, new))[1]
    assert installs(board, image(board, 0, "1.2.3+5"), image(board, 0, "1.2.3+1"))[1]


@pytest.mark.parametrize("mode", COPYING)
def test_versions_decide_about_copies_with_either_option(mode: SwapMode) -> None:
    board = fast_board(mode).with_options({"BOOT_DOWNGRADE_COUNTER": 1})
    assert_downgrade_refused(board, "1.2.3", "1.2.2")
    counters = {"1.0.0": 8, "2.0.0": 7}
    old, new = (image(board, 0, version, security_counter=counter) for version, counter in counters.items())
    assert installs(board, old, new)[1]


def test_downgrade_with_build_numbers() -> None:
    board = fast_board(SwapMode.MOVE).with_options(
        {"BOOT_DOWNGRADE_VERSION": 1, "BOOT_COMPARE_BUILD_NUMBER": 1}
    )
    assert_downgrade_refused(board, "1.2.3+5", "1.2.3+4")
    assert installs(board, image(board, 0, "1.2.3+5"), image(board, 0, "1.2.3+6"))[1]


@pytest.mark.parametrize("mode", ALL)
def test_downgrades_are_allowed_unless_asked_for(mode: SwapMode) -> None:
    board = fast_board(mode)
    assert installs(board, image(board, 0, "2.0.0"), image(board, 0, "1.0.0"))[1]


@pytest.mark.parametrize("mode", SWAPPING)
def test_revert_is_no_downgrade(mode: SwapMode) -> None:
    """Not even when power is lost while it begins."""
    board = fast_board(mode).with_options({"BOOT_DOWNGRADE_VERSION": 1})
    old, new = image(board, 0, "1.0.0"), image(board, 0, "2.0.0")
    flash, _ = installs(board, old, new)
    whole = flash.copy()
    operations = whole.boot().operations
    assert versions(whole) == ("1.0.0",)
    data = bytearray(flash.data)
    for number, operation in enumerate(apply(data, operations)):
        if number < 16:  # the trailers are rewritten here
            cut = Flash(board, bytearray(tear(data, operation, 0)))
            cut.boot()
            assert versions(cut) == ("1.0.0",), operation


@pytest.mark.parametrize("mode", SWAPPING)
def test_downgrade_by_counter(mode: SwapMode) -> None:
    board = fast_board(mode).with_options({"BOOT_DOWNGRADE_COUNTER": 1})

    def with_counter(version: str, counter: int | None) -> Image:
        return image(board, 0, version, **({} if counter is None else {"security_counter": counter}))

    for old, new, allowed in (
        (5, 4, False),
        (5, None, False),
        (5, 5, True),
        (5, 6, True),
        (None, 1, True),
        (None, None, True),
    ):
        assert installs(board, with_counter("2.0.0", old), with_counter("1.0.0", new))[1] == allowed


# security counters that the bootloader stores

ROLLBACK = {"BOOT_HARDWARE_ROLLBACK": 1}


def stored(flash: Flash, number: int = 0) -> int:
    """Highest valid record of the last two sectors of the bootloader's partition."""
    end = BOOTLOADER.address + BOOTLOADER.size
    highest = 0
    for at in range(end - 2 * SECTOR, end, 16):
        words = [int.from_bytes(flash.data[at + n : at + n + 4], "little") for n in (0, 4, 8, 12)]
        if words[0] == words[1] ^ 0xFFFFFFFF and words[2] == words[3] ^ 0xFFFFFFFF and words[2] == number:
            highest = max(highest, words[0])
    return highest


def counted(board: Board, version: str, counter: int | None, number: int = 0) -> Image:
    return image(board, number, version, **({} if counter is None else {"security_counter": counter}))


def reboot(flash: Flash) -> object:
    """Boot with the counters that are in flash, which a plain boot would take from a new bootloader."""
    from .rig import rig

    chip = rig()
    chip.load(flash.board)
    start = BOOTLOADER.address + BOOTLOADER.size - 2 * SECTOR
    chip.machine.program(start, bytes(flash.data[start:]))
    boot = chip.go(flash.board)
    flash.data[:] = boot.flash
    return boot


@pytest.mark.parametrize("mode", [SwapMode.SCRATCH, SwapMode.OVERWRITE_ONLY])
def test_lower_counter(mode: SwapMode) -> None:
    board = fast_board(mode).with_options(ROLLBACK)
    flash = Flash(board).primary(counted(board, "1.0.0", 30))
    assert reboot(flash).started is not None
    assert stored(flash) == 30
    request(flash.secondary(counted(board, "2.0.0", 29)))
    assert reboot(flash).started is not None
    assert versions(flash) == ("1.0.0",)
    for bad in (29, None):
        assert reboot(flash.copy().primary(counted(board, "1.0.0", bad))).started is None
    assert stored(flash) == 30


@pytest.mark.parametrize("mode", SWAPPING)
def test_counter_of_a_tested_image(mode: SwapMode) -> None:
    board = fast_board(mode).with_options(ROLLBACK)
    flash = Flash(board).primary(counted(board, "1.0.0", 1))
    reboot(flash)
    request(flash.secondary(counted(board, "2.0.0", 7)))
    reboot(flash)
    assert versions(flash) == ("2.0.0",)
    assert stored(flash) == 1
    confirm(flash)
    reboot(flash)
    assert stored(flash) == 7


@pytest.mark.parametrize("mode", [SwapMode.MOVE, *COPYING])
def test_counter_of_a_permanent_update(mode: SwapMode) -> None:
    board = fast_board(mode).with_options(ROLLBACK)
    flash = Flash(board).primary(counted(board, "1.0.0", 1))
    request(flash.secondary(counted(board, "2.0.0", 7)), permanent=mode is SwapMode.MOVE)
    reboot(flash)
    assert versions(flash) == ("2.0.0",)
    assert stored(flash) == 7


def test_counters_of_two_images_survive_full_sectors_and_power_cuts() -> None:
    """Records of both sectors are used up; a cut at any operation leaves the old counter or the new one."""
    board = fast_board(SwapMode.SCRATCH, 2).with_options(ROLLBACK)
    end = BOOTLOADER.address + BOOTLOADER.size

    def record(counter: int, number: int) -> bytes:
        words = (counter, counter ^ 0xFFFFFFFF, number, number ^ 0xFFFFFFFF)
        return b"".join(word.to_bytes(4, "little") for word in words)

    per_sector = SECTOR // 16
    for free in (0, 1, per_sector):
        flash = Flash(board).primary(counted(board, "1.0.0", 1000)).primary(counted(board, "1.0.0", 7, 1), 1)
        first = b"".join(record(n + 1, 0) for n in range(per_sector - 1)) + record(7, 1)
        second = b"".join(record(500 + n, 0) for n in range(per_sector - free))
        if free < per_sector:
            second = record(7, 1) + second[16:] if second else b""
        flash.put(end - 2 * SECTOR, first).put(end - SECTOR, second)
        before = flash.copy()
        boot = reboot(flash)
        assert boot.started is not None
        assert (stored(flash), stored(flash, 1)) == (1000, 7)
        data = bytearray(before.data)
        old = stored(before)
        for operation in apply(data, boot.operations):
            for seed in (0, 1, 2, 3, 4):
                cut = Flash(board, bytearray(tear(data, operation, seed)))
                assert (stored(cut) in (old, 1000), stored(cut, 1)) == (True, 7), operation
                assert reboot(cut).started is not None
                assert (stored(cut), stored(cut, 1)) == (1000, 7)


def test_trailer_of_a_plain_image_is_not_needed_for_counting() -> None:
    board = fast_board(SwapMode.SCRATCH).with_options(ROLLBACK)
    flash = Flash(board).primary(counted(board, "1.0.0", 4))
    put_trailer(flash, board.areas[0][0], image_ok=1, copy_done=1)
    reboot(flash)
    assert stored(flash) == 4
