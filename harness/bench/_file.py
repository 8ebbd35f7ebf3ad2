"""Bench files: which devices hang on this machine. Twister's hardware maps are read as they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import platformdirs
from pydantic import Field

from .._errors import BenchError, ProbeError
from ..boards import Board, Checked, Problem, Section, check_board, read_checked, shipped_boards
from ..devices import PowerSettings, probe_id
from ._labgrid import LabgridPlace
from ._power import PowerSection

__all__ = ["Bench", "BenchDevice", "bench_path", "map_probe", "read_bench"]

_NAME: Final = "bench.yaml"
_JLINK_RUNNERS: Final = ("jlink", "nrfjprog", "nrfutil")
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Text = Annotated[str, Field(min_length=1, max_length=400)]


class _Place(Section):
    name: Text
    """labgrid's name of the place."""
    coordinator: Text | None = None
    """host:port; labgrid's own setting if left out."""
    pyocd: Text = "pyocd"
    """Program on the machine that has the place's debugger."""


class _Device(Section):
    name: Name
    board: Text
    """Name of a shipped board, or a board file; paths count from the bench file."""
    probe: Text | int | None = None
    """Unique id of the debug probe, see `pyocd list`, or remote:HOST:PORT; none if a place brings it."""
    device_id: Text | None = None
    """The chip's own unique number; checked before anything is erased."""
    ports: dict[Name, Text] = {}
    """Serial ports by the role that the board file gives them, as pyserial URLs."""
    power: PowerSection | None = None
    place: _Place | None = None
    """Place of labgrid that stands for the device: acquired and given back with its lock."""


class _File(Section):
    devices: list[_Device]


class _MapEntry(Section):
    """An entry of a hardware map (Zephyr's scripts/schemas/twister/hwmap-schema.yaml)."""

    model_config = Section.model_config | {"extra": "ignore"}

    connected: bool
    id: str | int | None = None
    platform: str | list[str]
    probe_id: str | int | None = None
    product: str | None = None
    runner: str | None = None
    serial: str | None = None
    serial_pty: str | None = None
    baud: int | None = None


class _Map(Section):
    devices: list[_MapEntry]


@dataclass(frozen=True, slots=True)
class BenchDevice:
    """One device of a bench. ``board`` is a name or a path; ``ports`` maps roles to URLs."""

    name: str
    board: str
    probe: str | None
    """Left out where the place brings it."""
    device_id: str | None = None
    ports: dict[str, str] = field(default_factory=dict)
    power: PowerSettings | None = None
    where: str = ""
    """``file:line``."""
    place: LabgridPlace | None = None

    @property
    def key(self) -> str:
        """What locks and quarantine go by: the probe's id, or the place that brings it."""
        return self.probe or f"labgrid:{self.place.name if self.place else self.name}"

    def load(self) -> Board:
        """The board. Raises `BoardError`."""
        from ..boards import find_board

        return find_board(self.board)


@dataclass(slots=True)
class Bench:
    """A bench file. ``notes`` say what of a hardware map is left out."""

    file: Path
    devices: list[BenchDevice] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    def require(self) -> Bench:
        """Itself; `BenchError` with all problems if there are any."""
        if self.problems:
            listing = "\n".join(map(str, self.problems))
            first = self.problems[0]
            count = f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
            raise BenchError(
                f"{count} in the bench file\n{listing}",
                where=f"{first.file}:{first.line}",
            )
        return self

    def device(self, name: str) -> BenchDevice:
        """The device of this name or probe id. Raises `BenchError`."""
        known = probe_id(name)
        for device in self.devices:
            if known in (device.name, device.probe):
                return device
        raise BenchError(
            f"no device {name!r} on this bench",
            where=str(self.file),
            expected=", ".join(device.name for device in self.devices) or "none is listed",
            remedy="see 'harness bench list', or add it with 'harness bench add'",
        )

    def of_board(self, board: Board) -> list[BenchDevice]:
        """All devices of a board, or of a variant of it: those with the same board file."""
        shipped, own = shipped_boards(), board.file.resolve()
        return [
            device
            for device in self.devices
            if shipped.get(device.board, Path(device.board)).resolve() == own
        ]


def bench_path(named: str | None = None) -> Path:
    """The bench file: as named, ``HIL_BENCH``, ``bench.yaml`` here, or the user's own."""
    chosen = named or os.environ.get("HIL_BENCH")
    if chosen:
        return Path(chosen)
    here = Path(_NAME)
    return (
        here if here.is_file() else platformdirs.user_config_path("mcuboot-harness", appauthor=False) / _NAME
    )


def read_bench(path: Path) -> Bench:
    """Read a bench file or a hardware map; ``problems`` say what is wrong with it."""
    bench = Bench(path)
    if not path.exists():
        remedy = "'harness bench add NAME --board BOARD' starts one"
        bench.problems.append(Problem(str(path), 1, "", "there is no such file", remedy=remedy))
        return bench
    probed: Checked[_File] = read_checked(path, _File)
    if isinstance(probed.document.value if probed.document else None, list):
        return _read_map(bench)
    bench.problems = probed.problems
    if probed.content is None:
        return bench
    for index, device in enumerate(probed.content.devices):
        board = _board(device.board, path.parent)
        bench.problems += _board_problems(probed, ("devices", index, "board"), board)
        probe, wrong = _probe(device, probed, ("devices", index, "probe"))
        bench.problems += wrong
        if device.power is not None:
            bench.problems += device.power.problems(probed, ("devices", index, "power"))
        where = f"{path}:{probed.document.line(('devices', index)) if probed.document else 1}"
        power, ports = device.power.settings() if device.power else None, dict(device.ports)
        place = LabgridPlace(**device.place.model_dump()) if device.place else None
        bench.devices.append(
            BenchDevice(device.name, board, probe, device.device_id, ports, power, where, place)
        )
    bench.problems += _repeated(probed, bench.devices)
    for index, entry in enumerate(bench.devices):
        bench.problems += _role_problems(probed, index, entry)
    return bench


