"""`harness boards`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from harness.boards import find_board, json_schema_text, shipped_boards
from harness.mcuboot import sign

from .._boards import BOARD
from ..boards.build_folders import Sysbuild, package
from .conftest import Outcome

Command = Callable[..., Outcome]


def test_list(harness: Command):
    outcome = harness("boards", "list")
    assert outcome.code == 0
    assert [line.split()[0] for line in outcome.output.splitlines()] == list(shipped_boards())
    assert f"{BOARD}       nRF52840     scratch          app, model" in outcome.output


def test_list_for_programs(harness: Command):
    outcome = harness("boards", "list", "--json")
    assert outcome.code == 0
    rows = {row.pop("name"): row for row in json.loads(outcome.output)}
    assert list(rows) == list(shipped_boards())
    assert rows[BOARD] == {
        "soc": "nRF52840",
        "swap_mode": "scratch",
        "components": ["app", "model"],
        "file": str(shipped_boards()[BOARD]),
    }


def test_check_of_a_good_file(harness: Command):
    outcome = harness("boards", "check", shipped_boards()[BOARD])
    assert (outcome.code, outcome.errors) == (0, "")
    assert f"board {BOARD}, " in outcome.output
    assert all(name in outcome.output for name in find_board(BOARD).capabilities)


def test_check_says_everything_that_is_wrong(harness: Command, tmp_path: Path):
    text = shipped_boards()[BOARD].read_text(encoding="utf-8")
    text = text.replace("soc: nRF52840", "sock: nRF52840").replace("baud: 1000000", "baud: fast")
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    message = harness("boards", "check", file).refused()
    lines = text.splitlines()
    for part, field in (("sock: nRF52840", "sock"), ("    baud: fast", "serial")):
        assert message.count(f"{file}:{lines.index(part) + 1}: {field}") == 1


def test_check_looks_names_up(harness: Command, tmp_path: Path):
    text = shipped_boards()[BOARD].read_text(encoding="utf-8")
    text = text.replace("emulator: nrf52840", "emulator: nrf52480").replace(
        ": keys/", f": {shipped_boards()[BOARD].parent}/keys/"
    )
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    message = harness("boards", "check", file).refused()
    line = text.splitlines().index("emulator: nrf52480") + 1
    assert message.startswith(f"{file}:{line}: emulator: no such model of a SoC\n  found: 'nrf52480'\n")
    assert "to do: did you mean nrf52840?" in message
    own = text.replace("emulator: nrf52480", "emulator: nrf52840").replace("    storage:", "    records:")
    (tmp_path / "boot.hex").write_text(":00000001FF\n", encoding="utf-8")
    file.write_text(own.replace("bootloader: reference", "bootloader: boot.hex"), encoding="utf-8")
    outcome = harness("boards", "check", file)
    assert "board nrf52840dk" in outcome.ended(0)
    assert "flash.partitions: note: the suite's application needs" in outcome.errors


def test_check_of_what_is_no_board_file(harness: Command, tmp_path: Path):
    assert "cannot be read" in harness("boards", "check", tmp_path / "none.yaml").refused()
    noise = tmp_path / "noise.yaml"
    noise.write_bytes(bytes(range(256)))
    assert f"{noise}:" in harness("boards", "check", noise).refused()


def test_import_of_a_build_folder(harness: Command, tmp_path: Path):
    build = Sysbuild().write(tmp_path / "build")
    assert "board nrf52840dk" in harness("board", "import", build).ended(0)
    assert find_board(Path("nrf52840dk.yaml")).mcuboot.swap_mode == "move"
    assert "--force" in harness("boards", "import", build).refused()
    harness("boards", "import", build, "--force", "--set", "validate_primary=false").ended(0)
    assert not find_board(Path("nrf52840dk.yaml")).mcuboot.validate_primary
    assert "swap_mode: move" in harness("boards", "import", build, "-o", "-").ended(0)


def test_import_names_what_is_wrong_and_writes_nothing(harness: Command, tmp_path: Path):
    build = Sysbuild()
    build.boot["BOOT_UPGRADE_ONLY"] = "y"
    message = harness("boards", "import", build.write(tmp_path / "build")).refused()
    assert "CONFIG_BOOT_UPGRADE_ONLY: contradicts CONFIG_BOOT_SWAP_USING_MOVE" in message
    assert not Path("nrf52840dk.yaml").exists()


def test_package(harness: Command, tmp_path: Path):
    board = find_board(BOARD)
    data = sign(b"x" * 100, board.signing_options("app", version="1.2.3"))
    file = tmp_path / "dfu_application.zip"
    file.write_bytes(package(("app.bin", data, {})))
    line = harness("boards", "package", file, "--board", BOARD).ended(0)
    assert line.split()[:4] == ["app", "1.2.3", str(len(data)), "bytes"]
    file.write_bytes(package(("app.bin", data[:-1] + b"!", {"image_index": "7", "version_MCUBOOT": "2.0.0"})))
    (row,) = json.loads(harness("boards", "package", file, "--board", BOARD, "--json").ended(1))
    assert [word for word in ("signature", "no image 7", "version 2.0.0") if word in str(row["faults"])] == [
        "signature",
        "no image 7",
        "version 2.0.0",
    ]


def test_schema(harness: Command):
    outcome = harness("boards", "schema")
    assert (outcome.code, outcome.output) == (0, json_schema_text())
