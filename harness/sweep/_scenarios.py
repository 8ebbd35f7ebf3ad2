"""Scenarios by name: which images lie where, what is asked for, and how far the board is to run."""

from __future__ import annotations

import dataclasses
import hashlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .._errors import BoardError, CapabilityMissing, SweepError
from ..boards import Board, Component
from ..firmware import Elf, application_program, compile_program, firmware_layout
from ..mcuboot import FlashArea, Image, Version, sign
from ..updates import ImageFactory, SignedImage, staged
from ._record import Setup
from ._recording import Part

__all__ = ["DOWNLOAD", "SCENARIOS", "Maker", "Options", "maker_for"]

_OLD: Final = "1.0.0"
_NEW: Final = "2.0.0"
#: Thumb: `wfi`, and a branch back to it
_SLEEP: Final = bytes.fromhex("30bffde7")
#: Thumb: `ldr r0, address`, `ldr r1, word`, `str r1, [r0]`, and a branch back to that; the two follow
_FEED: Final = bytes.fromhex("014802490160fde7")
_STACK: Final = 0x20001000
#: header, TLVs and some room, in bytes
_AROUND: Final = 1024
_STORAGE: Final = "storage"
_ELF: Final = b"\x7fELF"
#: architectures whose programs the emulated cores run; a file need not say
_CORES: Final = {"v6-M", "v6S-M", "v7-M", "v7E-M", ""}
#: the scenario that is recorded on a device with a server
DOWNLOAD: Final = "download"


@dataclass(frozen=True, slots=True)
class Options:
    """What a user may choose.

    ``images`` are signed images by role: ``NAME`` for a component's update, ``NAME.old`` for what
    it has before. ``size`` and ``old_size`` are the payloads', in bytes, of images that are made.
    ``component`` is the one to update where the scenario updates one (default: the first).
    ``build`` are C defines for the reference firmware. An application counts as settled when it has
    left flash alone for ``settle`` milliseconds. ``feed`` is an address and the word that made images
    write there for ever, for a watchdog that would end their sleep.
    """

    bootloader: Path | None = None
    images: Mapping[str, bytes] = field(default_factory=dict)
    size: int = 20_000
    old_size: int | None = None
    component: str | None = None
    build: Mapping[str, int] = field(default_factory=dict)
    settle: int = 400
    feed: tuple[int, int] | None = None


