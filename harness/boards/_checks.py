"""Rules that span fields: the flash map, MCUboot's limits, components, ports.

Sections that did not pass on their own are ``None``; rules that need them wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from harness._errors import BoardError
from harness.mcuboot import HEADER_SIZE, KeyType, SwapMode, TrailerLayout

from ._model import BoardFile, Component, Debug, Flash, Mcuboot, Partition, SerialPort
from ._problems import nearest
from ._quantities import size_text
from ._yaml import Path

_DIGESTS: Final = {
    KeyType.ED25519: ("sha256", "sha512"),
    KeyType.ECDSA_P256: ("sha256",),
    KeyType.ECDSA_P384: ("sha384",),
    KeyType.RSA_2048: ("sha256",),
    KeyType.RSA_3072: ("sha256",),
}
_LARGEST_HEADER: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class Fault:
    """A broken rule at a field; the file and line are added later."""

    path: Path
    what: str
    found: str = ""
    expected: str = ""
    remedy: str = ""
    note: bool = False


@dataclass(frozen=True, slots=True)
class Sections:
    """The parts of a board file that are right by themselves."""

    flash: Flash | None
    mcuboot: Mcuboot | None
    components: Sequence[Component] | None
    serial: Sequence[SerialPort] | None
    debug: Debug | None = None
    emulator: str | None = None
    renode: str | None = None
    soc: str | None = None


def check(sections: Sections) -> Iterator[Fault]:
    """All broken rules."""
    flash, mcuboot, components = sections.flash, sections.mcuboot, sections.components
    if flash:
        yield from _check_flash(flash)
    if mcuboot:
        yield from _check_mcuboot(mcuboot)
    if flash and mcuboot:
        yield from _check_alignment(flash, mcuboot)
        yield from _check_own_partitions(flash, mcuboot)
    if components is not None:
        yield from _check_numbers(components)
    if flash and mcuboot and components is not None:
        yield from _check_slots(flash, mcuboot, components)
    if sections.serial is not None:
        yield from _repeated([port.role for port in sections.serial], ("serial",), "role")


def check_smp(content: BoardFile) -> Iterator[Fault]:
    """Where updates can travel over SMP there is a way for it."""
    wanted = "smp" in content.protocols and content.smp is None
    if wanted and not any("smp" in port.carries for port in content.serial):
        yield Fault(
            ("protocols", content.protocols.index("smp")),
            "there is no way for SMP to the device",
            "no serial port carries smp",
            "a serial port that carries smp, or the field smp",
            "add smp to serial[].carries, or its host as smp: { host: NAME }",
        )


def _repeated(values: Sequence[object], path: Path, name: str) -> Iterator[Fault]:
    """One fault for each value that was there before; ``None`` may repeat."""
    seen: dict[object, int] = {}
    for index, value in enumerate(values):
        if value is None:
            continue
        if value in seen:
            what = f"same {name.replace('_', ' ')} as {path[-1]}[{seen[value]}]"
            yield Fault((*path, index, name), what, str(value), "each one once", "give it one of its own")
        else:
            seen[value] = index


def _check_flash(flash: Flash) -> Iterator[Fault]:
    sector = flash.sector_size
    if sector == 0 or sector % flash.write_alignment:
        yield Fault(
            ("flash", "sector_size"),
            "not a multiple of the write alignment",
            size_text(sector),
            f"a multiple of {flash.write_alignment}",
            "take the erase size of the flash from the data sheet",
        )
        return
    for name in ("base", "size"):
        yield from _unaligned(getattr(flash, name), sector, ("flash", name))
    if flash.size == 0:
        yield Fault(("flash", "size"), "empty", "0", "more than 0")
    for name, partition in flash.partitions.items():
        yield from _check_partition(flash, name, partition)
    yield from _overlaps(flash)


def _check_partition(flash: Flash, name: str, partition: Partition) -> Iterator[Fault]:
    path = ("flash", "partitions", name)
    yield from _unaligned(partition.offset, flash.sector_size, (*path, "offset"))
    yield from _unaligned(partition.size, flash.sector_size, (*path, "size"))
    if partition.size == 0:
        yield Fault((*path, "size"), "empty", "0", "at least one sector")
    end = partition.offset + partition.size
    if end > flash.size:
        room = flash.size - partition.offset
        yield Fault(
            (*path, "size"),
            "ends outside of the flash",
            f"{size_text(partition.offset)} + {size_text(partition.size)} = {size_text(end)}",
            f"an end at or before {size_text(flash.size)}",
            f"make it at most {size_text(room)}" if room > 0 else "move it into the flash",
        )


def _unaligned(value: int, unit: int, path: Path) -> Iterator[Fault]:
    if value % unit:
        low = value - value % unit
        yield Fault(
            path,
            "not aligned to a sector",
            size_text(value),
            f"a multiple of {size_text(unit)}",
            f"use {low:#x} or {low + unit:#x}",
        )


def _overlaps(flash: Flash) -> Iterator[Fault]:
    ordered = sorted(flash.partitions.items(), key=lambda item: (item[1].offset, item[1].size))
    last_name, last_end = "", 0
    for name, partition in ordered:
        if partition.offset < last_end and partition.size:
            yield Fault(
                ("flash", "partitions", name, "offset"),
                f"overlaps {last_name}",
                size_text(partition.offset),
                f"at or behind the end of {last_name}, {size_text(last_end)}",
                f"move it to {last_end:#x} or make {last_name} smaller",
            )
        if partition.offset + partition.size > last_end:
            last_name, last_end = name, partition.offset + partition.size


def _check_mcuboot(mcuboot: Mcuboot) -> Iterator[Fault]:
    if not HEADER_SIZE <= mcuboot.header_size <= _LARGEST_HEADER:
        yield Fault(
            ("mcuboot", "header_size"),
            "impossible header size",
            str(mcuboot.header_size),
            f"{HEADER_SIZE} to {_LARGEST_HEADER}",
            "use 0x200, which suits the vector table of any Cortex-M",
        )
    digests = _DIGESTS[mcuboot.signature.type]
    if mcuboot.hash not in digests:
        yield Fault(
            ("mcuboot", "hash"),
            f"{mcuboot.signature.type} does not go with this digest",
            mcuboot.hash,
            " or ".join(digests),
            f"use {digests[0]}",
        )


def _check_alignment(flash: Flash, mcuboot: Mcuboot) -> Iterator[Fault]:
    if flash.write_alignment > mcuboot.max_alignment:
        yield Fault(
            ("mcuboot", "max_alignment"),
            "smaller than the write alignment of the flash",
            str(mcuboot.max_alignment),
            f"at least {flash.write_alignment}",
            f"use {flash.write_alignment}",
        )


def _check_own_partitions(flash: Flash, mcuboot: Mcuboot) -> Iterator[Fault]:
    yield from _unknown_partition(flash, mcuboot.partition, ("mcuboot", "partition"))
    if mcuboot.swap_mode is not SwapMode.SCRATCH:
        return
    yield from _unknown_partition(flash, mcuboot.scratch, ("mcuboot", "scratch"))
    scratch = flash.partitions.get(mcuboot.scratch)
    if scratch and scratch.size < flash.sector_size:
        yield Fault(
            ("flash", "partitions", mcuboot.scratch, "size"),
            "scratch cannot hold the largest sector",
            size_text(scratch.size),
            f"at least {size_text(flash.sector_size)}",
            f"make it {flash.sector_size:#x} or a multiple of that",
        )


def _unknown_partition(flash: Flash, name: str, path: Path) -> Iterator[Fault]:
    if name not in flash.partitions:
        known = ", ".join(flash.partitions) or "none"
        remedy = nearest(name, flash.partitions) or f"add {name} to flash.partitions"
        yield Fault(path, "no such partition", repr(name), f"one of {known}", remedy)


def _check_numbers(components: Sequence[Component]) -> Iterator[Fault]:
    path = ("components",)
    for name in ("name", "image", "lwm2m_instance"):
        yield from _repeated([getattr(component, name) for component in components], path, name)
    numbers = {component.image for component in components}
    for index, component in enumerate(components):
        missing = sorted(set(range(component.image)) - numbers)
        if missing:
            yield Fault(
                (*path, index, "image"),
                "image numbers have a gap",
                str(component.image),
                f"image {missing[0]} in another component",
                f"use {missing[0]}",
            )


def _check_slots(flash: Flash, mcuboot: Mcuboot, components: Sequence[Component]) -> Iterator[Fault]:
    single = mcuboot.swap_mode is SwapMode.SINGLE
    taken = {mcuboot.partition: "the boot loader"}
    if mcuboot.swap_mode is SwapMode.SCRATCH:
        taken[mcuboot.scratch] = "swap mode scratch"
    for index, component in enumerate(components):
        path: Path = ("components", index)
        if component.secondary is None and not single:
            yield Fault(
                path,
                "no secondary slot",
                component.name,
                f"secondary, as swap mode {mcuboot.swap_mode} updates from it",
                "add secondary",
            )
        if component.secondary is not None and single:
            yield Fault(
                (*path, "secondary"),
                "swap mode single has no secondary slots",
                component.secondary,
                "",
                "remove it, or choose another swap mode",
            )
        complete = True
        for slot in ("primary", "secondary"):
            name = getattr(component, slot)
            if name is None:
                continue
            faults = list(_unknown_partition(flash, name, (*path, slot)))
            yield from faults
            complete = complete and not faults
            if name in taken:
                what = f"partition is used by {taken[name]} already"
                yield Fault(
                    (*path, slot), what, repr(name), "a partition of its own", "add a partition for it"
                )
            taken.setdefault(name, f"{component.name} {slot}")
        if complete:
            yield from _check_slot_sizes(flash, mcuboot, component, path)


def _check_slot_sizes(flash: Flash, mcuboot: Mcuboot, component: Component, path: Path) -> Iterator[Fault]:
    sizes = {slot: flash.partitions[name].size for slot, name in _slot_names(component)}
    if not flash.sector_size or any(not size or size % flash.sector_size for size in sizes.values()):
        return  # said above
    for slot, name in _slot_names(component):
        yield from _check_trailer(flash, mcuboot, name, (*path, slot))
    sectors = {slot: size // flash.sector_size for slot, size in sizes.items()}
    most = max(sectors, key=lambda slot: sectors[slot])
    if sectors[most] > mcuboot.max_sectors and not mcuboot.swap_mode.selects:
        yield Fault(
            ("mcuboot", "max_sectors"),
            f"too few for {getattr(component, most)}",
            str(mcuboot.max_sectors),
            f"at least {sectors[most]}",
            f"build MCUboot with {sectors[most]} and say so here",
        )
    if "secondary" in sectors:
        yield from _check_pair(flash, mcuboot, component, sectors, path)


def _slot_names(component: Component) -> list[tuple[str, str]]:
    pairs = (("primary", component.primary), ("secondary", component.secondary))
    return [(slot, name) for slot, name in pairs if name is not None]


def _check_pair(
    flash: Flash, mcuboot: Mcuboot, component: Component, sectors: dict[str, int], path: Path
) -> Iterator[Fault]:
    """Whether MCUboot takes the two slots for a pair, see ``boot_slots_compatible`` in bootutil."""
    mode, ours, theirs = mcuboot.swap_mode, sectors["primary"], sectors["secondary"]
    if mode.selects:
        return
    allowed = {SwapMode.MOVE: (0, 1), SwapMode.OFFSET: (0, -1)}.get(mode, (0,))
    if ours - theirs in allowed:
        return
    best = theirs + allowed[-1]
    rule = {
        SwapMode.MOVE: "the size of the secondary, or better one sector more",
        SwapMode.OFFSET: "the size of the secondary, or better one sector less",
    }.get(mode, "the size of the secondary")
    yield Fault(
        (*path, "primary"),
        f"slots of {component.name} do not go together in swap mode {mode}",
        f"{component.primary} {size_text(ours * flash.sector_size)}, "
        f"{component.secondary} {size_text(theirs * flash.sector_size)}",
        rule,
        f"make {component.primary} {best * flash.sector_size:#x}",
    )


def _check_trailer(flash: Flash, mcuboot: Mcuboot, name: str, path: Path) -> Iterator[Fault]:
    """The trailer has to leave room for an image."""
    size, mode = flash.partitions[name].size, mcuboot.swap_mode
    if flash.write_alignment > mcuboot.max_alignment:
        return  # said above
    try:
        layout = TrailerLayout(
            1 << 32, mode, flash.write_alignment, mcuboot.max_alignment, mcuboot.max_sectors
        )
    except BoardError as error:  # more sectors than any slot could have
        yield Fault(("mcuboot", "max_sectors"), error.what, str(mcuboot.max_sectors), error.expected or "")
        return
    sector = flash.sector_size
    trailer = -(-layout.size // sector) * sector
    spare = sector if mode in (SwapMode.MOVE, SwapMode.OFFSET) else 0
    if trailer + spare >= size:
        yield Fault(
            path,
            "slot has no room for an image beside its trailer",
            f"{name} {size_text(size)}",
            f"more than {size_text(trailer + spare)}: {layout.size} bytes of trailer in whole sectors",
            "make the slot larger, or build MCUboot with fewer sectors",
        )
