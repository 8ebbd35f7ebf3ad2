"""The debug registers that Renode lacks, as pyOCD uses them, over a core that only keeps a list."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.renode._coresight import BREAKPOINTS, CoreFace

DFSR, DHCSR, DCRSR, DCRDR, DEMCR, AIRCR = (0xE000E000 + n for n in (0xD30, 0xDF0, 0xDF4, 0xDF8, 0xDFC, 0xD0C))
FP_CTRL, FP_COMP = 0xE0002000, 0xE0002008
KEY, DEBUGEN, HALT, STEP = 0xA05F0000, 1, 2, 4
S_HALT, S_SLEEP, S_LOCKUP, S_RESET_ST = 1 << 17, 1 << 18, 1 << 19, 1 << 25


class Core:
    """A core of sixteen registers that does what it is told at once."""

    def __init__(self) -> None:
        self.registers = [0] * 128
        self.told: list[object] = []
        self.at_breakpoint = False
        self.state = (False, False)
        self.count = 0

    def halt(self) -> None:
        self.told.append("halt")

    def resume(self, breakpoints: frozenset[int]) -> None:
        self.told.append(set(breakpoints))

    def step(self) -> None:
        self.told.append("step")

    def stopped(self) -> bool:
        return self.at_breakpoint

    def read_register(self, selector: int) -> int:
        return self.registers[selector]

    def write_register(self, selector: int, value: int) -> None:
        self.registers[selector] = value

    def activity(self) -> tuple[bool, bool]:
        return self.state

    def resets(self) -> int:
        return self.count

    def reset(self, *, catch: bool) -> None:
        self.told.append(f"reset, catch {catch}")
        self.count += 1


def _face() -> tuple[CoreFace, Core]:
    core = Core()
    return CoreFace(core, rom_table=(0x008, 0x244)), core


def test_halt_step_and_resume_move_the_core_once():
    face, core = _face()
    face.write(DHCSR, KEY | DEBUGEN | HALT)
    face.write(DHCSR, KEY | DEBUGEN | HALT)
    face.write(DHCSR, KEY | DEBUGEN | STEP)
    assert face.read(DHCSR) & S_HALT
    face.write(DHCSR, KEY | DEBUGEN)
    assert not face.read(DHCSR) & S_HALT
    assert core.told == ["halt", "step", set()]


def test_nothing_happens_without_the_key():
    face, core = _face()
    face.write(DHCSR, DEBUGEN | HALT)
    face.write(AIRCR, 4)
    assert not core.told


def test_a_breakpoint_is_found_and_said_once():
    face, core = _face()
    face.write(DHCSR, KEY | DEBUGEN | HALT)
    face.write(DFSR, 0x1F)
    face.write(DHCSR, KEY | DEBUGEN)
    core.at_breakpoint = True
    assert face.read(DHCSR) & S_HALT
    assert face.read(DFSR) == 2
    face.write(DFSR, 2)
    assert face.read(DFSR) == 0


@given(st.integers(1, 3), st.integers(0, 0x1FFFFFFF // 4), st.integers(0, BREAKPOINTS - 1))
def test_comparators_are_halves_of_a_word(replace: int, word: int, index: int):
    face, _ = _face()
    face.write(FP_COMP + 4 * index, replace << 30 | word << 2 | 1)
    assert not face.breakpoints, "the unit is off"
    face.write(FP_CTRL, 3)
    assert face.breakpoints == {4 * word + half for bit, half in ((1, 0), (2, 2)) if replace & bit}


def test_resets_are_sticky_until_they_were_read():
    face, core = _face()
    assert face.read(DHCSR) & S_RESET_ST
    assert not face.read(DHCSR) & S_RESET_ST
    core.count += 1
    assert face.read(DHCSR) & S_RESET_ST
    assert not face.read(DHCSR) & S_RESET_ST


def test_a_caught_reset_stops_the_core_and_says_why():
    face, core = _face()
    face.write(DHCSR, KEY | DEBUGEN)
    face.write(DEMCR, 1)
    face.write(AIRCR, 0x05FA0004)
    assert core.told == ["reset, catch True"]
    assert face.read(DHCSR) & S_HALT
    assert face.read(DFSR) & 8


def test_registers_pass_through_while_the_core_stands():
    face, core = _face()
    face.write(DCRDR, 7)
    face.write(DCRSR, 1 << 16 | 3)
    assert core.registers[3] == 0, "the core runs"
    face.write(DHCSR, KEY | DEBUGEN | HALT)
    face.write(DCRSR, 1 << 16 | 3)
    face.write(DCRDR, 0)
    face.write(DCRSR, 3)
    assert face.read(DCRDR) == 7


def test_sleep_and_lockup_are_those_of_a_running_core():
    face, core = _face()
    core.state = (True, False)
    assert face.read(DHCSR) & (S_SLEEP | S_LOCKUP) == S_SLEEP
    core.state = (False, True)
    assert face.read(DHCSR) & (S_SLEEP | S_LOCKUP) == S_LOCKUP
    face.write(DHCSR, KEY | DEBUGEN | HALT)
    assert not face.read(DHCSR) & (S_SLEEP | S_LOCKUP)


def test_the_rom_table_lists_what_there_is():
    face, _ = _face()
    table = 0xE00FF000
    entries = [face.read(table + 4 * n) for n in range(4)]
    assert [(table + (entry & ~3)) & 0xFFFFFFFF for entry in entries[:3]] == [
        0xE000E000,
        0xE0001000,
        0xE0002000,
    ]
    assert entries[3] == 0
    assert face.read(0xE000EFE0) == 0x0C, "a Cortex-M4's SCS"
