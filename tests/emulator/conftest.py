"""Small programs for the CPU model, built once and run on both hot paths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.emulator import Machine, Stop
from harness.firmware import Elf, Program, compile_program

PROGRAMS = Path(__file__).with_name("programs")
SECOND = 64_000_000


@dataclass
class Run:
    """A machine that ran one case of the test program."""

    machine: Machine
    elf: Elf
    output: bytearray

    def go(self, cycles: int = SECOND) -> Stop:
        """Run on."""
        return self.machine.run(cycles)

    @property
    def results(self) -> list[int]:
        """What the program noted."""
        read = self.machine.bus.read
        count = min(read(self.elf.symbols["used"], 4), 64)
        return [read(self.elf.symbols["results"] + 4 * n, 4) for n in range(count)]

    @property
    def findings(self) -> list[str]:
        """Diagnostics as text."""
        return [str(diagnostic) for diagnostic in self.machine.diagnostics]


@pytest.fixture(scope="session")
def core_program() -> Elf:
    """The program whose cases the tests name."""
    source = PROGRAMS / "core.c"
    return Elf.read(
        compile_program(Program("core", "cortex-m4", [source], PROGRAMS / "core.ld", hard_float=True))
    )


@pytest.fixture(scope="session")
def stm32_program() -> Elf:
    """The same for the STM32L475."""
    source = PROGRAMS / "stm32l475.c"
    return Elf.read(compile_program(Program("stm32l475", "cortex-m4", [source], PROGRAMS / "stm32l475.ld")))


@pytest.fixture(params=["native", "python"])
def hot_path(request: pytest.FixtureRequest) -> bool:
    """Which hot path: tests that use it run on both."""
    return bool(request.param == "native")


@pytest.fixture(scope="session")
def make_run(core_program: Elf) -> Callable[[bool], Callable[[str], Run]]:
    """Makes the maker of machines for one hot path."""
    return lambda native: _maker("nrf52840", core_program, native)


@pytest.fixture(scope="session")
def make_stm32_run(stm32_program: Elf) -> Callable[[bool], Callable[[str], Run]]:
    """The same for the STM32L475."""
    return lambda native: _maker("stm32l475", stm32_program, native)


@pytest.fixture
def start_stm32(
    make_stm32_run: Callable[[bool], Callable[[str], Run]], hot_path: bool
) -> Callable[[str], Run]:
    """Makes an STM32L475 that is about to run a case."""
    return make_stm32_run(hot_path)


@pytest.fixture
def start(make_run: Callable[[bool], Callable[[str], Run]], hot_path: bool) -> Callable[[str], Run]:
    """Makes a machine that is about to run a case, by the name of its C function."""
    return make_run(hot_path)


def _maker(soc: str, program: Elf, native: bool) -> Callable[[str], Run]:
    def prepare(case: str, *, tracks_reads: bool = False) -> Run:
        machine = Machine(soc, native=native, tracks_reads=tracks_reads)
        machine.program(*program.binary())
        machine.power_on()
        machine.bus.write(program.symbols["test_case"], 4, _case_number(program, case))
        output = bytearray()
        machine.uarts[0].sink = output.extend
        return Run(machine, program, output)

    return prepare


def _case_number(elf: Elf, case: str) -> int:
    base, content = elf.binary()
    table = elf.symbols["cases"] - base
    wanted = elf.symbols[case] | 1
    entries = [int.from_bytes(content[at : at + 4], "little") for at in range(table, table + 4 * 32, 4)]
    return entries.index(wanted)
