"""`harness verify`: the regression suite on a board."""

from __future__ import annotations

from pathlib import Path

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

    Exit code 0: everything held; 1: something did not, or the bench is broken; 2: wrong use,
    nothing to run, or interrupted.
    """
    import pytest

    from .. import suite

    options = [f"--hil-board={board}" for board in boards]
    options += [f"--hil-backend={backend}"] if backend else []
    options += [f"--hil-probe={probe}"] if probe else []
    options += [f"--hil-port={port}" for port in ports]
    folder = Path(suite.__file__).parent
    # The suite's own ini file, whatever there is in the working directory.
    own = ["-c", str(folder / "pytest.ini"), "-p", "no:cacheprovider"]
    # pytest cannot rewrite asserts in what the command line has loaded; there are none that matter.
    quiet = ["-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"]
    code = pytest.main([*own, *options, *pytest_arguments, *quiet, str(folder)])
    raise click.exceptions.Exit(int(code) if code in {0, 1} else 2)
