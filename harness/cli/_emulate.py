"""`harness emulate`: an emulated board in the foreground."""

from __future__ import annotations

import re
import secrets
import sys
from typing import Final

import click

from .._errors import CapabilityMissing
from ..boards import find_board

_UID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # also part of a file name
_LOOK_SECONDS: Final = 0.5


@click.command("emulate")
@click.option("--board", required=True, help="Name of a shipped board, or a board file.")
@click.option("--uid", help="Probe id under which pyOCD finds the board (default: made up).")
@click.option(
    "--serial",
    multiple=True,
    metavar="LINE=KIND",
    help="How a serial line is offered: uart0=tcp, uart0=tcp:PORT or uart0=pty; may be repeated.",
)
@click.option(
    "--speed", type=click.FloatRange(0.01, 1000), default=1.0, show_default=True, help="Speed of sleep."
)
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Makes the device's id and random numbers."
)
def command(board: str, uid: str | None, serial: tuple[str, ...], speed: float, seed: int) -> None:
    """Run an emulated board for pyOCD, a debugger and serial terminals, until Ctrl-C."""
    from ..emulator.control import BoardServer, running_boards

    definition = find_board(board)
    if definition.emulator is None:
        raise CapabilityMissing("emulator", board=definition.name)
    if uid is not None and not _UID.fullmatch(uid):
        raise click.UsageError(f"--uid {uid!r}: expected letters, digits, '.', '_' and '-', at most 64")
    if uid in {entry.uid for entry in running_boards()}:
        raise click.UsageError(f"--uid {uid}: an emulated board of that name runs already")
    server = BoardServer(
        definition.emulator,
        uid=uid or f"emulated-{secrets.token_hex(4)}",
        board=definition.name,
        target=definition.debug.target,
        serial=_kinds(serial),
        speed=speed,
        seed=seed,
    )
    try:
        entry = server.entry
        click.echo(f"{definition.name} runs; pyOCD finds it as {entry.uid}")
        roles = [f"{port.role}, {port.baud} baud" for port in definition.serial]
        for number, (name, url) in enumerate(entry.serial.items()):
            click.echo(f"  {name:<8} {url:<32} {roles[number] if number < len(roles) else ''}".rstrip())
        click.echo(f"  try: pyocd cmd -u {entry.uid}   or   pyocd gdbserver -u {entry.uid}")
        click.echo("Ctrl-C ends it.")
        sys.stdout.flush()
        while not server.closed.wait(_LOOK_SECONDS):  # Windows sees a Ctrl-C between two waits only
            pass
    except KeyboardInterrupt:
        click.echo("ended")
    finally:
        server.close()


def _kinds(texts: tuple[str, ...]) -> dict[str, str]:
    kinds = {}
    for text in texts:
        name, _, kind = text.partition("=")
        if not re.fullmatch(r"pty|tcp(:[0-9]{1,5})?", kind) or int(kind[4:] or 0) > 65535:
            raise click.UsageError(f"--serial {text!r}: expected LINE=tcp, LINE=tcp:PORT or LINE=pty")
        kinds[name] = kind
    return kinds
