"""Cells that an interrupted erase leaves undecided, as the running CPU reads them."""

from __future__ import annotations

import pytest

from harness.emulator import Machine

RAM = 0x20000000
#: ldr r2,[r0]; str r2,[r1]; ldr r2,[r0]; str r2,[r1,#4]; ldrb r2,[r0]; strb r2,[r1,#8]; b .
CODE = b"".join(
    half.to_bytes(2, "little") for half in (0x6802, 0x600A, 0x6802, 0x604A, 0x7802, 0x720A, 0xE7FE)
)
AREA = 0x10000


@pytest.fixture(params=[False, True], ids=["plain", "tracking reads"])
def machine(request: pytest.FixtureRequest) -> Machine:
    made = Machine(tracks_reads=request.param)
    made.program(0, (RAM + 0x1000).to_bytes(4, "little") + (0x101).to_bytes(4, "little"))
    made.program(0x100, CODE)
    made.program(AREA, b"\x00\xff\x0f\xf0" * 1024)
    return made


def read_twice(machine: Machine) -> tuple[int, int]:
    machine.power_cycle()
    machine.core.write_register(0, AREA)
    machine.core.write_register(1, RAM)
    machine.run(1000)
    return machine.bus.read(RAM, 4), machine.bus.read(RAM + 4, 4)


def test_weak_cells_read_differently_and_erased_ones_do_not(machine: Machine) -> None:
    assert read_twice(machine) == (0xF00FFF00, 0xF00FFF00)
    machine.weaken(AREA, 4096, seed=1)
    one, other = read_twice(machine)
    assert one != other
    assert one & other & 0xF00FFF00 == 0xF00FFF00


def test_same_seed_same_reads(machine: Machine) -> None:
    found = []
    for seed in (1, 1, 2):
        machine.weaken(AREA, 4096, seed=seed)
        found.append(read_twice(machine))
        machine.strengthen()
    assert found[0] == found[1] != found[2]


def test_erasing_all_of_it_decides(machine: Machine) -> None:
    machine.weaken(AREA, 4096)
    machine.bus.write(0x4001E504, 4, 2)
    machine.bus.write(0x4001E508, 4, AREA)
    assert read_twice(machine) == (0xFFFFFFFF, 0xFFFFFFFF)
    machine.strengthen()
    assert read_twice(machine) == (0xFFFFFFFF, 0xFFFFFFFF), "the old content came back"


def test_strengthening_gives_the_old_content_back(machine: Machine) -> None:
    machine.weaken(AREA, 4096)
    read_twice(machine)
    machine.strengthen()
    assert machine.bus.read_block(AREA, 4096) == b"\x00\xff\x0f\xf0" * 1024
    assert read_twice(machine) == (0xF00FFF00, 0xF00FFF00)
