"""`harness boards`: what board definitions there are, and whether a file is one."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..boards import check_board, find_board, json_schema_text, shipped_boards


@click.group("boards")
def command() -> None:
    """List boards, check a board file, print the schema."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def list_boards(as_json: bool) -> None:
    """List the boards that come with the package."""
    rows = []
    for name, file in shipped_boards().items():
        board = find_board(name)
        rows.append(
            {
                "name": name,
                "soc": board.soc,
                "swap_mode": str(board.mcuboot.swap_mode),
                "components": [component.name for component in board.components],
                "file": str(file),
            }
        )
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(
            f"{row['name']:<16} {row['soc']:<12} {row['swap_mode']:<16} {', '.join(row['components'])}"
        )


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Say everything that is wrong with a board file; exit code 2 if anything is."""
    problems = check_board(file)
    for problem in problems:
        click.echo(str(problem), err=True)
    if problems:
        raise click.exceptions.Exit(2)
    board = find_board(file.absolute())
    click.echo(f"{file}: board {board.name}, {', '.join(sorted(board.capabilities))}")


@command.command("schema")
def schema() -> None:
    """Print the JSON schema of board files, for editors."""
    click.echo(json_schema_text(), nl=False)
