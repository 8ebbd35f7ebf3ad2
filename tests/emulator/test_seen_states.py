"""What a machine tells of itself to those who compare states: fingerprints, reads, stops."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.emulator import Machine, StopCause

from .conftest import Run

Start = Callable[[str], Run]
RAM = 0x20000000
#: ldr r2,[r0]; ldrh r3,[r0,#6]; b .
CODE = b"".join(half.to_bytes(2, "little") for half in (0x6802, 0x88C3, 0xE7FE))


def test_same_state_same_fingerprint_and_any_difference_shows(start: Start) -> None:
    run = start("nesting")
    run.go(40)
    machine = run.machine
    snapshot, first = machine.snapshot(), machine.fingerprint()
    run.go(40)
    assert machine.fingerprint() != first
    machine.restore(snapshot)
    assert machine.fingerprint() == first
    machine.bus.write_ram(RAM + 0x3FFF0, b"\x01")
    assert machine.fingerprint() != first
    machine.restore(snapshot)
    machine.core.write_register(5, machine.core.read_register(5) ^ 1)
    assert machine.fingerprint() != first
    machine.restore(snapshot)
    machine.bus.write(0x40002524, 4, 0x1000)
    assert machine.fingerprint() != first


def test_running_clocks_are_told_apart_from_state(start: Start) -> None:
    run = start("sleeping")
    run.go(2000)
    machine = run.machine
    snapshot = machine.snapshot()
    machine.bus.write(0x40011000, 4, 1)  # RTC1 START
    one, clocks = machine.fingerprint(), machine.clocks
    assert any(cycles > 0 for cycles in clocks)
    machine.restore(snapshot)
    assert machine.clocks != clocks
    machine.skip_to(machine.now + 10_000)
    machine.bus.write(0x40011000, 4, 1)
    assert machine.fingerprint() == one, "the time of day is part of the state"
    events = machine.clock_events
    machine.bus.read(0x40011504, 4)
    assert machine.clock_events == events + 1


@pytest.mark.parametrize("native", [True, False])
def test_loaded_words_are_marked(native: bool) -> None:
    machine = Machine(native=native, tracks_reads=True)
    assert machine.reads is not None
    machine.program(0, (RAM + 0x1000).to_bytes(4, "little") + (0x101).to_bytes(4, "little"))
    machine.program(0x100, CODE)
    machine.power_on()
    assert machine.reads.words(0, 16) == b"\x01\x01\x00\x00", "the core itself reads the vectors"
    machine.core.write_register(0, 0x10000)
    machine.run(100)
    assert machine.reads.words(0x10000, 16) == b"\x01\x01\x00\x00"
    assert machine.reads.words(0x100, 8) == b"\x00\x00"
    machine.reads.clear()
    assert not any(machine.reads.words(0, 0x100000))


@pytest.mark.parametrize("native", [True, False])
def test_stops_before_code_in_an_area(native: bool) -> None:
    machine = Machine(native=native)
    machine.program(0, (RAM + 0x1000).to_bytes(4, "little") + (0x101).to_bytes(4, "little"))
    machine.program(0x100, CODE)
    machine.ask_at_entry(0x100, 0x200)
    machine.power_on()
    for _ in range(2):
        stop = machine.run(100)
        assert (stop.cause, stop.pc) == (StopCause.ASKED, 0x100)
        assert machine.hot.instructions == 0
    machine.ask_at_entry(0, 0)
    assert machine.run(100).cause is StopCause.LIMIT
    assert machine.hot.instructions == 3


@pytest.mark.parametrize("native", [True, False])
def test_stops_after_an_erase(native: bool) -> None:
    machine = Machine(native=native)
    # ldr r0,=0x4001E000 via r1..: the registers are set from outside
    code = (0x6008, 0x6013, 0xE7FE)  # str r0,[r1]; str r3,[r2]; b .
    machine.program(0, (RAM + 0x1000).to_bytes(4, "little") + (0x101).to_bytes(4, "little"))
    machine.program(0x100, b"".join(half.to_bytes(2, "little") for half in code))
    machine.program(0x10000, bytes(4096))
    machine.stops_after_erase = True
    machine.start_journal()
    machine.power_on()
    for register, value in ((0, 2), (1, 0x4001E504), (2, 0x4001E508), (3, 0x10000)):
        machine.core.write_register(register, value)
    assert machine.run(10_000_000).cause is StopCause.ASKED
    assert [operation.address for operation in machine.recorded()] == [0x10000]
    assert machine.recorded(1) == []
    assert machine.run(10_000_000).cause is StopCause.LIMIT
