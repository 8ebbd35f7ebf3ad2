"""Peripherals of the STM32L475, and what the model says about accesses against its rules."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from importlib.resources import files
from xml.etree import ElementTree

import pytest

from harness.emulator import Machine, ResetKind, StopCause

from .conftest import Run

Start = Callable[[str], Run]
RCC_CSR = 0x40021094
BKP0R = 0x40002850
USART1_CR1 = 0x40013800
OTHER_CASE = 4  # reset_causes: it sets up nothing
MS = 4_000  # cycles, before the PLL is started


def notes(run: Run, cycles: int = 100 * MS) -> list[int]:
    run.go(cycles)
    return run.results


def kinds(run: Run) -> list[str]:
    """Each finding as "what it is: its note"."""
    return [f"{text.split(' (')[0].split(':')[0]}: {text.rpartition(' - ')[2]}" for text in run.findings]


@pytest.mark.parametrize(
    ("kind", "flags"),
    [
        (ResetKind.POWER_ON, 0x0C),
        (ResetKind.PIN, 0x04),
        (ResetKind.SOFT, 0x14),
        (ResetKind.WATCHDOG, 0x24),
    ],
)
def test_reset_cause_is_kept_until_it_is_removed(start_stm32: Start, kind: ResetKind, flags: int) -> None:
    run = start_stm32("reset_causes")
    run.machine.bus.write(RCC_CSR, 4, 1 << 23)
    run.machine.reset(kind)
    if kind is ResetKind.POWER_ON:
        again = start_stm32("reset_causes")
        assert notes(again)[0] >> 24 == flags
        return
    assert notes(run)[0] >> 24 == flags
    assert run.results[1] == 0


def test_causes_add_up() -> None:
    machine = Machine("stm32l475")
    machine.power_on()
    for kind in (ResetKind.SOFT, ResetKind.WATCHDOG):
        machine.reset(kind)
    assert machine.bus.read(RCC_CSR, 4) >> 24 == 0x3C
    machine.power_cycle()
    assert machine.bus.read(RCC_CSR, 4) >> 24 == 0x0C


def test_backup_domain_outlives_resets_but_not_a_loss_of_power() -> None:
    machine = Machine("stm32l475")
    machine.power_on()
    machine.bus.write(0x40021090, 4, 1)
    machine.bus.write(BKP0R, 4, 7)
    assert machine.bus.read(0x40021090, 4) == machine.bus.read(BKP0R, 4) == 0, "PWR_CR1.DBP guards it"
    machine.bus.write(0x40021058, 4, 1 << 28)
    machine.bus.write(0x40007000, 4, 0x300)
    machine.bus.write(0x40021090, 4, 1)
    machine.bus.write(BKP0R, 4, 7)
    machine.reset(ResetKind.PIN)
    assert machine.bus.read(0x40021090, 4) == 3, "LSEON and LSERDY"
    assert machine.bus.read(BKP0R, 4) == 7
    machine.power_cycle()
    assert machine.bus.read(0x40021090, 4) == machine.bus.read(BKP0R, 4) == 0


def test_backup_domain_reset_clears_its_registers() -> None:
    machine = Machine("stm32l475")
    machine.power_on()
    machine.bus.write(0x40021058, 4, 1 << 28)
    machine.bus.write(0x40007000, 4, 0x300)
    machine.bus.write(BKP0R + 31 * 4, 4, 7)
    assert machine.bus.read(BKP0R + 31 * 4, 4) == 7
    machine.bus.write(0x40021090, 4, 1 << 16)
    assert machine.bus.read(BKP0R + 31 * 4, 4) == 0


def test_core_reset_by_the_debugger_leaves_devices_alone() -> None:
    machine = Machine("stm32l475")
    machine.power_on()
    machine.bus.write(0x40021060, 4, 1 << 14)
    machine.bus.write(USART1_CR1, 4, 0xD)
    before = machine.bus.read(RCC_CSR, 4)
    machine.reset(ResetKind.DEBUG)
    assert machine.bus.read(USART1_CR1, 4) == 0xD
    assert machine.bus.read(RCC_CSR, 4) == before
    machine.reset(ResetKind.SOFT)
    machine.bus.write(0x40021060, 4, 1 << 14)
    assert machine.bus.read(USART1_CR1, 4) == 0


def test_clock_follows_its_registers_and_wrong_settings_are_reported(start_stm32: Start) -> None:
    run = start_stm32("clocks")
    assert run.machine.clock_hz == 4_000_000
    assert notes(run) == [0xF, 20, 3, 0xF]
    assert run.machine.clock_hz == 80_000_000
    assert kinds(run) == [
        "clocks set against the part's rules: the PLL cannot be set while it runs",
        "clocks set against the part's rules: the clock that the CPU runs on cannot be stopped",
        "clocks set against the part's rules: too few wait states for 80000000 Hz",
        "clocks set against the part's rules: the new system clock is not ready",
    ]
    run.machine.reset(ResetKind.PIN)
    assert run.machine.clock_hz == 4_000_000


def test_device_without_clock_does_not_answer(start_stm32: Start) -> None:
    run = start_stm32("no_clock")
    assert notes(run) == [0, 100, 0, 0, 100], "off, on, reset by RCC, off, and on again with what it held"
    assert kinds(run) == ["access to a device that has no clock: USART1"]


def test_usart_echoes_by_interrupt(start_stm32: Start) -> None:
    run = start_stm32("echo")
    run.machine.uarts[0].feed(b"hello")
    byte = 400  # 100 kbaud at 4 MHz: ten bits of 40 cycles
    run.go(6 * byte - 100)
    assert len(run.output) == 5, "a byte is echoed when the next one arrives"
    run.go(10 * byte)
    assert bytes(run.output) == b"hello"


def test_byte_that_nobody_reads_is_lost_on_a_paced_line_only(start_stm32: Start) -> None:
    run = start_stm32("overrun")
    run.machine.uarts[0].feed(b"ab")
    assert notes(run) == [0x28, ord("a"), 0x08, 0x00]
    waiting = start_stm32("overrun")
    waiting.machine.uarts[0].paced = False
    waiting.machine.uarts[0].feed(b"ab")
    assert notes(waiting) == [], "without a baud rate the second byte waits"


def test_bytes_arrive_while_flash_stops_the_cpu(start_stm32: Start) -> None:
    run = start_stm32("deaf")
    run.machine.uarts[0].feed(b"abcdef")
    assert notes(run) == [ord("a"), 0x28, ord("b")], "all but one of the others are lost"


def test_serial_port_needs_its_pins(start_stm32: Start) -> None:
    run = start_stm32("no_pin")
    run.go(10 * MS // 10)
    run.machine.uarts[0].feed(b"c")
    assert notes(run) == [0, ord("c")]
    assert bytes(run.output) == b"a"
    assert kinds(run) == ["serial port that sends without a pin: USART1"]


def test_usart_sends_through_one_register_and_a_shifter(start_stm32: Start) -> None:
    run = start_stm32("send")
    assert notes(run) == [0x80, 0x00, 0xC0]
    assert bytes(run.output) == b"abc"
    assert kinds(run) == ["use of a feature that is not modelled: TDR is full: the byte in it is lost"]


def test_dma_goes_round_in_memory_and_the_idle_line_is_told(start_stm32: Start) -> None:
    run = start_stm32("ring_by_dma")
    line = run.machine.uarts[0]
    line.feed(b"abcdefghij")
    run.go(20 * MS)
    assert run.results == []
    line.feed(b"kl")
    interrupts, left, flags, after, *ring = notes(run)
    assert (interrupts, left) == (2, 4)
    assert (flags, after) == (0x7, 0), "half and whole round"
    assert bytes(ring) == b"ijklefgh"


def test_dma_sends(start_stm32: Start) -> None:
    run = start_stm32("send_by_dma")
    assert notes(run) == [0, 7, 0]
    assert bytes(run.output) == b"abcdefgh"


def test_watchdog_resets_when_it_is_not_fed_at_any_clock(start_stm32: Start) -> None:
    run = start_stm32("watchdog")
    run.go(250 * MS)
    assert run.results == [0x3, 5], "PR and RLR are being updated; fed five times"
    assert run.machine.clock_hz == 80_000_000
    run.machine.run(80_000_000)
    assert run.results == [0x3, 5, 0xD06]
    assert kinds(run) == ["write to memory that cannot be written: KR does not hold 0x5555"]


def test_watchdog_starves_after_its_time() -> None:
    """100 ms after it was started, whatever the CPU's clock became meanwhile."""
    machine = Machine("stm32l475")
    machine.program(0x08000000, (0x20001000).to_bytes(4, "little") + (0x08000009).to_bytes(4, "little"))
    machine.program(0x08000008, b"\xfe\xe7")  # sleeps for ever
    machine.power_on()
    for address, value in (
        (0x40003000, 0x5555),
        (0x40003004, 0),
        (0x40003008, 799),
        (0x40003000, 0xCCCC),
    ):
        machine.bus.write(address, 4, value)
    machine.run(50 * MS)
    machine.bus.write(0x40022000, 4, 4)
    machine.bus.write(0x40021000, 4, 0x163)
    machine.bus.write(0x4002100C, 4, 0x01001412)
    machine.bus.write(0x40021000, 4, 0x01000163)
    machine.bus.write(0x40021008, 4, 3)
    machine.run(50 * 80_000 - 1000)
    assert machine.bus.read(RCC_CSR, 4) >> 29 & 1 == 0
    machine.run(2000)
    assert machine.bus.read(RCC_CSR, 4) >> 29 & 1 == 1


