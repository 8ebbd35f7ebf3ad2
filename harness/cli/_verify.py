"""`harness verify`: the regression suite on a board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .._errors import BoardError, BuildError

if TYPE_CHECKING:
    import pytest


@click.command("verify", context_settings={"ignore_unknown_options": True})
@click.option("--board", "boards", required=True, multiple=True, help="Board to verify; may be repeated.")
@click.option("--every-mode", is_flag=True, help="In every swap mode that the board's flash map allows.")
@click.option("--protocol", type=click.Choice(["lwm2m", "smp"]), help="How updates travel.")
@click.option(
    "--backend", type=click.Choice(["embedded", "renode", "hardware"]), help="What the board runs on."
)
@click.option("--probe", help="Unique id of the debug probe, for hardware.")
@click.option("--port", "ports", multiple=True, metavar="ROLE=URL", help="Serial port by role, for hardware.")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def command(
    boards: tuple[str, ...],
    every_mode: bool,
    protocol: str | None,
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

    if every_mode:
        boards = tuple(variant for board in boards for variant in _in_every_mode(board))
    options = [f"--hil-board={board}" for board in boards]
    options += [f"--hil-protocol={protocol}"] if protocol else []
    options += [f"--hil-backend={backend}"] if backend else []
    options += [f"--hil-probe={probe}"] if probe else []
    options += [f"--hil-port={port}" for port in ports]
    folder = Path(suite.__file__).parent
    # The suite's own ini file, whatever there is in the working directory.
    own = ["-c", str(folder / "pytest.ini"), "-p", "no:cacheprovider"]
    # pytest cannot rewrite asserts in what the command line has loaded; there are none that matter.
    quiet = ["-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"]
    if any(text.startswith(("-n", "--numprocesses")) for text in pytest_arguments):
        own += ["--dist", "worksteal"]  # tests of one board stay together, and a worker opens few of them
    seen = _Seen()
    code = pytest.main([*own, *options, *pytest_arguments, *quiet, str(folder)], plugins=[seen])
    if code == 0 and seen.skipped and not seen.passed:
        click.echo("nothing was verified: every test was skipped, see the reasons with -rs", err=True)
        raise click.exceptions.Exit(2)
    raise click.exceptions.Exit(int(code) if code in {0, 1} else 2)


class _Seen:
    """Counts what was verified."""

    def __init__(self) -> None:
        self.passed = self.skipped = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """pytest's hook, also called for what xdist's workers report."""
        self.passed += report.when == "call" and report.passed
        self.skipped += report.skipped


def _in_every_mode(name: str) -> list[str]:
    """The board once for each swap mode that its flash map and the reference boot loader allow."""
    from ..boards import find_board
    from ..firmware import bootloader_layout
    from ..mcuboot import SwapMode

    if find_board(name).bootloader is not None:
        raise click.UsageError(f"{name} has a boot loader of its own: it knows one swap mode only")
    found = []
    for mode in SwapMode:
        variant = f"{name}{',' if ':' in Path(name).name else ':'}swap_mode={mode}"
        try:
            bootloader_layout(find_board(variant))
        except (BoardError, BuildError):
            continue
        found.append(variant)
    return found
