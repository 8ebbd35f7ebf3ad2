"""Functions and source lines of addresses, from the DWARF data of ELF files."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.common.exceptions import DWARFError, ELFError
from elftools.elf.elffile import ELFFile

__all__ = ["Lines", "SourcePlace"]


@dataclass(frozen=True, slots=True)
class SourcePlace:
    """Where in the sources an address is. ``file`` is empty if only the function is known."""

    function: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.function} ({self.file}:{self.line})" if self.file else self.function


class Lines:
    """Looks addresses up in ELF files; files that are none, or have no such data, know nothing."""

    def __init__(self, files: Iterable[Path]) -> None:
        functions: list[tuple[int, int, str]] = []
        lines: list[tuple[int, str, int]] = []
        for file in files:
            try:
                with file.open("rb") as stream:
                    elf = ELFFile(stream)
                    functions += _functions(elf)
                    lines += _lines(elf)
            except (ELFError, DWARFError, OSError, KeyError, ValueError):
                continue
        self._functions, self._lines = sorted(functions), sorted(lines)

    def at(self, address: int) -> SourcePlace | None:
        """The place of an instruction; None if no file covers it."""
        index = bisect_right(self._functions, (address, 1 << 32, "")) - 1
        if index < 0:
            return None
        start, size, name = self._functions[index]
        if address >= start + max(size, 2):
            return None
        index = bisect_right(self._lines, (address, "\U0010ffff", 0)) - 1
        if index < 0 or self._lines[index][2] == 0 or self._lines[index][0] < start:
            return SourcePlace(name)
        _, file, line = self._lines[index]
        return SourcePlace(name, file, line)


def _functions(elf: Any) -> Iterator[tuple[int, int, str]]:
    for section in elf.iter_sections("SHT_SYMTAB"):
        for symbol in section.iter_symbols():
            if symbol["st_info"]["type"] == "STT_FUNC" and symbol.name:
                yield symbol["st_value"] & ~1, symbol["st_size"], symbol.name


def _lines(elf: Any) -> Iterator[tuple[int, str, int]]:
    """(address, file, line); line 0 where a sequence ends."""
    if not elf.has_dwarf_info():
        return
    dwarf = elf.get_dwarf_info()
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        files = program["file_entry"]
        first = 0 if program["version"] >= 5 else 1  # DWARF 5, 6.2.4: files count from 0
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            index = state.file - first
            name = files[index].name.decode(errors="replace") if 0 <= index < len(files) else "?"
            yield state.address, Path(name).name, 0 if state.end_sequence else state.line
