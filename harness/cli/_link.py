"""`harness link`: a bad network path as a program."""

from __future__ import annotations

import contextlib
import json
import threading
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..protocols import LinkConditions

_EXAMPLE = "loss=20%,duplication=5%,delay=50ms,jitter=20ms,seed=7"


@click.command("link")
@click.option(
    "--server",
    required=True,
    metavar="URI",
    help="The server, such as coap://127.0.0.1:5683 or coaps://...; of SMP the device, smp://192.0.2.7:1337.",
)
@click.option(
    "--listen",
    default="127.0.0.1:0",
    show_default=True,
    metavar="HOST:PORT",
    help="Where devices find the link; port 0 takes a free one.",
)
@click.option(
    "--conditions", default="", metavar="TEXT", help=f"What the link does to messages, such as {_EXAMPLE}"
)
@click.option(
    "--for", "seconds", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="End by itself."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, with every message.")
def command(server: str, listen: str, conditions: str, seconds: float | None, as_json: bool) -> None:
    """Relay UDP between devices and a server, and do to messages what the conditions say.

    Devices are configured with the printed URI instead of the server's; SMP clients go there instead of to
    the device. Ctrl-C ends it and prints
    what was done to which message.

    \b
    Conditions are NAME=VALUE, separated by commas:
      loss, duplication, reordering, corruption   share of messages, 20% or 0.2
      undetected          share of the corrupted ones that no checksum stops (0)
      delay, jitter, hold time, 5ms or 2s; hold is how late a reordered message is
      bandwidth           115200baud, 10kB/s or bytes a second
      silence=2s+500ms    nothing passes, from 2 s on; may be repeated
      move=3s             the devices' addresses change; may be repeated
      seed                which messages are hit
    """
    from ..protocols import UdpBadLink

    host, port = _address(listen)
    try:
        link = UdpBadLink(server, _conditions(conditions), host=host, port=port)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--server") from None
    with link:
        click.echo(f"devices: {link.uri}   server: {server}   {link.conditions}", err=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait(seconds)
        click.echo(json.dumps(link.report.as_json()) if as_json else str(link.report))


def _conditions(text: str) -> LinkConditions:
    from ..protocols import LinkConditions

    try:
        return LinkConditions.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--conditions") from None


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (host and port.isdecimal() and int(port) < 65536):
        raise click.BadParameter(f"{text!r} is not HOST:PORT", param_hint="--listen")
    return host.strip("[]"), int(port)
