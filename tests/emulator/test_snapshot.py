"""Snapshots: going back gives the same future, whatever happened in between."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.emulator import ResetKind

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
