"""The command `harness`. Each subcommand is a module of its own and is loaded when it is called."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import Any, Final

import click

from .._errors import HarnessError, VerdictError

__all__ = ["main"]

#: subcommand: (module, one line)
_COMMANDS: Final = {
    "demo": ("_demo", "Update an emulated board from a fresh checkout, and show that it holds."),
    "verify": ("_verify", "Run the regression suite on a board."),
    "slots": ("_slots", "Explain the MCUboot slots in a flash dump, and what the next boot would do."),
    "emulate": ("_emulate", "Run an emulated board for pyOCD, a debugger and serial terminals."),
    "conformance": ("_conformance", "Test any LwM2M client's firmware update objects."),
    "link": ("_link", "Stand between devices and a server, and lose, double, delay or damage messages."),
    "sweep": ("_sweep", "Cut power at every flash operation of an update, and judge what comes of it."),
    "cuts": ("_cuts", "Cut power of a real device at random times of an update, and judge what comes of it."),
    "replay": ("_replay", "Do one failure of a sweep again, in a debugger if asked."),
    "doctor": ("_doctor", "Say what is wrong with this machine as a bench, and what to do."),
    "bench": ("_bench", "List, add, lock and recover the devices of this machine."),
    "boards": ("_boards", "List boards, check a board file, make one of a Zephyr build, print the schema."),
}


#: other spellings
_ALIASES: Final = {"board": "boards"}


class _Lazy(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        name = _ALIASES.get(name, name)
        if name not in _COMMANDS:
            return None
        command = import_module(f".{_COMMANDS[name][0]}", __name__).command
        assert isinstance(command, click.Command)
        return command

    def invoke(self, context: click.Context) -> Any:
        try:
            result = super().invoke(context)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read the output has seen enough; the flush at the end must not complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        return result

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from difflib import get_close_matches

        if args and args[0] not in (*_COMMANDS, *_ALIASES):
            near = get_close_matches(args[0], _COMMANDS, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", context)
        return super().resolve_command(context, args)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mcuboot-harness")
def _group() -> None:
    """Prove MCUboot firmware updates from flash contents, on real and emulated boards."""


def main() -> None:
    """Entry point. Exit codes: 0 well, 1 a verdict did not hold, 2 wrong use, bad input or a broken bench.

    A request to end (SIGTERM, a closed terminal) is like Ctrl-C: what a command opened is closed.
    """
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # else nohup, for example
            signal.signal(number, signal.default_int_handler)
    try:
        # click hands the code of its own Exit back as result
        sys.exit(_group.main(standalone_mode=False) or 0)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except VerdictError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    except HarnessError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