def _board(name: str, folder: Path) -> str:
    return name if name in shipped_boards() else str(folder / name)


def _probe(
    device: _Device, checked: Checked[_File], path: tuple[str | int, ...]
) -> tuple[str | None, list[Problem]]:
    if device.probe is None:
        missing = checked.problem(path, "missing", expected="a probe, or a place that brings it")
        return None, [] if device.place else [missing]
    text = str(device.probe)
    try:
        return probe_id(text), []
    except ProbeError as error:
        wrong = checked.problem(
            path, error.what, found=text, expected=error.expected or "", remedy=error.remedy or ""
        )
        return text, [wrong]


def _board_problems(checked: Checked[_File], path: tuple[str | int, ...], board: str) -> Iterator[Problem]:
    file = shipped_boards().get(board, Path(board))
    found = check_board(file)
    if found:
        first = found[0]
        yield checked.problem(
            path,
            f"board file is refused: {first.what}",
            found=f"{first.file}:{first.line}",
            expected=f"a board file, or one of {', '.join(shipped_boards())}",
            remedy=f"harness boards check {board}",
        )


def _role_problems(checked: Checked[_File], index: int, device: BenchDevice) -> Iterator[Problem]:
    if not device.ports or check_board(shipped_boards().get(device.board, Path(device.board))):
        return
    roles = [serial.role for serial in device.load().serial]
    for role in device.ports:
        if role not in roles:
            yield checked.problem(
                ("devices", index, "ports", role),
                "the board has no serial port of that role",
                found=role,
                expected=", ".join(roles) or "none at all",
            )


def _repeated(checked: Checked[_File], devices: list[BenchDevice]) -> Iterator[Problem]:
    for what in ("name", "probe", "place"):
        seen: dict[str, int] = {}
        for index, device in enumerate(devices):
            value = getattr(device, what)
            value = value.name if isinstance(value, LabgridPlace) else value
            if value is None:
                continue
            if value in seen:
                path = ("devices", index, what)
                yield checked.problem(
                    path, f"same {what} as devices[{seen[value]}]", found=value, expected="each one once"
                )
            seen.setdefault(value, index)


def _read_map(bench: Bench) -> Bench:
    """A hardware map: only what is connected, on a platform that a shipped board is for."""
    checked = read_checked(bench.file, _Map, items="devices")
    bench.problems = checked.problems
    names: dict[str, int] = {}
    for index, entry in enumerate(checked.content.devices if checked.content else []):
        path = ("devices", index)
        probe = entry.probe_id if entry.probe_id is not None else entry.id
        platforms = [entry.platform] if isinstance(entry.platform, str) else entry.platform
        board = next((name for one in platforms if (name := _platform_board(one))), None)
        why = ""
        if not entry.connected:
            why = "is not connected"
        elif probe in (None, "", "unknown"):
            why = "has no probe id"
        elif board is None:
            why = f"no board comes with the package for {', '.join(platforms) or 'no platform'}"
        if why or board is None:
            bench.notes.append(checked.problem(path, why))
            continue
        from ..boards import find_board

        definition = find_board(board)
        ports = {}
        if entry.serial and definition.serial:
            ports[definition.serial[0].role] = entry.serial
            if entry.baud and entry.baud != definition.serial[0].baud:
                bench.notes.append(
                    checked.problem(
                        (*path, "baud"),
                        "the board file's speed is used",
                        found=str(entry.baud),
                        expected=str(definition.serial[0].baud),
                    )
                )
        elif entry.serial_pty:
            bench.notes.append(
                checked.problem((*path, "serial_pty"), "programs as serial ports are not started")
            )
        names[board] = names.get(board, 0) + 1
        name = board if names[board] == 1 else f"{board}-{names[board]}"
        line = checked.document.line(path) if checked.document else 1
        unique = map_probe(str(probe), entry.runner)
        bench.devices.append(BenchDevice(name, board, unique, None, ports, where=f"{bench.file}:{line}"))
    return bench


def map_probe(probe: str, runner: str | None) -> str:
    """The id that pyOCD gives the probe of a hardware map: USB puts zeros before the number of a J-Link."""
    return probe.lstrip("0") if runner in _JLINK_RUNNERS and probe.isdecimal() else probe


def _platform_board(platform: str) -> str | None:
    """``nrf52840dk/nrf52840`` and the older ``nrf52840dk_nrf52840`` are the board nrf52840dk."""
    plain = platform.partition("/")[0].partition("@")[0]
    shipped = shipped_boards()
    return (
        plain if plain in shipped else next((name for name in shipped if plain.startswith(f"{name}_")), None)
    )
