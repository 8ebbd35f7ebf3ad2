"""pyOCD, unmodified, on an emulated board: through `DebugPort` and from its own command line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import FlashError, ProbeError
from harness._deadline import Deadline
from harness.devices import DebugPort, Reset
from harness.emulator import control

from .conftest import NRF52840, Chip, every_chip

RAM = 0x20000000


@pytest.fixture
def debug(board: control.EmulatedBoard, chip: Chip) -> Iterator[DebugPort]:
    with DebugPort(board.entry.uid, target=chip.target) as port:
        yield port


@every_chip
def test_programs_and_reads_back_through_the_flash_algorithm(
    debug: DebugPort, board: control.EmulatedBoard, chip: Chip
) -> None:
    content = os.urandom(20_000)
    more = {chip.more_flash: b"more"} if chip.more_flash else {}
    board.control.call("start_journal")
    debug.program({chip.flash + 0x3000: content, **more})
    assert debug.read(chip.flash + 0x3000, len(content)) == content
    for address, data in more.items():
        assert debug.read(address, 4) == data
    journal = board.control.call("stop_journal")
    assert len(journal) >= len(content) // chip.unit
    assert not board.control.call("diagnostics"), "the algorithm broke rules of the part"
    assert all(RAM <= pc < RAM + 0x1000 for *_, pc, _master in journal), (
        "written by something else than the algorithm"
    )


@every_chip
def test_programming_leaves_other_content_alone(debug: DebugPort, chip: Chip) -> None:
    one, two = chip.flash + chip.sector, chip.flash + 2 * chip.sector
    debug.program({one: b"first"})
    debug.program({two: b"second"})
    assert debug.read(one, 5) == b"first"
    debug.erase(one, chip.sector)
    assert debug.read(one, chip.sector) == b"\xff" * chip.sector
    assert debug.read(two, 6) == b"second"


@every_chip
def test_erase_chip_takes_everything(debug: DebugPort, chip: Chip) -> None:
    places = [chip.flash + 0x1000, chip.flash + 0xFF000, *([chip.more_flash] if chip.more_flash else [])]
    debug.program(dict.fromkeys(places, b"something"))
    debug.erase_chip()
    for address in places:
        assert debug.read(address, 4) == b"\xff" * 4


@every_chip
def test_finds_the_core_as_what_it_is(debug: DebugPort) -> None:
    core = debug.target.cores[0]
    assert (core.architecture.name, core.core_type) == ("ARMv7M", 0xC24)
    assert core.has_fpu


def test_registers_step_and_breakpoints(debug: DebugPort, echo_program: bytes) -> None:
    debug.program({0: echo_program})
    target = debug.target
    target.reset_and_halt()
    entry = int.from_bytes(echo_program[4:8], "little") & ~1
    assert target.read_core_register("pc") == entry
    assert target.read_core_register("sp") == int.from_bytes(echo_program[:4], "little")
    for name, value in (("r3", 0x12345678), ("s5", 1.5), ("primask", 1), ("psp", 0x20001000)):
        target.write_core_register(name, value)
        assert target.read_core_register(name) == value, name
    target.step()
    assert entry < target.read_core_register("pc") <= entry + 4


@pytest.mark.parametrize("kind", ["hardware", "software"])
def test_breakpoint_halts_before_its_instruction(debug: DebugPort, kind: str) -> None:
    from pyocd.core.target import Target

    code = bytes.fromhex(
        "0120 0130 0130 0130 fbe7".replace(" ", "")
    )  # movs r0,#1; adds r0,#1 (3 times); b to the first adds
    base = RAM if kind == "software" else 0x1000
    if kind == "software":
        debug.target.reset_and_halt()
        debug.target.write_memory_block8(base, list(code))
    else:
        debug.program({base: code})
    target = debug.target
    target.write_core_register("xpsr", 0x01000000)
    target.write_core_register("pc", base)
    wanted = Target.BreakpointType.SW if kind == "software" else Target.BreakpointType.HW
    assert target.set_breakpoint(base + 6, wanted)
    for expected in (3, 6):
        target.resume()
        _wait_halted(target)
        assert target.read_core_register("pc") == base + 6
        assert target.read_core_register("r0") == expected
        target.remove_breakpoint(base + 6)
        target.step()
        target.set_breakpoint(base + 6, wanted)
    target.remove_breakpoint(base + 6)


@pytest.mark.parametrize(("access", "hit"), [("WRITE", True), ("READ", False), ("READ_WRITE", True)])
def test_watchpoint_halts_behind_the_access(debug: DebugPort, access: str, hit: bool) -> None:
    from pyocd.core.target import Target

    # movs r1,#7; str r1,[r0]; movs r1,#8; movs r1,#9; b .
    code = bytes.fromhex("0721 0160 0821 0921 fee7".replace(" ", ""))
    target = debug.target
    target.reset_and_halt()
    target.write_memory_block8(RAM, list(code))
    target.write_core_register("xpsr", 0x01000000)
    target.write_core_register("pc", RAM)
    target.write_core_register("r0", RAM + 0x100)
    target.set_watchpoint(RAM + 0x100, 4, getattr(Target.WatchpointType, access))
    target.resume()
    if hit:
        _wait_halted(target)
        assert target.read_core_register("pc") == RAM + 4
        assert target.get_halt_reason() == Target.HaltReason.WATCHPOINT
    else:
        limit = Deadline(10)
        while target.read32(RAM + 0x100) != 7:
            assert not limit.expired, "the program did not run"
        target.halt()
        assert target.read_core_register("pc") == RAM + 8
    assert target.read32(RAM + 0x100) == 7
    target.remove_watchpoint(RAM + 0x100, 4, getattr(Target.WatchpointType, access))


def test_vector_catch_stops_at_the_fault(debug: DebugPort) -> None:
    from pyocd.core.target import Target

    target = debug.target
    debug.program(
        {
            0: (RAM + 0x1000).to_bytes(4, "little") * 1 + (0x101).to_bytes(4, "little") * 15,
            0x100: b"\x00\xde\xfe\xe7",
        }
    )
    target.reset_and_halt()
    target.set_vector_catch(Target.VectorCatch.HARD_FAULT)
    target.resume()
    _wait_halted(target)
    assert target.read_core_register("ipsr") == 3
    assert target.get_halt_reason() == Target.HaltReason.VECTOR_CATCH


def _wait_halted(target: object) -> None:
    from pyocd.core.target import Target

    limit = Deadline(10)
    while target.get_state() != Target.State.HALTED:  # type: ignore[attr-defined]
        assert not limit.expired, "the core did not halt"


@every_chip
@pytest.mark.parametrize("kind", list(Reset))
def test_reset_runs_the_program_from_its_start(
    debug: DebugPort, board: control.EmulatedBoard, chip: Chip, kind: Reset
) -> None:
    start = chip.flash + 8
    code = b"".join(word.to_bytes(4, "little") for word in (RAM + 0x1000, start | 1, 0xE7FE))
    debug.program({chip.flash: code})
    debug.target.write32(chip.reset_reasons, chip.forget_reasons)
    debug.reset(kind)
    state = board.control.call("state")
    assert not state["halted"]
    assert state["pc"] == start
    expected = chip.pin_reset if kind is Reset.PIN else chip.soft_reset
    assert int.from_bytes(debug.read(chip.reset_reasons, 4), "little") == expected


@pytest.mark.parametrize("part", ["no-such-probe", "emulated", "all but the last", "upper case"])
def test_unknown_probe_is_told_with_those_present(
    board: control.EmulatedBoard, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    others = {"all but the last": board.entry.uid[:-1], "upper case": board.entry.uid.upper()}
    with pytest.raises(ProbeError, match="no such debug probe") as caught:
        DebugPort(others.get(part, part), target="nrf52840")
    assert board.entry.uid in str(caught.value)
    assert capsys.readouterr() == ("", "")


def test_address_without_flash_is_refused(debug: DebugPort) -> None:
    with pytest.raises(FlashError) as caught:
        debug.program({0x50000000: b"nowhere"})
    assert "0x50000000" in str(caught.value)


def test_board_that_died_is_a_probe_error(debug: DebugPort, board: control.EmulatedBoard) -> None:
    os.kill(board.entry.pid, 9)
    with pytest.raises(ProbeError):
        debug.read(0, 4)


@pytest.mark.parametrize(
    "action",
    [
        lambda debug: debug.reset(),
        lambda debug: debug.halt(),
        lambda debug: debug.read(0, 4),
        lambda debug: debug.sample(),
        lambda debug: debug.program({0x1000: b"x"}),
    ],
    ids=["reset", "halt", "read", "sample", "program"],
)
def test_board_without_power_is_a_probe_error(
    debug: DebugPort, board: control.EmulatedBoard, action: Callable[[DebugPort], object]
) -> None:
    board.control.call("power", False)
    with pytest.raises((ProbeError, FlashError), match=r"has no power|Target not detected"):
        action(debug)
    board.control.call("power", True)
    debug.reconnect()
    debug.reset()


@every_chip
def test_command_line_of_pyocd(board: control.EmulatedBoard, chip: Chip, tmp_path: Path) -> None:
    uid, place = board.entry.uid, hex(chip.flash + 0x1000)
    content = os.urandom(9000)
    image, back = tmp_path / "image.bin", tmp_path / "back.bin"
    image.write_bytes(content)

    def pyocd(*arguments: str) -> str:
        result = subprocess.run(
            [sys.executable, "-m", "pyocd", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    def holds(size: int) -> bytes:
        return bytes(board.control.call("read_memory", chip.flash + 0x1000, size))

    pyocd("flash", "-u", uid, "--base-address", place, str(image))
    assert holds(len(content)) == content
    commands = ("reset halt", "reg pc", f"savemem {place} {len(content)} {back}")
    pyocd("cmd", "-u", uid, *(word for command in commands for word in ("-c", command)))
    assert back.read_bytes() == content
    pyocd("erase", "-u", uid, "--sector", place)
    assert holds(len(content)) == b"\xff" * chip.sector + content[chip.sector :]
    pyocd("erase", "-u", uid, "--chip")
    assert set(holds(len(content))) == {0xFF}
    if chip is NRF52840:  # each start takes a second, and these know nothing of flash
        assert re.search(rf"emulated test board\s+{uid}\s+.*{chip.target}", pyocd("list"))
        pyocd("reset", "-u", uid)
