"""The pytest plugin (entry point `pytest11`): inert until a board is named.

Everything but the options lives in `harness._pytest` and is loaded only then. Command
line goes before environment, environment before ini file.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: name, argparse action, more for argparse, help
_OPTIONS: Sequence[tuple[str, str, dict[str, Any], str]] = (
    (
        "board",
        "append",
        {"metavar": "BOARD"},
        "board to test: the name of a shipped board or a board file, or twister for that of its build;"
        " may be repeated, tests run for each",
    ),
    ("backend", "store", {"metavar": "KIND"}, "what the board runs on: embedded, renode or hardware"),
    ("probe", "store", {"metavar": "ID"}, "unique id of the debug probe, or name on the bench, for hardware"),
    ("bench", "store", {"metavar": "FILE"}, "bench file or twister hardware map, for hardware"),
    (
        "wait",
        "store",
        {"metavar": "SECONDS"},
        "how long to wait for a device that is taken, for hardware (default: 0)",
    ),
    (
        "port",
        "append",
        {"metavar": "ROLE=URL"},
        "serial port by the role that the board file gives it, for hardware; may be repeated",
    ),
    ("power-on", "store", {"metavar": "COMMAND"}, "command that switches the board on, for hardware"),
    ("power-off", "store", {"metavar": "COMMAND"}, "command that switches the board off, for hardware"),
    (
        "speed",
        "store",
        {"metavar": "FACTOR"},
        "how much faster than real time an emulated board sleeps (default: 8)",
    ),
    (
        "boot-seconds",
        "store",
        {"metavar": "SECONDS"},
        "how long a boot may take, with the update that it installs (default: 30)",
    ),
    (
        "protocol",
        "store",
        {"metavar": "NAME"},
        "how updates travel: lwm2m or smp (default: the first that the board names, and all its tests)",
    ),
    (
        "link",
        "store",
        {"metavar": "CONDITIONS"},
        "what the link between server and device does to messages, such as loss=20%%,delay=5ms,seed=7",
    ),
    (
        "build-option",
        "append",
        {"metavar": "NAME=VALUE"},
        "C define for the reference firmware, such as DEFECT_ignore_missing_confirm=1; may be repeated",
    ),
)
OPTION_NAMES = tuple(name for name, *_ in _OPTIONS)
_LISTS = {name for name, action, *_ in _OPTIONS if action == "append"}

#: The fixtures of `harness._pytest`; without a board each of them says what to do.
FIXTURES: Mapping[str, str] = {
    "hil_board": "The board under test: a `harness.boards.Board`.",
    "hil_component": "A component of the board; tests that use it run for each.",
    "hil_console": "The device's console: a `harness.devices.Console`.",
    "hil_device": "The device under test: a `harness.devices.Device`.",
    "hil_images": "Makes bootloader and signed images for the board: a `harness.updates.ImageFactory`.",
    "hil_link": "The link between server and device, to be made bad: a `harness.protocols.BadFrameLink`.",
    "hil_lwm2m": "The LwM2M server on the device's serial line: a `harness.protocols.Lwm2mServer`.",
    "hil_power_cuts": "Cuts power at every flash operation: a call gives `harness.sweep.Results`.",
    "hil_rig": "Installs, boots, updates and judges the device: a `harness.updates.UpdateRig`.",
    "hil_session_device": "The device, opened once for all tests of this process.",
    "hil_smp": "The SMP client, on the device's serial line or UDP: a `harness.protocols.smp.SmpClient`.",
    "hil_slots": "Reads both slots of every image and explains them: a call gives a `FlashReport`.",
}
_NO_BOARD = (
    "this test needs a board, and none is named: use --hil-board BOARD, HIL_BOARD=BOARD in the environment,"
    " or hil_board in the ini file ('harness boards list' shows the boards that come with the harness)"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; all start with `--hil-`."""
    group = parser.getgroup("hil", "boards under test (mcuboot-harness)")
    for name, action, extra, text in _OPTIONS:
        group.addoption(f"--hil-{name}", dest=_dest(name), action=action, default=None, help=text, **extra)
        kind: Any = "linelist" if name in _LISTS else "string"
        parser.addini(_dest(name), f"default for --hil-{name}", type=kind, default=None)


def _dest(name: str) -> str:
    return f"hil_{name.replace('-', '_')}"


def on_command_line(config: pytest.Config) -> list[str]:
    """Names of our options that the command line holds."""
    return [name for name in OPTION_NAMES if config.getoption(_dest(name)) is not None]


def setting(config: pytest.Config, name: str) -> Any:
    """The value of an option, None if it is not given: a list of strings for those that may be repeated.

    From the command line, the environment (`HIL_NAME`, several values with commas between
    them) or the ini file.
    """
    value = config.getoption(_dest(name))
    if value is not None:
        return value
    from_environment = os.environ.get(_dest(name).upper())
    if from_environment:
        return [part.strip() for part in from_environment.split(",")] if name in _LISTS else from_environment
    return config.getini(_dest(name)) or None


def pytest_configure(config: pytest.Config) -> None:
    """Load the rest if a board is named."""
    config.addinivalue_line(
        "markers", "hil_requires(*capabilities): skip on boards that lack one of these capabilities, by name"
    )
    if setting(config, "board"):
        from harness import _pytest

        _pytest.activate(config)
    elif useless := on_command_line(config):
        raise pytest.UsageError(f"--hil-{useless[0]} was given, but no board: add --hil-board BOARD")


def _needs_board(name: str, text: str) -> Callable[[], None]:
    @pytest.fixture(scope="session", name=name)
    def fixture() -> None:
        pytest.fail(_NO_BOARD, pytrace=False)

    fixture.__doc__ = text
    return fixture


globals().update({f"fixture_{name}": _needs_board(name, text) for name, text in FIXTURES.items()})
