"""What is wrong with this machine as a bench, each finding with its remedy."""

from __future__ import annotations

import enum
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from .._errors import HarnessError, PowerError
from ..boards import check_board, shipped_boards
from ..devices import is_ppk2, present_ports, server_address
from ..firmware import cache_folder
from ._discovery import present
from ._file import Bench, BenchDevice
from ._locks import holder
from ._quarantine import evidence
from ._state import state_folder

__all__ = ["Finding", "Level", "examine"]

#: USB vendors of debug probes: SEGGER, ST, Arm and NXP (CMSIS-DAP), Raspberry Pi
_PROBE_VENDORS: Final = {
    "1366": "J-Link",
    "0483": "ST-Link",
    "0d28": "DAPLink",
    "1fc9": "MCU-Link",
    "2e8a": "Debug Probe",
}
_LEAST_FREE: Final = 512 << 20


class Level(enum.StrEnum):
    """How bad a finding is. Only `WRONG` makes `harness doctor` fail."""

    WELL = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``remedy`` is empty if there is nothing to do."""

    topic: str
    level: Level
    what: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class System:
    """Where the kernel shows USB devices; tests give folders of their own."""

    devices: Path = Path("/sys/bus/usb/devices")
    nodes: Path = Path("/dev/bus/usb")


def examine(
    bench: Bench | None = None, boards: Sequence[Path] = (), *, system: System | None = None
) -> list[Finding]:
    """Look at everything; a check that breaks is a finding, too."""
    probes: list[str] = []
    checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("tools", _tools),
        ("folders", _folders),
        ("probes", lambda: _probes(bench, probes)),
        ("permissions", lambda: _usb(system or System())),
        ("ports", _ports),
        ("boards", lambda: _boards(boards)),
        ("bench", lambda: _bench(bench, probes)),
    ]
    findings: list[Finding] = []
    for topic, check in checks:
        try:
            findings += check()
        except HarnessError as error:
            findings.append(
                Finding(
                    topic, Level.WRONG, f"{error.what} ({error.found or error.where})", error.remedy or ""
                )
            )
        except Exception as error:
            findings.append(
                Finding(
                    topic, Level.WRONG, f"cannot be looked at: {type(error).__name__}: {error}", "report this"
                )
            )
    return findings


def _tools() -> Iterator[Finding]:
    for package, purpose in (
        ("pyocd", "flashing"),
        ("pyserial", "serial ports"),
        ("imgtool", "signing"),
        ("unicorn", "the emulator"),
        ("ziglang", "compiling the reference firmware"),
    ):
        try:
            yield Finding("tools", Level.WELL, f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            yield Finding(
                "tools", Level.WRONG, f"{package} is missing, which {purpose} needs", f"pip install {package}"
            )
    if find_spec("labgrid") is not None and _labgrid_serial():
        yield Finding(
            "tools",
            Level.NOTE,
            "labgrid's fork of pyserial is installed",
            "install labgrid in an environment of its own",
        )
    if not any(Path(str(Path(__file__).parent.parent / "emulator")).glob("_fastpath*.*[dno]")):
        yield Finding(
            "tools",
            Level.NOTE,
            "the emulator's fast path is not built; it runs in Python",
            "pip install -e . builds it",
        )


def _labgrid_serial() -> bool:
    with suppress(metadata.PackageNotFoundError):
        metadata.version("pyserial-labgrid")
        return True
    return False


def _folders() -> Iterator[Finding]:
    for name, folder in (("cache", cache_folder("programs").parent), ("bench state", state_folder())):
        if not os.access(folder, os.W_OK):
            variable = "HARNESS_CACHE_DIR" if name == "cache" else "HARNESS_BENCH_DIR"
            remedy = f"make it writable, or set {variable}"
            yield Finding("folders", Level.WRONG, f"the {name} folder cannot be written: {folder}", remedy)
            continue
        free = shutil.disk_usage(folder).free
        if free < _LEAST_FREE:
            what = f"{free >> 20} MiB are left for the {name} folder {folder}"
            yield Finding("folders", Level.WRONG, what, f"free {_LEAST_FREE >> 20} MiB")
        else:
            yield Finding("folders", Level.WELL, f"{name}: {folder}")


def _probes(bench: Bench | None, found: list[str]) -> Iterator[Finding]:
    found += present(bench.devices if bench else [])
    for probe in found:
        yield Finding("probes", Level.WELL, probe)
    if not found:
        yield Finding(
            "probes", Level.NOTE, "pyOCD sees no debug probe", "connect a board; emulated boards need none"
        )


def _usb(system: System) -> Iterator[Finding]:
    """USB devices of makers of probes that this user may not open (Linux)."""
    if not system.devices.is_dir():
        return
    for folder in sorted(system.devices.iterdir()):
        texts = {}
        for name in ("idVendor", "busnum", "devnum", "serial"):
            with suppress(OSError, ValueError):
                texts[name] = (folder / name).read_text(encoding="utf-8").strip()
        kind = _PROBE_VENDORS.get(texts.get("idVendor", ""))
        if kind is None or not (texts.get("busnum", "").isdecimal() and texts.get("devnum", "").isdecimal()):
            continue
        node = system.nodes / f"{int(texts['busnum']):03}" / f"{int(texts['devnum']):03}"
        name = f"{kind} {texts.get('serial', '')}".strip()
        if os.access(node, os.R_OK | os.W_OK):
            yield Finding("permissions", Level.WELL, f"{name}: {node}")
            continue
        vendor = texts["idVendor"]
        rule = f'SUBSYSTEM=="usb", ATTR{{idVendor}}=="{vendor}", MODE="0660", TAG+="uaccess"'
        yield Finding(
            "permissions",
            Level.WRONG,
            f"{name}: no permission for {node}",
            "put this line into /etc/udev/rules.d/50-probes.rules, run 'udevadm control --reload' and plug"
            f" it in again: {rule}",
        )


def _ports() -> Iterator[Finding]:
    ports = present_ports()
    for port in ports:
        device = str(port.device)
        if sys.platform != "win32" and not os.access(device, os.R_OK | os.W_OK):
            yield Finding(
                "ports",
                Level.WRONG,
                f"{device}: no permission",
                f"add yourself to the group that owns it ({_group(Path(device))}) and log in again",
            )
        else:
            what = "Power Profiler Kit II" if is_ppk2(port) else port.description
            detail = f", USB serial number {port.serial_number}" if port.serial_number else ""
            yield Finding("ports", Level.WELL, f"{device}: {what}{detail}")
    if not ports:
        yield Finding(
            "ports", Level.NOTE, "no serial port is there", "connect a board; emulated boards need none"
        )


def _group(path: Path) -> str:
    try:
        return path.group()
    except (OSError, KeyError, NotImplementedError):
        return "dialout or uucp"


def _boards(files: Sequence[Path]) -> Iterator[Finding]:
    for file in [*shipped_boards().values(), *files]:
        problems = check_board(file)
        if not problems:
            yield Finding("boards", Level.WELL, str(file))
        for problem in problems:
            yield Finding(
                "boards", Level.WRONG, str(problem).replace("\n", ";"), problem.remedy or "correct the file"
            )


def _bench(bench: Bench | None, probes: Sequence[str]) -> Iterator[Finding]:
    if bench is None:
        yield Finding(
            "bench", Level.NOTE, "no bench file", "'harness bench add NAME --board BOARD' starts one"
        )
        return
    for problem in bench.problems:
        yield Finding(
            "bench", Level.WRONG, str(problem).replace("\n", ";"), problem.remedy or "correct the file"
        )
    for note in bench.notes:
        yield Finding("bench", Level.NOTE, str(note).replace("\n", ";"), note.remedy)
    ports = {str(port.device) for port in present_ports()}
    for device in bench.devices:
        wrong = list(_device(device, probes, ports))
        for what, remedy in wrong:
            yield Finding("bench", Level.WRONG, f"{device.name}: {what}", remedy)
        found = evidence(device.key)
        if found is not None:
            what = f"{device.name}: in quarantine {found}".replace("\n", ";")
            yield Finding("bench", Level.WRONG, what, f"mend it, then: harness bench recover {device.name}")
        elif not wrong:
            taken = holder(device.key)
            yield Finding("bench", Level.WELL, f"{device.name}: {taken or 'free'}")


def _device(device: BenchDevice, probes: Sequence[str], ports: set[str]) -> Iterator[tuple[str, str]]:
    if device.place is not None:
        try:
            device.place.check()
        except HarnessError as error:
            yield f"its place: {error.what} ({error.found or error.where})", error.remedy or ""
    elif device.key not in probes:
        remedy = "check cable and power; 'pyocd list' shows what is there"
        if server_address(device.key):
            remedy = "start 'pyocd server' there, with --allow-remote; check address and port"
        yield f"its probe {device.key} is not there", remedy
    for role, url in device.ports.items():
        if "://" not in url and url not in ports and not Path(url).exists():
            yield (
                f"its port {role} ({url}) is not there",
                "check the cable; names change, USB serial numbers do not: hwgrep://SER=NUMBER",
            )
    try:
        if device.power is not None:
            device.power.check()
    except PowerError as error:
        yield f"{error.what} ({error.where})", error.remedy or ""
