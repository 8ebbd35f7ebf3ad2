from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import BoardError, CapabilityMissing
from harness.boards import Board, find_board, shipped_boards
from harness.mcuboot import (
    DowngradePrevention,
    FlashArea,
    FlashReport,
    FlashView,
    Image,
    KeyType,
    SwapMode,
    Version,
    max_image_size,
    sign,
)

from ._edit import Edited, key


def test_what_is_written_is_what_is_there(tmp_path: Path) -> None:
    board = Edited(tmp_path).board()
    assert (board.name, board.soc, board.debug.target) == ("example", "some Cortex-M4", "some_target")
    assert board.flash.sector_size == 1024
    assert [component.name for component in board.components] == ["app", "model"]
    assert board.component("model") is board.component(1)
    assert board.component(board.components[0]) is board.components[0]
    assert board.partition("scratch") == FlashArea(0x18000, 4096)
    assert board.serial[0].usb is not None
    assert (board.serial[0].baud, board.serial[0].usb.vid) == (115200, 0x1366)
    assert board.protocols == ("lwm2m",)
    assert board.emulator == "example"
    assert board.bootloader is None
    assert board.public_key == key().public
    assert board.signing_key is not None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4096", 4096),
        ("0x1000", 4096),
        ("4KiB", 4096),
        ("4K", 4096),
        ("'0x1000'", 4096),
        ("4 KiB", 4096),
        ("4_096", 4096),
        ("4096B", 4096),
        ("4k", 4096),
    ],
)
def test_sizes_as_people_write_them(text: str, value: int, tmp_path: Path) -> None:
    board = Edited(tmp_path).replace("size: 4096}", f"size: {text}}}").board()
    assert board.flash.partitions["scratch"].size == value
    assert Edited(tmp_path).replace("size: 0x20000", "size: 1MiB").board().flash.size == 1 << 20


def test_partitions_lie_at_absolute_addresses(tmp_path: Path) -> None:
    board = Edited(tmp_path).replace("  size: 0x20000", "  base: 0x8000000\n  size: 0x20000").board()
    assert board.partition("app_primary").address == 0x0800_4000
    assert board.boot_settings().images[0].primary.address == 0x0800_4000
    assert board.boot_settings().flash_base == 0x0800_0000


def test_boot_settings(tmp_path: Path) -> None:
    edited = Edited(tmp_path).replace(
        "max_sectors: 64",
        "max_sectors: 60\n  downgrade_prevention: security_counter\n  rollback_protection: true\n"
        "  validate_primary: false\n  hash: sha512",
    )
    settings = edited.board().boot_settings()
    assert settings.mode is SwapMode.SCRATCH
    assert [areas.name for areas in settings.images] == ["app", "model"]
    assert settings.images[1].secondary == FlashArea(0x16000, 0x2000)
    assert settings.scratch == FlashArea(0x18000, 0x1000)
    assert (settings.sector_size, settings.write_align, settings.max_align, settings.max_sectors) == (
        1024,
        4,
        8,
        60,
    )
    assert settings.keys == (key().public,)
    assert settings.hash_algorithm == "sha512"
    assert settings.downgrade_prevention is DowngradePrevention.SECURITY_COUNTER
    assert settings.rollback_protection
    assert not settings.validate_primary


def test_components_are_sorted_by_image_number(tmp_path: Path) -> None:
    edited = Edited(tmp_path).replace("image: 0", "image: 7").replace("image: 1", "image: 0")
    board = edited.replace("image: 7", "image: 1").board()
    assert [component.name for component in board.components] == ["model", "app"]
    assert [areas.name for areas in board.boot_settings().images] == ["model", "app"]


ALL_MODES = ["scratch", "move", "offset", "overwrite-only", "overwrite-only-fast", "direct-xip", "ram-load"]
PRIMARY, SECONDARY = (
    "app_primary: {offset: 0x4000, size: 0x8000}",
    "app_secondary: {offset: 0xc000, size: 0x8000}",
)


def modes(edited: Edited, mode: str, align: int) -> Edited:
    """A board for a swap mode, with the slots it likes."""
    edited.replace("swap_mode: scratch", f"swap_mode: {mode}")
    if mode in ("move", "offset"):
        ours, theirs = ("0x6c00", "0x6800") if mode == "move" else ("0x6800", "0x6c00")
        edited.replace(PRIMARY, f"app_primary: {{offset: 0x19000, size: {ours}}}")
        edited.replace(SECONDARY, f"app_secondary: {{offset: 0x4000, size: {theirs}}}")
    if align == 32:
        edited.replace("write_alignment: 4", "write_alignment: 32")
        edited.replace("max_alignment: 8", "max_alignment: 32").replace("max_sectors: 64", "max_sectors: 32")
    return edited