class Maker:
    """Puts the starts of scenarios together."""

    def __init__(self, board: Board, options: Options) -> None:
        if options.bootloader is not None:
            board = _with_bootloader(board, options.bootloader)
        self.board, self.options = board, options
        self.factory = ImageFactory(board, options=options.build)
        for role in options.images:
            board.component(role.removesuffix(".old"))

    def named(self, name: str) -> Setup:
        """A scenario by name. Raises `SweepError`, `CapabilityMissing` and what making images raises."""
        if name not in SCENARIOS:
            raise SweepError(f"no scenario {name!r}", expected=", ".join(SCENARIOS))
        return SCENARIOS[name][0](self)

    def inert(self, component: Component, version: str, size: int, **signing: Any) -> bytes:
        """A signed image whose program only sleeps, or keeps a watchdog from biting."""
        room = self.board.max_image_size(component) - self.board.mcuboot.header_size - _AROUND
        slot = self.board.partition(component.primary)
        code = slot.address + self.board.mcuboot.header_size + 8
        body = _SLEEP if self.options.feed is None else _FEED + struct.pack("<II", *self.options.feed)
        program = _STACK.to_bytes(4, "little") + (code | 1).to_bytes(4, "little") + body
        # Any bytes will do, as long as no two sectors of the two images are the same.
        wanted = max(min(size, room), len(program))
        noise = hashlib.shake_128(f"{component.name} {version}".encode()).digest(wanted - len(program))
        options = self.board.signing_options(component, version=version, **signing)
        return sign(program + noise, options)

    def image(
        self, component: Component, *, old: bool = False, dependencies: Mapping[int, Version] | None = None
    ) -> bytes:
        """The user's image for a role, or one that is made."""
        role = component.name + ".old" * old
        if role in self.options.images:
            data = self.options.images[role]
            if not Image.parse(data).walkable:
                raise SweepError("no signed image", where=f"image for {role}", found=f"{len(data)} bytes")
            return data
        size = self.options.size
        if old and self.options.old_size is not None:
            size = self.options.old_size
        version = _OLD if old else _NEW
        return self.inert(component, version, size, dependencies=dependencies or {})

    def application(self, component: Component, *, old: bool = False) -> bytes:
        """The same from the reference application."""
        role = component.name + ".old" * old
        if role in self.options.images:
            return self.image(component, old=old)
        return self.factory.make(component, _OLD if old else _NEW).data

    def application_files(self) -> list[Path]:
        """ELF files of the reference application."""
        program = application_program(firmware_layout(self.board), options=self.options.build)
        return [compile_program(program)]

    def updated(self) -> Component:
        """The component to update."""
        wanted = self.options.component
        return self.board.components[0] if wanted is None else self.board.component(wanted)

    def part(self, component: Component, old: bytes, new: bytes | None) -> Part:
        assert component.secondary is not None
        return Part(
            component.name,
            self.board.partition(component.primary),
            self.board.partition(component.secondary),
            self.board.upload_offset(component),
            old,
            new,
        )

    def staged(self, part: Part, *, permanent: bool) -> dict[int, bytes]:
        """The update in its secondary slot, with the request as an application writes it."""
        assert part.new is not None
        image = SignedImage(part.name, Version.parse(_NEW), part.new, part.name)
        return staged(self.board, image, permanent=permanent)

    def bootloader(self) -> dict[int, bytes]:
        """The boot loader by address. Raises `SweepError` or `ImageError` if this board cannot run it."""
        file, board = self.factory.bootloader_file(), self.board
        content = self.factory.bootloader()
        if file.read_bytes()[:4] == _ELF and (core := Elf.read(file).architecture) not in _CORES:
            raise SweepError(
                "built for another core",
                where=f"boot loader {file}",
                expected=f"Arm {', '.join(sorted(_CORES - {''}))}",
                found=core,
            )
        if not any(data.strip(b"\xff") for data in content.values()):
            raise SweepError("nothing in it", where=f"boot loader {file}")
        room = board.partition(board.mcuboot.partition)
        flash = board.flash.base, board.flash.base + board.flash.size
        for address, data in content.items():
            outside = address + len(data) <= flash[0] or flash[1] <= address  # configuration, such as UICR
            if not (outside or (room.address <= address and address + len(data) <= room.end)):
                raise SweepError(
                    f"does not fit into the partition {board.mcuboot.partition!r} of board {board.name}",
                    where=f"boot loader {file}",
                    expected=f"{room}",
                    found=f"{address:#x}..{address + len(data) - 1:#x}",
                    remedy="give the board file the partitions that the boot loader was built with",
                )
        return content

    def setup(
        self,
        scenario: str,
        parts: tuple[Part, ...],
        *,
        permanent: bool = False,
        offered: bool = True,
        lead: int = 0,
        settle: int = 0,
    ) -> Setup:
        """Bootloader, old images and, if ``offered``, staged updates."""
        content = self.bootloader()
        for part in parts:
            content[part.primary.address] = part.old
            if part.new is not None and offered:
                content |= self.staged(part, permanent=permanent)
        return self.setup_from(scenario, content, parts, lead=lead, settle=settle, installs=offered)

    def setup_from(
        self,
        scenario: str,
        content: Mapping[int, bytes],
        parts: tuple[Part, ...],
        *,
        lead: int = 0,
        settle: int = 0,
        installs: bool = False,
    ) -> Setup:
        """A scenario that begins with this content."""
        board = self.board
        return Setup(
            scenario=scenario,
            board=board.name,
            target=board.debug.target,
            soc=board.emulator or "",
            content=content,
            settings=board.boot_settings(),
            parts=parts,
            bootloader=board.partition(board.mcuboot.partition),
            allowed=tuple(self._allowed(application=settle > 0)),
            lead=lead,
            settle=settle,
            installs=installs,
        )

    def _allowed(self, *, application: bool) -> list[FlashArea]:
        """What may change: slots, scratch, the application's storage, stored security counters."""
        board, settings = self.board, self.board.boot_settings()
        areas = [area for _, area in settings.areas()]
        areas += [settings.scratch] if settings.scratch else []
        areas += [board.partition(_STORAGE)] if application and _STORAGE in board.flash.partitions else []
        if settings.rollback_protection:
            loader = board.partition(board.mcuboot.partition)
            areas.append(FlashArea(loader.end - 2 * settings.sector_size, 2 * settings.sector_size))
        return areas


