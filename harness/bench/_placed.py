"""What a labgrid place brings to a device: serial ports, power, and the probe."""

from __future__ import annotations

import re
import socket
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from .._errors import ProbeMissingError
from ..boards import Board
from ..devices import present_probes, server_address
from ._file import BenchDevice
from ._labgrid import LabgridPlace, PlaceContents
from ._served import ServedProbe

__all__ = ["placed"]

#: where Linux keeps USB devices by their path, for example 1-1.2, each with a file `serial`
USB_DEVICES: Final = Path("/sys/bus/usb/devices")
_PATH: Final = re.compile(r"[0-9]+(-[0-9]+(\.[0-9]+)*)?", re.ASCII)


def placed(device: BenchDevice, board: Board, taken: ExitStack) -> BenchDevice:
    """The device with all that its labgrid place brings, which is acquired; ``taken`` gives it back.

    What the bench file names goes before what the place brings. Whoever comes here holds the
    device's lock.

    Raises:
        DeviceBusyError: somebody else has the place.
        ProbeMissingError: the place brings no probe, or its machine serves none.
        BenchError: no labgrid, no coordinator, no such place.
    """
    place = device.place
    if place is None:
        return device
    place.acquire()
    taken.callback(place.release)
    contents = place.contents()
    missing = [serial.role for serial in board.serial if serial.role not in device.ports]
    ports = contents.ports(missing) if missing else {}
    return replace(
        device,
        ports={**device.ports, **ports},
        power=device.power or contents.power(),
        probe=_probe(device.probe, place, contents, taken),
    )


def _probe(named: str | None, place: LabgridPlace, contents: PlaceContents, taken: ExitStack) -> str:
    if named is not None and server_address(named):
        return named
    server = contents.probe_server()
    if named is None and server is not None:
        return server
    debugger = contents.debugger()
    if debugger is None:
        if named is not None:
            return named
        raise ProbeMissingError(
            "the labgrid place brings no probe",
            where=f"place {place.name}",
            expected="a NetworkService named 'probe', or a debugger",
            found=", ".join(contents.names) or "nothing",
            remedy="have its exporter offer one, or name the probe in the bench file",
        )
    if not _PATH.fullmatch(debugger.path):
        raise ProbeMissingError(
            "no path of a USB device",
            where=f"place {place.name}",
            expected="for example 1-1.2",
            found=debugger.path,
            remedy="correct the exporter's configuration",
        )
    serial = USB_DEVICES / debugger.path / "serial"
    if not _is_here(debugger.host):
        return taken.enter_context(ServedProbe(debugger.host, named, serial, pyocd=place.pyocd)).unique_id
    return named or _serial_number(serial, place)


def _serial_number(file: Path, place: LabgridPlace) -> str:
    try:
        serial = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise ProbeMissingError(
            "the place's debugger is not there, or has no serial number",
            where=f"place {place.name}",
            found=str(error),
            remedy="check its cable, or name the probe in the bench file",
        ) from None
    same = (probe for probe in present_probes() if probe.lstrip("0").lower() == serial.lstrip("0").lower())
    return next(same, serial)


def _is_here(host: str) -> bool:
    own = socket.gethostname().lower()
    return host.lower() in ("localhost", "127.0.0.1", "::1", own) or host.lower() == socket.getfqdn().lower()
