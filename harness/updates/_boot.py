"""How a device is restarted, and what it does then, read from its core: no firmware has to help."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from .._deadline import Deadline
from .._errors import DeadlineExceeded, VerdictError
from ..devices import CoreSample, Device

__all__ = ["Restart", "describe_core", "running_slot", "wait_application", "wait_parked"]

_VTOR: Final = 0xE000ED08  # Armv7-M Architecture Reference Manual, B3.2.5
_POLL_SECONDS: Final = 0.01
_ALIKE: Final = 3


class Restart(StrEnum):
    """Ways to restart a device."""

    PIN = "pin"
    """The probe pulls the reset pin."""
    SOFT = "soft"
    """Firmware asks the core for a system reset."""
    WATCHDOG = "watchdog"
    """Firmware hangs until the watchdog bites."""
    POWER = "power"
    """Power is lost and comes back; RAM is lost as well, if there is a power switch."""


def _in_bootloader(device: Device, address: int) -> bool:
    area = device.board.partition(device.board.mcuboot.partition)
    return area.address <= address < area.address + area.size


def _in_application(device: Device, address: int) -> bool:
    slots = device.board.boot_settings().images[0]
    return any(
        slot is not None and slot.address <= address < slot.address + slot.size
        for slot in (slots.primary, slots.secondary)
    )


def describe_core(device: Device, sample: CoreSample) -> str:
    """What the core does, in words."""
    if sample.locked_up:
        what = "is locked up"
    elif sample.exception == 0:
        what = "sleeps or waits for ever" if sample.parked else "runs"
    else:
        what = f"handles exception {sample.exception}"
    if _in_bootloader(device, sample.pc):
        where = "in the boot loader"
    else:
        where = "in a slot of image 0" if _in_application(device, sample.pc) else "outside all slots"
    return f"the core {what} {where}, at {sample.pc:#010x}"


def running_slot(device: Device) -> int | None:
    """Address of the slot of image 0 whose vector table the core uses; None if it is in neither."""
    table = int.from_bytes(device.debug.read(_VTOR, 4), "little")
    slots = device.board.boot_settings().images[0]
    for slot in (slots.primary, slots.secondary):
        if slot is not None and slot.address <= table < slot.address + slot.size:
            return slot.address
    return None


def wait_application(device: Device, *, deadline: float | Deadline) -> None:
    """Wait until a program in a slot of image 0 has taken over: the vector table is its own.

    Raises `DeadlineExceeded`.
    """
    limit = Deadline.of(deadline)
    while True:
        table = int.from_bytes(device.debug.read(_VTOR, 4), "little")
        if _in_application(device, table):
            return
        if limit.expired:
            raise DeadlineExceeded(
                "no application was started",
                where=device.name,
                expected=f"VTOR in a slot of image 0 within {limit.seconds:g} s",
                found=f"VTOR {table:#010x}; {describe_core(device, device.debug.sample())}",
                remedy="look at both slots: harness slots",
            )
        limit.pause(_POLL_SECONDS)


def wait_parked(device: Device, *, deadline: float | Deadline) -> CoreSample:
    """Wait until the boot loader has given up: it handles no exception, and sleeps or waits for ever.

    Raises `VerdictError` as soon as an application runs, and `DeadlineExceeded` if the boot loader runs
    on or crashes.
    """
    limit = Deadline.of(deadline)
    alike = 0
    while True:
        sample = device.debug.sample()
        if _in_application(device, sample.pc):
            raise VerdictError(
                "the boot loader has started something\n"
                f"  expected: it rests in its own partition\n  found: {describe_core(device, sample)}"
            )
        at_rest = sample.parked and not sample.locked_up and sample.exception == 0
        alike = alike + 1 if at_rest and _in_bootloader(device, sample.pc) else 0
        if alike == _ALIKE:
            return sample
        if limit.expired:
            raise DeadlineExceeded(
                "the boot loader has not given up",
                where=device.name,
                expected=f"it rests in its own partition, without a fault, within {limit.seconds:g} s",
                found=describe_core(device, sample),
                remedy="look at both slots: harness slots",
            )
        limit.pause(_POLL_SECONDS)
