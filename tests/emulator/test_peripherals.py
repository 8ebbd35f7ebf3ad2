"""Peripherals of the nRF52840, and what the model says about accesses that it does not know."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.emulator import Machine, ResetKind, StopCause

from .conftest import Run

Start = Callable[[str], Run]


def test_uarte_echoes_by_dma_without_losing_bytes(start: Start) -> None:
    run = start("uarte_echo")
    run.machine.uarts[0].feed(b"abcdEFGH")
    run.go(100_000)
    run.machine.uarts[0].feed(b"ij")
    run.go(100_000)
    assert bytes(run.output) == b"abcdEFGH"
    run.machine.uarts[0].feed(b"kl")
    run.go(100_000)
    assert bytes(run.output) == b"abcdEFGHijkl"


def test_uart_without_dma_holds_bytes_that_its_fifo_has_no_room_for(start: Start) -> None:
    run = start("uart_echo")
    run.machine.uarts[0].feed(b"twelve bytes")
    run.go(1_000_000)
    assert bytes(run.output) == b"twelve bytes"


def test_paced_line_takes_the_time_of_its_baud_rate(start: Start) -> None:
    run = start("uarte_echo")
    run.machine.uarts[0].paced = True
    run.machine.uarts[0].feed(b"abcd")
    byte = 640  # 1 Mbaud: ten bits of 64 cycles
    run.go(4 * byte - 100)
    assert bytes(run.output) == b""
    run.go(500)
    assert bytes(run.output) == b"abcd"


def test_clocks_count_in_step_and_ppi_joins_event_and_task(start: Start) -> None:
    run = start("clocks")
    run.go()
    handler, counter, timer, timer_later, temperature, _random, calibration = run.results
    assert (handler, counter) == (0x71, 33)
    assert 1000 <= timer <= 1010, "33 ticks of 32768 Hz are 1007 us"
    assert timer_later >= timer + 100 + 36, "the sensor starts after 100 us and takes 36"
    assert temperature == 100, "25 degrees in quarters"
    assert calibration == 5


def test_random_numbers_depend_on_the_seed_alone() -> None:
    def numbers(seed: int) -> list[int]:
        machine = Machine(seed=seed)
        machine.power_on()
        machine.program(0, (0x20001000).to_bytes(4, "little") + (9).to_bytes(4, "little") + b"\xfe\xe7")
        machine.reset(ResetKind.PIN)
        machine.bus.write(0x4000D000, 4, 1)
        found = []
        for _ in range(8):
            machine.run(7680)
            found.append(machine.bus.read(0x4000D508, 4))
        return found

    assert numbers(5) == numbers(5)
    assert numbers(5) != numbers(6)


def test_watchdog_resets_when_it_is_not_fed(start: Start) -> None:
    run = start("watchdog")
    run.go()
    assert run.results == [5, 0xD06], "fed five times, then starved; the second start sees the reason"


def test_accesses_to_what_is_not_modelled_are_reported_once_with_their_place(start: Start) -> None:
    run = start("unmodelled")
    run.go()
    assert run.results == [0, 0, 0, 0, 0, 0]
    assert len(run.findings) == 5, run.findings
    for address in ("0x4000f004", "0x4000f008", "0x40000ff0", "0x4001e400", "0x4000f010"):
        (finding,) = [text for text in run.findings if address in text]
        pc = int(finding.split("pc ")[1][:10], 16)
        function = run.elf.symbols["unmodelled"] & ~1
        assert function <= pc < function + 0x200, finding


def test_flash_rules_broken_by_firmware_are_reported_and_kept(start: Start) -> None:
    run = start("flash_rules")
    run.go()
    only_clear = 0xFFFF0FFF & 0xFFFFF0FF
    assert run.results == [only_clear, 0, 0xCAFE, 0xFFFFFFFF, 0xFFFFFFFF]
    assert [text.split(":")[0] for text in run.findings] == [
        "flash write while the controller does not allow writing (ignored)",
        "word programmed more often since its erase than the part allows",
        "flash write of a size or at an address that the part does not take (ignored)",
        "flash controller used against its rules (ignored)",
    ]


RESETREAS, GPREGRET, DHCSR = 0x40000400, 0x4000051C, 0xE000EDF0


def _power_cycle(machine: Machine) -> None:
    machine.power_cycle()


def _pin_reset(machine: Machine) -> None:
    machine.reset(ResetKind.PIN)


def _connect(machine: Machine) -> None:
    machine.bus.write(DHCSR, 4, 0xA05F0001)


@pytest.mark.parametrize(
    ("wake", "reason", "retained"), [(_power_cycle, 0, 0), (_pin_reset, 1, 0), (_connect, 1 << 18, 0x5A)]
)
def test_system_off_lasts_until_a_reset(
    start: Start, wake: Callable[[Machine], None], reason: int, retained: int
) -> None:
    run = start("system_off")
    machine = run.machine
    stop = run.go()
    assert stop.cause is StopCause.SYSTEM_OFF
    assert run.go() == stop, "time stands still"
    assert not machine.can_run
    off = machine.snapshot()
    for _ in range(2):
        assert run.results[:1] == [1]
        assert run.findings == []
        wake(machine)
        assert machine.bus.read(RESETREAS, 4) == reason
        assert machine.bus.read(GPREGRET, 4) == retained
        assert run.results == [], "RAM is not retained"
        assert machine.can_run
        assert run.go(1000).cause is not StopCause.SYSTEM_OFF
        machine.bus.write(DHCSR, 4, 0xA05F0000)
        machine.restore(off)
        assert run.go() == stop


def test_system_off_with_a_debugger_goes_on_and_is_reported(start: Start) -> None:
    run = start("system_off")
    _connect(run.machine)
    assert run.go(10_000).cause is StopCause.LIMIT
    assert run.results == [1, 2]
    (finding,) = run.findings
    function = run.elf.symbols["system_off"] & ~1
    assert function <= int(finding.split("pc ")[1][:10], 16) < function + 0x40
    assert "0x40000500" in finding
    assert "System OFF with a debugger connected" in finding
