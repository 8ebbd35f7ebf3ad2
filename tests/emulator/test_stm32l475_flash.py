"""The STM32L475's flash: double words, once onto erased flash; errors, erases, power cuts, journal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.emulator import Machine, Master, Operation, OperationKind, ResetKind, StopCause, TearWord

from .conftest import Run

Start = Callable[[str], Run]
BASE = 0x08000000
PAGE = 0x08040000
SECOND_BANK = 0x08081000
ERASED = 0xFFFFFFFF
PROGERR, PGAERR, SIZERR, PGSERR = 0x08, 0x20, 0x40, 0x80
KEYR, SR, CR = 0x40022008, 0x40022010, 0x40022014


def unlocked() -> Machine:
    machine = Machine("stm32l475")
    machine.power_on()
    for key in (0x45670123, 0xCDEF89AB):
        machine.bus.write(KEYR, 4, key)
    return machine


def at(machine: Machine, address: int, size: int = 8) -> bytes:
    return bytes(machine.flash.view[address - BASE : address - BASE + size])


def test_broken_rules_set_their_error_and_program_nothing(start_stm32: Start) -> None:
    run = start_stm32("flash_rules")
    run.go(100_000)
    results = iter(run.results)
    assert next(results) == PGSERR, "locked"
    assert next(results) == 0, "two keys unlock"
    assert next(results) == PGSERR, "PG is not set"
    assert [next(results) for _ in range(3)] == [0, 0x12345678, 0x9ABCDEF0]
    assert next(results) == PROGERR, "bits cannot be cleared one by one"
    assert [next(results) for _ in range(2)] == [0, 0], "but all of them at once"
    assert next(results) == PGAERR, "two lower halves"
    assert next(results) == PGAERR, "an upper half alone"
    assert next(results) == SIZERR, "a halfword"
    assert next(results) == SIZERR | PGSERR, "no programming while an error is not cleared"
    assert [next(results) for _ in range(4)] == [ERASED, 0xAAAA, 0xBBBB, 0], "a store of two words is good"
    notes = [text.rpartition(" - ")[2].split(":")[0] for text in run.findings]
    assert notes == ["PGSERR", "PGSERR", "PROGERR", "PGAERR", "PGAERR", "SIZERR", "PGSERR", "PGSERR"]
    function = run.elf.symbols["flash_rules"] & ~1
    places = [int(text.split("pc ")[1][:10], 16) for text in run.findings]
    put = run.elf.symbols.get("put", 0) & ~1
    assert all(function <= pc < function + 0x200 or put <= pc < put + 0x80 for pc in places)


def test_erases_pages_and_banks(start_stm32: Start) -> None:
    run = start_stm32("flash_erases")
    began = run.machine.now
    run.machine.start_journal()
    run.go(4_000_000)
    pages = [ERASED, 3, 5, 3, ERASED, 3, ERASED]
    assert run.results == [*pages, PGSERR, 3, 0xC0000000, 0xC0000000, 1 << 31]
    erases = [op for op in run.machine.stop_journal() if op.kind is not OperationKind.WRITE]
    assert [(op.address, op.size) for op in erases] == [
        (PAGE, 0x800),
        (SECOND_BANK, 0x800),
        (0x08080000, 0x80000),
    ]
    assert all(op.pc for op in erases)
    assert run.machine.now - began == 4_000_000
    assert erases[1].instructions - erases[0].instructions < 1000, "stalls, not loops: 22 ms each"


def test_page_erase_takes_its_time_at_every_clock() -> None:
    machine = unlocked()
    for clock in (4_000_000, 16_000_000):
        assert machine.clock_hz == clock
        before = machine.now
        machine.bus.write(CR, 4, 2 | 3 << 3)
        machine.bus.write(CR, 4, 2 | 3 << 3 | 1 << 16)
        assert machine.now - before == 22_020 * clock // 1_000_000
        machine.bus.write(0x40021000, 4, 0x163)  # HSION
        machine.bus.write(0x40021008, 4, 1)
    machine.reset(ResetKind.PIN)
    assert machine.flash.page_stall == 22_020 * 4


def test_one_operation_a_unit_in_the_journal(start_stm32: Start) -> None:
    run = start_stm32("half_a_unit")
    run.machine.start_journal()
    run.go(100_000)
    journal = run.machine.stop_journal()
    assert [(op.kind, op.address, op.size, op.value, op.previous) for op in journal] == [
        (OperationKind.WRITE, PAGE, 8, 0x2222222211111111, 2**64 - 1),
        (OperationKind.WRITE, PAGE + 16, 8, 0x5555555544444444, 2**64 - 1),
    ]
    assert run.results == [ERASED, 0], "the word that waited for its other half is forgotten with PG"
    assert run.machine.operations == 2


def test_both_hot_paths_keep_the_same_journal(make_stm32_run: Callable[[bool], Start]) -> None:
    def outcome(native: bool) -> list[object]:
        found: list[object] = []
        for case in ("flash_rules", "flash_erases", "half_a_unit", "rewrite_code", "ring_by_dma", "watchdog"):
            run = make_stm32_run(native)(case)
            run.machine.uarts[0].feed(b"0123456789ab")
            run.machine.start_journal()
            stop = run.go(2_000_000)
            found.append((case, stop, run.machine.stop_journal(), run.results, run.findings))
        return found

    assert outcome(native=True) == outcome(native=False)


def test_code_that_was_programmed_over_runs_as_it_is_now(start_stm32: Start) -> None:
    run = start_stm32("rewrite_code")
    run.go(100_000)
    assert run.results == [0x7F, 5]


@pytest.mark.parametrize(
    ("operation", "tear", "expected"),
    [
        (0, TearWord(0), [ERASED] * 2),
        (0, TearWord(0xFFFF0000), [0x1111FFFF, 0x2222FFFF]),
        (1, TearWord(0), [0x11111111, 0x22222222]),
    ],
)
def test_power_cut_takes_the_unit_as_one(
    start_stm32: Start, operation: int, tear: TearWord, expected: list[int]
) -> None:
    run = start_stm32("half_a_unit")
    run.machine.cut_power_at(run.machine.operations + operation, tear)
    assert run.go(100_000).cause is StopCause.POWER_CUT
    assert list(memoryview(at(run.machine, PAGE)).cast("I")) == expected
    assert at(run.machine, PAGE + 16) == b"\xff" * 8
    assert run.machine.operations == operation


def test_waiting_half_does_not_outlive_a_reset(start_stm32: Start) -> None:
    run = start_stm32("half_a_unit")
    while run.machine.flash.held.next != PAGE + 4:
        run.go(20)
    run.machine.power_cycle()
    machine = run.machine
    for key in (0x45670123, 0xCDEF89AB):
        machine.bus.write(KEYR, 4, key)
    machine.bus.write(CR, 4, 1)
    machine.bus.write(PAGE + 4, 4, 7)
    assert machine.bus.read(SR, 4) == PGAERR
    assert at(machine, PAGE) == b"\xff" * 8


def test_debugger_programs_by_the_controllers_rules() -> None:
    machine = unlocked()
    machine.bus.write_block(PAGE, bytes(range(8)))
    assert at(machine, PAGE) == b"\xff" * 8, "programmed although PG was not set"
    assert machine.bus.read(SR, 4) == PGSERR
    machine.bus.write(SR, 4, PGSERR)
    machine.bus.write(CR, 4, 1)
    machine.start_journal()
    machine.bus.write_block(PAGE, bytes(range(16)))
    journal: list[Operation] = machine.stop_journal()
    assert [(op.master, op.size) for op in journal] == [(Master.DEBUG, 8)] * 2
    assert machine.bus.read_block(PAGE, 16) == bytes(range(16))
    machine.bus.write(PAGE + 16, 1, 0)
    assert machine.bus.read(SR, 4) == SIZERR


def test_mass_erase_takes_both_banks() -> None:
    machine = unlocked()
    machine.program(BASE + 0x1234, b"x")
    machine.program(SECOND_BANK, b"y")
    machine.bus.write(CR, 4, 0x8004)
    machine.bus.write(CR, 4, 0x8004 | 1 << 16)
    assert bytes(machine.flash.memory) == b"\xff" * 0x100000
    assert machine.now == 22_020 * 4, "both at once"
