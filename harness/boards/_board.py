"""A board as the rest of the harness uses it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from harness._errors import BoardError, CapabilityMissing
from harness.mcuboot import (
    BootSettings,
    DowngradePrevention,
    FlashArea,
    ImageAreas,
    PublicKey,
    SigningKey,
    SigningOptions,
    SwapMode,
    Version,
    max_image_size,
)

from ._load import Loaded, load_file, refusal
from ._model import BoardFile, Component, Debug, Flash, Mcuboot, SerialPort, SmpServer
from ._problems import Problem, nearest
from ._variant import Changes

_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")

#: Every name that `Board.capabilities` may contain, and those that a device adds.
KNOWN_CAPABILITIES: Final = frozenset(
    {mode.value for mode in SwapMode}
    | {f"{count}-images" for count in _NUMBERS[2:]}
    | {
        "revert",
        "installs",
        "in-place",
        "lwm2m",
        "smp",
        "updates",
        "console",
        "slipmux",
        "emulator",
        "signing",
        "power",
        "flash-journal",
    }
    | {"downgrade-prevention", "rollback-protection", "serial-recovery"}
)


def check_capability(name: str) -> None:
    """Raise `BoardError` for a name that no board can ever have: a misspelt one would skip for ever."""
    if name not in KNOWN_CAPABILITIES:
        raise BoardError(
            f"no capability is called {name!r}",
            expected=", ".join(sorted(KNOWN_CAPABILITIES)),
            remedy=nearest(name, KNOWN_CAPABILITIES) or None,
        )


def check_board(file: Path | str, *, firmware_ports: Collection[str] | None = None) -> tuple[Problem, ...]:
    """Everything that is wrong with a board file; nothing but notes if it can be loaded.

    With the SoCs that the reference firmware has ports for (`harness.firmware.firmware_ports`) it looks up
    what else shows only when a device is opened or firmware is built: the SoC, models, pyOCD's target, the
    partition for the firmware's state. That loads pyOCD, and adds notes.
    """
    return tuple(load_file(Path(file), firmware_ports=firmware_ports).problems)


@dataclass(frozen=True, slots=True, eq=False)
class Board:
    """A kind of hardware, checked and complete. Made by :meth:`load` or `find_board`."""

    file: Path
    """The board file; paths in it count from its folder."""
    content: BoardFile = field(repr=False)
    """The fields as written."""
    public_key: PublicKey = field(repr=False)
    """The key that the boot loader knows."""
    signing_key: SigningKey | None = field(default=None, repr=False)
    """The key to sign test images with, if the board file names one."""

    @classmethod
    def load(cls, file: Path | str, changes: Changes | None = None) -> Self:
        """Read a board file; ``changes`` replace fields by path, ``{("mcuboot", "swap_mode"): "move"}``.

        Raises:
            BoardError: lists all problems with file, line, field, value and remedy.
        """
        loaded: Loaded = load_file(Path(file), changes)
        if loaded.content is None or loaded.public_key is None:
            raise refusal(loaded)
        return cls(loaded.file, loaded.content, loaded.public_key, loaded.signing_key)

    @property
    def name(self) -> str:
        """What the board is called."""
        return self.content.name

    @property
    def soc(self) -> str:
        """The SoC, for people."""
        return self.content.soc

    @property
    def debug(self) -> Debug:
        """pyOCD target and clock."""
        return self.content.debug

    @property
    def flash(self) -> Flash:
        """Geometry and partitions."""
        return self.content.flash

    @property
    def mcuboot(self) -> Mcuboot:
        """How the boot loader is built."""
        return self.content.mcuboot

    @property
    def components(self) -> tuple[Component, ...]:
        """By image number."""
        return tuple(sorted(self.content.components, key=lambda component: component.image))

    @property
    def serial(self) -> tuple[SerialPort, ...]:
        """Serial ports as listed."""
        return tuple(self.content.serial)

    @property
    def protocols(self) -> tuple[str, ...]:
        """Protocols over which updates can travel."""
        return tuple(self.content.protocols)

    @property
    def smp(self) -> SmpServer | None:
        """Where a device on hardware speaks SMP over UDP, if not on a serial port."""
        return self.content.smp

    @property
    def renode(self) -> str | None:
        """Platform for Renode, if there is one for this board."""
        return self.content.renode

    @property
    def emulator(self) -> str | None:
        """Model of the built-in emulator, if there is one for this board."""
        return self.content.emulator

    @property
    def bootloader(self) -> Path | None:
        """File with the boot loader; ``None`` means that the reference one is built."""
        name = self.mcuboot.bootloader
        return None if name == "reference" else self.file.parent / name

    def component(self, which: str | int | Component) -> Component:
        """A component by name or image number.

        Raises:
            BoardError: the board has none like that.
        """
        if isinstance(which, Component):
            which = which.name
        for component in self.content.components:
            if which in (component.name, component.image):
                return component
        names = [component.name for component in self.components]
        raise BoardError(
            f"no component {which!r}",
            where=f"board {self.name}",
            expected=", ".join(names),
            remedy=nearest(which, names) or None,
        )

    def partition(self, name: str) -> FlashArea:
        """A partition at its absolute address.

        Raises:
            BoardError: the board has none of that name.
        """
        partition = self.flash.partitions.get(name)
        if partition is None:
            raise BoardError(
                f"no partition {name!r}",
                where=f"board {self.name}",
                expected=", ".join(self.flash.partitions),
                remedy=nearest(name, self.flash.partitions) or None,
            )
        return FlashArea(self.flash.base + partition.offset, partition.size)

    def boot_settings(self) -> BootSettings:
        """What `harness.mcuboot` needs to read this board's flash."""
        mcuboot, flash = self.mcuboot, self.flash
        images = tuple(
            ImageAreas(
                self.partition(component.primary),
                self.partition(component.secondary) if component.secondary else None,
                component.name,
            )
            for component in self.components
        )
        scratch = mcuboot.swap_mode is SwapMode.SCRATCH
        return BootSettings(
            mode=mcuboot.swap_mode,
            images=images,
            scratch=self.partition(mcuboot.scratch) if scratch else None,
            sector_size=flash.sector_size,
            write_align=flash.write_alignment,
            max_align=mcuboot.max_alignment,
            max_sectors=mcuboot.max_sectors,
            erased_value=flash.erased_value,
            keys=(self.public_key,),
            hash_algorithm=mcuboot.hash,
            downgrade_prevention=mcuboot.downgrade_prevention,
            rollback_protection=mcuboot.rollback_protection,
            validate_primary=mcuboot.validate_primary,
            flash_base=flash.base,
        )

    def max_image_size(self, component: str | int | Component) -> int:
        """Largest image MCUboot accepts for a component, header to end of TLVs, in bytes."""
        return max_image_size(self.boot_settings(), self.component(component).image)

    def upload_offset(self, component: str | int | Component) -> int:
        """Where in its secondary slot an update has to lie: one sector up in swap mode offset, else 0."""
        self.component(component)
        return self.flash.sector_size if self.mcuboot.swap_mode is SwapMode.OFFSET else 0

    def signing_options(
        self, component: str | int | Component, *, version: Version | str, **changes: Any
    ) -> SigningOptions:
        """Options that make an image for a component; ``changes`` are fields of `SigningOptions`.

        A padded image (``pad``, ``test``, ``confirm``) fills the secondary slot
        from :meth:`upload_offset` on. Where the boot loader compares security counters, every
        image gets counter 1 unless ``changes`` say otherwise.

        Raises:
            BoardError: no such component, or no private key to sign with.
        """
        chosen = self.component(component)
        if self.signing_key is None and "key" not in changes:
            raise BoardError(
                "no private key to sign images with",
                where=f"{self.file}: mcuboot.signature.private_key",
                remedy="name one, or pass key=",
            )
        mcuboot, mode = self.mcuboot, self.mcuboot.swap_mode
        options = SigningOptions(
            version=Version.parse(version) if isinstance(version, str) else version,
            slot_size=self.partition(chosen.secondary or chosen.primary).size - self.upload_offset(chosen),
            header_size=mcuboot.header_size,
            key=self.signing_key,
            hash_algorithm=mcuboot.hash,
            align=self.flash.write_alignment,
            max_align=mcuboot.max_alignment,
            max_sectors=self._imgtool_sectors(),
            overwrite_only=mode.overwrites,
            erased_value=self.flash.erased_value,
            security_counter=1 if self._compares_counters() else None,
        )
        return dataclasses.replace(options, **changes)

    def _compares_counters(self) -> bool:
        mcuboot = self.mcuboot
        return mcuboot.rollback_protection or (
            mcuboot.downgrade_prevention is DowngradePrevention.SECURITY_COUNTER
        )

    def _imgtool_sectors(self) -> int:
        """What makes imgtool's size check, which knows three status entries per sector only, no
        stricter than the boot loader: as many entries as there are, or none where none is used.
        """
        mode, sectors = self.mcuboot.swap_mode, self.mcuboot.max_sectors
        if not mode.swaps:
            return 0
        return -(-sectors * mode.entries_per_sector // 3)

    @property
    def capabilities(self) -> frozenset[str]:
        """Names of what the board can do.

        * the swap mode, for example ``scratch``; ``revert`` if an unconfirmed image is given up;
          ``installs`` if the boot loader brings updates into the primary slot, ``in-place`` if images
          run from the slot they are in
        * ``two-images`` and so on, for at least as many components
        * ``updates`` if they can travel over a protocol
        * protocols for updates (``lwm2m``, ``smp``) and on serial ports (``console``, ``slipmux``)
        * ``emulator``; ``signing`` if there is a private key
        * ``downgrade-prevention`` and ``rollback-protection`` as MCUboot is built; ``serial-recovery``
        """
        mcuboot, mode = self.mcuboot, self.mcuboot.swap_mode
        found = {mode.value, *self.protocols}
        if mode.swaps or mode.needs_confirmation:
            found.add("revert")
        if mode.swaps or mode.overwrites:
            found.add("installs")
        if mode.executes_in_place:
            found.add("in-place")
        found |= {f"{_NUMBERS[count]}-images" for count in range(2, min(len(self.components), 8) + 1)}
        found |= {protocol for port in self.serial for protocol in port.carries if protocol != "smp"}
        for name, present in (
            ("updates", bool(self.protocols)),
            ("emulator", self.emulator is not None),
            ("signing", self.signing_key is not None),
            ("downgrade-prevention", mcuboot.downgrade_prevention != "none"),
            ("rollback-protection", mcuboot.rollback_protection),
            ("serial-recovery", mcuboot.serial_recovery),
        ):
            if present:
                found.add(name)
        return frozenset(found)

    def require(self, *capabilities: str) -> None:
        """Do nothing if the board can do all of that.

        Raises:
            CapabilityMissing: the first thing it cannot do; tests skip with its name.
        """
        for capability in capabilities:
            if capability not in self.capabilities:
                raise CapabilityMissing(capability, board=self.name)