def test_watchdog_ends_a_lockup(start_stm32: Start) -> None:
    run = start_stm32("watchdog_in_lockup")
    assert run.go(10_000 * MS).cause is StopCause.LIMIT
    assert run.results == [0xD06]


def test_lockup_without_watchdog_is_for_ever() -> None:
    machine = Machine("stm32l475")
    machine.power_on()
    assert machine.run(1000).cause is StopCause.LOCKED_UP


def test_pins(start_stm32: Start) -> None:
    assert notes(start_stm32("pins")) == [0x28, 0x08, 0x00]


def test_identity_comes_from_the_seed_and_flash_shows_at_zero(start_stm32: Start) -> None:
    first, second, third, size, idcode, at_zero, stack = notes(start_stm32("identity"))
    assert (first, second) == (1, 0)
    assert third != 0xFFFFFFFF
    assert (size, idcode & 0xFFF) == (1024, 0x415)
    assert at_zero == stack


def test_random_numbers_depend_on_the_seed_alone() -> None:
    def numbers(seed: int) -> list[int]:
        machine = Machine("stm32l475", seed=seed)
        machine.program(0x08000000, (0x20001000).to_bytes(4, "little") + (0x08000009).to_bytes(4, "little"))
        machine.program(0x08000008, b"\xfe\xe7")
        machine.power_on()
        machine.bus.write(0x4002104C, 4, 1 << 18)
        machine.bus.write(0x50060800, 4, 4)
        found = []
        for _ in range(4):
            machine.run(100)
            assert machine.bus.read(0x50060804, 4) == 1
            found.append(machine.bus.read(0x50060808, 4))
        return found

    assert numbers(5) == numbers(5)
    assert numbers(5) != numbers(6)
    assert len(set(numbers(5))) == 4


