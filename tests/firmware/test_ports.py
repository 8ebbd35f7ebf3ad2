"""Every port of the reference firmware on its emulated chip, tried by a program of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest

from harness.boards import find_board, shipped_boards
from harness.emulator import Machine, ResetKind
from harness.firmware import Elf, FirmwareLayout, bootloader_program, compile_program, firmware_layout

CHECK = Path(__file__).with_name("programs") / "port_check.c"
PIN, WATCHDOG, SOFTWARE = 1, 2, 4
BOARDS = [name for name in shipped_boards() if find_board(name).emulator]


def program(layout: FirmwareLayout, *, second: bool) -> Elf:
    """The checking program in place of the bootloader, or as what that starts."""
    base = bootloader_program(layout)
    slot = layout.components[0].primary
    port = [source for source in base.sources if "port" in source.parts or source.parent.name == "lib"]
    return Elf.read(
        compile_program(
            replace(
                base,
                name=f"{base.name}-check",
                sources=[CHECK, *port],
                defines={"SECOND": int(second), "NEXT_PROGRAM": slot.address},
                linker_symbols=base.linker_symbols | ({"FLASH_ORIGIN": slot.address} if second else {}),
            )
        )
    )


@cache
def content(board: str) -> tuple[FirmwareLayout, list[tuple[int, bytes]]]:
    layout = firmware_layout(find_board(board))
    return layout, [program(layout, second=second).binary() for second in (False, True)]


@dataclass
class Talk:
    """A chip that runs the checking program."""

    machine: Machine
    layout: FirmwareLayout
    output: bytearray
    said_before: str = ""
    """What came before the text that was expected last."""

    def expect(self, text: str, seconds: float = 1.0) -> None:
        """Run until the program has said this."""
        end = self.machine.now + int(seconds * self.machine.clock_hz)
        while text.encode() not in self.output:
            assert self.machine.now < end, f"{text!r} did not come: {bytes(self.output)!r}"
            self.machine.run(self.machine.clock_hz // 1000)
        at = self.output.index(text.encode())
        self.said_before = self.output[:at].decode(errors="replace")
        del self.output[: at + len(text)]

    def send(self, data: bytes) -> None:
        self.machine.uarts[0].feed(data)

    def ask(self, command: str, lines: int = 1) -> list[int]:
        """Numbers that a command prints."""
        self.send(command.encode())
        found = []
        for _ in range(lines):
            end = self.machine.now + 5 * self.machine.clock_hz
            while b"\n" not in self.output:
                assert self.machine.now < end, f"{command} is not answered: {bytes(self.output)!r}"
                self.machine.run(self.machine.clock_hz // 1000)
            line, _, rest = bytes(self.output).partition(b"\n")
            self.output[:] = rest
            found.append(int(line, 16))
        return found


@pytest.fixture(params=BOARDS)
def talk(request: pytest.FixtureRequest) -> Talk:
    """A freshly powered chip that has said that it started."""
    layout, parts = content(request.param)
    machine = Machine(find_board(request.param).emulator or "", seed=0x1122334455667788)
    for address, data in parts:
        machine.program(address, data)
    found = Talk(machine, layout, bytearray())
    machine.uarts[0].sink = found.output.extend
    machine.power_on()
    found.expect("start 00000000\n")
    return found


def test_reset_causes(talk: Talk) -> None:
    assert talk.ask("C") == [0], "power-on is no cause, and reading forgets"
    talk.send(b"R")
    talk.expect(f"start {SOFTWARE:08x}\n")
    talk.send(b"D")
    talk.expect(f"start {WATCHDOG:08x}\n", seconds=2)
    talk.machine.reset(ResetKind.PIN)
    talk.expect(f"start {PIN:08x}\n")
    talk.machine.power_cycle()
    talk.expect("start 00000000\n")


def test_watchdog_starves_in_its_time(talk: Talk) -> None:
    talk.send(b"D")
    talk.machine.run(int(0.25 * talk.machine.clock_hz))
    assert b"start" not in talk.output, "300 ms are not over"
    talk.expect(f"start {WATCHDOG:08x}\n", seconds=0.2)


def test_sleeping_program_sleeps_and_keeps_its_watchdog_quiet(talk: Talk) -> None:
    before = talk.machine.hot.instructions
    talk.machine.run(2 * talk.machine.clock_hz)
    assert not talk.output
    assert talk.machine.hot.instructions - before < talk.machine.clock_hz // 50


def test_byte_wakes_it_at_once(talk: Talk) -> None:
    step = talk.machine.clock_hz // 50_000
    for phase in range(12):
        talk.machine.run((70 + phase) * step)
        talk.send(b"x")
        began = talk.machine.now
        while not talk.output:
            talk.machine.run(step)
            assert talk.machine.now - began < talk.machine.clock_hz // 5000, "slept on for 0.2 ms"
        talk.output.clear()


def test_last_words_before_a_reset_are_heard(talk: Talk) -> None:
    talk.send(b"P")
    talk.expect(f"last words\nstart {SOFTWARE:08x}\n")


def test_device_id_is_the_chips(talk: Talk) -> None:
    assert talk.ask("I", 2) == [0x55667788, 0x11223344]


def test_milliseconds_pass_with_time(talk: Talk) -> None:
    (before,) = talk.ask("M")
    talk.machine.run(talk.machine.clock_hz // 2)
    (after,) = talk.ask("M")
    assert 500 <= after - before <= 504


def test_nothing_is_lost_while_a_sector_is_erased(talk: Talk) -> None:
    data = bytes(range(0x61, 0x7B)) * 60
    talk.send(b"E" + data)
    talk.expect(data.decode(), seconds=3)
    assert talk.ask("O") == [0]


def test_long_stream_is_echoed_as_it_comes(talk: Talk) -> None:
    data = "".join(f"{number:05}," for number in range(2000))
    talk.send(data.encode())
    talk.expect(data, seconds=3)
    assert talk.ask("O") == [0]


def test_overrun_is_counted_and_survived(talk: Talk) -> None:
    talk.send(b"B" + b"x" * 12_000)
    talk.machine.run(talk.machine.clock_hz)
    talk.output.clear()
    (lost,) = talk.ask("O")
    assert 0 < lost <= 12_000
    talk.send(b"still here")
    talk.expect("still here")


def test_flash(talk: Talk) -> None:
    (good,) = talk.ask("F")
    assert good == 0x1FF
    assert len(list(talk.machine.diagnostics)) <= 1, "writing over what is there may be told, nothing else"


def test_started_image_finds_the_chip_at_rest(talk: Talk) -> None:
    for _ in range(2):
        talk.send(b"J")
        talk.expect("second 00000000\n", seconds=2)
        talk.send(b"hello")
        talk.expect("hello")
        assert not talk.said_before.startswith("not at rest")
    assert not list(talk.machine.diagnostics)
