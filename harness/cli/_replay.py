"""`harness replay`: one failure of a sweep again."""

from __future__ import annotations

from pathlib import Path

import click

from .._errors import ImageError

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("replay")
@click.argument("out", type=_FILE)
@click.option("--failure", type=int, required=True, help="Its number in the results.")
@click.option(
    "--elf", "files", multiple=True, type=_FILE, help="ELF file with source lines; may be repeated."
)
@click.option("--gdb", is_flag=True, help="Stop at the first instruction after the cut, for a debugger.")
@click.option("--port", type=click.IntRange(1, 65535), default=3333, show_default=True, help="For --gdb.")
def command(out: Path, failure: int, files: tuple[Path, ...], gdb: bool, port: int) -> None:
    """Do one failure of a sweep again. OUT is the file that `harness sweep --json` wrote.

    Exit code 1: it fails again; 0: it does not; 2: bad input.
    """
    from ..sweep import Replay, Report

    try:
        text = out.read_bytes()
    except OSError as error:
        raise ImageError("cannot be read", where=str(out), found=error.strerror or str(error)) from None
    replay = Replay(Report.from_json(text, where=str(out)), failure, files)
    if gdb:
        with replay.debugger(port) as server:
            click.echo(f"in gdb: target extended-remote localhost:{port}   Ctrl-C ends it.", err=True)
            server.wait()
        return
    seen = replay.run()
    for cut in seen.evidence.cuts:
        source = f", in {cut.source}" if cut.source else ""
        click.echo(
            f"power lost at operation {cut.number} ({cut.kind}, {cut.tear}) at {cut.address:#010x}: "
            f"{cut.place}{source}"
        )
    click.echo(f"\nslots then:\n{seen.evidence.before}\n\nslots in the end:\n{seen.evidence.after}")
    click.echo(f"\nconsole:\n{seen.evidence.console}")
    click.echo("ran: " + " -> ".join("/".join(labels) for labels in seen.verdict.runs))
    if not seen.verdict.findings:
        click.echo("it does not fail")
        return
    for finding in seen.verdict.findings:
        click.echo(f"failed: {finding}")
    raise click.exceptions.Exit(1)
