"""Emulated boards that run small programs, for the device layer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.emulator import control
from harness.firmware import Elf, Program, compile_program

PROGRAMS = Path(__file__).parent.parent / "emulator" / "programs"


@pytest.fixture(scope="session")
def echo_program() -> bytes:
    """Vector table and a program that sends back each byte of UART0."""
    program = Program("echo", "cortex-m4", [PROGRAMS / "echo.c"], PROGRAMS / "core.ld")
    return Elf.read(compile_program(program)).binary()[1]


@pytest.fixture
def board() -> Iterator[control.EmulatedBoard]:
    """A blank emulated board in its own process."""
    with control.EmulatedBoard("nrf52840", board="test board") as running:
        yield running
