"""How fast the emulator runs: instructions, flash words, snapshots; beside bare Unicorn without hooks."""

from __future__ import annotations

import ctypes
from pathlib import Path

from _measure import Figures, seconds
from unicorn import Uc, arm_const, unicorn_const

from harness.emulator import Machine
from harness.emulator._hot_native import native_library

RAM = 0x20000000
#: ldr r2,[r0]; adds r2,#1; str r2,[r0]; subs r1,#1; bne to the start; then a branch to itself
LOOP = bytes.fromhex("0268 0132 0260 0139 fad1 fee7".replace(" ", ""))
ROUNDS = 2_000_000
#: str r2,[r0]; adds r0,#4; subs r1,#1; bne; then a halt
WRITES = bytes.fromhex("0260 0430 0139 fbd1 fee7".replace(" ", ""))


def _machine(native: bool, code: bytes) -> Machine:
    machine = Machine(native=native)
    machine.program(0, (RAM + 0x8000).to_bytes(4, "little") + (0x101).to_bytes(4, "little"))
    machine.program(0x100, code)
    machine.power_on()
    return machine


def instructions(figures: Figures) -> None:
    for name, native in (("native", True), ("python", False)):
        if native and not native_library().exists():
            continue
        machine = _machine(native, LOOP)
        rounds = ROUNDS if native else ROUNDS // 10

        def run(machine: Machine = machine, rounds: int = rounds) -> None:
            machine.core.write_register(0, RAM)
            machine.core.write_register(1, rounds)
            machine.core.write_register(15, 0x100)
            machine.run(10 * rounds)

        times = seconds(run)
        figures.show(f"loop with loads and stores, {name}", [5 * rounds / t / 1e6 for t in times], "M/s")
    engine = Uc(unicorn_const.UC_ARCH_ARM, unicorn_const.UC_MODE_THUMB)
    engine.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
    memory = (ctypes.c_uint8 * 0x1000)()
    engine.mem_map_ptr(0, 0x1000, unicorn_const.UC_PROT_ALL, memory)
    engine.mem_map(RAM, 0x1000)
    engine.mem_write(0x100, LOOP)

    def bare() -> None:
        engine.reg_write(arm_const.UC_ARM_REG_R0, RAM)
        engine.reg_write(arm_const.UC_ARM_REG_R1, ROUNDS)
        engine.emu_start(0x101, 0x10A)

    figures.show(
        "the same on bare Unicorn", [5 * ROUNDS / t / 1e6 for t in seconds(bare)], "M/s", beside="limit"
    )


def flash_words(figures: Figures) -> None:
    words = 50_000
    for name, native in (("native", True), ("python", False)):
        if native and not native_library().exists():
            continue
        machine = _machine(native, WRITES)

        def run(machine: Machine = machine) -> None:
            machine.bus.write(0x4001E504, 4, 1)
            machine.start_journal()
            machine.core.write_register(0, 0x10000)
            machine.core.write_register(1, words)
            machine.core.write_register(2, 0x5A5A5A5A)
            machine.core.write_register(15, 0x100)
            machine.run(200_000_000)
            machine.flash.erase(0x10000, words * 4 & -4096)

        figures.show(f"flash word, journal on, {name}", [t / words * 1e6 for t in seconds(run)], "us")


def states(figures: Figures) -> None:
    machine = _machine(True, LOOP)
    snapshot = machine.snapshot()
    figures.show("snapshot", [t * 1e3 for t in seconds(machine.snapshot, repeat=20)], "ms", beside="aim 5")
    restore = seconds(lambda: machine.restore(snapshot), repeat=20)
    figures.show("restore", [t * 1e3 for t in restore], "ms", beside="aim 5")
    figures.show("power cycle", [t * 1e3 for t in seconds(machine.power_cycle, repeat=20)], "ms")
    figures.show("new machine", [t * 1e3 for t in seconds(Machine, repeat=20)], "ms")


def main() -> None:
    figures = Figures(f"emulator ({Path(__file__).name})")
    instructions(figures)
    flash_words(figures)
    states(figures)


if __name__ == "__main__":
    main()
