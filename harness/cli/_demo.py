"""`harness demo`: the demonstration on a terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..demo import Step, StepResult


@click.command("demo")
@click.option("--board", default="nrf52840dk", show_default=True, help="Board with an emulator model.")
def command(board: str) -> None:
    """Update an emulated board from a fresh checkout, and show that it holds.

    Exit code 0 only if every verdict held.
    """
    from rich.console import Console

    from ..demo import run_demo

    began = time.monotonic()
    screen = _Terminal(Console())
    try:
        results = run_demo(screen, board)
    finally:
        screen.close()
    screen.table(results, time.monotonic() - began)
    if any(result.problem for result in results):
        raise click.exceptions.Exit(1)


class _Terminal:
    """Live progress on a terminal, plain lines elsewhere."""

    def __init__(self, console: object) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        assert isinstance(console, Console)
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None)

    def begin(self, step: Step) -> None:
        """Show what is being done."""
        self._progress.start()
        self._progress.reset(self._task, description=step.title, total=None)

    def progress(self, text: str, done: int, total: int) -> None:
        """Show how far it is."""
        self._progress.update(self._task, description=text, completed=done, total=total)

    def end(self, result: StepResult) -> None:
        """Show how it ended."""
        self._progress.stop()
        mark = "[red]failed[/red]" if result.problem else "[green]ok[/green]"
        self._console.print(f"{mark:<6} {result.step.title} ({result.seconds:.1f} s)")
        for fact in result.facts:
            self._console.print(f"         {fact}", highlight=False, markup=False, soft_wrap=True)
        if result.problem:
            self._console.print(result.problem, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Give the terminal back, whatever happened."""
        self._progress.stop()

    def table(self, results: list[StepResult], seconds: float) -> None:
        """The verdicts, at the end."""
        from rich.table import Table

        table = Table(title=f"verdicts, from flash contents and protocol state ({seconds:.1f} s in all)")
        for heading in ("step", "expected", "verdict"):
            table.add_column(heading)
        for result in results:
            if result.step.expected:
                verdict = "[red]did not hold[/red]" if result.problem else "[green]held[/green]"
                table.add_row(result.step.title, result.step.expected, verdict)
        self._console.print(table)
