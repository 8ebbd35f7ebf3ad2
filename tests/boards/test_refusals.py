"""Everything a board file can get wrong: each with line, field, value and remedy."""

# ruff: noqa: E501 - one case a line, or the table cannot be read

from __future__ import annotations

from pathlib import Path

import pytest

from harness import BoardError
from harness.boards import Board, check_board
from harness.mcuboot import KeyType

from ._edit import GOOD, Edited, key

#: replaced, by what, a part of the line that is blamed, field, what, found, part of expected, part of remedy
CASES = [
    # keys and kinds of values
    ("soc: some Cortex-M4\n", "", "name: example", "soc", "missing", "", "", "add soc"),
    ("  target: some_target", "  targte: some_target", "targte", "debug.targte", "unknown key", "'targte'", "target", "did you mean target?"),
    ("emulator: example", "colour: red", "colour", "colour", "unknown key", "'colour'", "emulator", "remove it"),
    ("    image: 0", "    image: zero", "image: zero", "components[0].image", "wrong kind of value", "'zero'", "a whole number", ""),
    ("    image: 0", "    image: 010", "image: 010", "components[0].image", "wrong kind of value", "'010'", "a whole number", ""),
    ("    image: 0", "    image: 16", "image: 16", "components[0].image", "too large", "16", "at most 15", ""),
    ("name: example", "name: no", "name: no", "name", "", "", "", ""),
    ("name: example", "name: [a]", "name: [a]", "name", "wrong kind of value", "a list of 1", "text", ""),
    ("name: example", "name: 7", "name: 7", "name", "wrong kind of value", "7", "text", ""),
    ("name: example", "name: a b", "name: a b", "name", "not a name", "'a b'", "letters, digits", "rename"),
    ("  target: some_target", "  target: ''", "target: ''", "debug.target", "empty", "''", "some text", ""),
    ("    baud: 115200", "    baud: 0", "baud: 0", "serial[0].baud", "too small", "0", "at least 300", ""),
    ("vid: 0x1366", "vid: 0x11366", "vid: 0x11366", "serial[0].usb.vid", "too large", "70502", "at most 65535", ""),
    ("carries: [console, slipmux]", "carries: []", "carries: []", "serial[0].carries", "too few", "a list of 0", "at least 1", ""),
    ("carries: [console, slipmux]", "carries: [console, slpmux]", "slpmux", "serial[0].carries[1]", "not one of the choices", "'slpmux'", "console, slipmux", "did you mean slipmux?"),
    ("protocols: [lwm2m]", "protocols: [lwm2]", "lwm2]", "protocols[0]", "not one of the choices", "'lwm2'", "lwm2m", "did you mean lwm2m?"),
    ("swap_mode: scratch", "swap_mode: swap", "swap_mode: swap", "mcuboot.swap_mode", "not one of the choices", "'swap'", "scratch, move, offset, overwrite-only", ""),
    ("swap_mode: scratch", "swap_mode: overwrite_only", "swap_mode", "mcuboot.swap_mode", "not one of the choices", "'overwrite_only'", "overwrite-only", "did you mean overwrite-only?"),
    ("type: ed25519", "type: ed2551", "type: ed2551", "mcuboot.signature.type", "not one of the choices", "'ed2551'", "ed25519, ecdsa-p256", "did you mean ed25519?"),
    ("max_alignment: 8", "max_alignment: 4", "max_alignment: 4", "mcuboot.max_alignment", "not one of the choices", "4", "8, 16, 32", ""),
    ("write_alignment: 4", "write_alignment: 3", "write_alignment: 3", "flash.write_alignment", "not one of the choices", "3", "1, 2, 4, 8, 16, 32", ""),
    ("max_sectors: 64", "validate_primary: yes", "validate_primary", "mcuboot.validate_primary", "wrong kind of value", "'yes'", "true or false", ""),
    ("protocols: [lwm2m]", "protocols: lwm2m", "protocols", "protocols", "wrong kind of value", "'lwm2m'", "a list", ""),
    ("debug:\n  target: some_target", "debug: some_target", "debug", "debug", "wrong kind of value", "'some_target'", "a mapping", ""),
    ("    bootloader: {", "    boot loader: {", "boot loader", "flash.partitions.boot loader", "not a name", "'boot loader'", "letters, digits", "rename"),
    ("emulator: example", "emulator: example\nsoc: again", "soc: again", "soc", "key given twice, first in line 2", "'soc'", "", "remove one"),
    ("emulator: example", "emulator: !python/name:os.system x", "emulator", "emulator", "YAML tags are not used here", "'!python/name:os.system'", "", ""),
    ("emulator: example", "emulator: example\n[1]: 2", "[1]: 2", "", "keys are text", "'a list, a mapping or nothing'", "", ""),
    ("emulator: example", "smp: {host: 'udp://192.0.2.7:1337'}", "smp: {", "smp.host", "not a host", "'udp://192.0.2.7:1337'", "without scheme and port", ""),
    ("emulator: example", "smp: {host: board.lan, port: 0}", "smp: {", "smp.port", "too small", "0", "at least 1", ""),
    ("protocols: [lwm2m]", "protocols: [lwm2m, smp]", "protocols", "protocols[1]", "there is no way for SMP to the device", "no serial port carries smp", "the field smp", "serial[].carries"),
    # sizes
    ("size: 0x20000", "size: 128kb", "size: 128kb", "flash.size", "not a size", "'128kb'", "4KiB, 4K or 1MiB", ""),
    ("size: 0x20000", "size: 5G", "size: 5G", "flash.size", "not a size", "'5G'", "1MiB", ""),
    ("size: 0x20000", "size: -1", "size: -1", "flash.size", "out of range", "-1", "0 to 4 GiB", ""),
    ("size: 0x20000", "size: 1.5", "size: 1.5", "flash.size", "not a size", "1.5", "bytes", ""),
    ("size: 0x20000", "size: 4097MiB", "size: 4097MiB", "flash.size", "out of range", "'4097MiB'", "4 GiB", ""),
    # flash map
    ("sector_size: 1KiB", "sector_size: 1022", "sector_size", "flash.sector_size", "not a multiple of the write alignment", "0x3fe", "a multiple of 4", "data sheet"),
    ("size: 0x20000", "size: 0x20100", "size: 0x20100", "flash.size", "not aligned to a sector", "0x20100", "0x400 (1 KiB)", "use 0x20000 or 0x20400"),
    ("scratch: {offset: 0x18000", "scratch: {offset: 0x18100", "0x18100", "flash.partitions.scratch.offset", "not aligned to a sector", "0x18100", "a multiple of 0x400", "use 0x18000 or 0x18400"),
    ("size: 4096}", "size: 4097}", "4097", "flash.partitions.scratch.size", "not aligned to a sector", "0x1001", "a multiple", "use 0x1000 or 0x1400"),
    ("scratch: {offset: 0x18000", "scratch: {offset: 0x1f400", "0x1f400", "flash.partitions.scratch.size", "ends outside of the flash", "0x1f400 (125 KiB) + 0x1000 (4 KiB) = 0x20400 (129 KiB)", "0x20000 (128 KiB)", "at most 0xc00 (3 KiB)"),
    ("scratch: {offset: 0x18000", "scratch: {offset: 0x20000", "offset: 0x20000", "flash.partitions.scratch.size", "ends outside of the flash", "0x20000 (128 KiB) + 0x1000 (4 KiB) = 0x21000 (132 KiB)", "0x20000", "move it into the flash"),
    ("app_secondary: {offset: 0xc000", "app_secondary: {offset: 0xb800", "0xb800", "flash.partitions.app_secondary.offset", "overlaps app_primary", "0xb800 (46 KiB)", "0xc000 (48 KiB)", "move it to 0xc000"),
    ("scratch: {offset: 0x18000, size: 4096}", "scratch: {offset: 0x18000, size: 0}", "scratch: {", "flash.partitions.scratch.size", "empty", "0", "at least one sector", ""),
    # MCUboot
    ("max_sectors: 64", "max_sectors: 16", "max_sectors", "mcuboot.max_sectors", "too few for app_primary", "16", "at least 32", "build MCUboot with 32"),
    ("max_sectors: 64", "max_sectors: 64\n  header_size: 16", "header_size", "mcuboot.header_size", "impossible header size", "16", "32 to 65535", "use 0x200"),
    ("max_sectors: 64", "max_sectors: 64\n  hash: sha384", "hash: sha384", "mcuboot.hash", "ed25519 does not go with this digest", "sha384", "sha256 or sha512", "use sha256"),
    ("write_alignment: 4", "write_alignment: 16", "max_alignment: 8", "mcuboot.max_alignment", "smaller than the write alignment of the flash", "8", "at least 16", "use 16"),
    ("max_sectors: 64", "max_sectors: 64\n  scratch: scrach", "scratch: scrach", "mcuboot.scratch", "no such partition", "'scrach'", "one of bootloader", "did you mean scratch?"),
    ("max_sectors: 64", "max_sectors: 64\n  partition: loader", "partition: loader", "mcuboot.partition", "no such partition", "'loader'", "one of bootloader", "did you mean bootloader?"),
    ("max_sectors: 64", "max_sectors: 64\n  bootloader: boot.exe", "boot.exe", "mcuboot.bootloader", "unknown form of boot loader", "'boot.exe'", ".hex, .bin or .elf", "name a file"),
    ("max_sectors: 64", "max_sectors: 64\n  bootloader: referenc", "referenc", "mcuboot.bootloader", "unknown form of boot loader", "'referenc'", "reference", "did you mean reference?"),
    ("max_sectors: 64", "max_sectors: 64\n  bootloader: boot.hex", "boot.hex", "mcuboot.bootloader", "no such file", "'boot.hex'", "beside the board file", ""),
    # slots and components
    ("primary: app_primary", "primary: app_primry", "app_primry", "components[0].primary", "no such partition", "'app_primry'", "app_primary", "did you mean app_primary?"),
    ("primary: app_primary", "primary: nothing", "primary: nothing", "components[0].primary", "no such partition", "'nothing'", "app_primary", "add nothing to flash.partitions"),
    ("primary: model_primary", "primary: app_primary", "", "components[1].primary", "partition is used by app primary already", "'app_primary'", "of its own", "add a partition"),
    ("secondary: model_secondary", "secondary: scratch", "secondary: scratch", "components[1].secondary", "partition is used by swap mode scratch already", "'scratch'", "of its own", ""),
    ("    secondary: model_secondary\n", "", "name: model", "components[1]", "no secondary slot", "model", "swap mode scratch updates from it", "add secondary"),
    ("size: 0x8000}\n    app_secondary", "size: 0x7c00}\n    app_secondary", "primary: app_primary", "components[0].primary", "slots of app do not go together in swap mode scratch", "app_primary 0x7c00 (31 KiB), app_secondary 0x8000 (32 KiB)", "the size of the secondary", "make app_primary 0x8000"),
    ("image: 1", "image: 0", "", "components[1].image", "same image as components[0]", "0", "each one once", ""),
    ("image: 1", "image: 2", "image: 2", "components[1].image", "image numbers have a gap", "2", "image 1 in another component", "use 1"),
    ("- name: model", "- name: app", "", "components[1].name", "same name as components[0]", "app", "each one once", ""),
    ("lwm2m_instance: 1", "lwm2m_instance: 0", "", "components[1].lwm2m_instance", "same lwm2m instance as components[0]", "0", "each one once", "one of its own"),
    ("    carries: [console, slipmux]\n", "    carries: [console]\n  - role: console\n    baud: 115200\n    carries: [slipmux]\n", "", "serial[1].role", "same role as serial[0]", "console", "each one once", ""),
    # keys
    ("public_key: key.pub.pem", "public_key: key.pbu.pem", "key.pbu.pem", "mcuboot.signature.public_key", "key cannot be read: No such file or directory", "'key.pbu.pem'", "a PEM file", "did you mean key.pub.pem?"),
    ("public_key: key.pub.pem", "public_key: board.yaml", "board.yaml", "mcuboot.signature.public_key", "not a key in PEM format", "'board.yaml'", "an ed25519 key", ""),
    ("type: ed25519", "type: ecdsa-p256", "", "mcuboot.signature.public_key", "key of another type", "ed25519", "ecdsa-p256", "set type to ed25519"),
    ("private_key: key.pem", "private_key: key.pub.pem", "private_key", "mcuboot.signature.private_key", "signing needs the private key", "a public ed25519 key", "a private key", "name the file"),
    ("private_key: key.pem", "private_key: other.pem", "other.pem", "mcuboot.signature.private_key", "does not belong to the public key", "", "", "two halves"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[f"{case[3]} {case[4]}" for case in CASES])
def test_refusal(case: tuple[str, ...], tmp_path: Path) -> None:
    old, new, blamed, field, what, found, expected, remedy = case
    edited = Edited(tmp_path).replace(old, new).add("other.pem", key(number=1), private=True)
    problems = edited.problems()
    if not what:
        assert problems == ()  # YAML's "no" is a name like any other
        return
    mine = [problem for problem in problems if problem.field == field and problem.what == what]
    assert len(mine) == 1, [str(problem) for problem in problems]
    (problem,) = mine
    assert problem.file == str(edited.file)
    if blamed:
        assert problem.line == edited.line(blamed)
    if found:
        assert problem.found == found
    assert expected in problem.expected
    assert remedy in problem.remedy
    with pytest.raises(BoardError) as caught:
        Board.load(edited.file)
    assert str(problem) in str(caught.value)
    assert f"{edited.file}:{problem.line}: " in str(caught.value)


def test_the_good_file_is_good(tmp_path: Path) -> None:
    assert Edited(tmp_path).problems() == ()


@pytest.mark.parametrize(
    ("mode", "primary", "remedy"),
    [("move", 0x8800, "make app_primary 0x8400"), ("offset", 0x7800, "make app_primary 0x7c00")],
)
def test_slots_of_move_and_offset(mode: str, primary: int, remedy: str, tmp_path: Path) -> None:
    def sized(size: int) -> Edited:
        edited = Edited(tmp_path).replace("swap_mode: scratch", f"swap_mode: {mode}")
        edited.replace("size: 0x20000", "size: 0x40000")
        return edited.replace("{offset: 0x4000, size: 0x8000}", f"{{offset: 0x20000, size: {size:#x}}}")

    edited = sized(primary)
    (problem,) = edited.problems()
    assert (problem.field, problem.line) == ("components[0].primary", edited.line("primary: app_primary"))
    assert problem.remedy == remedy
    for size in (0x8000, 0x8400 if mode == "move" else 0x7C00):
        assert sized(size).problems() == ()


def test_trailers_that_leave_no_room(tmp_path: Path) -> None:
    edited = Edited(tmp_path).replace("max_sectors: 64", "max_sectors: 640")
    problems = edited.problems()
    assert [problem.field for problem in problems] == ["components[1].primary", "components[1].secondary"]
    assert problems[0].what == "slot has no room for an image beside its trailer"
    assert problems[0].found == "model_primary 0x2000 (8 KiB)"
    assert "7728 bytes of trailer" in problems[0].expected


def test_scratch_has_to_hold_a_sector(tmp_path: Path) -> None:
    edited = Edited(tmp_path).replace("size: 4096}", "size: 512}")
    problems = edited.problems()
    assert "scratch cannot hold the largest sector" in [problem.what for problem in problems]
    assert edited.replace("size: 512}", "size: 1024}").problems() == ()


def test_selecting_modes_do_not_need_equal_slots(tmp_path: Path) -> None:
    edited = Edited(tmp_path).replace("swap_mode: scratch", "swap_mode: direct-xip")
    edited.replace(
        "app_primary: {offset: 0x4000, size: 0x8000}", "app_primary: {offset: 0x4000, size: 0x7000}"
    )
    assert edited.problems() == ()
    assert edited.board().boot_settings().scratch is None


def test_single_slot(tmp_path: Path) -> None:
    edited = Edited(tmp_path).replace("swap_mode: scratch", "swap_mode: single")
    assert [problem.field for problem in edited.problems()] == [
        "components[0].secondary",
        "components[1].secondary",
    ]
    edited.replace("    secondary: app_secondary\n", "").replace("    secondary: model_secondary\n", "")
    assert edited.problems() == ()


@pytest.mark.parametrize("type_", list(KeyType))
def test_every_kind_of_key(type_: KeyType, tmp_path: Path) -> None:
    digest = "sha384" if type_ is KeyType.ECDSA_P384 else "sha256"
    edited = (
        Edited(tmp_path).replace("type: ed25519", f"type: {type_}").replace("key.pub.pem", "other.pub.pem")
    )
    edited.replace("    private_key: key.pem\n", f"  hash: {digest}\n").add("other.pub.pem", key(type_))
    board = edited.board()
    assert board.public_key == key(type_).public
    assert board.signing_key is None


def test_all_problems_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    edited = Edited(tmp_path).replace("soc: some Cortex-M4", "sock: x").replace("image: 1", "image: 5")
    edited.replace("size: 4096}", "size: 4097}").replace("private_key: key.pem", "private_key: none.pem")
    problems = edited.problems()
    assert {problem.field for problem in problems} == {
        "soc",
        "sock",
        "components[1].image",
        "flash.partitions.scratch.size",
        "mcuboot.signature.private_key",
    }
    assert [problem.line for problem in problems] == sorted(problem.line for problem in problems)
    with pytest.raises(BoardError, match="5 problems in the board file"):
        Board.load(edited.file)


@pytest.mark.parametrize(
    ("data", "line", "what"),
    [
        (b"", 1, "no board description"),
        (b"- a\n", 1, "no board description"),
        (b"just text", 1, "no board description"),
        (b"a: b\nc: [\n", 3, "not YAML"),
        (b"a: b\n c: d\n", 2, "not YAML"),
        (b"a: 1\n---\nb: 2\n", 2, "not YAML"),
        (b"a: *b\n", 1, "not YAML"),
        (b"x: 1\ny: \xff\n", 2, "not UTF-8"),
        (b"a: \x00\n", 1, "not YAML"),
        (b"a: &a [*a]\n", 1, "not YAML: an alias contains itself"),
        (b"[" * 3000, 1, "not YAML: nested too deeply"),
        (
            b"a: &a [" + b"x, " * 200 + b"x]\nb: &b [" + b"*a, " * 200 + b"x]\nc: [" + b"*b, " * 9 + b"x]\n",
            1,
            "not YAML: more than",
        ),
        (b"#" * ((1 << 20) + 1), 1, "larger than any such file"),
    ],
)
def test_files_that_are_no_board(data: bytes, line: int, what: str, tmp_path: Path) -> None:
    file = tmp_path / "board.yaml"
    file.write_bytes(data)
    (problem,) = check_board(file)
    assert (problem.file, problem.line) == (str(file), line)
    assert what in problem.what
    with pytest.raises(BoardError):
        Board.load(file)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for file in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(BoardError, match="cannot be read"):
            Board.load(file)


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    file = Edited(tmp_path).write()
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert check_board(file) == ()
