"""`harness emulate`: an emulated board in the foreground."""

from __future__ import annotations

import secrets

import click

from .._errors import CapabilityMissing
from ..boards import find_board


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
    from ..emulator.control import BoardServer

    definition = find_board(board)
    if definition.emulator is None:
        raise CapabilityMissing("emulator", board=definition.name)
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
        for name, url in entry.serial.items():
            click.echo(f"  {name:<8} {url}")
        click.echo(f"  try: pyocd cmd -u {entry.uid}   or   pyocd gdbserver -u {entry.uid}")
        click.echo("Ctrl-C ends it.")
        server.closed.wait()
    finally:
        server.close()


def _kinds(texts: tuple[str, ...]) -> dict[str, str]:
    kinds = {}
    for text in texts:
        name, _, kind = text.partition("=")
        port = kind.partition(":")[2]
        if kind.split(":")[0] not in {"tcp", "pty"} or (port and not port.isdecimal()):
            raise click.UsageError(f"--serial {text!r}: expected LINE=tcp, LINE=tcp:PORT or LINE=pty")
        kinds[name] = kind
    return kinds
