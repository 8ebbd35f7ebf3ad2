"""`harness verify`: the regression suite on a board."""

from __future__ import annotations

import subprocess
import sys

import click


@click.command("verify", context_settings={"ignore_unknown_options": True})
@click.option("--board", "boards", required=True, multiple=True, help="Board to verify; may be repeated.")
@click.option("--backend", type=click.Choice(["embedded", "hardware"]), help="What the board runs on.")
@click.option("--probe", help="Unique id of the debug probe, for hardware.")
@click.option("--port", "ports", multiple=True, metavar="ROLE=URL", help="Serial port by role, for hardware.")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def command(
    boards: tuple[str, ...],
    backend: str | None,
    probe: str | None,
    ports: tuple[str, ...],
    pytest_arguments: tuple[str, ...],
) -> None:
    """Run the regression suite on a board. Further arguments go to pytest, for example -n auto or -k revert.

    Exit code 0: everything held; 1: something did not; 2: wrong use or interrupted.
    """
    options = [f"--hil-board={board}" for board in boards]
    options += [f"--hil-backend={backend}"] if backend else []
    options += [f"--hil-probe={probe}"] if probe else []
    options += [f"--hil-port={port}" for port in ports]
    arguments = ["--pyargs", "harness.suite", "-p", "no:cacheprovider", *options, *pytest_arguments]
    result = subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False)
    raise click.exceptions.Exit(min(result.returncode, 2))
