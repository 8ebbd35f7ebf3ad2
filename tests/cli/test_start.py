"""What every command has in common: help, version, wrong names; and that starting costs nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version

import pytest

from .conftest import SCRIPT, Outcome

Command = Callable[..., Outcome]
COMMANDS = ("boards", "demo", "emulate", "slots", "verify")
HEAVY = {"aiocoap", "pyocd", "pytest", "rich", "serial", "smpclient", "unicorn"}


@pytest.mark.parametrize(
    "arguments", [(), *((name,) for name in COMMANDS), ("boards", "check")], ids=" ".join
)
def test_help_loads_nothing_heavy(arguments: tuple[str, ...]):
    program = f"""
import json, sys
sys.argv = ["harness", *{arguments!r}, "--help"]
from harness.cli import main
try:
    main()
except SystemExit as left:
    print(json.dumps([left.code, sorted(sys.modules)]))
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    *text, last = result.stdout.splitlines()
    code, modules = json.loads(last)
    assert code == 0
    assert text[0].startswith("Usage: harness")
    assert not HEAVY & {name.split(".")[0] for name in modules}
    if not arguments:
        assert {name for name in modules if name.startswith("harness")} == {
            *("harness", "harness._errors", "harness.cli")
        }


def test_help_lists_every_command(harness: Command):
    outcome = harness("--help")
    assert outcome.code == 0
    assert all(f"\n  {name} " in outcome.output for name in COMMANDS)


def test_version():
    result = subprocess.run([SCRIPT, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout == f"harness, version {version('mcuboot-harness')}\n"


def test_without_a_command_the_help_is_shown_as_wrong_use(harness: Command):
    assert "emulate" in harness().refused()


def test_unknown_command_gets_a_hint(harness: Command):
    assert "No such command 'emulat'. Did you mean 'emulate'?" in harness("emulat").refused()


@pytest.mark.parametrize(
    "arguments", [("slots", "--flash", "x"), ("emulate",), ("demo",)], ids=lambda arguments: arguments[0]
)
def test_unknown_board_gets_a_hint(harness: Command, arguments: tuple[str, ...]):
    message = harness(*arguments, "--board", "nrf52841dk").refused()
    assert "no board 'nrf52841dk'" in message
    assert "did you mean nrf52840dk?" in message


@pytest.mark.parametrize("arguments", [("slots", "--flash", "x"), ("emulate",), ("verify",)], ids=" ".join)
def test_missing_board_is_wrong_use(harness: Command, arguments: tuple[str, ...]):
    assert "Missing option '--board'" in harness(*arguments).refused()