def _with_bootloader(board: Board, file: Path) -> Board:
    if not file.is_file():
        raise SweepError("no such file", where=f"boot loader {file}")
    mcuboot = board.content.mcuboot.model_copy(update={"bootloader": str(file.absolute())})
    return dataclasses.replace(board, content=board.content.model_copy(update={"mcuboot": mcuboot}))


def _one(maker: Maker, scenario: str, *, permanent: bool = False, lead: int = 0) -> Setup:
    """One component's update; the others stay."""
    chosen = maker.updated()
    parts = tuple(
        maker.part(
            component,
            maker.image(component, old=True),
            maker.image(component) if component.name == chosen.name else None,
        )
        for component in maker.board.components
    )
    return maker.setup(scenario, parts, permanent=permanent, lead=lead)


def _test(maker: Maker) -> Setup:
    return _one(maker, "test")


def _permanent(maker: Maker) -> Setup:
    return _one(maker, "permanent", permanent=True)


def _revert(maker: Maker) -> Setup:
    maker.board.require("revert")
    return _one(maker, "revert", lead=1)


def _dependency(maker: Maker) -> Setup:
    maker.board.require("two-images")
    needs = {component.image: Version.parse(_NEW) for component in maker.board.components[1:]}
    parts = tuple(
        maker.part(
            component,
            maker.image(component, old=True),
            maker.image(component, dependencies=needs if component.image == 0 else {}),
        )
        for component in maker.board.components
    )
    return maker.setup("dependency", parts)


def _confirm(maker: Maker) -> Setup:
    maker.board.require("revert")
    parts = tuple(
        maker.part(
            component,
            maker.application(component, old=True),
            maker.application(component) if component.image == 0 else None,
        )
        for component in maker.board.components
    )
    return maker.setup("confirm", parts, settle=maker.options.settle)


def _download(maker: Maker) -> Setup:
    maker.board.require("revert", "lwm2m")
    chosen = maker.updated()
    parts = tuple(
        maker.part(
            component,
            maker.application(component, old=True),
            maker.application(component) if component.name == chosen.name else None,
        )
        for component in maker.board.components
    )
    return maker.setup(DOWNLOAD, parts, offered=False, settle=maker.options.settle)


SCENARIOS: Final[Mapping[str, tuple[Callable[[Maker], Setup], str]]] = {
    "test": (_test, "a test update, which nobody confirms"),
    "permanent": (_permanent, "a permanent update"),
    "revert": (_revert, "the way back from a test update that nobody confirmed"),
    "dependency": (_dependency, "updates of all components, the first depends on the others"),
    "confirm": (_confirm, "a test update of the reference application, which confirms itself"),
    DOWNLOAD: (_download, "an update over LwM2M: downloaded, requested, installed, confirmed"),
}


def maker_for(board: Board, options: Options | None = None, *, emulated: bool = True) -> Maker:
    """Makes scenarios of a board. Raises `CapabilityMissing` or `BoardError` for one that can have none."""
    if emulated and board.emulator is None:
        raise CapabilityMissing("emulator", board=board.name)
    mode = board.mcuboot.swap_mode
    if not (mode.swaps or mode.overwrites):
        raise CapabilityMissing("swap or overwrite mode, which power-cut scenarios need", board=board.name)
    if any(component.secondary is None for component in board.components):
        raise BoardError("a component without secondary slot cannot be updated", where=str(board.file))
    return Maker(board, options or Options())
