"""What a failure shows, and what the JUnit file knows of a test."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from xml.etree import ElementTree as ET

from harness.boards import find_board
from harness.updates import ImageFactory

from .._boards import BOARD
from .conftest import Runner

COMMON = """
    import pytest
    from harness.updates import Verdict

    @pytest.fixture
    def rig(hil_rig, hil_images):
        hil_rig.install(*(hil_images.make(part, "1.0.0") for part in hil_rig.board.components))
        hil_rig.boot()
        return hil_rig
"""
#: what a reader needs to see of the slots, as regular expressions for lines
SLOTS = (
    r"image 0 \(app\) +primary 0x0000c000 256 KiB +secondary 0x0004c000 256 KiB",
    r"image 1 \(model\) +primary 0x0008c000 64 KiB +secondary 0x0009c000 64 KiB",
    r"version +1\.0\.0 +-",
    r"version +1\.0\.0 +2\.0\.0",
    *(rf"{field} +\+0x\w+ \w+" for field in ("magic", "image_ok", "copy_done", "swap_info", "swap_size")),
    r"next boot",
    r"image 1: keep - the secondary requests nothing",
    r"boots image 0, 1\.0\.0",
)


def assert_lines(text: str, *patterns: str, marked: bool = False) -> None:
    for pattern in patterns:
        line = ("E +" if marked else " *") + pattern
        assert re.search(f"^{line}", text, re.MULTILINE), f"no line like {pattern!r} in\n{text}"


def test_wrong_verdict_shows_slots_trailers_next_boot_and_console(run: Runner):
    printed = run(
        COMMON
        + """
    def test_verdict(rig, hil_images):
        new = hil_images.make("model", "2.0.0")
        rig.download(new)
        rig.expect({new: Verdict.CONFIRMED}, why="a rule of this test")

    def test_good(rig): pass
    """,
        *("--hil-board", BOARD, "-rA"),
        failed=1,
        passed=1,
    )
    assert_lines(
        printed,
        r".*VerdictError: model: expected confirmed, found unchanged \(model 1\.0\.0 is in the primary slot",
        r"nothing was installed: the request did not reach the trailer",
        r"rule: a rule of this test",
        r"device: nrf52840dk \(emulated-\w+\)",
        r"model: unchanged .* the device says: 2/0 \(downloaded",
        *SLOTS,
        r"console \(last lines, as evidence only\):",
        r"boot: image 0 starts at 0xc200",
        r"application 1\.0\.0 \(good\) on nrf52840dk",
        marked=True,
    )
    assert re.search(r"^>\s+rig\.expect\(", printed, re.MULTILINE)
    assert "_rig.py" not in printed, "the traceback goes down into the harness"
    assert "slots at the end of the test" not in printed, "the slots are shown twice"
    assert printed.count("device console (") == 1, "a test that passed shows its console"
    transcript = printed.partition("device console (seconds since the test began)")[2]
    assert_lines(transcript, r"\d+\.\d{4}  application 1\.0\.0 \(good\) on nrf52840dk")


def test_failed_assert_shows_difference_slots_and_console(run: Runner):
    printed = run(
        COMMON
        + """
    def test_difference(rig, hil_images, hil_slots):
        before = hil_slots()
        rig.download(hil_images.make("model", "2.0.0"))
        assert hil_slots() == before
    """,
        *("--hil-board", BOARD),
        failed=1,
    )
    assert_lines(
        printed,
        r"(Assertion.*)?assert the slots differ:",
        r"image 1 secondary version: - -> 2\.0\.0",
        marked=True,
    )
    slots, console = printed.partition("slots at the end of the test")[2].split("device console", 1)
    assert_lines(slots, *SLOTS)
    assert_lines(console, r"\d+\.\d{4}  boot: image 0 starts at 0xc200")


def test_whole_traceback_on_request(run: Runner):
    printed = run(
        COMMON
        + """
    def test_verdict(rig, hil_images):
        rig.expect_installed(hil_images.make("model", "2.0.0"), why="a rule of this test")
    """,
        *("--hil-board", BOARD, "--full-trace"),
        failed=1,
    )
    assert "_rig.py" in printed


def _junit(file: Path) -> dict[str, dict[str, str]]:
    cases = ET.parse(file).getroot().iter("testcase")
    return {
        str(case.get("name")): {
            str(each.get("name")): str(each.get("value")) for each in case.iter("property")
        }
        for case in cases
    }


def test_junit_file_knows_board_probe_bootloader_and_images(run: Runner, tmp_path: Path):
    file = tmp_path / "junit.xml"
    run(
        COMMON
        + """
    def test_update(rig, hil_images):
        rig.download(hil_images.make("model", "2.0.0"))
        print("probe", rig.device.debug.unique_id)

    def test_board_only(hil_board): pass
    def test_without(): pass
    """,
        *(
            "--hil-board",
            BOARD,
            f"--junitxml={file}",
            "-n",
            "1",
            "-W",
            "error",
            "-o",
            "junit_logging=system-out",
        ),
        passed=3,
    )
    cases = _junit(file)
    assert cases["test_without"] == {}
    board = find_board(BOARD)
    every = {
        "hil.board": BOARD,
        "hil.board_file": str(board.file),
        "hil.backend": "embedded",
        "hil.swap_mode": "scratch",
        "hil.key": str(board.public_key),
    }
    assert cases[f"test_board_only[{BOARD}]"] == every
    found = cases[f"test_update[{BOARD}]"]
    assert found.items() >= every.items()
    images = ImageFactory(board)
    images.bootloader()
    assert found["hil.bootloader"] == "reference"
    assert found["hil.bootloader_sha256"] == images.bootloader_digest
    assert f"probe {found['hil.probe']}\n" in ET.parse(file).findtext(".//system-out", "")
    expected = {
        "image.app": images.make("app", "1.0.0"),
        "image.model": images.make("model", "1.0.0"),
        "update.model": images.make("model", "2.0.0"),
    }
    for name, image in expected.items():
        assert found[f"hil.{name}.version"] == str(image.version)
        assert found[f"hil.{name}.sha256"] == hashlib.sha256(image.data).hexdigest()
    assert "hil.update.app.version" not in found


def test_device_that_cannot_be_read_is_no_second_failure(run: Runner):
    printed = run(
        COMMON
        + """
    def test_dead(rig):
        rig.device.power.off()
        raise ValueError("of the test")
    """,
        *("--hil-board", BOARD),
        failed=1,
    )
    assert_lines(printed, "ValueError: of the test", marked=True)
    assert re.search(r"slots at the end of the test -+\ncannot be read: .*reading memory failed", printed)
