"""Names in a board file that are found wrong only when a device is opened or firmware is built.

They are looked up on request: pyOCD's list of targets takes a second to load.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from harness.emulator import soc_names
from harness.renode import platform_names

from ._checks import Fault, Sections
from ._model import Flash, Mcuboot
from ._problems import nearest
from ._yaml import Path

__all__ = ["check_names"]

_STORAGE: Final = "storage"
_STORAGE_SECTORS: Final = 2


def check_names(sections: Sections, firmware_ports: Collection[str]) -> Iterator[Fault]:
    """Models, the debug target, the SoC, and the partition that the reference firmware keeps its state in."""
    if sections.soc is not None and sections.mcuboot:
        yield from _check_soc(sections.soc, sections.mcuboot, firmware_ports)
    if sections.emulator is not None:
        yield from _unknown("model of a SoC", sections.emulator, soc_names(), ("emulator",))
    if sections.renode is not None:
        yield from _unknown("platform for Renode", sections.renode, platform_names(), ("renode",))
    if sections.debug is not None:
        yield from _check_target(sections.debug.target)
    if sections.flash and sections.mcuboot:
        yield from _check_storage(sections.flash, sections.mcuboot)


def _unknown(kind: str, name: str, known: Iterable[str], path: Path) -> Iterator[Fault]:
    known = list(known)
    if name not in known:
        remedy = nearest(name, known) or "leave the field out, and run the board as hardware"
        yield Fault(path, f"no such {kind}", repr(name), "one of " + ", ".join(known), remedy)


def _check_target(name: str) -> Iterator[Fault]:
    """Built into pyOCD, or in a CMSIS pack that is installed; names are compared as pyOCD does."""
    from pyocd.target import TARGET, normalise_target_type_name
    from pyocd.target.pack import pack_target

    path, wanted = ("debug", "target"), normalise_target_type_name(name)
    if wanted in TARGET:
        return
    try:
        index = pack_target.cmsis_pack_manager.Cache(True, True).index if pack_target.CPM_AVAILABLE else {}
        offered = {normalise_target_type_name(part): entry["from_pack"] for part, entry in index.items()}
        pack = "{vendor}.{pack} {version}".format(**offered[wanted]) if wanted in offered else ""
        targets = pack_target.ManagedPacks.get_installed_targets()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = "neither built into pyOCD, nor can its index of CMSIS packs be read"
        yield Fault(
            path, what, f"{name!r}, {type(error).__name__}", "", "pyocd pack clean, then pyocd pack update"
        )
        return
    installed = {normalise_target_type_name(found.part_number) for found in targets}
    if wanted in installed:
        yield Fault(
            path, f"pyOCD has it from a CMSIS pack, {pack or 'of this machine'}", repr(name), note=True
        )
    elif pack:
        remedy = f"pyocd pack install {name}"
        yield Fault(path, "the CMSIS pack of this target is not installed", repr(name), pack, remedy)
    else:
        remedy = nearest(wanted, [*TARGET, *installed]) or "if a CMSIS pack has it: pyocd pack install NAME"
        yield Fault(path, "pyOCD has no such target", repr(name), "a name of 'pyocd list --targets'", remedy)


def _who_is_built(mcuboot: Mcuboot) -> tuple[str, bool]:
    """Reference firmware, or its application alone: what then lacks is a note."""
    own = mcuboot.bootloader != "reference"
    return "the suite's application" if own else "the reference firmware", own


def _check_soc(soc: str, mcuboot: Mcuboot, firmware_ports: Collection[str]) -> Iterator[Fault]:
    if soc.lower() not in firmware_ports:
        who, own = _who_is_built(mcuboot)
        remedy = nearest(soc.lower(), firmware_ports) or "add a port, see docs/adding-a-soc.md"
        yield Fault(("soc",), f"{who} has no port for it", repr(soc), ", ".join(firmware_ports), remedy, own)


def _check_storage(flash: Flash, mcuboot: Mcuboot) -> Iterator[Fault]:
    who, own = _who_is_built(mcuboot)
    least = _STORAGE_SECTORS * flash.sector_size
    there = flash.partitions.get(_STORAGE)
    expected = f"at least {_STORAGE_SECTORS} sectors, {least:#x}"
    if there is None:
        remedy = nearest(_STORAGE, flash.partitions) or f"add {_STORAGE} to flash.partitions"
        what = f"{who} needs a partition {_STORAGE!r} for its state"
        yield Fault(("flash", "partitions"), what, ", ".join(flash.partitions), expected, remedy, own)
    elif there.size < least:
        path = ("flash", "partitions", _STORAGE, "size")
        yield Fault(path, f"too small for {who}", f"{there.size:#x}", expected, f"make it {least:#x}", own)
