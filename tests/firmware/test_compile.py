"""Programs from sources: what is built, what is built again, and what is said if it does not build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from harness import BuildError
from harness.boards import find_board
from harness.firmware import (
    Behaviour,
    Elf,
    Program,
    application_program,
    bootloader_program,
    cache_folder,
    compile_program,
    firmware_layout,
    toolchain,
)

SCRIPT = "SECTIONS { .text ORIGIN_OF_TEXT : { *(.text*) *(.rodata*) } /DISCARD/ : { *(.ARM.ex*) } }"


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """No programs, no objects. The compiler's own cache and fetched sources stay: they take seconds."""
    kept = [path for path in cache_folder("zig").parent.iterdir() if path.name not in ("programs", "objects")]
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    for folder in kept:
        (tmp_path / "cache" / folder.name).symlink_to(folder)
    return tmp_path / "cache"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "link.ld").write_text(SCRIPT)
    (folder / "value.h").write_text('#include "deeper.h"\n#define VALUE DEEPER\n')
    (folder / "deeper.h").write_text("#define DEEPER 1\n")
    (folder / "unused.h").write_text("#define UNUSED 1\n")
    (folder / "start.c").write_text(
        '#include "value.h"\nint other(void);\nint Reset_Handler(void) { return VALUE + other(); }\n'
    )
    (folder / "other.c").write_text("#define PASTE(x) JOIN_##x\nint other(void) { return PASTE(two); }\n")
    return Program(
        name="tiny",
        cpu="cortex-m4",
        sources=[folder / "start.c", folder / "other.c"],
        linker_script=folder / "link.ld",
        headers=[folder],
        defines={"JOIN_two": 2},
        linker_symbols={"ORIGIN_OF_TEXT": 0x1000},
    )


def objects(cache: Path) -> set[str]:
    return {path.name for path in (cache / "objects").glob("*.o")}


def content(elf: Path) -> dict[int, bytes]:
    return {segment.address: segment.data for segment in Elf.read(elf).segments}


def test_is_linked_where_the_script_says(fresh_cache: Path, program: Program):
    assert 0x1000 in content(compile_program(program))


def test_unchanged_program_is_not_built_again(fresh_cache: Path, program: Program):
    first = compile_program(program)
    made = first.stat().st_mtime_ns
    assert compile_program(program) == first
    assert first.stat().st_mtime_ns == made


@pytest.mark.parametrize(
    ("header", "text"), [("value.h", "#define VALUE 7\n"), ("deeper.h", "#define DEEPER 7\n")]
)
def test_changed_header_is_seen_where_it_is_included(
    fresh_cache: Path, program: Program, header: str, text: str
):
    first = content(compile_program(program))
    before = objects(fresh_cache)
    (program.headers[0] / header).write_text(text)
    assert content(compile_program(program)) != first
    assert {name.partition("-")[0] for name in objects(fresh_cache) - before} == {"start"}


def test_header_that_nobody_includes_changes_nothing(fresh_cache: Path, program: Program):
    first = compile_program(program)
    (program.headers[0] / "unused.h").write_text("#define UNUSED 2\n")
    assert compile_program(program) == first


def test_generated_header_counts_as_content(fresh_cache: Path, program: Program):
    (program.headers[0] / "deeper.h").unlink()
    first = compile_program(replace(program, generated={"deeper.h": "#define DEEPER 3\n"}))
    second = compile_program(replace(program, generated={"deeper.h": "#define DEEPER 4\n"}))
    assert content(first) != content(second)


def test_define_is_seen_even_if_its_name_is_pasted_together(fresh_cache: Path, program: Program):
    first = content(compile_program(program))
    before = objects(fresh_cache)
    assert content(compile_program(replace(program, defines={"JOIN_two": 3}))) != first
    assert {name.partition("-")[0] for name in objects(fresh_cache) - before} == {"other"}


def test_linker_symbol_counts_as_content(fresh_cache: Path, program: Program):
    compile_program(program)
    moved = replace(program, linker_symbols={"ORIGIN_OF_TEXT": 0x2000})
    assert 0x2000 in content(compile_program(moved))


def test_error_of_the_compiler_is_shown_and_nothing_is_kept(fresh_cache: Path, program: Program):
    (program.headers[0] / "other.c").write_text("int other(void) { return missing; }\n")
    with pytest.raises(BuildError, match="undeclared identifier 'missing'"):
        compile_program(program)
    left = [path.name for path in (fresh_cache / "programs").iterdir() if not path.name.endswith(".lock")]
    assert left == []


def test_error_of_the_linker_is_shown(fresh_cache: Path, program: Program):
    (program.headers[0] / "other.c").write_text("int missing(void);\nint other(void) { return missing(); }\n")
    (program.headers[0] / "start.c").write_text(
        "int other(void);\nint Reset_Handler(void) { return other(); }\n"
    )
    with pytest.raises(BuildError, match="undefined symbol: missing"):
        compile_program(program)


def test_unknown_toolchain_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HARNESS_TOOLCHAIN", "msvc")
    with pytest.raises(BuildError, match="msvc"):
        toolchain()


def test_missing_gcc_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="unset HARNESS_TOOLCHAIN"):
        toolchain("gcc")


def test_many_may_ask_for_the_same_program(fresh_cache: Path, program: Program):
    with ThreadPoolExecutor(4) as pool:
        built = {*pool.map(lambda _: compile_program(program), range(8))}
    assert len(built) == 1


class TestReferenceFirmware:
    @pytest.mark.parametrize("part", ["bootloader", "app"])
    def test_is_the_same_byte_for_byte_wherever_it_is_built(
        self, part: str, fresh_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        from harness.firmware import sources_folder

        def build() -> dict[int, bytes]:
            layout = firmware_layout(find_board("nrf52840dk"))
            made = bootloader_program(layout) if part == "bootloader" else application_program(layout)
            return content(compile_program(made))

        here = build()
        shutil.copytree(sources_folder(), tmp_path / "elsewhere" / "firmware")
        monkeypatch.setattr(
            "harness.firmware._reference.sources_folder", lambda: tmp_path / "elsewhere" / "firmware"
        )
        shutil.rmtree(fresh_cache / "objects")
        shutil.rmtree(fresh_cache / "programs")
        monkeypatch.setattr(time, "time", lambda: 4e9)
        assert build() == here

    def test_bootloader_fits_32_kib(self):
        board = find_board("nrf52840dk")
        built = content(compile_program(bootloader_program(firmware_layout(board))))
        assert max(address + len(data) for address, data in built.items()) <= 32 * 1024

    def test_behaviours_are_different_programs(self):
        layout = firmware_layout(find_board("nrf52840dk"))
        built = [
            compile_program(application_program(layout, behaviour)).read_bytes() for behaviour in Behaviour
        ]
        assert len(set(built)) == len(Behaviour)

    @pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="arm-none-eabi-gcc is not installed")
    def test_works_when_built_with_gcc(self, monkeypatch: pytest.MonkeyPatch):
        command = [
            *(sys.executable, "-m", "harness", "verify"),
            *("--board", "nrf52840dk", "-k", "linked_components_are_updated"),
        ]
        environment = os.environ | {"HARNESS_TOOLCHAIN": "gcc"}
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert " passed" in result.stdout