@pytest.mark.parametrize("mode", ALL_MODES)
@pytest.mark.parametrize("align", [4, 32])
def test_the_largest_image_can_be_signed_and_is_taken(mode: str, align: int, tmp_path: Path) -> None:
    """imgtool must not be stricter than MCUboot is."""
    board = modes(Edited(tmp_path), mode, align).board()
    settings, limit = board.boot_settings(), board.max_image_size("app")
    assert limit == max_image_size(settings, 0)
    if settings.mode.selects:
        limit -= board.mcuboot.max_alignment  # imgtool keeps room for a swap_size, too
    options: dict[str, Any] = {"load_address": 0x2000_0000} if mode == "ram-load" else {}
    overhead = len(sign(b"", board.signing_options("app", version="2.0.0", **options)))
    payload = bytes(limit - overhead)
    assert len(sign(payload, board.signing_options("app", version="2.0.0", **options))) == limit
    confirmed = sign(payload, board.signing_options("app", version="2.0.0", confirm=True, **options))
    secondary = settings.images[0].secondary
    assert secondary is not None
    at = secondary.address + board.upload_offset("app")
    assert len(confirmed) == secondary.end - at
    view = FlashView.from_bytes(b"\xff" * board.flash.size).with_bytes(at, confirmed)
    for areas, name in zip(settings.images, ("app", "model"), strict=True):
        small = sign(b"x", board.signing_options(name, version="1.0.0", **options))
        view = view.with_bytes(areas.primary.address, small)
    report = FlashReport.build(view, settings)
    state = report.image(0).secondary
    assert state is not None
    assert state.valid, str(report)


def test_signing_options(tmp_path: Path) -> None:
    board = Edited(tmp_path).board()
    options = board.signing_options(
        "model", version="1.2.3+4", dependencies={0: Version(1)}, security_counter=3
    )
    assert options.slot_size == 0x2000
    assert options.version == Version(1, 2, 3, 4)
    assert (options.align, options.max_align, options.header_size) == (4, 8, 0x200)
    image = Image.parse_strict(sign(b"model", options))
    assert image.security_counter == 3
    assert [str(dependency) for dependency in image.dependencies] == ["image 0 >= 1.0.0"]
    other = board.signing_options("model", version=Version(1), key=key(KeyType.ED25519, 1))
    assert other.key is not None
    assert other.key.public != board.public_key


def test_without_a_private_key_another_one_has_to_be_given(tmp_path: Path) -> None:
    board = Edited(tmp_path).replace("    private_key: key.pem\n", "").board()
    with pytest.raises(BoardError, match="no private key"):
        board.signing_options("app", version="1.0.0")
    assert board.signing_options("app", version="1.0.0", key=None).key is None
    assert "signing" not in board.capabilities


def test_unknown_names(tmp_path: Path) -> None:
    board = Edited(tmp_path).board()
    with pytest.raises(BoardError, match="no component 'modle'") as caught:
        board.component("modle")
    assert caught.value.remedy == "did you mean model?"
    with pytest.raises(BoardError, match="no component 2"):
        board.max_image_size(2)
    with pytest.raises(BoardError, match="no partition 'scrach'") as caught:
        board.partition("scrach")
    assert caught.value.remedy == "did you mean scratch?"


def test_a_boot_loader_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "boot.hex").write_text(":00000001FF\n")
    board = Edited(tmp_path).replace("max_sectors: 64", "max_sectors: 64\n  bootloader: boot.hex").board()
    assert board.bootloader == tmp_path / "boot.hex"
    assert board.bootloader.is_file()


CAPABILITIES = [
    ("name: example", "name: example", "scratch revert two-images lwm2m console slipmux emulator signing"),
    ("swap_mode: scratch", "swap_mode: move", "move revert -scratch"),
    ("swap_mode: scratch", "swap_mode: overwrite-only", "overwrite-only -revert"),
    ("swap_mode: scratch", "swap_mode: direct-xip-revert", "direct-xip-revert revert -direct-xip"),
    ("emulator: example\n", "", "lwm2m -emulator"),
    ("protocols: [lwm2m]\n", "", "slipmux -lwm2m"),
    ("carries: [console, slipmux]", "carries: [console]", "console -slipmux"),
    ("max_sectors: 64", "max_sectors: 64\n  downgrade_prevention: version", "downgrade-prevention"),
    ("max_sectors: 64", "max_sectors: 64\n  rollback_protection: true", "rollback-protection"),
    ("max_sectors: 64", "max_sectors: 64\n  serial_recovery: true", "serial-recovery"),
    ("name: example", "name: plain", "-move -three-images -downgrade-prevention -rollback-protection"),
    ("name: example", "name: plain", "-serial-recovery"),
]


