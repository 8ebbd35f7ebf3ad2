"""What can be swept, and what is refused with a reason."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from harness import HarnessError, SweepError
from harness.mcuboot import sign
from harness.sweep import Options, prepare
from harness.sweep._recording import Limits
from harness.updates import ImageFactory

from .boards import build_options, make_board

RESET_PIN = 0x10001200
#: programs RESET_PIN with 18 unless it is programmed, then goes on where the last word says
START_UP = (
    "0648"  # ldr r0, RESET_PIN
    "0168"  # ldr r1, [r0]
    "491c"  # adds r1, #1
    "06d1"  # bne done
    "054a"  # ldr r2, NVMC.CONFIG
    "0121"  # movs r1, #1
    "1160"  # str r1, [r2]
    "1223"  # movs r3, #18
    "0360"  # str r3, [r0]
    "0021"  # movs r1, #0
    "1160"  # str r1, [r2]
    "0348"  # done: ldr r0, next
    "0047"  # bx r0
    "0000"
)
#: endless: adds r0, #1; b
BUSY = bytes.fromhex("00100020 09000000 0130 fde7")


def loader() -> Path:
    return ImageFactory(make_board("move"), options=build_options()).bootloader_file()


def refused(tmp_path: Path, content: bytes, name: str = "loader.bin") -> str:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(HarnessError) as error:
        prepare(make_board("move"), "test", options=Options(bootloader=file, size=16, build=build_options()))
    return str(error.value)


def for_another_machine(elf: bytes) -> bytes:
    return elf[:18] + (62).to_bytes(2, "little") + elf[20:]


def for_another_profile(elf: bytes) -> bytes:
    section = ELFFile(io.BytesIO(elf)).get_section_by_name(".ARM.attributes")
    assert section is not None
    attributes = section.data()
    cortex_m, cortex_a = b"\x06\x0d\x07M", b"\x06\x0a\x07A"  # Tag_CPU_arch, Tag_CPU_arch_profile
    assert cortex_m in attributes
    return elf.replace(attributes, attributes.replace(cortex_m, cortex_a))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (for_another_machine, "not an ELF file for 32-bit ARM"),
        (for_another_profile, "built for another core"),
    ],
)
@pytest.mark.parametrize("name", ["loader.elf", "loader"])
def test_elf_for_another_core(
    tmp_path: Path, change: Callable[[bytes], bytes], words: str, name: str
) -> None:
    assert words in refused(tmp_path, change(loader().read_bytes()), name)


def test_boot_loader_outside_of_its_partition(tmp_path: Path) -> None:
    text = refused(tmp_path, bytes(0xC001))
    assert "does not fit into the partition" in text
    assert "0x0..0xc000" in text
    beside = ":020000040000FA\n:04C0000001020304" + "32\n:00000001FF\n"
    assert "does not fit into the partition" in refused(tmp_path, beside.encode(), "loader.hex")
    outside = ":020000041000EA\n:0400000001020304F2\n:00000001FF\n"
    assert "outside of the chip's flash" in refused(tmp_path, outside.encode(), "loader.hex")


def test_boot_loader_with_nothing_in_it(tmp_path: Path) -> None:
    assert "nothing in it" in refused(tmp_path, b"\xff" * 16)


def test_firmware_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.sweep._record._PATIENCE", Limits(cycles=1 << 40, instructions=1_000_000))
    text = refused(tmp_path, BUSY)
    assert "never reaches the application" in text
    assert "no end" in text


def test_update_that_is_refused() -> None:
    board = make_board("move")
    image = bytearray(sign(bytes(64), board.signing_options(board.components[0], version="2.0.0")))
    image[0x40] ^= 1
    options = Options(images={"app": bytes(image)}, size=16, build=build_options())
    with pytest.raises(SweepError, match="does not install the update"):
        prepare(board, "test", options=options)


def test_what_start_up_code_writes_once_is_there_beforehand(tmp_path: Path) -> None:
    base, code = next(iter(ImageFactory(make_board("move"), options=build_options()).bootloader().items()))
    at = 0xBF00
    words = (RESET_PIN, 0x4001E504, int.from_bytes(code[4:8], "little"))
    start_up = bytes.fromhex(START_UP) + b"".join(word.to_bytes(4, "little") for word in words)
    wrapped = code[:4] + (base + at | 1).to_bytes(4, "little") + code[8:].ljust(at - 8, b"\xff") + start_up
    file = tmp_path / "loader.bin"
    file.write_bytes(wrapped)
    options = Options(bootloader=file, size=16, build=build_options())
    recording = prepare(make_board("move"), "test", options=options).recording
    assert recording.start.read(RESET_PIN, 4) == (18).to_bytes(4, "little")
    assert RESET_PIN not in {operation.address for operation in recording.operations}
