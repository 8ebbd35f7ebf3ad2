"""Emulated boards that run small programs, for the device layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.emulator import control
from harness.firmware import Elf, Program, compile_program

PROGRAMS = Path(__file__).parent.parent / "emulator" / "programs"


@dataclass(frozen=True)
class Chip:
    """What tests must know of a SoC to run on its emulated board."""

    soc: str
    target: str
    flash: int
    sector: int
    unit: int
    more_flash: int | None
    """Flash beside the main array."""
    reset_reasons: int
    """Address of the register that tells why the chip started."""
    forget_reasons: int
    """What to write there."""
    pin_reset: int
    soft_reset: int


NRF52840 = Chip("nrf52840", "nrf52840", 0, 4096, 4, 0x10001080, 0x40000400, 0xFFFFFFFF, 0x1, 0x4)
STM32L475 = Chip(
    "stm32l475", "stm32l475xg", 0x08000000, 2048, 8, None, 0x40021094, 1 << 23, 0x04000600, 0x14000600
)
every_chip = pytest.mark.parametrize("chip", [NRF52840, STM32L475], ids=lambda chip: chip.soc, indirect=True)


@pytest.fixture
def chip(request: pytest.FixtureRequest) -> Chip:
    """The nRF52840; `every_chip` makes a test run on all."""
    found: Chip = getattr(request, "param", NRF52840)
    return found


@pytest.fixture(scope="session")
def echo_program() -> bytes:
    """Vector table and a program that sends back each byte of UART0."""
    program = Program("echo", "cortex-m4", [PROGRAMS / "echo.c"], PROGRAMS / "core.ld")
    return Elf.read(compile_program(program)).binary()[1]


@pytest.fixture
def board(chip: Chip) -> Iterator[control.EmulatedBoard]:
    """A blank emulated board in its own process."""
    with control.EmulatedBoard(chip.soc, board="test board", target=chip.target) as running:
        yield running
