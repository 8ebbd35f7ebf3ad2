"""Snapshots: going back gives the same future, whatever happened in between."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.emulator import Machine, ResetKind

from .conftest import SECOND, Run

Start = Callable[[str], Run]


@pytest.mark.parametrize(
    "case", ["nesting", "run_threads", "sleeping", "clocks", "flash_rules", "uarte_echo", "watchdog"]
)
@pytest.mark.parametrize("before", [30, 150, 70_000])
def test_same_future_after_restore(start: Start, case: str, before: int) -> None:
    run = start(case)
    run.machine.uarts[0].feed(b"abcdEFGHijkl")
    run.go(before)
    snapshot = run.machine.snapshot()

    def future() -> tuple[object, ...]:
        run.output.clear()
        run.machine.start_journal()
        stop = run.go(SECOND // 10)
        return stop, run.results, bytes(run.output), run.machine.hot.instructions, run.machine.stop_journal()

    first = future()
    run.machine.reset(ResetKind.PIN)
    run.go(1000)
    run.machine.restore(snapshot)
    assert future() == first


def test_restored_flash_runs_the_restored_code(start: Start) -> None:
    run = start("rewrite_code")
    snapshot = run.machine.snapshot()
    run.go(100_000)
    assert run.results == [0x7F, 0x0F]
    run.machine.restore(snapshot)
    run.go(100_000)
    assert run.results == [0x7F, 0x0F], "code translated before the restore was run"


def test_snapshot_of_a_powered_off_machine_stays_off(start: Start) -> None:
    run = start("nesting")
    run.machine.power_off()
    snapshot = run.machine.snapshot()
    run.machine.power_on()
    run.machine.restore(snapshot)
    assert not run.machine.powered


@pytest.mark.parametrize("native", [True, False], ids=["native", "python"])
def test_code_that_was_stopped_before_it_ran_is_not_remembered(native: bool) -> None:
    machine = Machine("nrf52840", native=native)
    table = (0x2000_1000).to_bytes(4, "little") + (0x1001).to_bytes(4, "little")
    jump = bytes.fromhex("00490847") + (0x3001).to_bytes(4, "little")  # ldr r1, =0x3001; bx r1
    machine.program(0, table)
    machine.program(0x1000, jump)
    machine.power_on()
    machine.run(2)  # stops before the first instruction at 0x3000, which is erased, and has been translated
    assert machine.core.registers.pc == 0x3000
    machine.program(0x3000, bytes.fromhex("2a20fee7"))  # movs r0, #42; b .
    machine.run(100)
    assert machine.core.registers.pc == 0x3002
    assert machine.core.read_register(0) == 42
