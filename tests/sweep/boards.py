"""Small boards for sweeps, in every mode."""

from __future__ import annotations

from functools import cache
from itertools import count
from pathlib import Path

from harness.boards import Board, boards_folder
from harness.sweep import Options, Recording, prepare

SECTOR = 4096
#: where board files are written: set for the session
place: list[Path] = []
_numbers = count()
#: what sweeps plant to save time: signatures have nothing to do with power
FAST = {"DEFECT_signature_not_checked": 1}

_TEXT = """\
name: {mode}
soc: nRF52840
debug: {{ target: nrf52840 }}
flash:
  size: 1MiB
  sector_size: 4KiB
  write_alignment: {align}
  partitions:
    bootloader: {{ offset: 0, size: 48KiB }}
{partitions}
mcuboot:
  swap_mode: {mode}
  max_alignment: {max_align}
  max_sectors: {max_sectors}
  header_size: 0x20
  signature:
    type: ed25519
    public_key: {keys}/test-ed25519-public.pem
    private_key: {keys}/test-ed25519.pem
components:
{components}
serial:
  - {{ role: console, baud: 1000000, carries: [console] }}
emulator: nrf52840
"""


@cache
def make_board(
    mode: str,
    images: int = 1,
    *,
    sectors: int = 6,
    scratch: int = 2,
    align: int = 4,
    max_align: int = 8,
    max_sectors: int = 8,
    write_once: bool = False,
) -> Board:
    """A board whose slots have ``sectors`` sectors and the spare one that the mode wants.

    ``write_once`` is for flash that takes a unit only once.
    """
    primary, secondary = sectors + (mode == "move"), sectors + (mode == "offset")
    names = ["app", "model"][:images]
    at, partitions, components = 0xC000, [], []
    for number, name in enumerate(names):
        for slot, size in (("primary", primary), ("secondary", secondary)):
            partitions.append(f"    {name}_{slot}: {{ offset: {at:#x}, size: {size * SECTOR} }}")
            at += size * SECTOR
        components.append(
            f"  - {{ name: {name}, image: {number}, primary: {name}_primary, secondary: {name}_secondary }}"
        )
    partitions.append(f"    scratch: {{ offset: {at:#x}, size: {scratch * SECTOR} }}")
    partitions.append("    storage: { offset: 0xfc000, size: 16KiB }")
    file = place[0] / f"{mode}-{next(_numbers)}.yaml"
    file.write_text(
        (_once(_TEXT) if write_once else _TEXT).format(
            mode=mode,
            align=align,
            max_align=max_align,
            max_sectors=max_sectors,
            partitions="\n".join(partitions),
            components="\n".join(components),
            keys=boards_folder() / "keys",
        )
    )
    return Board.load(file)


def _once(text: str) -> str:
    for ours, other in (
        ("soc: nRF52840", "soc: STM32L475"),
        ("target: nrf52840", "target: stm32l475xg"),
        ("emulator: nrf52840", "emulator: stm32l475"),
        ("  size: 1MiB", "  base: 0x08000000\n  size: 1MiB"),
        ("sector_size: 4KiB", "sector_size: 2KiB"),
    ):
        assert ours in text
        text = text.replace(ours, other)
    return text


@cache
def recorded(
    mode: str,
    scenario: str,
    *,
    images: int = 1,
    size: int = 200,
    old_size: int = 700,
    scratch: int = 2,
    defect: str = "",
) -> Recording:
    """A scenario of such a board, recorded once."""
    options = Options(size=size, old_size=old_size, build=build_options(defect))
    return prepare(make_board(mode, images, scratch=scratch), scenario, options=options).recording


def build_options(defect: str = "") -> dict[str, int]:
    return {**FAST, f"DEFECT_{defect}": 1} if defect else dict(FAST)
