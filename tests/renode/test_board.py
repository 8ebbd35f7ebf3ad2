"""One board in a real Renode through pyOCD: flash rules, power, resets, and the end of its processes."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from harness._deadline import Deadline
from harness.devices import Device, Reset

#: where RESETREAS or CSR is, what clears it, and what it says after power on, pin and soft reset
CAUSES = {
    "nrf52840dk": (0x40000400, 0xFFFFFFFF, (0x0, 0x1, 0x4)),
    "disco_l475_iot1": (0x40021094, 1 << 23, (0x0C000600, 0x04000600, 0x14000600)),
}
#: where a program leaves a word for after the next reset; what has to be written before; which resets keep it
MARKS = {
    "nrf52840dk": (0x4000051C, {}, (Reset.SYSTEM,)),
    "disco_l475_iot1": (0x400028CC, {0x40007000: 0x300}, (Reset.SYSTEM, Reset.PIN)),
}
RAM = 0x20001000


def test_flash_is_erased_and_programmed_by_pyocd(device: Device):
    sector, base = device.board.flash.sector_size, device.board.flash.base
    content = bytes(range(256)) * (2 * sector // 256)
    device.debug.erase_chip()
    device.debug.program({base + 8 * sector: content})
    assert device.debug.read(base + 7 * sector, 4 * sector) == b"\xff" * sector + content + b"\xff" * sector
    device.debug.erase(base + 8 * sector, sector)
    assert device.debug.read(base + 8 * sector, 2 * sector) == b"\xff" * sector + content[sector:]


def test_power_takes_ram_away_and_a_reset_does_not(device: Device):
    pattern = b"still here" * 20
    device.power.on()
    device.debug.halt()
    device.debug.target.write_memory_block8(RAM, pattern)
    device.debug.reset(Reset.PIN)
    assert device.debug.read(RAM, len(pattern)) == pattern
    device.power_cycle()
    assert device.debug.read(RAM, len(pattern)) != pattern


def test_the_part_tells_why_it_was_reset(device: Device):
    address, clear, causes = CAUSES[device.board.name]
    device.power_cycle()
    found = [device.debug.target.read32(address)]
    for kind in (Reset.PIN, Reset.SYSTEM):
        device.debug.target.write32(address, clear)
        device.debug.target.write32(address, 0)
        device.debug.reset(kind)
        found.append(device.debug.target.read32(address))
    assert tuple(found) == causes


def test_a_mark_outlives_the_resets_that_the_part_says(device: Device):
    address, before, keeping = MARKS[device.board.name]
    target, found = device.debug.target, {}
    device.power_cycle()
    for kind in (Reset.SYSTEM, Reset.PIN, None):
        for register, value in (before | {address: 0x5A}).items():
            target.write32(register, value)
        if kind is None:
            device.power_cycle()
        else:
            device.debug.reset(kind)
        found[kind] = target.read32(address)
    assert found == {kind: 0x5A if kind in keeping else 0 for kind in found}


@pytest.mark.parametrize("device", ["disco_l475_iot1"], indirect=True)
def test_the_stm32_guards_its_backup_domain(device: Device):
    mark, control, target = 0x400028CC, 0x40021090, device.debug.target
    device.power_cycle()
    target.write32(mark, 1)
    assert target.read32(mark) == 0
    target.write32(0x40007000, 0x300)
    target.write32(mark, 1)
    assert target.read32(mark) == 1
    target.write32(control, 1 << 16)
    assert target.read32(mark) == 0


def test_content_that_was_installed_once_comes_back(device: Device):
    base, sector = device.board.flash.base, device.board.flash.sector_size
    for content in (b"first" * 100, b"second" * 100, b"first" * 100):
        device.install({base + 4 * sector: content})
        device.power.on()
        assert device.debug.read(base + 4 * sector, len(content) + 8) == content + b"\xff" * 8


def test_a_blank_part_locks_up_and_can_be_debugged(device: Device):
    device.install({})
    device.power.on()
    assert device.debug.sample().locked_up
    device.debug.target.write_memory_block8(RAM, b"\x01\x30\xfd\xe7")  # 1: adds r0, #1; b 1b
    device.debug.target.reset_and_halt()
    for name, value in (("r0", 41), ("pc", RAM)):
        device.debug.target.write_core_register(name, value)
    device.debug.target.step()
    assert device.debug.target.read_core_register("r0") == 42
    device.debug.target.set_breakpoint(RAM)
    device.debug.resume()
    limit = Deadline(20)
    while not device.debug.target.is_halted():
        assert not limit.expired
    assert device.debug.target.read_core_register("pc") == RAM
    device.debug.target.remove_breakpoint(RAM)


@pytest.mark.parametrize(
    "program",
    [b"\x00\xde" * 2, b"\x00\x48\x00\x47" + struct.pack("<I", 0x60000001)],  # udf #0 | ldr r0, =..., bx r0
    ids=["fault in a fault handler", "jump to nowhere"],
)
def test_a_core_that_is_lost_locks_up(device: Device, program: bytes):
    base = device.board.flash.base
    vectors = [RAM, *[base + 0x41] * 15]
    device.install({base: struct.pack("<16I", *vectors) + program})
    device.power.on()
    limit = Deadline(20)
    if device.board.name == "nrf52840dk":  # where it resets the chip
        while not device.debug.target.read32(CAUSES["nrf52840dk"][0]) & 8:
            assert not limit.expired
    else:
        while not device.debug.sample().locked_up:
            assert not limit.expired


OWNER = """
import sys
from harness.renode import RenodeBoard
board = RenodeBoard("nrf52840")
print(board.entry.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("victim", ["owner", "server"])
def test_nothing_outlives_its_owner(renode: None, victim: str):
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        server = int(owner.stdout.readline())
        children = [int(pid) for pid in _children(server)]
        assert children, "Renode is no child of the server"
        os.kill({"owner": owner.pid, "server": server}[victim], signal.SIGKILL)
        if victim == "server":
            owner.kill()
        limit = Deadline(30)
        while any(Path(f"/proc/{pid}").exists() for pid in (server, *children)):
            assert not limit.expired, "Renode runs on"


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
