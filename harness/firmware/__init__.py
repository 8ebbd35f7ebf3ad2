"""Firmware from C sources: the compiler that needs no installation, and the reference firmware."""

from __future__ import annotations

from ._elf import Elf, Segment
from ._toolchain import Program, Toolchain, cache_folder, compile_program, toolchain

__all__ = ["Elf", "Program", "Segment", "Toolchain", "cache_folder", "compile_program", "toolchain"]
