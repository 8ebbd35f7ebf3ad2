"""What the options ask for, checked before any test runs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import pytest

from .. import pytest_plugin
from .._errors import BenchError, BoardError
from ..bench import Bench, Request, bench_path, read_bench
from ..boards import Board, find_board
from ..devices import CommandSwitch, DeviceSettings
from ..protocols import LinkConditions
from ..renode import platform_names
from ..updates import BOOT_SECONDS
from . import _link, _twister

__all__ = ["KEY", "Settings", "read"]

_WAITS: Final = (0.0, 86400.0)
_SPEEDS: Final = (0.01, 1000.0)
_BOOT_SECONDS: Final = (0.1, 3600.0)
#: options that say nothing about a board of the other backend
_ONLY_FOR: Final = {
    "hardware": ("probe", "bench", "wait", "port", "power-on", "power-off"),
    "embedded": ("speed",),
    "renode": (),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Boards to test and how to open them, C defines for the reference firmware, conditions of the link."""

    boards: tuple[Board, ...]
    device: DeviceSettings
    build_options: dict[str, int] = field(default_factory=dict)
    link: LinkConditions | None = None
    boot_seconds: float = BOOT_SECONDS
    bench: Bench | None = None
    wait: float = 0.0
    protocol: str | None = None
    shared: bool = False
    """Twister's own fixtures use the same device."""

    def request(self, board: Board) -> Request:
        """Which device to take from the bench."""
        return Request(board, self.device, self.bench, self.wait)

    def capabilities(self, board: Board) -> frozenset[str]:
        """What a device of this board can do, before it is opened."""
        request = self.request(board)
        settings = [request.for_device(listed) for listed in request.candidates()] if self.bench else []
        found = [one.capabilities for one in settings] or [self.device.capabilities]
        known = frozenset(board.capabilities).union(frozenset.intersection(*found))
        return known - ({*board.protocols} - {self.protocol} if self.protocol else set())

    def called(self, board: Board) -> str:
        """The board's name for a message about what it lacks."""
        return f"{board.name} over {self.protocol}" if self.protocol else board.name


KEY = pytest.StashKey[Settings]()


def read(config: pytest.Config) -> Settings:
    """The settings; `pytest.UsageError` for anything that makes no sense."""

    def text(name: str) -> str:
        return str(pytest_plugin.setting(config, name) or "")

    def pairs(name: str) -> dict[str, str]:
        return _pairs(name, pytest_plugin.setting(config, name) or ())

    told = _twister.read(config)
    on_hardware = told is not None and told.hardware
    backend = text("backend") or ("hardware" if on_hardware else "embedded")
    if backend not in _ONLY_FOR:
        raise pytest.UsageError(f"--hil-backend: {backend!r} is none of {', '.join(_ONLY_FOR)}")
    for other, names in _ONLY_FOR.items():
        # Environment and ini file may describe a bench that this run does not use.
        wrong = [name for name in pytest_plugin.on_command_line(config) if name in names]
        if wrong and other != backend:
            raise pytest.UsageError(
                f"--hil-{wrong[0]} is for --hil-backend {other}, and this run's backend is {backend}"
            )
    boards = _boards(config, told)
    build_options = _numbers("build-option", pairs("build-option"))
    link = _link.read(text("link"))
    protocol = _protocol(text("protocol"), boards)
    boot_seconds = _between("boot-seconds", text("boot-seconds"), _BOOT_SECONDS, BOOT_SECONDS)
    if backend == "embedded":
        _check_emulated(boards)
        device = DeviceSettings(
            backend=backend, speed=_between("speed", text("speed"), _SPEEDS, DeviceSettings().speed)
        )
        return Settings(boards, device, build_options, link, boot_seconds, protocol=protocol)
    if backend == "renode":
        _check_renode(boards)
        device = DeviceSettings(backend=backend)
        return Settings(boards, device, build_options, link, boot_seconds, protocol=protocol)
    ports, probe = pairs("port"), text("probe")
    shared = told is not None and told.probe is not None and probe in ("", told.probe)
    if told is not None and shared:
        probe = told.probe or ""
        if told.port and boards[0].serial:
            ports = {boards[0].serial[0].role: told.port} | ports
    on, off = (_command(f"power-{name}", text(f"power-{name}")) for name in ("on", "off"))
    if bool(on) != bool(off):
        raise pytest.UsageError("--hil-power-on and --hil-power-off need each other")
    bench = _bench(text("bench"))
    _check_bench(config, boards, ports, None if shared else bench)
    device = DeviceSettings(
        backend=backend,
        probe=probe or None,
        ports=ports,
        power=CommandSwitch(off, on) if on else None,
    )
    wait = _between("wait", text("wait"), _WAITS, 0.0)
    return Settings(boards, device, build_options, link, boot_seconds, bench, wait, protocol, shared)


