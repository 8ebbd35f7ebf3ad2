"""What the options ask for, checked before any test runs."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pytest

from .. import pytest_plugin
from .._errors import BoardError
from ..boards import Board, find_board
from ..devices import DeviceSettings

__all__ = ["KEY", "Settings", "read"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Boards to test, how to open their devices, and C defines for the reference firmware."""

    boards: tuple[Board, ...]
    device: DeviceSettings
    build_options: dict[str, int] = field(default_factory=dict)


KEY = pytest.StashKey[Settings]()


def read(config: pytest.Config) -> Settings:
    """The settings; `pytest.UsageError` for anything that makes no sense."""

    def get(name: str) -> str | None:
        value = pytest_plugin.setting(config, name)
        return None if value is None else str(value)

    backend = get("backend") or "embedded"
    if backend not in {"embedded", "hardware"}:
        raise pytest.UsageError(f"--hil-backend: {backend!r} is neither embedded nor hardware")
    try:
        speed = float(get("speed") or DeviceSettings().speed)
        boards = tuple(find_board(name) for name in pytest_plugin.setting(config, "board"))
    except BoardError as error:
        raise pytest.UsageError(str(error)) from None
    except ValueError:
        raise pytest.UsageError(f"--hil-speed: {get('speed')!r} is no number") from None
    if backend == "hardware" and len(boards) > 1:
        raise pytest.UsageError(
            "--hil-backend hardware: one board at a time, because probe and ports belong to one"
        )
    device = DeviceSettings(
        backend=backend,
        probe=get("probe"),
        ports=_pairs("port", pytest_plugin.setting(config, "port") or ()),
        power_on=shlex.split(get("power-on") or ""),
        power_off=shlex.split(get("power-off") or ""),
        speed=speed,
    )
    options = _pairs("build-option", pytest_plugin.setting(config, "build-option") or ())
    return Settings(boards, device, _numbers(options.items()))


def _pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise pytest.UsageError(f"--hil-{option}: {text!r} is not NAME=VALUE")
        pairs[name] = value
    return pairs


def _numbers(pairs: Iterable[tuple[str, str]]) -> dict[str, int]:
    try:
        return {name: int(value, 0) for name, value in pairs}
    except ValueError as error:
        raise pytest.UsageError(f"--hil-build-option: {error}") from None
