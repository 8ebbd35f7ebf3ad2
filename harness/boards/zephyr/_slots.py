"""Flash map and components: from the devicetree, or from the partition manager where that decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from .._yaml import Value
from ._devicetree import FlashDevice, Region, Tree
from ._facts import Fact, Findings
from ._folder import Build
from ._settings import image_count

__all__ = ["Map", "flash_map"]

_APPLICATION: Final = "app"
#: what the partition manager calls things that the devicetree has other names for
_MANAGED: Final = {
    "mcuboot": "boot",
    "mcuboot_scratch": "scratch",
    "settings_storage": "storage",
    "nvs_storage": "storage",
}
_MAIN: Final = "flash_primary"


@dataclass(slots=True)
class Map:
    """Partitions by the names that the board file gets, and which of them are slots."""

    flash: Fact[FlashDevice]
    partitions: dict[str, Fact[Region]] = field(default_factory=dict)
    components: list[dict[str, Any]] = field(default_factory=list)


def flash_map(build: Build, findings: Findings, *, single: bool) -> Map | None:
    """Everything about flash; ``None`` after having said what is missing. ``single``: no secondary slots."""
    trees = [domain.tree for domain in (build.mcuboot, build.default) if domain is not None and domain.tree]
    flashes = [tree.flash for tree in trees if tree.flash is not None]
    if not flashes:
        if trees and not findings.problems:
            findings.refuse(trees[0].file, "names no flash", name="chosen", expected="zephyr,flash")
        return None
    findings.differ("flash", flashes, remedy="build application and boot loader for the same board")
    flash = flashes[0]
    _check_geometry(flash, findings)
    if build.partitions is not None:
        found = _managed(build, flash.value, findings)
        names = [(f"mcuboot_primary{_tail(n)}", f"mcuboot_secondary{_tail(n)}") for n in range(16)]
    else:
        found = _declared(trees, findings)
        names = [(f"slot{2 * n}", f"slot{2 * n + 1}") for n in range(16)]
    result = Map(flash)
    _components(result, found, names, build, findings, single=single)
    _keep(result, found, flash.value)
    return result


def _tail(number: int) -> str:
    return f"_{number}" if number else ""


def _check_geometry(flash: Fact[FlashDevice], findings: Findings) -> None:
    for name, value in (
        ("reg", flash.value.size),
        ("erase-block-size", flash.value.sector),
        ("write-block-size", flash.value.write),
    ):
        if not value:
            findings.refuse(
                flash, "missing", name=f"{flash.value.path}: {name}", remedy="the flash node has to say it"
            )


def _declared(trees: list[Tree], findings: Findings) -> dict[str, Fact[Region]]:
    """Partitions of all trees; the same label has to be the same place."""
    found: dict[str, Fact[Region]] = {}
    for tree in trees:
        for name, fact in tree.partitions.items():
            earlier = found.setdefault(name, fact)
            if earlier is not fact and (name.startswith("slot") or name in ("boot", "scratch")):
                findings.differ(
                    f"{name}_partition",
                    [earlier, fact],
                    remedy="give application and boot loader the same partitions",
                )
    return found


def _managed(build: Build, flash: FlashDevice, findings: Findings) -> dict[str, Fact[Region]]:
    """Partitions of partitions.yml: ``address`` counts from the start of their region."""
    document = build.partitions
    assert document is not None
    assert isinstance(document.value, dict)
    found: dict[str, Fact[Region]] = {}
    for name, entry in document.value.items():
        line = document.line([name])
        address, size = _number(entry, "address"), _number(entry, "size")
        region = entry.get("region") if isinstance(entry, dict) else None
        at = Fact(None, build.partitions_file, line)
        if address is None or size is None or not isinstance(region, str):
            findings.refuse(at, "no partition", name=name, expected="address, size and region")
            continue
        inside = region == _MAIN
        place = Region(
            address - (flash.base if inside and address >= flash.base else 0),
            size,
            flash.path if inside else region,
        )
        found[_MANAGED.get(name, name)] = Fact(place, at.file, line)
    return found


def _number(entry: Value, name: str) -> int | None:
    value = entry.get(name) if isinstance(entry, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _components(
    result: Map,
    found: dict[str, Fact[Region]],
    names: list[tuple[str, str]],
    build: Build,
    findings: Findings,
    *,
    single: bool,
) -> None:
    count = image_count(build)
    present = 0
    while present < len(names) and names[present][0] in found:
        present += 1
    wanted = count.value if count else min(present, 1)
    at: Any = count or build.partitions_file if build.partitions else count or result.flash
    if wanted > present or not wanted:
        findings.refuse(
            at,
            "fewer slots than images",
            name="CONFIG_UPDATEABLE_IMAGE_NUMBER",
            found=f"{present} primary slots",
            expected=f"{max(wanted, 1)}: " + ", ".join(primary for primary, _ in names[: max(wanted, 1)]),
            remedy="add the partitions, or build MCUboot for fewer images",
        )
        return
    for number, (primary, secondary) in enumerate(names[:wanted]):
        component: dict[str, Any] = {"name": f"image{number}" if number else _APPLICATION, "image": number}
        for slot, name in (("primary", primary), ("secondary", secondary)):
            if slot == "secondary" and single:
                continue
            fact = found.get(name)
            if fact is None:
                findings.refuse(
                    at, "no such partition", name=name, expected=f"the {slot} slot of image {number}"
                )
                continue
            if fact.value.device != result.flash.value.path:
                findings.refuse(
                    fact,
                    "a slot outside of the flash that programs run from: board files describe one flash",
                    name=name,
                    found=fact.value.device,
                    expected=result.flash.value.path,
                )
            component[slot] = name
        result.components.append(component)


def _keep(result: Map, found: dict[str, Fact[Region]], flash: FlashDevice) -> None:
    """Boot loader, slots and scratch; of the others those that lie beside all that is kept."""
    slots = {component.get(slot) for component in result.components for slot in ("primary", "secondary")}
    first = [name for name in found if name in ("boot", "scratch") or name in slots]
    for name in (*first, *(name for name in found if name not in first)):
        region = found[name].value
        if region.device != flash.path or not region.size:
            continue
        kept = [fact.value for fact in result.partitions.values()]
        if name in first or all(
            region.offset + region.size <= other.offset or other.offset + other.size <= region.offset
            for other in kept
        ):
            result.partitions[name] = found[name]
