"""Zephyr build folders become board files, or everything that stands against it is named with its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import BoardError, ImageError
from harness.boards import Board
from harness.boards.zephyr import Imported, import_build, read_package
from harness.mcuboot import SwapMode

from .build_folders import KEY, Sysbuild, package

_RECOVERY = {"MCUBOOT_SERIAL": "y", "BOOT_SERIAL_UART": "y", "BOOT_SERIAL_NO_APPLICATION": "y"}

APP, BOOT = "app/zephyr/.config", "mcuboot/zephyr/.config"
MANAGED = """\
EMPTY_0:
  address: 0xf6000
  end_address: 0xf8000
  placement:
    before:
    - settings_storage
  region: flash_primary
  size: 0x2000
app:
  address: 0x1c200
  end_address: 0x80000
  region: flash_primary
  size: 0x63e00
external_flash:
  address: 0x0
  end_address: 0x800000
  region: external_flash
  size: 0x800000
mcuboot:
  address: 0x0
  end_address: 0x1c000
  placement:
    before:
    - mcuboot_primary
  region: flash_primary
  size: 0x1c000
mcuboot_pad:
  address: 0x1c000
  region: flash_primary
  size: 0x200
mcuboot_primary:
  address: 0x1c000
  orig_span: &id001
  - app
  - mcuboot_pad
  region: flash_primary
  size: 0x64000
  span: *id001
mcuboot_primary_app:
  address: 0x1c200
  orig_span: &id002
  - app
  region: flash_primary
  size: 0x63e00
  span: *id002
mcuboot_secondary:
  address: 0x80000
  region: flash_primary
  size: 0x64000
settings_storage:
  address: 0xf8000
  region: flash_primary
  size: 0x8000
sram_primary:
  address: 0x20000000
  region: sram_primary
  size: 0x40000