@pytest.mark.parametrize("case", ["half_a_unit", "ring_by_dma", "echo", "send", "watchdog", "clocks"])
@pytest.mark.parametrize("before", [120, 700, 3000])
def test_same_future_after_restore(start_stm32: Start, case: str, before: int) -> None:
    run = start_stm32(case)
    run.machine.uarts[0].feed(b"abcdefghijkl")
    run.go(before)
    snapshot = run.machine.snapshot()

    def future() -> tuple[object, ...]:
        run.output.clear()
        run.machine.start_journal()
        stop = run.go(200 * MS)
        clock = run.machine.clock_hz
        return stop, run.results, bytes(run.output), clock, run.machine.stop_journal()

    first = future()
    run.machine.power_cycle()
    run.machine.bus.write(run.elf.symbols["test_case"], 4, OTHER_CASE)
    run.go(1000)
    run.machine.restore(snapshot)
    assert future() == first


# what the vendor's description of the part says, by way of pyOCD, which ships it

#: registers that option bytes fill
FROM_OPTIONS = ("OPTR", "PCROP", "WRP")


def described_registers() -> Iterator[tuple[int, str, int]]:
    """Address, name and reset value of all registers in the SVD file of the STM32L4x5."""
    with zipfile.ZipFile(str(files("pyocd") / "debug/svd/svd_data.zip")) as archive:
        root = ElementTree.fromstring(archive.read("STM32L4x5.svd"))
    found = {part.findtext("name"): part for part in root.iter("peripheral")}
    for part in found.values():
        base = int(part.findtext("baseAddress") or "", 0)
        source = found[part.get("derivedFrom")] if part.find("registers") is None else part
        for register in source.iter("register"):
            offset = int(register.findtext("addressOffset") or "", 0)
            reset = int(register.findtext("resetValue") or "0", 0)
            yield base + offset, register.findtext("name") or "", reset


def test_registers_are_where_the_vendors_description_has_them() -> None:
    described = {address: (name, reset) for address, name, reset in described_registers()}
    for device in Machine("stm32l475")._parts.devices:
        if device.name.startswith("GPIO"):
            continue  # reset values of another part, and two registers missing
        for register in device.registers():
            for offset in register.offsets():
                assert device.base + offset in described, f"{device.name} {register.name} {offset:#x}"
                name, reset = described[device.base + offset]
                if not name.startswith(FROM_OPTIONS) and device.name != "DBGMCU":
                    known = register.reset | 0x0C000000 * (name == "CSR")
                    assert known == reset, f"{device.name} {name}"
                if register.count == 1:
                    assert register.name == name.replace("_", ""), device.name