def _bench(named: str) -> Bench | None:
    """The bench file that is named, or that lies where one is looked for."""
    path = bench_path(named)
    if not named and not path.is_file():
        return None
    try:
        return read_bench(path).require()
    except BenchError as error:
        raise pytest.UsageError(str(error)) from None


def _protocol(name: str, boards: Sequence[Board]) -> str | None:
    for board in boards:
        if name and name not in board.protocols:
            known = " or ".join(board.protocols) or "none at all"
            raise pytest.UsageError(f"--hil-protocol: board {board.name} has no {name!r}, but {known}")
    return name or None


def _boards(config: pytest.Config, told: _twister.Twister | None) -> tuple[Board, ...]:
    names = pytest_plugin.setting(config, "board")
    if names == config.getini("hil_board") and config.inipath is not None:
        # A file named in the ini file is looked for beside the ini file.
        beside = [config.inipath.parent / name for name in names]
        names = [str(file) if file.is_file() else name for file, name in zip(beside, names, strict=True)]
    if _twister.BOARD in names and told is None:
        raise pytest.UsageError(
            f"--hil-board {_twister.BOARD}: twister does not run this (no --twister-harness and --build-dir)"
        )
    try:
        boards = [told.board() if told and name == _twister.BOARD else find_board(name) for name in names]
    except BoardError as error:
        raise pytest.UsageError(str(error)) from None
    found: dict[str, Path] = {}
    for board in boards:
        if board.name in found:
            raise pytest.UsageError(
                f"--hil-board: two boards are called {board.name!r}: {found[board.name]} and {board.file}"
            )
        found[board.name] = board.file
    return tuple(boards)


def _check_emulated(boards: Sequence[Board]) -> None:
    for board in boards:
        if board.emulator is None:
            raise pytest.UsageError(
                f"board {board.name} has no emulator model: name a probe with --hil-backend hardware"
            )


def _check_renode(boards: Sequence[Board]) -> None:
    for board in boards:
        if board.renode is None:
            raise pytest.UsageError(
                f"board {board.name} has no platform for Renode: name one as 'renode' in {board.file}"
            )
        if board.renode not in platform_names():
            raise pytest.UsageError(
                f"board {board.name}: no Renode platform is called {board.renode!r},"
                f" only {', '.join(platform_names())}"
            )


def _check_bench(
    config: pytest.Config, boards: Sequence[Board], ports: Mapping[str, str], bench: Bench | None
) -> None:
    if len(boards) > 1:
        raise pytest.UsageError(
            "--hil-backend hardware: one board at a time, because probe and ports belong to one"
        )
    processes = getattr(config.option, "numprocesses", None) or 0
    there = len(bench.of_board(boards[0])) if bench and not pytest_plugin.setting(config, "probe") else 1
    if processes > max(there, 1):
        what = f"{there} of them are on the bench" if there > 1 else "tests share one board"
        raise pytest.UsageError(
            f"--hil-backend hardware: {what}, so run them with -n {there if there > 1 else 0}"
        )
    roles = [serial.role for serial in boards[0].serial]
    for role in ports:
        if role not in roles:
            near = get_close_matches(role, roles, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise pytest.UsageError(
                f"--hil-port: board {boards[0].name} has no serial port {role!r},"
                f" only {', '.join(roles) or 'none at all'}{hint}"
            )


def _pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            form = "ROLE=URL, such as console=/dev/ttyACM0" if option == "port" else "NAME=VALUE"
            raise pytest.UsageError(f"--hil-{option}: {text!r} is not {form}")
        if name in pairs:
            raise pytest.UsageError(f"--hil-{option}: {name} is given twice")
        pairs[name] = value
    return pairs


def _numbers(option: str, pairs: Mapping[str, str]) -> dict[str, int]:
    numbers = {}
    for name, value in pairs.items():
        if not name.isidentifier():
            raise pytest.UsageError(f"--hil-{option}: {name!r} is no name of a C define")
        try:
            numbers[name] = int(value, 0)
        except ValueError:
            raise pytest.UsageError(f"--hil-{option}: {name}={value}: {value!r} is no number") from None
    return numbers


def _between(option: str, text: str, limits: tuple[float, float], default: float) -> float:
    if not text:
        return default
    low, high = limits
    try:
        number = float(text)
    except ValueError:
        raise pytest.UsageError(f"--hil-{option}: {text!r} is no number") from None
    if not low <= number <= high:
        raise pytest.UsageError(f"--hil-{option}: {text} is not between {low:g} and {high:g}")
    return number


def _command(option: str, text: str) -> list[str]:
    try:
        return shlex.split(text, posix=os.name == "posix")
    except ValueError as error:
        raise pytest.UsageError(f"--hil-{option}: {text!r}: {error}") from None