"""


ZEPHYR = ("build_info.yml", "zephyr/.config", "zephyr/zephyr.dts", "zephyr/runners.yaml")


def imported(build: Sysbuild, tmp_path: Path, *changes: str) -> Imported:
    return import_build(build.write(tmp_path / "build"), tmp_path, changes)


def loaded(build: Sysbuild, tmp_path: Path, *changes: str) -> Board:
    result = imported(build, tmp_path, *changes)
    assert not result.problems, "\n".join(map(str, result.problems))
    assert result.text is not None
    file = tmp_path / "board.yaml"
    file.write_text(result.text, encoding="utf-8")
    return Board.load(file)


def line_of(file: Path, text: str) -> int:
    lines = file.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_sysbuild_folder_becomes_a_board(tmp_path: Path) -> None:
    board = loaded(Sysbuild(), tmp_path)
    assert (board.name, board.soc, board.debug.target, board.emulator) == (
        "nrf52840dk",
        "nrf52840",
        "nrf52840",
        "nrf52840",
    )
    flash = board.flash
    assert (flash.base, flash.size, flash.sector_size, flash.write_alignment) == (0, 1 << 20, 4096, 4)
    assert {name: (part.offset, part.size) for name, part in flash.partitions.items()} == {
        "boot": (0, 0xC000),
        "slot0": (0xC000, 0x76000),
        "slot1": (0x82000, 0x76000),
        "storage": (0xF8000, 0x8000),
    }
    mcuboot = board.mcuboot
    assert (mcuboot.swap_mode, mcuboot.max_alignment, mcuboot.max_sectors) == (SwapMode.MOVE, 8, 0x76)
    assert (mcuboot.header_size, mcuboot.hash, mcuboot.partition) == (0x200, "sha256", "boot")
    assert (mcuboot.validate_primary, mcuboot.downgrade_prevention, mcuboot.rollback_protection) == (
        True,
        "none",
        False,
    )
    assert board.bootloader == tmp_path / "build" / "mcuboot" / "zephyr" / "zephyr.hex"
    assert board.signing_key is not None
    assert board.signing_key.public == board.public_key
    assert [(part.name, part.primary, part.secondary) for part in board.components] == [
        ("app", "slot0", "slot1")
    ]
    assert [(port.role, port.baud, port.carries) for port in board.serial] == [
        ("console", 115200, ["console"])
    ]


def test_folder_that_was_moved_is_read_where_it_is(tmp_path: Path) -> None:
    Sysbuild().write(tmp_path / "before")
    (tmp_path / "before").rename(tmp_path / "after")
    assert import_build(tmp_path / "after", tmp_path).text is not None


def test_every_setting_names_its_origin(tmp_path: Path) -> None:
    result = imported(Sysbuild(), tmp_path)
    config = tmp_path / "build" / "mcuboot" / "zephyr" / ".config"
    assert result.origins["mcuboot.swap_mode"] == f"{config}:{line_of(config, 'SWAP_USING_MOVE')}"
    tree = tmp_path / "build" / "mcuboot" / "zephyr" / "zephyr.dts"
    assert result.origins["flash.partitions.slot1"] == f"{tree}:{line_of(tree, 'slot1_partition:')}"
    assert result.text is not None
    assert f"mcuboot.swap_mode: mcuboot/zephyr/.config:{line_of(config, 'SWAP_USING_MOVE')}\n" in result.text


@pytest.mark.parametrize(
    ("option", "mode"),
    [
        ("BOOT_SWAP_USING_SCRATCH", SwapMode.SCRATCH),
        ("BOOT_SWAP_USING_OFFSET", SwapMode.OFFSET),
        ("BOOT_UPGRADE_ONLY", SwapMode.OVERWRITE_ONLY_FAST),
        ("BOOT_DIRECT_XIP", SwapMode.DIRECT_XIP),
        ("SINGLE_APPLICATION_SLOT", SwapMode.SINGLE),
    ],
)
def test_every_strategy(tmp_path: Path, option: str, mode: SwapMode) -> None:
    build = Sysbuild()
    del build.boot["BOOT_SWAP_USING_MOVE"], build.application["MCUBOOT_BOOTLOADER_MODE_SWAP_USING_MOVE"]
    build.boot[option] = "y"
    build.slots |= {"slot0": (0xC000, 0x70000), "slot1": (0x7C000, 0x70000), "scratch": (0xEC000, 0xC000)}
    board = loaded(build, tmp_path)
    assert board.mcuboot.swap_mode is mode
    assert ("scratch" in board.flash.partitions) == (mode is SwapMode.SCRATCH)
    assert (board.components[0].secondary is None) == (mode is SwapMode.SINGLE)


def test_reverting_direct_xip_and_its_protections(tmp_path: Path) -> None:
    build = Sysbuild()
    del build.boot["BOOT_SWAP_USING_MOVE"], build.boot["BOOT_VALIDATE_SLOT0"]
    del build.application["MCUBOOT_BOOTLOADER_MODE_SWAP_USING_MOVE"]
    build.boot |= {"BOOT_DIRECT_XIP": "y", "BOOT_DIRECT_XIP_REVERT": "y", "MCUBOOT_DOWNGRADE_PREVENTION": "y"}
    build.boot["MCUBOOT_HW_DOWNGRADE_PREVENTION"] = "y"
    build.application["MCUBOOT_BOOTLOADER_MODE_DIRECT_XIP_WITH_REVERT"] = "y"
    mcuboot = loaded(build, tmp_path).mcuboot
    assert mcuboot.swap_mode is SwapMode.DIRECT_XIP_REVERT
    assert (mcuboot.downgrade_prevention, mcuboot.rollback_protection, mcuboot.validate_primary) == (
        "version",
        True,
        False,
    )


def test_two_images_and_flash_that_starts_elsewhere(tmp_path: Path) -> None:
    build = Sysbuild(base=0x08000000)
    build.boot["UPDATEABLE_IMAGE_NUMBER"] = "2"
    build.slots = {
        "boot": (0, 0xC000),
        "slot0": (0xC000, 0x40000),
        "slot1": (0x4C000, 0x40000),
        "slot2": (0x8C000, 0x10000),
        "slot3": (0x9C000, 0x10000),
    }
    board = loaded(build, tmp_path)
    assert board.flash.base == 0x08000000
    assert [(part.name, part.image, part.primary) for part in board.components] == [
        ("app", 0, "slot0"),
        ("image1", 1, "slot2"),
    ]
    assert board.partition("slot2").address == 0x0808C000


def test_partition_manager_decides_over_the_devicetree(tmp_path: Path) -> None:
    board = loaded(Sysbuild(partitions=MANAGED), tmp_path)
    assert (board.components[0].primary, board.components[0].secondary) == (
        "mcuboot_primary",
        "mcuboot_secondary",
    )
    places = {name: (part.offset, part.size) for name, part in board.flash.partitions.items()}
    assert places["mcuboot_primary"] == (0x1C000, 0x64000)
    assert places["boot"] == (0, 0x1C000)
    assert places["storage"] == (0xF8000, 0x8000)
    assert not {"app", "mcuboot_pad", "sram_primary", "external_flash"} & set(places)


def test_application_alone_stands_on_the_reference_boot_loader(tmp_path: Path) -> None:
    folder = Sysbuild().write(tmp_path / "build") / "app"
    result = import_build(folder, tmp_path)
    assert result.text is not None, result.problems
    assert "bootloader" in result.notes[0].field
    file = tmp_path / "board.yaml"
    file.write_text(result.text)
    assert Board.load(file).mcuboot.bootloader == "reference"


def test_boot_loader_alone_is_enough(tmp_path: Path) -> None:
    folder = Sysbuild().write(tmp_path / "build") / "mcuboot"
    assert import_build(folder, tmp_path).text is not None


def test_key_is_found_where_mcuboot_finds_it(tmp_path: Path) -> None:
    source = tmp_path / "mcuboot" / "boot" / "zephyr"
    source.mkdir(parents=True)
    (tmp_path / "mcuboot" / "root-ed25519.pem").write_bytes(KEY.read_bytes())
    build = Sysbuild(source=source.as_posix())
    build.boot["BOOT_SIGNATURE_KEY_FILE"] = '"root-ed25519.pem"'
    board = loaded(build, tmp_path)
    assert board.mcuboot.signature.private_key == "mcuboot/root-ed25519.pem"


@pytest.mark.parametrize("over_smp", [False, True])
@pytest.mark.parametrize(
    ("application", "boot", "port"),
    [("", "", "console"), ("&uart0", "&uart0", "console"), ("&uart1", "&uart1", "mcumgr")],
)
def test_serial_recovery_is_where_mcuboot_has_it(
    tmp_path: Path, application: str, boot: str, port: str, over_smp: bool
) -> None:
    build = Sysbuild(mcumgr=application, boot_mcumgr=boot)
    build.boot |= _RECOVERY
    if over_smp:
        build.application["MCUMGR_TRANSPORT_UART"] = "y"
    board = loaded(build, tmp_path)
    assert board.mcuboot.serial_recovery
    assert board.protocols == ("smp",) * over_smp
    assert [each.role for each in board.serial if "smp" in each.carries] == [port]


@pytest.mark.parametrize(("application", "boot"), [("&uart1", ""), ("", "&uart1")])
def test_serial_recovery_on_another_port_than_updates_is_left_out(
    tmp_path: Path, application: str, boot: str
) -> None:
    build = Sysbuild(mcumgr=application, boot_mcumgr=boot)
    build.boot |= _RECOVERY
    build.application["MCUMGR_TRANSPORT_UART"] = "y"
    board = loaded(build, tmp_path)
    assert not board.mcuboot.serial_recovery
    assert board.protocols == ("smp",)


@pytest.mark.parametrize("images", [1, 2])
def test_serial_recovery_that_counts_slots_is_left_out(tmp_path: Path, images: int) -> None:
    build = Sysbuild()
    build.boot |= _RECOVERY | {"MCUBOOT_SERIAL_DIRECT_IMAGE_UPLOAD": "y"}
    if images == 2:
        build.boot["UPDATEABLE_IMAGE_NUMBER"] = "2"
        build.slots = {
            "boot": (0, 0xC000),
            "slot0": (0xC000, 0x40000),
            "slot1": (0x4C000, 0x40000),
            "slot2": (0x8C000, 0x10000),
            "slot3": (0x9C000, 0x10000),
        }
    board = loaded(build, tmp_path)
    assert len(board.components) == images
    assert board.mcuboot.serial_recovery is (images == 1)


@pytest.mark.parametrize(
    ("said", "soc"),
    [
        ("nrf52840", "nrf52840"),
        ("nRF52840_QIAA", "nRF52840"),
        ("stm32l475xx", "stm32l475"),
        ("nRF9160_SICA", "nRF9160_SICA"),
    ],
)
def test_soc_is_one_that_firmware_is_built_for(tmp_path: Path, said: str, soc: str) -> None:
    build = Sysbuild()
    build.boot["SOC"] = build.application["SOC"] = f'"{said}"'
    assert loaded(build, tmp_path).soc == soc


@pytest.mark.parametrize(
    ("chosen", "ports"),
    [
        ("", [("console", ["console", "smp"])]),
        ("&uart0", [("console", ["console", "smp"])]),
        ("&uart1", [("console", ["console"]), ("mcumgr", ["smp"])]),
    ],
)
def test_updates_over_smp(tmp_path: Path, chosen: str, ports: list[tuple[str, list[str]]]) -> None:
    build = Sysbuild(mcumgr=chosen)
    build.application["MCUMGR_TRANSPORT_UART"] = "y"
    board = loaded(build, tmp_path)
    assert [(port.role, port.carries) for port in board.serial] == ports
    assert board.protocols == ("smp",)


def boot(name: str, value: str | None) -> Callable[[Sysbuild], None]:
    def change(build: Sysbuild) -> None:
        build.boot.pop(name) if value is None else build.boot.__setitem__(name, value)

    return change


def other_mode(build: Sysbuild) -> None:
    build.application["MCUBOOT_BOOTLOADER_MODE_OVERWRITE_ONLY"] = build.application.pop(
        "MCUBOOT_BOOTLOADER_MODE_SWAP_USING_MOVE"
    )


def other_slots(build: Sysbuild) -> None:
    build.application_slots = build.slots | {"slot1": (0x83000, 0x75000)}


def slot_outside(build: Sysbuild) -> None:
    build.external = {"slot1": build.slots.pop("slot1")}


def no_runner(build: Sysbuild) -> None:
    build.runners = "runners:\n- openocd\nargs:\n  openocd: []\n"
    build.boot["SOC"] = '"stm32u585xx"'


def ill_package(build: Sysbuild) -> None:
    build.package = package(("net.bin", b"x" * 40, {"image_index": "1"}))


@pytest.mark.parametrize(
    ("change", "file", "text", "words"),
    [
        (boot("BOOT_ENCRYPT_IMAGE_X", "what?"), BOOT, "what?", "not a line of a .config"),
        (boot("BOOT_ENCRYPT_IMAGE", "y"), BOOT, "ENCRYPT_IMAGE=y", "encrypted images"),
        (boot("BOOT_SIGNATURE_TYPE_PURE", "y"), BOOT, "TYPE_PURE", "image itself"),
        (boot("BOOT_SWAP_USING_TIME", "y"), BOOT, "USING_TIME", "unknown update strategy"),
        (boot("BOOT_SIGNATURE_TYPE_MLDSA", "y"), BOOT, "MLDSA", "unknown kind of signature"),
        (boot("BOOT_UPGRADE_ONLY", "y"), BOOT, "UPGRADE_ONLY", "contradicts CONFIG_BOOT_SWAP"),
        (boot("UPDATEABLE_IMAGE_NUMBER", "2"), BOOT, "IMAGE_NUMBER", "fewer slots than images"),
        (boot("BOOT_SIGNATURE_KEY_FILE", '"/no/key.pem"'), BOOT, "key.pem", "key cannot be read"),
        (other_mode, APP, "OVERWRITE_ONLY", "contradicts"),
        (other_slots, "app/zephyr/zephyr.dts", "slot1_partition:", "contradicts"),
        (slot_outside, "mcuboot/zephyr/zephyr.dts", "slot1_partition:", "outside of the flash"),
        (no_runner, "app/zephyr/runners.yaml", "args:", "names no pyOCD target"),
        (ill_package, "dfu_application.zip", "", "does not update"),
    ],
)
def test_what_is_unknown_or_contradicts_is_named_with_its_line(
    tmp_path: Path, change: Callable[[Sysbuild], None], file: str, text: str, words: str
) -> None:
    build = Sysbuild()
    change(build)
    result = imported(build, tmp_path)
    assert result.text is None
    place = tmp_path / "build" / file
    line = line_of(place, text) if text else 1
    said = [str(problem) for problem in result.problems]
    assert any(one.startswith(f"{place}:{line}: ") and words in one for one in said), said


def test_rules_of_board_files_point_into_the_build_folder(tmp_path: Path) -> None:
    build = Sysbuild()
    build.slots["slot1"] = (0x82000, 0x70000)
    (problem,) = imported(build, tmp_path).problems
    assert "do not go together in swap mode move" in problem.what
    build = Sysbuild()
    build.slots["slot1"] = (0x81000, 0x76000)
    problems = imported(build, tmp_path / "second").problems
    tree = tmp_path / "second" / "build" / "mcuboot" / "zephyr" / "zephyr.dts"
    assert problems[0].file == str(tree)
    assert problems[0].line == line_of(tree, "slot1_partition:")


def test_what_the_build_does_not_say_can_be_said(tmp_path: Path) -> None:
    build = Sysbuild()
    no_runner(build)
    build.boot["BOOT_SIGNATURE_KEY_FILE"] = '"/no/key.pem"'
    del build.application["MCUBOOT_SIGNATURE_KEY_FILE"]
    board = loaded(
        build, tmp_path, "debug.target=stm32u585aiix", "name=mine", f"mcuboot.signature.public_key={KEY}"
    )
    assert (board.name, board.debug.target, board.signing_key) == ("mine", "stm32u585aiix", None)
    with pytest.raises(BoardError, match="no change of a field"):
        import_build(tmp_path / "build", tmp_path, ["what"])


def test_what_is_no_build_folder(tmp_path: Path) -> None:
    (problem,) = import_build(tmp_path, tmp_path).problems
    assert "no build folder" in str(problem)
    assert import_build(tmp_path / "none", tmp_path).text is None


FILES = [
    "domains.yaml",
    "partitions.yml",
    "dfu_application.zip",
    *(f"{name}/{file}" for name in ("app", "mcuboot") for file in ZEPHYR),
]
PIECES = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [b"\x00", b"{", b'/include/ "x"', b"< 0xffffffffffffffffff >", b"&a", b"- [", b"=y\n", b"9" * 5000]
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(FILES), st.floats(0, 1), st.integers(0, 40), PIECES)
def test_damaged_files_are_refused_or_read_but_never_break_the_import(
    tmp_path: Path, name: str, at: float, cut: int, piece: bytes
) -> None:
    folder = tmp_path / "build"
    if not folder.exists():
        Sysbuild(partitions=MANAGED, package=package(("app.bin", b"x" * 40, {}))).write(folder)
    file = folder / name
    whole = file.read_bytes()
    place = int(at * len(whole))
    file.write_bytes(whole[:place] + piece + whole[place + cut :])
    try:
        result = import_build(folder, tmp_path)
        assert (result.text is None) == bool(result.problems)
        assert all(problem.what and problem.line > 0 for problem in result.problems)
    finally:
        file.write_bytes(whole)


def test_package_is_understood_as_images(tmp_path: Path) -> None:
    file = tmp_path / "dfu_application.zip"
    file.write_bytes(
        package(
            ("app.bin", b"A" * 100, {}),
            ("ipc_radio.bin", b"B" * 50, {"image_index": 1, "board": "net"}),
        )
    )
    one, two = read_package(file)
    assert (one.name, one.image, one.version, one.board, one.data) == (
        "app.bin",
        0,
        "1.2.3+0",
        "nrf52840dk",
        b"A" * 100,
    )
    assert (two.name, two.image, two.board, two.data) == ("ipc_radio.bin", 1, "net", b"B" * 50)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not an update package"),
        (b"PK\x03\x04 nothing", "not an update package"),
        (package(), "lists no files"),
        (package(("a.bin", b"1", {"size": 2})), "another size"),
        (package(("a.bin", b"1", {"file": "b.bin"})), "missing"),
        (package(("a.bin", b"1", {"file": 7})), "without file name"),
        (package(("a.bin", b"1", {"image_index": "-1"})), "no image number"),
        (package(("a.bin", b"1", {}), files={}), "lists no files"),
    ],
)
def test_packages_that_are_none(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "package.zip"
    file.write_bytes(content)
    with pytest.raises(ImageError, match=words) as caught:
        read_package(file)
    assert str(file) in str(caught.value)


def test_package_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        read_package(tmp_path / "none.zip")
