"""The fields of a board file.

Sizes and offsets are bytes. Names of partitions and components are free, but are what
everything else calls them by. Paths are relative to the board file.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from harness.mcuboot import DowngradePrevention, KeyType, SwapMode

from ._quantities import Size

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Text = Annotated[str, Field(min_length=1, max_length=200)]
UsbId = Annotated[int, Field(ge=0, le=0xFFFF)]


class Section(BaseModel):
    """Base of all parts: no unknown keys, no silent conversions, read-only."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class Debug(Section):
    """How a debug probe reaches the SoC."""

    target: Text
    """pyOCD target name, see `pyocd list --targets`."""
    frequency: Annotated[int, Field(ge=1_000, le=100_000_000)] | None = None
    """SWD clock in Hz; pyOCD's default if left out."""


class Partition(Section):
    """A range of the flash."""

    offset: Size
    """From the start of the flash."""
    size: Size


class Flash(Section):
    """The flash that the boot loader works on."""

    base: Size = 0
    """Address of the first byte."""
    size: Size
    sector_size: Size
    """Bytes erased at once."""
    write_alignment: Literal[1, 2, 4, 8, 16, 32]
    """Bytes written at once."""
    erased_value: Literal[0x00, 0xFF] = 0xFF
    partitions: dict[Name, Partition]
    """By name. Partitions that no component uses are left alone."""


class Signature(Section):
    """What images are signed with."""

    type: Annotated[KeyType, Field(strict=False)]
    public_key: Text
    """PEM file with the key that is built into the boot loader."""
    private_key: Text | None = None
    """PEM file to sign test images with. Never that of a product."""


class Mcuboot(Section):
    """How the boot loader is built."""

    swap_mode: Annotated[SwapMode, Field(strict=False)]
    max_alignment: Literal[8, 16, 32] = 8
    """MCUBOOT_BOOT_MAX_ALIGN."""
    max_sectors: Annotated[int, Field(ge=1, le=65536)] = 128
    """MCUBOOT_MAX_IMG_SECTORS."""
    header_size: Size = 0x200
    """Image header with padding; the payload starts behind it."""
    signature: Signature
    hash: Literal["sha256", "sha384", "sha512"] = "sha256"
    """Image digest."""
    bootloader: Text = "reference"
    """`reference`, or a .hex, .bin or .elf file."""
    partition: Name = "bootloader"
    """Partition that holds the boot loader."""
    scratch: Name = "scratch"
    """Partition that swap mode scratch works with."""
    downgrade_prevention: Annotated[DowngradePrevention, Field(strict=False)] = DowngradePrevention.NONE
    rollback_protection: bool = False
    """Hardware rollback protection: security counters are required and stored."""
    serial_recovery: bool = False
    """The boot loader takes images over SMP on the console when there is nothing to boot (MCUBOOT_SERIAL)."""
    validate_primary: bool = True
    """The primary is validated at every boot (MCUBOOT_VALIDATE_PRIMARY_SLOT)."""


class Component(Section):
    """Something that is updated on its own."""

    name: Name
    image: Annotated[int, Field(ge=0, le=15)]
    """MCUboot image number."""
    primary: Name
    """Partition of the primary slot."""
    secondary: Name | None = None
    """Partition of the secondary slot; only swap mode single has none."""
    lwm2m_instance: Annotated[int, Field(ge=0, le=65534)] | None = None
    """Instance of the LwM2M Firmware Update object that stands for it."""


class Usb(Section):
    """USB identity by which a serial port is found."""

    vid: UsbId
    pid: UsbId


class SerialPort(Section):
    """A serial port of the board."""

    role: Name
    """What it is called by."""
    baud: Annotated[int, Field(ge=300, le=20_000_000)]
    usb: Usb | None = None
    carries: Annotated[list[Literal["console", "slipmux", "smp"]], Field(min_length=1)]
    """Protocols on this port; all can share it: slipmux has frames, SMP has marked lines."""


def _host(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9.-]+)?", value):
        raise PydanticCustomError(
            "host", "not a host", {"expected": "a name or an address, without scheme and port"}
        )
    return value


class SmpServer(Section):
    """Where the device speaks SMP over UDP."""

    host: Annotated[Text, AfterValidator(_host)]
    """Name or address of the device."""
    port: Annotated[int, Field(ge=1, le=65535)] = 1337


class BoardFile(Section):
    """A kind of hardware, and how MCUboot is built for it."""

    name: Name
    soc: Text
    debug: Debug
    flash: Flash
    mcuboot: Mcuboot
    components: Annotated[list[Component], Field(min_length=1)]
    """Image numbers count from 0 without gaps."""
    serial: list[SerialPort] = []
    protocols: list[Literal["lwm2m", "smp"]] = []
    """Protocols over which updates can travel."""
    smp: SmpServer | None = None
    """On hardware SMP goes there, over UDP, and not over a serial port."""
    emulator: Name | None = None
    """Model of the built-in emulator that stands for this board."""
    renode: Name | None = None
    """Platform for Renode that stands for this board."""
    firmware: Literal["reference"] = "reference"
    """Application that updates are tried with."""