@pytest.mark.parametrize(("old", "new", "names"), CAPABILITIES)
def test_capabilities(old: str, new: str, names: str, tmp_path: Path) -> None:
    board = Edited(tmp_path).replace(old, new).board()
    present = [name for name in names.split() if not name.startswith("-")]
    board.require(*present)
    assert board.capabilities >= set(present)
    for name in (name[1:] for name in names.split() if name.startswith("-")):
        with pytest.raises(CapabilityMissing, match=f"board {board.name} has no {name}") as caught:
            board.require(*present, name)
        assert caught.value.capability == name


class TestShipped:
    def test_every_shipped_board_loads_under_its_file_name(self) -> None:
        boards = shipped_boards()
        assert "nrf52840dk" in boards
        for name in boards:
            assert find_board(name).name == name

    def test_by_path(self, tmp_path: Path) -> None:
        edited = Edited(tmp_path)
        edited.write()
        assert find_board(edited.file).name == "example"
        assert find_board(str(edited.file)).name == "example"
        with pytest.raises(BoardError, match="cannot be read"):
            find_board("nowhere.yaml")

    def test_unknown(self) -> None:
        with pytest.raises(BoardError, match="no board 'nrf52840kd'") as caught:
            find_board("nrf52840kd")
        assert caught.value.remedy == "did you mean nrf52840dk?"
        assert "nrf52840dk" in (caught.value.expected or "")

    def test_nrf52840dk(self) -> None:
        board = find_board("nrf52840dk")
        areas = {name: board.partition(name) for name in board.flash.partitions}
        assert {name: (area.address, area.size) for name, area in areas.items()} == {
            "bootloader": (0x0, 48 << 10),
            "app_primary": (0xC000, 256 << 10),
            "app_secondary": (0x4C000, 256 << 10),
            "model_primary": (0x8C000, 64 << 10),
            "model_secondary": (0x9C000, 64 << 10),
            "scratch": (0xAC000, 32 << 10),
            "storage": (0xB4000, 16 << 10),
        }
        assert board.debug.target == "nrf52840"
        assert (board.flash.size, board.flash.sector_size, board.flash.write_alignment) == (1 << 20, 4096, 4)
        settings = board.boot_settings()
        assert (settings.mode, settings.max_align, settings.max_sectors) == (SwapMode.SCRATCH, 8, 128)
        assert [
            (component.name, component.image, component.lwm2m_instance) for component in board.components
        ] == [
            ("app", 0, 0),
            ("model", 1, 1),
        ]
        (port,) = board.serial
        assert port.usb is not None
        assert (port.role, port.baud, port.usb.vid, port.usb.pid) == ("console", 1_000_000, 0x1366, 0x1015)
        assert port.carries == ["console", "slipmux", "smp"]
        assert board.max_image_size("app") == (256 << 10) - (128 * 3 * 4 + 48)
        board.require("scratch", "two-images", "lwm2m", "slipmux", "emulator", "signing")

    def test_the_file_starts_with_the_line_editors_look_for(self) -> None:
        for file in shipped_boards().values():
            first = file.read_text(encoding="utf-8").splitlines()[0]
            assert first == "# yaml-language-server: $schema=board.schema.json"
            assert (file.parent / "board.schema.json").is_file()


def test_boards_in_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import harness

    package = tmp_path / "site-packages" / "harness"
    folder = package / "_data" / "boards"
    folder.mkdir(parents=True)
    (tmp_path / "site-packages" / "boards").mkdir()  # somebody else's package
    monkeypatch.setattr(harness, "__file__", str(package / "__init__.py"))
    assert shipped_boards() == {}
    (folder / "mine.yaml").write_text(Edited(folder).text)
    assert shipped_boards() == {"mine": folder / "mine.yaml"}
    assert find_board("mine").name == "example"


def test_boards_cannot_be_changed(tmp_path: Path) -> None:
    board = Edited(tmp_path).board()
    with pytest.raises(Exception, match="frozen"):
        board.flash.size = 0
    assert isinstance(board, Board)
