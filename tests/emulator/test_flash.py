"""Flash operations: the journal, power cuts before and inside an operation, partial erase."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.emulator import Machine, Master, OperationKind, StopCause, TearWord

from .conftest import Run

Start = Callable[[str], Run]
PAGE = 0x80000


class HalfErased:
    """Tears an erase in the middle and leaves words alone."""

    def word(self, previous: int, _value: int) -> int:
        return previous

    def erase(self, previous: bytes) -> bytes:
        return b"\xff" * (len(previous) // 2) + previous[len(previous) // 2 :]


def test_journal_has_address_value_size_time_and_place(start: Start) -> None:
    run = start("flash_rules")
    run.machine.start_journal()
    run.go()
    journal = run.machine.stop_journal()
    assert [(op.kind, op.address, op.size, op.value, op.previous) for op in journal] == [
        (OperationKind.WRITE, PAGE, 4, 0xFFFF0FFF, 0xFFFFFFFF),
        (OperationKind.WRITE, PAGE, 4, 0xFFFFF0FF, 0xFFFF0FFF),
        (OperationKind.WRITE, PAGE, 4, 0, 0xFFFF00FF),
        (OperationKind.WRITE, PAGE + 32, 4, 0xCAFE, 0xFFFFFFFF),
        (OperationKind.ERASE_PAGE, PAGE, 4096, 0, 0),
    ]
    function = run.elf.symbols["flash_rules"] & ~1
    assert all(function <= op.pc < function + 0x100 for op in journal)
    counts = [op.instructions for op in journal]
    assert counts == sorted(set(counts))
    assert all(op.master is Master.CPU for op in journal)
    code = run.machine.bus.peek_halfword(journal[-1].pc)
    assert code >> 11 == 0b01100 or code & 0xFFF0 == 0xF8C0, "the erase's pc is not at a store of a word"


def test_both_hot_paths_keep_the_same_journal(make_run: Callable[[bool], Start]) -> None:
    journals = []
    for native in (True, False):
        start = make_run(native)
        per_case = []
        for case in ("flash_rules", "rewrite_code", "nesting", "clocks", "uarte_echo", "run_threads"):
            run = start(case)
            run.machine.uarts[0].feed(b"0123456789ab")
            run.machine.start_journal()
            stop = run.go(2_000_000)
            per_case.append(
                (
                    case,
                    stop,
                    run.machine.hot.instructions,
                    run.machine.stop_journal(),
                    run.results,
                    bytes(run.output),
                )
            )
        journals.append(per_case)
    assert journals[0] == journals[1]
    assert sum(len(case[3]) for case in journals[0]) >= 7


def test_same_inputs_give_the_same_flash_and_instruction_count(start: Start) -> None:
    outcomes = []
    for _ in range(2):
        run = start("flash_rules")
        stop = run.go(1_000_000)
        outcomes.append((stop, run.machine.hot.instructions, bytes(run.machine.flash.memory)))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("operation", range(5))
def test_power_cut_leaves_exactly_the_journal_up_to_it(start: Start, operation: int) -> None:
    whole = start("flash_rules")
    whole.machine.start_journal()
    whole.go()
    journal = whole.machine.stop_journal()
    expected = bytearray(b"\xff" * 64)
    for op in journal[:operation]:
        at = op.address - PAGE
        word = int.from_bytes(expected[at : at + 4], "little") & op.value
        expected[at : at + 4] = word.to_bytes(4, "little")

    run = start("flash_rules")
    run.machine.cut_power_at(run.machine.operations + operation)
    stop = run.go()
    assert stop.cause is StopCause.POWER_CUT
    assert not run.machine.powered
    assert bytes(run.machine.flash.view[PAGE : PAGE + 64]) == bytes(expected)
    assert run.machine.operations == operation


def test_torn_word_has_only_the_programmed_bits(start: Start) -> None:
    run = start("flash_rules")
    run.machine.cut_power_at(run.machine.operations, TearWord(0x0000FF00))
    run.go()
    assert run.machine.flash.view[PAGE : PAGE + 4].cast("I")[0] == 0xFFFF0FFF | ~0x0000FF00 & 0xFFFFFFFF


def test_torn_erase_leaves_what_the_tear_says(start: Start) -> None:
    run = start("flash_rules")
    run.machine.program(PAGE + 4092, b"tail")
    run.machine.cut_power_at(run.machine.operations + 4, HalfErased())
    run.go()
    page = bytes(run.machine.flash.view[PAGE : PAGE + 4096])
    assert page[:2048] == b"\xff" * 2048
    assert page[4092:] == b"tail"


def test_machine_runs_again_after_a_cut(start: Start) -> None:
    run = start("flash_rules")
    case = run.machine.bus.read(run.elf.symbols["test_case"], 4)
    run.machine.cut_power_at(run.machine.operations + 2)
    run.go()
    run.machine.power_on()
    run.machine.bus.write(run.elf.symbols["test_case"], 4, case)
    assert run.go().cause is StopCause.LIMIT
    assert run.results[1:] == [0, 0xCAFE, 0xFFFFFFFF, 0xFFFFFFFF]


def _controller(machine: Machine, config: int) -> None:
    machine.bus.write(0x4001E504, 4, config)


def test_debugger_programs_by_the_controllers_rules() -> None:
    machine = Machine()
    machine.power_on()
    machine.bus.write(PAGE, 4, 0)
    assert machine.bus.read(PAGE, 4) == 0xFFFFFFFF, "programmed although the controller did not allow it"
    _controller(machine, 1)
    machine.start_journal()
    machine.bus.write_block(PAGE, bytes(range(8)))
    (first, second) = machine.stop_journal()
    assert (first.master, second.value) == (Master.DEBUG, 0x07060504)
    assert machine.bus.read_block(PAGE, 8) == bytes(range(8))


def test_partial_erase_clears_a_page_step_by_step() -> None:
    machine = Machine()
    machine.power_on()
    machine.program(PAGE, bytes(4096))
    _controller(machine, 2)
    machine.bus.write(0x4001E51C, 4, 17)
    seen = []
    for _ in range(5):
        machine.bus.write(0x4001E518, 4, PAGE)
        seen.append(bytes(machine.flash.view[PAGE : PAGE + 4096]).count(0xFF))
    assert seen == sorted(seen)
    assert 0 < seen[0] < 4096
    assert seen[-1] == 4096


def test_erase_all_takes_flash_and_uicr() -> None:
    machine = Machine()
    machine.power_on()
    machine.program(0x1234, b"x")
    machine.program(0x10001200, b"y")
    _controller(machine, 2)
    machine.bus.write(0x4001E50C, 4, 1)
    assert bytes(machine.flash.memory) == b"\xff" * 0x100000
    assert machine.bus.read(0x10001200, 4) == 0xFFFFFFFF


def test_erasing_takes_the_time_it_takes_on_silicon() -> None:
    machine = Machine()
    machine.power_on()
    _controller(machine, 2)
    before = machine.now
    machine.bus.write(0x4001E508, 4, PAGE)
    assert machine.now - before == 85 * 64_000
