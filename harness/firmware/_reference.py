"""The reference firmware of this project as programs to compile: bootloader and application for a board."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from .._errors import BuildError
from ._layout import FirmwareLayout, Region
from ._monocypher import monocypher_folder
from ._toolchain import Program

__all__ = [
    "Behaviour",
    "application_program",
    "bootloader_program",
    "chip_ram",
    "firmware_ports",
    "sources_folder",
]


class Behaviour(StrEnum):
    """How an application image behaves; all but the first are ways to be bad."""

    GOOD = "good"
    SELF_TEST_FAILS = "self_test_fails"
    NEVER_CONFIRMS = "never_confirms"
    HANGS = "hangs"
    CRASHES = "crashes"
    LOSES_LINK = "loses_link"
    """Never reaches its server, and therefore confirms nothing."""


@dataclass(frozen=True, slots=True)
class _Chip:
    cpu: str
    ram: Region


_CHIP_FILE: Final = "chip.toml"


def sources_folder() -> Path:
    """The folder `firmware` of a checkout, or its copy in an installed package."""
    package = Path(__file__).parent.parent
    for folder in (package.parent / "firmware", package / "_data" / "firmware"):
        if (folder / "port" / "port.h").exists():
            return folder
    raise BuildError("the firmware sources are not there", remedy="install the package again")


def firmware_ports() -> tuple[str, ...]:
    """The SoCs that the reference firmware has a port for."""
    return tuple(sorted(file.parent.name for file in sources_folder().glob(f"port/*/{_CHIP_FILE}")))


def _chip(soc: str) -> _Chip:
    """What ``port/<soc>/chip.toml`` says."""
    known = firmware_ports()
    if soc not in known:
        raise BuildError(
            f"the reference firmware has no port for {soc}",
            expected=", ".join(known),
            remedy="add one (docs/adding-a-soc.md), or name a bootloader of your own in mcuboot.bootloader",
        )
    facts = tomllib.loads((sources_folder() / "port" / soc / _CHIP_FILE).read_text(encoding="utf-8"))
    return _Chip(facts["cpu"], Region(facts["ram"]["address"], facts["ram"]["size"]))


def chip_ram(soc: str) -> Region:
    """The RAM that programs for this SoC are linked for."""
    return _chip(soc).ram


def _program(
    name: str,
    layout: FirmwareLayout,
    part: str,
    flash: Region,
    defines: Mapping[str, str | int],
    extra: tuple[Path, ...] = (),
) -> Program:
    chip = _chip(layout.soc)
    root = sources_folder()
    port = root / "port"
    return Program(
        name=f"{layout.board}-{name}",
        cpu=chip.cpu,
        sources=[
            *sorted((root / part).glob("*.c")),
            *sorted((root / "lib").glob("*.c")),
            port / "startup.c",
            port / layout.soc / "port.c",
            *extra,
        ],
        linker_script=port / "link.ld",
        headers=[root / part, root / "lib", port, port / layout.soc, *{folder.parent for folder in extra}],
        generated={"board_config.h": layout.header()},
        defines=defines,
        linker_symbols={
            "FLASH_ORIGIN": flash.address,
            "FLASH_SIZE": flash.size,
            "RAM_ORIGIN": chip.ram.address,
            "RAM_SIZE": chip.ram.size,
        },
    )


def bootloader_program(layout: FirmwareLayout, *, options: Mapping[str, int] | None = None) -> Program:
    """The bootloader. ``options`` are further C defines, such as ``DEFECT_name``."""
    recovery = sorted((sources_folder() / "bootloader" / "recovery").glob("*.c"))
    return _program(
        "bootloader",
        layout,
        "bootloader",
        layout.bootloader,
        options or {},
        (*(recovery if layout.serial_recovery else ()), monocypher_folder() / "monocypher.c"),
    )


def application_program(
    layout: FirmwareLayout,
    behaviour: Behaviour = Behaviour.GOOD,
    *,
    secondary: bool = False,
    options: Mapping[str, int] | None = None,
) -> Program:
    """The application for a slot of the first component, to be signed by the caller."""
    component = layout.components[0]
    slot = component.secondary if secondary else component.primary
    body = Region(slot.address + layout.header_size, slot.size - layout.header_size)
    return _program(
        f"app-{behaviour}" + "-secondary" * secondary,
        layout,
        "app",
        body,
        {f"BEHAVIOUR_{behaviour.upper()}": 1, **(options or {})},
    )
