"""`harness slots`: dumps in every form, and dumps that are none."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from functools import cache
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intelhex import IntelHex

from harness.boards import Board, find_board
from harness.mcuboot import Trailer, build_trailer, set_pending, sign

from .._boards import BOARD
from .conftest import Outcome, finish, spawn

Command = Callable[..., Outcome]
MIB = 1024 * 1024


@cache
def board() -> Board:
    return find_board(BOARD)


@cache
def flash() -> bytes:
    """Two components 1.0.0: the application was swapped in and is confirmed, an update of the model waits."""
    content = bytearray(b"\xff" * MIB)

    def image(component: str, version: str) -> bytes:
        return sign(
            random.Random(version).randbytes(5000), board().signing_options(component, version=version)
        )

    def put(partition: str, offset: int, data: bytes) -> None:
        at = board().partition(partition).address + offset
        content[at : at + len(data)] = data

    put("app_primary", 0, image("app", "1.0.0"))
    put("model_primary", 0, image("model", "1.0.0"))
    put("model_secondary", 0, image("model", "2.0.0"))
    boot = board().boot_settings()
    layout = boot.layout(board().partition("app_primary"))
    put("app_primary", layout.status, build_trailer(layout, magic=True, image_ok=True, copy_done=True))
    area = board().partition("model_secondary")
    erased = Trailer.parse(b"\xff" * area.size, boot.layout(area))
    for write in set_pending(erased, permanent=False, image=1).writes:
        put("model_secondary", write.offset, write.data)
    return bytes(content)


def dump(folder: Path, data: bytes, name: str = "flash.bin") -> Path:
    file = folder / name
    file.write_bytes(data)
    return file


def as_hex(data: bytes, base: int = 0) -> bytes:
    text = StringIO()
    content = IntelHex()
    content.frombytes(data, base)
    content.write_hex_file(text)
    return text.getvalue().encode()


def slots(harness: Command, *arguments: str | int | Path) -> Outcome:
    return harness("slots", "--board", BOARD, *arguments)


def test_text(harness: Command, tmp_path: Path):
    outcome = slots(harness, "--flash", dump(tmp_path, flash()))
    assert outcome.code == 0
    assert outcome.errors == ""
    lines = [" ".join(line.split()) for line in outcome.output.splitlines()]
    for line in (
        "image 0 (app) primary 0x0000c000 256 KiB secondary 0x0004c000 256 KiB",
        "version 1.0.0 2.0.0",
        "image_ok +0x3ffe8 set unset",
        "magic +0xfff0 unset good",
        "image 0: keep - the primary is confirmed and the secondary requests nothing",
        "boots image 0, 1.0.0",
    ):
        assert line in lines, outcome.output
    assert any(line.startswith("image 1: test - ") for line in lines), outcome.output


def test_json(harness: Command, tmp_path: Path):
    outcome = slots(harness, "--json", "--flash", dump(tmp_path, flash()))
    assert outcome.code == 0
    report = json.loads(outcome.output)
    assert report["next_boot"]["version"] == "1.0.0"
    assert [image["action"] for image in report["next_boot"]["images"]] == ["keep", "test"]
    assert report["images"][1]["secondary"]["image"]["version"] == "2.0.0"
    assert report["images"][0]["primary"]["trailer"]["fields"]["image_ok"]["meaning"] == "set"


def test_every_form_of_dump_says_the_same(harness: Command, tmp_path: Path):
    start, end = board().partition("model_primary").address, board().partition("scratch").end
    data, middle = flash()[start:end], board().partition("model_secondary").address - start
    raw = slots(harness, "--json", "--flash", dump(tmp_path, data), "--base", start)
    assert '"2.0.0"' in raw.output
    assert slots(harness, "--json", "--flash", dump(tmp_path, as_hex(data, start), "flash.hex")) == raw
    named_anyhow = dump(tmp_path, b"\r\n" + as_hex(data, start), "flash.bin")
    assert slots(harness, "--json", "--flash", named_anyhow) == raw
    low, high = dump(tmp_path, data[:middle], "low"), dump(tmp_path, data[middle:], "high")
    arguments = ["--flash", high, "--base", hex(start + middle), "--flash", low, "--base", start]
    assert slots(harness, "--json", *arguments) == raw
    mixed = dump(tmp_path, as_hex(data[middle:], start + middle), "high.hex")
    assert slots(harness, "--json", "--flash", mixed, "--flash", low, "--base", start) == raw


def test_a_part_of_the_flash_is_explained_as_far_as_it_goes(harness: Command, tmp_path: Path):
    at = board().partition("app_primary").address
    outcome = slots(harness, "--flash", dump(tmp_path, flash()[at : at + 0x40000]), "--base", hex(at))
    assert outcome.code == 0
    assert "1.0.0" in outcome.output
    assert "cannot be told" in outcome.output


@pytest.mark.parametrize(
    ("data", "arguments", "said"),
    [
        (b"", [], "the dump is empty"),
        (b":00000001FX", [], "flash.bin: not a usable Intel HEX file"),
        (as_hex(b"abc"), ["--base", "0"], "--base was given 1 times"),
        (b"raw", ["--base", "0", "--base", "16"], "--base was given 2 times"),
        (b"raw", ["--base", "-16"], "negative flash address"),
        (b"raw", ["--base", "zero"], "'zero' is no address, such as 0xC000"),
    ],
)
def test_wrong_use(harness: Command, tmp_path: Path, data: bytes, arguments: list[str], said: str):
    assert said in slots(harness, "--flash", dump(tmp_path, data), *arguments).refused()


def test_dumps_that_overlap_are_refused(harness: Command, tmp_path: Path):
    file = dump(tmp_path, b"raw")
    message = slots(harness, "--flash", file, "--flash", file).refused()
    assert "overlap" in message


def test_files_that_cannot_be_read_are_named(harness: Command, tmp_path: Path):
    message = slots(harness, "--flash", tmp_path / "none.bin").refused()
    assert "none.bin: cannot be read" in message
    assert "is a directory" in slots(harness, "--flash", tmp_path).refused()


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a file without an end")
def test_a_file_without_an_end_is_refused(harness: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("harness.cli._slots._LARGEST", MIB)
    assert "too large for a flash dump" in slots(harness, "--flash", "/dev/zero").refused()


def test_unknown_board(harness: Command, tmp_path: Path):
    message = harness("slots", "--board", "nrf52841dk", "--flash", dump(tmp_path, b"x")).refused()
    assert "did you mean nrf52840dk?" in message


def _hostile() -> st.SearchStrategy[bytes]:
    """Pieces of a good dump with bytes changed, plain noise, and text that looks like Intel HEX."""
    good = flash()
    at = [board().partition(name).address for name in ("app_primary", "model_secondary", "scratch")]
    positions = st.one_of(
        st.sampled_from(at).flatmap(lambda start: st.integers(start, start + 0x400)),
        st.integers(0xDFFD0, MIB - 1),
        st.sampled_from([0x4C000 - 64, 0xAC000 - 64]).flatmap(lambda end: st.integers(end, end + 63)),
    )

    def changed(changes: list[tuple[int, int]], end: int) -> bytes:
        data = bytearray(good)
        for position, value in changes:
            data[position] = value
        return bytes(data[:end])

    edits = st.lists(st.tuples(positions, st.integers(0, 255)), max_size=12)
    dumps = st.builds(changed, edits, st.one_of(st.just(MIB), st.integers(0, MIB)))
    few = as_hex(good[0xC000:0xC200], 0xC000)
    lines = few.splitlines(keepends=True)
    return st.one_of(
        dumps,
        st.binary(max_size=600),
        st.binary(max_size=300).map(lambda noise: b":10000000" + noise),
        st.permutations(lines).map(b"".join),
        st.integers(0, len(few)).map(lambda end: few[:end]),
    )


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=_hostile(), as_json=st.booleans())
def test_no_dump_gives_a_traceback(harness: Command, tmp_path: Path, data: bytes, as_json: bool):
    outcome = slots(harness, "--flash", dump(tmp_path, data), *(["--json"] if as_json else []))
    assert outcome.code in {0, 2}
    if outcome.code == 2:
        assert outcome.errors.startswith("error: ")
    elif as_json:
        assert json.loads(outcome.output)["images"]
    else:
        assert "next boot" in outcome.output


def test_noise_is_explained(harness: Command, tmp_path: Path):
    outcome = slots(harness, "--flash", dump(tmp_path, random.Random(1).randbytes(MIB)))
    assert outcome.code == 0
    assert "does not boot" in outcome.output or "boots nothing" in outcome.output, outcome.output


@pytest.mark.skipif(os.name != "posix", reason="how a closed pipe shows is the system's")
def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path):
    process = spawn("slots", "--board", BOARD, "--json", "--flash", dump(tmp_path, flash()))
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    outcome = finish(process)
    assert (outcome.code, outcome.errors) == (0, "")
