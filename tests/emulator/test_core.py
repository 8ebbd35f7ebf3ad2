"""The CPU: exceptions, faults, sleep, threads with FPU context; identical on both hot paths."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.emulator import Machine, ResetKind, StopCause

from .conftest import SECOND, Run

Start = Callable[[str], Run]


def test_interrupts_nest_by_priority_and_wait_for_masks(start: Start) -> None:
    run = start("nesting")
    run.go()
    nested = [0x11, 0x21, 0x12, 0x12]  # 1 enters, 2 preempts it, its IPSR is 18, 1 leaves
    assert run.results == [
        *nested, 1,
        2, *nested, 0x31, 3,  # held back by PRIMASK, then by urgency, the second tail-chained
        4, *nested, 5,  # BASEPRI 0x40 holds back both, 0x60 lets only 1 through
        0x31, 6,
    ]  # fmt: skip


def test_svc_enters_at_once_and_escalates_when_masked(start: Start) -> None:
    run = start("supervisor")
    run.go()
    forced = 1 << 30
    assert run.results == [0xFFFFFFF9, 7, 0x5C, 3, 0, forced, 0, 0xEE]


def test_pendsv_switches_threads_and_keeps_their_fpu_registers(start: Start) -> None:
    run = start("run_threads")
    run.go()
    assert run.results == [0xA0, 0xB0, 0xA0, 0xA1, 0xB0, 0xB1, 0xA0, 0xA2, 0xB1, 0xB2, 0xA0]
    assert not run.findings


def test_faults_reach_their_handlers_with_cause_and_address(start: Start) -> None:
    run = start("faults")
    run.go()
    undefined, precise, forced = 1 << 16, 1 << 9 | 1 << 15, 1 << 30
    assert run.results == [
        6, undefined, 0, 0,
        5, precise, 0, 0x90000000,
        3, undefined, forced, 0x90000000,
        0xEE,
    ]  # fmt: skip


def test_sleep_ends_by_interrupt_event_or_masked_interrupt(start: Start) -> None:
    run = start("sleeping")
    stop = run.go()
    assert run.results == [0x51, 1, 2, 0x51, 3, 4, 0x31, 5]
    assert stop.cause is StopCause.LIMIT
    assert run.machine.core.sleeping
    assert run.machine.hot.instructions < 200, "sleeping took instructions"


def test_vector_table_can_move_to_ram(start: Start) -> None:
    run = start("vector_table_moved")
    run.go()
    assert run.results == [0x21, 19, 0x410FC241]


def test_code_that_was_rewritten_runs_as_rewritten(start: Start) -> None:
    run = start("rewrite_code")
    run.go()
    assert run.results == [0x7F, 0x0F]


def test_code_in_ram_may_change_between_data(start: Start) -> None:
    run = start("code_in_ram")
    for _ in range(2):
        run.go()
        assert run.results == [3, 4, 5, 6, 7]


def test_lockup_resets_the_chip_and_is_seen_as_the_reason(start: Start) -> None:
    run = start("lockup")
    run.go()
    assert run.results == [0x10C]


def test_blank_chip_locks_up_instead_of_looping(hot_path: bool) -> None:
    machine = Machine(native=hot_path)
    machine.power_on()
    assert machine.run(SECOND).cause is StopCause.LOCKED_UP


@pytest.mark.parametrize(
    ("kind", "reason", "keeps_register", "keeps_ram"),
    [
        (ResetKind.POWER_ON, 0, False, False),
        (ResetKind.PIN, 1, False, True),
        (ResetKind.SOFT, 4, True, True),
        (ResetKind.LOCKUP, 8, True, True),
        (ResetKind.WATCHDOG, 2, False, True),
    ],
)
def test_resets_differ_as_on_silicon(
    start: Start, core_program: object, kind: ResetKind, reason: int, keeps_register: bool, keeps_ram: bool
) -> None:
    run = start("reset_reason")
    case = run.machine.bus.read(run.elf.symbols["test_case"], 4)
    run.go(10_000)
    assert run.results == [0, 0, 0]
    if kind is ResetKind.POWER_ON:
        run.machine.power_cycle()
        run.machine.bus.write(run.elf.symbols["test_case"], 4, case)
        run.go(10_000)
        assert run.results == [0, 0, 0]
    else:
        run.machine.reset(kind)
        run.go(10_000)
        assert run.results[3:] == [reason, 0x5A * keeps_register, 0xABCD * keeps_ram]


def test_reset_reasons_add_up_until_cleared() -> None:
    machine = Machine()
    machine.power_on()
    for kind in (ResetKind.PIN, ResetKind.SOFT):
        machine.reset(kind)
    assert machine.bus.read(0x40000400, 4) == 1 | 4
    machine.bus.write(0x40000400, 4, 1)
    assert machine.bus.read(0x40000400, 4) == 4


def test_flash_and_uicr_survive_everything_ram_not_a_power_cycle() -> None:
    machine = Machine()
    machine.program(0x1000, b"flash")
    machine.program(0x10001080, b"uicr")
    machine.power_on()
    machine.bus.write_block(0x20000100, b"ram!")
    for kind in (ResetKind.PIN, ResetKind.SOFT, ResetKind.WATCHDOG, ResetKind.LOCKUP):
        machine.reset(kind)
        assert machine.bus.read_block(0x20000100, 4) == b"ram!"
    machine.power_cycle()
    assert machine.bus.read_block(0x20000100, 4) == bytes(4)
    assert machine.bus.read_block(0x1000, 5) == b"flash"
    assert machine.bus.read_block(0x10001080, 4) == b"uicr"


@pytest.mark.parametrize("tracked", [False, True])
def test_condition_of_an_access_ends_with_its_block(start: Callable[..., Run], tracked: bool) -> None:
    run = start("conditional_access", tracks_reads=tracked)
    run.go()
    ram, stored = run.results[0], run.results[1:3]
    assert (ram, stored) == (7, [7, 0x1234])
    flash, programmed, erased = run.results[3], run.results[4:6], run.results[6:8]
    assert (flash, programmed, erased) == (7, [7, 0x5678], [7, 0xFFFFFFFF])
    assert run.results[8:-1] == [7] * 9
    assert run.results[-1] == 50
    assert len(run.findings) == 2
