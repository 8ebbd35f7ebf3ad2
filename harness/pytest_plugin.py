"""The pytest plugin (entry point `pytest11`): inert until a board is named.

Everything but the options lives in `harness._pytest` and is loaded only then. Command
line goes before environment, environment before ini file.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

_OPTIONS: Sequence[tuple[str, str, dict[str, Any], str]] = (
    (
        "board",
        "append",
        {"metavar": "BOARD"},
        "board to test: the name of a shipped board or a board file; may be repeated, tests run for each",
    ),
    ("backend", "store", {"choices": ["embedded", "hardware"]}, "what the board runs on (default: embedded)"),
    ("probe", "store", {"metavar": "ID"}, "unique id of the debug probe, for hardware"),
    (
        "port",
        "append",
        {"metavar": "ROLE=URL"},
        "serial port by the role that the board file gives it, for hardware",
    ),
    ("power-on", "store", {"metavar": "COMMAND"}, "command that switches the board on, for hardware"),
    ("power-off", "store", {"metavar": "COMMAND"}, "command that switches the board off, for hardware"),
    (
        "speed",
        "store",
        {"metavar": "FACTOR"},
        "how much faster than real time an emulated board sleeps (default: 8)",
    ),
)
#: C defines for the reference firmware; how the suite proves that it would notice a defect
_BUILD_OPTION = "build-option"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; all start with `--hil-`."""
    group = parser.getgroup("hil", "boards under test (mcuboot-harness)")
    for name, action, extra, text in _OPTIONS:
        group.addoption(f"--hil-{name}", dest=_dest(name), action=action, default=None, help=text, **extra)
        help_text = f"default for --hil-{name}"
        if action == "append":
            parser.addini(_dest(name), help_text, type="linelist", default=None)
        else:
            parser.addini(_dest(name), help_text, type="string", default=None)
    group.addoption(
        f"--hil-{_BUILD_OPTION}",
        dest=_dest(_BUILD_OPTION),
        action="append",
        default=None,
        metavar="NAME=VALUE",
        help="C define for the reference firmware, such as DEFECT_ignore_missing_confirm=1",
    )


def _dest(name: str) -> str:
    return f"hil_{name.replace('-', '_')}"


def setting(config: pytest.Config, name: str) -> Any:
    """The value of an option: from the command line, the environment (`HIL_NAME`) or the ini file."""
    value = config.getoption(_dest(name))
    if value:
        return value
    from_environment = os.environ.get(_dest(name).upper())
    if from_environment:
        return from_environment.split(os.pathsep) if name in {"board", "port"} else from_environment
    return None if name == _BUILD_OPTION else config.getini(_dest(name)) or None


def pytest_configure(config: pytest.Config) -> None:
    """Load the rest if a board is named."""
    config.addinivalue_line(
        "markers", "hil_requires(*capabilities): skip on boards that lack one of these capabilities, by name"
    )
    if setting(config, "board"):
        from harness import _pytest

        _pytest.activate(config)


@pytest.fixture
def hil_board() -> Any:
    """The board under test."""
    raise pytest.UsageError(
        "no board is named: use --hil-board NAME, HIL_BOARD, or hil_board in the ini file"
    )


@pytest.fixture
def hil_device(hil_board: Any) -> Any:
    """The device under test."""
    return hil_board
