"""C compilers for Cortex-M. Nothing need be installed on the host: one comes from PyPI.

The zig package carries clang, lld and the compiler's runtime library for every target
(`python -m ziglang cc`). An `arm-none-eabi-gcc` on PATH serves as second compiler.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final, Protocol

from .._errors import BuildError

__all__ = ["Program", "Toolchain", "toolchain", "zig_path"]

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
_LINKING: Final = ("-Wl,--gc-sections",)


@dataclass(frozen=True, slots=True)
class Program:
    """What one ELF file is made of.

    ``headers`` are folders searched for includes, ``generated`` maps the name of a header
    to its text, ``defines`` become ``-Dname=value``. Without a linker script the compiler's own
    is used,
    ``linker_symbols`` can be used in the linker script. ``cpu`` is a gcc ``-mcpu`` name;
    ``hard_float`` passes floating-point arguments in FPU registers.
    """

    name: str
    cpu: str
    sources: Sequence[Path]
    linker_script: Path | None
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

    def compile_command(self, program: Program) -> list[str]:
        """The command line that compiles one source of ``program``, up to where files are named."""

    def link_command(self, program: Program) -> list[str]:
        """The command line that links ``program``, up to where files are named."""

    @property
    def libraries(self) -> list[str]:
        """What follows the objects when linking."""


def zig_path() -> str:
    """The compiler itself: `python -m ziglang` would start an interpreter for each source."""
    import ziglang

    folder = Path(ziglang.__file__).parent
    return next((str(path) for path in (folder / "zig", folder / "zig.exe") if path.exists()), "zig")


class _Zig:
    def __init__(self) -> None:
        self._path = zig_path()

    @property
    def identity(self) -> str:
        return f"zig {version('ziglang')}"

    def _start(self, program: Program) -> list[str]:
        return [
            *(self._path, "cc"),
            *("-target", f"thumb-freestanding-eabi{'hf' * program.hard_float}"),
            f"-mcpu={program.cpu.replace('-', '_')}{'+vfp4d16sp' * program.hard_float}",
            *_COMMON,
        ]

    def compile_command(self, program: Program) -> list[str]:
        return self._start(program)

    def link_command(self, program: Program) -> list[str]:
        return [*self._start(program), *_LINKING, f"-Wl,-e,{program.entry}"]

    @property
    def libraries(self) -> list[str]:
        return ["-lcompiler_rt"]


class _Gcc:
    def __init__(self, path: str) -> None:
        self._path = path

    @property
    def identity(self) -> str:
        return subprocess.run(
            [self._path, "--version"], check=True, capture_output=True, text=True, timeout=30
        ).stdout.splitlines()[0]

    def _start(self, program: Program) -> list[str]:
        floats = "-mfloat-abi=hard" if program.hard_float else "-mfloat-abi=soft"
        return [self._path, f"-mcpu={program.cpu}", floats, *_COMMON]

    def compile_command(self, program: Program) -> list[str]:
        return self._start(program)

    def link_command(self, program: Program) -> list[str]:
        return [*self._start(program), *_LINKING, f"-Wl,-e,{program.entry}"]

    @property
    def libraries(self) -> list[str]:
        return ["-lgcc"]


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
