"""C for Cortex-M without anything installed on the host: the compiler comes from PyPI.

The zig package carries clang, lld and the compiler's runtime library for every target
(`python -m ziglang cc`). An `arm-none-eabi-gcc` on PATH serves as second compiler.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final, Protocol

import platformdirs
from filelock import FileLock

from .._errors import BuildError

__all__ = ["Program", "Toolchain", "cache_folder", "compile_program", "toolchain"]

_BUILD_SECONDS: Final = 300
_SCRIPT: Final = "program.ld"
_COMMON: Final = (
    "-mthumb",
    "-std=c11",
    "-Os",
    "-g",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffreestanding",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-common",
    "-nostdlib",
)


def cache_folder(name: str) -> Path:
    """A folder below the user's cache (or below ``HARNESS_CACHE_DIR``); it is made if need be."""
    root = os.environ.get("HARNESS_CACHE_DIR")
    folder = (Path(root) if root else platformdirs.user_cache_path("mcuboot-harness", appauthor=False)) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass(frozen=True, slots=True)
class Program:
    """What one ELF file is made of.

    ``headers`` are folders searched for includes, ``generated`` maps the name of a header
    to its text, ``defines`` become ``-Dname=value``,
    ``linker_symbols`` can be used in the linker script. ``cpu`` is a gcc ``-mcpu`` name;
    ``hard_float`` passes floating-point arguments in FPU registers.
    """

    name: str
    cpu: str
    sources: Sequence[Path]
    linker_script: Path
    headers: Sequence[Path] = ()
    generated: Mapping[str, str] = field(default_factory=dict)
    defines: Mapping[str, str | int] = field(default_factory=dict)
    linker_symbols: Mapping[str, int] = field(default_factory=dict)
    entry: str = "Reset_Handler"
    hard_float: bool = False


class Toolchain(Protocol):
    """A C compiler and linker for Cortex-M."""

    @property
    def identity(self) -> str:
        """Name and version; part of the cache key."""

    def command(self, program: Program, include: Path, output: Path) -> list[str]:
        """The command line that compiles and links ``program``."""


def _shared_arguments(program: Program, include: Path) -> list[str]:
    return [
        *(f"-D{name}={value}" for name, value in sorted(program.defines.items())),
        f"-I{include}",
        *(f"-I{folder}" for folder in program.headers),
        *(str(source) for source in program.sources),
        "-Wl,--gc-sections",
        f"-Wl,-e,{program.entry}",
        "-T",
        str(include / _SCRIPT),
    ]


class _Zig:
    @property
    def identity(self) -> str:
        return f"zig {version('ziglang')}"

    def command(self, program: Program, include: Path, output: Path) -> list[str]:
        return [
            *(sys.executable, "-m", "ziglang", "cc"),
            *(
                "-target",
                f"thumb-freestanding-eabi{'hf' * program.hard_float}",
                f"-mcpu={program.cpu.replace('-', '_')}{'+vfp4d16sp' * program.hard_float}",
            ),
            *_COMMON,
            *_shared_arguments(program, include),
            "-lcompiler_rt",
            *("-o", str(output)),
        ]


class _Gcc:
    def __init__(self, path: str) -> None:
        self._path = path

    @property
    def identity(self) -> str:
        return subprocess.run(
            [self._path, "--version"], check=True, capture_output=True, text=True, timeout=30
        ).stdout.splitlines()[0]

    def command(self, program: Program, include: Path, output: Path) -> list[str]:
        return [
            self._path,
            *(f"-mcpu={program.cpu}", "-mfloat-abi=hard" if program.hard_float else "-mfloat-abi=soft"),
            *_COMMON,
            *_shared_arguments(program, include),
            "-lgcc",
            *("-o", str(output)),
        ]


def toolchain(name: str | None = None) -> Toolchain:
    """``zig`` (the default) or ``gcc``; the environment variable ``HARNESS_TOOLCHAIN`` chooses, too."""
    name = name or os.environ.get("HARNESS_TOOLCHAIN") or "zig"
    if name == "zig":
        return _Zig()
    if name == "gcc":
        path = shutil.which("arm-none-eabi-gcc")
        if path:
            return _Gcc(path)
        raise BuildError(
            "no arm-none-eabi-gcc on PATH",
            remedy="install it, or unset HARNESS_TOOLCHAIN to use the zig package",
        )
    raise BuildError(f"unknown toolchain {name!r}", expected="zig or gcc", where="HARNESS_TOOLCHAIN")


def _key(program: Program, compiler: Toolchain) -> str:
    digest = hashlib.sha256()

    def add(*parts: str | bytes) -> None:
        for part in parts:
            data = part.encode() if isinstance(part, str) else part
            digest.update(len(data).to_bytes(4, "little") + data)

    add(compiler.identity, *compiler.command(program, Path(), Path()), *_COMMON)
    for source in program.sources:
        add(source.name, source.read_bytes())
    for folder in program.headers:
        for header in sorted(folder.glob("*.h")):
            add(header.name, header.read_bytes())
    for name, text in sorted(program.generated.items()):
        add(name, text)
    add(_linker_script(program))
    return digest.hexdigest()[:24]


def compile_program(program: Program, compiler: Toolchain | None = None) -> Path:
    """The ELF file of a program, from the cache if nothing has changed.

    Raises `BuildError` with the compiler's words. Several processes may ask at once:
    one compiles, the others wait for it.
    """
    compiler = compiler or toolchain()
    folder = cache_folder("programs")
    output = folder / f"{program.name}-{_key(program, compiler)}.elf"
    if output.exists():
        return output
    with FileLock(f"{output}.lock", timeout=_BUILD_SECONDS):
        if not output.exists():
            _compile(program, compiler, output)
    return output


def _linker_script(program: Program) -> str:
    """The script behind its symbols: not every linker takes them on the command line."""
    symbols = [f"{name} = {value:#x};\n" for name, value in sorted(program.linker_symbols.items())]
    return "".join(symbols) + program.linker_script.read_text(encoding="utf-8")


def _compile(program: Program, compiler: Toolchain, output: Path) -> None:
    work = output.with_suffix(".work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        for name, text in {**program.generated, _SCRIPT: _linker_script(program)}.items():
            (work / name).write_text(text, encoding="utf-8")
        part = work / "program.elf"
        command = compiler.command(program, work, part)
        environment = os.environ | {
            "ZIG_GLOBAL_CACHE_DIR": str(cache_folder("zig")),
            "ZIG_LOCAL_CACHE_DIR": str(cache_folder("zig")),
        }
        try:
            result = subprocess.run(
                command, capture_output=True, text=True, timeout=_BUILD_SECONDS, env=environment, check=False
            )
        except subprocess.TimeoutExpired:
            raise BuildError(
                f"compiling {program.name} took more than {_BUILD_SECONDS} s",
                remedy="look at the machine's load",
            ) from None
        if result.returncode or not part.exists():
            raise BuildError(
                f"{program.name} does not compile",
                where=str(program.linker_script.parent),
                found=(result.stderr or result.stdout).strip()
                or f"exit code {result.returncode} and no output",
                remedy="mend the source; the command was: " + " ".join(command),
            )
        part.replace(output)
    finally:
        shutil.rmtree(work, ignore_errors=True)
