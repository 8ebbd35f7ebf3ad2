"""What comes out of the compiler."""

from __future__ import annotations

import base64

import pytest

from harness.firmware import Behaviour, Elf, application_program, compile_program, sources_folder

from .bench import HEADER, Bench, Setup, app_image, layout

FLASH, RAM = 48 * 1024, 64 * 1024


@pytest.mark.parametrize("components", [1, 2])
def test_size(components: int):
    board = layout(components=components)
    elf = Elf.read(compile_program(application_program(board)))
    start, code = elf.binary()
    assert start == board.components[0].primary.address + HEADER
    assert len(code) < FLASH
    assert elf.symbols["_bss_end"] - board.ram.address < RAM


def test_only_two_files_know_of_the_chip():
    """So that a build for a host needs a platform and a link of its own, and nothing else."""
    sources = (sources_folder() / "app").glob("*.[ch]")
    assert {p.name for p in sources if '#include "port.h"' in p.read_text()} == {"platform.c", "link.c"}


def test_stack_is_enough(device: Bench):
    """Whatever the device was asked, it has used less than half of the 4 KiB that the linker keeps free."""
    device.push(0, base64.b64encode(app_image("2.0.0", 3000, dependencies={1: "1.0.0"})), content_format=0)
    device.request(1, "/33629", accept=112, more=[(6, b"")])
    device.request(1, "/33629", accept=11542)
    device.request(1, "/33629", accept=40)
    for command in ("version", "slots", "stats", "help", "echo a b c"):
        device.command(command)
    device.write("/33629/1/1", "coap://host/" + "x" * 200)
    device.run(10)
    assert device.execute("/33629/0/2", "0='</33629/0>'") == "4.00"
    assert device.execute("/33629/0/2", "0") == "2.04"
    device.run(50)
    assert device.status() == (3, 0)
    top = device.layout.ram.address + device.layout.ram.size
    elf = Elf.read(compile_program(application_program(device.layout)))
    assert elf.symbols["_stack_top"] == top
    area = bytes(device.machine.bus.read(top - 6144 + n, 1) for n in range(4096))
    assert area == bytes(len(area))


@pytest.mark.parametrize("behaviour", [b for b in Behaviour if b not in (Behaviour.HANGS, Behaviour.CRASHES)])
def test_behaviours_are_told_apart(make, behaviour: Behaviour):
    if behaviour is Behaviour.LOSES_LINK:
        device = Bench(Setup(behaviour=behaviour))
        device.machine.power_on()
        device.run(5000)
        assert device.received == device.registrations == []
    else:
        device = make(behaviour=behaviour)
    assert device.command("version")[0].splitlines()[0] == f"board bench behaviour {behaviour}"
