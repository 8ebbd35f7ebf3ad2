"""`zephyr.dts`: flash, partitions and the console's port. Read with Zephyr's own ``dtlib``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ._facts import Fact, Findings, read_text

__all__ = ["FlashDevice", "Region", "Tree", "read_tree"]

_SUFFIX: Final = "_partition"


@dataclass(frozen=True, slots=True)
class Region:
    """A partition: offset and size in bytes in the device at ``device`` (a path in the tree)."""

    offset: int
    size: int
    device: str

    def __str__(self) -> str:
        return f"{self.offset:#x}+{self.size:#x} in {self.device}"


@dataclass(frozen=True, slots=True)
class FlashDevice:
    """The flash that programs run from: bytes, and 0 where the tree does not say."""

    path: str
    base: int
    size: int
    sector: int
    write: int


@dataclass(slots=True)
class Tree:
    """What a board file needs of a devicetree. ``partitions`` are by label without ``_partition``."""

    file: Path
    flash: Fact[FlashDevice] | None = None
    partitions: dict[str, Fact[Region]] = field(default_factory=dict)
    baud: Fact[int] | None = None
    """Of ``zephyr,console``, in bits a second."""
    mcumgr: Fact[int] | None = None
    """Of ``zephyr,uart-mcumgr``, if that is another port than the console's."""


def read_tree(path: Path, findings: Findings) -> Tree | None:
    """Read a devicetree; ``None`` after having said why not."""
    from devicetree import dtlib

    text = read_text(path, findings)
    if text is None:
        return None
    # Not used in what the build system writes; dtlib would read other files.
    if re.search(r"/(include|incbin)/", text):
        findings.refuse(
            path, "not a finished devicetree: it includes other files", remedy="name a build folder"
        )
        return None
    try:
        tree = dtlib.DT(str(path))
        return _Reader(path, text, findings, tree).read()
    except dtlib.DTError as error:
        line = re.search(r":(\d+)", str(error).replace(str(path), "", 1))
        at = Fact(None, path, int(line[1]) if line else 1)
        findings.refuse(at, "not a devicetree", found=str(error).removeprefix(f"{path}:")[:200])
    except (RecursionError, OverflowError, UnicodeError, ValueError) as error:
        findings.refuse(path, "not a devicetree", found=type(error).__name__)
    return None


class _Reader:
    def __init__(self, path: Path, text: str, findings: Findings, tree: Any) -> None:
        self.path, self.text, self.findings, self.tree = path, text, findings, tree

    def line(self, node: Any) -> int:
        """Line of a node: that of its label, or of its name."""
        for word in (*(f"{label}:" for label in node.labels), f"{node.name} {{"):
            found = re.search(rf"^[^\n]*(?<![\w,]){re.escape(word)}", self.text, re.MULTILINE)
            if found:
                return self.text.count("\n", 0, found.start()) + 1
        return 1

    def read(self) -> Tree:
        result = Tree(self.path)
        flash = self.chosen("zephyr,flash")
        if flash is not None:
            result.flash = Fact(self.device(flash), self.path, self.line(flash))
        console = self.chosen("zephyr,console")
        result.baud = self.speed(console)
        mcumgr = self.chosen("zephyr,uart-mcumgr")
        result.mcumgr = self.speed(mcumgr) if mcumgr is not console else None
        for label, node in self.tree.label2node.items():
            region = self.region(node) if label.endswith(_SUFFIX) else None
            if region is not None:
                result.partitions[label.removesuffix(_SUFFIX)] = Fact(region, self.path, self.line(node))
        return result

    def speed(self, port: Any) -> Fact[int] | None:
        """Bits a second of a serial port, if it says that."""
        found = self.number(port, "current-speed") if port is not None else None
        return Fact(found, self.path, self.line(port)) if found else None

    def chosen(self, name: str) -> Any:
        """The node that ``/chosen`` names."""
        if not self.tree.has_node("/chosen"):
            return None
        prop = self.tree.get_node("/chosen").props.get(name)
        return None if prop is None else prop.to_path()

    def device(self, node: Any) -> FlashDevice:
        base, size = self.reg(node) or (0, 0)
        sector, write = (self.number(node, f"{what}-block-size") or 0 for what in ("erase", "write"))
        return FlashDevice(node.path, base, size, sector, write)

    def region(self, node: Any) -> Region | None:
        """A partition with its offset from the start of its device, which all ancestors add to."""
        own = self.reg(node)
        if own is None:
            return None
        offset, size = own
        for parent in self.ancestors(node):
            if _is_device(parent):
                return Region(offset, size, parent.path)
            offset += (self.reg(parent) or (0, 0))[0]
        return None

    def ancestors(self, node: Any) -> Iterator[Any]:
        while node.parent is not None:
            node = node.parent
            yield node

    def number(self, node: Any, name: str) -> int | None:
        prop = node.props.get(name)
        return None if prop is None else int(prop.to_num())

    def reg(self, node: Any) -> tuple[int, int] | None:
        """First address and size."""
        prop = node.props.get("reg")
        if prop is None or node.parent is None:
            return None
        cells = prop.to_nums()
        wide = [self.number(node.parent, f"#{what}-cells") for what in ("address", "size")]
        addresses, sizes = (2 if wide[0] is None else wide[0]), (1 if wide[1] is None else wide[1])
        if len(cells) < addresses + sizes or not 0 < sizes <= 2 or not 0 < addresses <= 2:
            return None
        return _joined(cells[:addresses]), _joined(cells[addresses : addresses + sizes])


def _is_device(node: Any) -> bool:
    """Flash: it says how it is written or erased, or partitions lie right in it."""
    if "erase-block-size" in node.props or "write-block-size" in node.props:
        return True
    return "partitions" in node.nodes


def _joined(cells: list[int]) -> int:
    value = 0
    for cell in cells:
        value = value << 32 | cell
    return value
