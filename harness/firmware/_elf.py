"""What an ELF file puts where, and which function an address belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import ARMAttributesSection, SymbolTableSection

from .._errors import ImageError

__all__ = ["Elf", "Segment"]

#: Tag_CPU_arch of the Arm build attributes (Addenda to the ABI, IHI 0045)
_ARCHITECTURES: Final = {
    10: "v7",
    11: "v6-M",
    12: "v6S-M",
    13: "v7E-M",
    14: "v8",
    16: "v8-M.base",
    17: "v8-M.main",
    21: "v8.1-M.main",
}


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes and the physical address at which they are to be programmed."""

    address: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Elf:
    """Loadable content and symbols of an ARM ELF file."""

    path: Path
    segments: tuple[Segment, ...]
    symbols: dict[str, int]
    architecture: str = ""
    """``v7E-M``, ``v7-A`` and so on; empty if the file does not say."""

    @classmethod
    def read(cls, path: Path) -> Elf:
        """Read a file; `ImageError` if it is no 32-bit ARM ELF file."""
        try:
            with path.open("rb") as stream:
                elf = ELFFile(stream)
                if elf["e_machine"] != "EM_ARM" or elf.elfclass != 32:
                    raise ImageError(
                        "not an ELF file for 32-bit ARM",
                        where=str(path),
                        found=f"{elf['e_machine']}, {elf.elfclass} bit",
                    )
                segments = tuple(
                    Segment(segment["p_paddr"], segment.data())
                    for segment in elf.iter_segments("PT_LOAD")
                    if segment["p_filesz"]
                )
                symbols = {
                    symbol.name: symbol["st_value"]
                    for section in elf.iter_sections()
                    if isinstance(section, SymbolTableSection)
                    for symbol in section.iter_symbols()
                    if symbol.name and not symbol.name.startswith("$")
                }
                architecture = _architecture(elf)
        except OSError as error:
            raise ImageError("cannot be read", where=str(path), found=str(error)) from None
        except ELFError as error:
            raise ImageError("not an ELF file", where=str(path), found=str(error)) from None
        return cls(path, segments, symbols, architecture)

    def binary(self, fill: int = 0xFF) -> tuple[int, bytes]:
        """(lowest address, content) with gaps filled."""
        if not self.segments:
            raise ImageError("nothing to program in it", where=str(self.path))
        start = min(segment.address for segment in self.segments)
        end = max(segment.address + len(segment.data) for segment in self.segments)
        content = bytearray([fill]) * (end - start)
        for segment in self.segments:
            at = segment.address - start
            content[at : at + len(segment.data)] = segment.data
        return start, bytes(content)


def _architecture(elf: ELFFile) -> str:
    section = elf.get_section_by_name(".ARM.attributes")
    if not isinstance(section, ARMAttributesSection):
        return ""
    tags = {
        attribute.tag: attribute.value
        for part in section.iter_subsections()
        for block in part.iter_subsubsections()
        for attribute in block.iter_attributes()
    }
    number = tags.get("TAG_CPU_ARCH", 0)
    profile = chr(tags.get("TAG_CPU_ARCH_PROFILE", 0)).strip("\0")
    name = _ARCHITECTURES.get(number, f"number {number}")
    return f"{name}-{profile}" if profile and "-" not in name else name
