"""`harness boards`: what board definitions there are, and whether a file is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from .._errors import BoardError, HarnessError
from ..boards import check_board, find_board, json_schema_text, shipped_boards


@click.group("boards")
def command() -> None:
    """List boards, check a board file, make one of a Zephyr build, print the schema."""


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
    """Say everything that is wrong with a board file; exit code 2 if anything is.

    The SoC, models and the debug target are looked up, too; notes are no faults.
    """
    from ..firmware import firmware_ports

    problems = check_board(file, firmware_ports=firmware_ports())
    for problem in problems:
        click.echo(str(problem), err=True)
    if not all(problem.note for problem in problems):
        raise click.exceptions.Exit(2)
    board = find_board(file.absolute())
    click.echo(f"{file}: board {board.name}, {', '.join(sorted(board.capabilities))}")


@command.command("import")
@click.argument("build", type=click.Path(path_type=Path), metavar="BUILD_DIR")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Board file to write (default: NAME.yaml here, NAME being the board's); - prints it.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="FIELD=VALUE",
    help="What the build does not say, or says wrongly, such as debug.target=nrf52840; may be repeated.",
)
@click.option("--force", is_flag=True, help="Replace a board file that is there.")
def import_(build: Path, output: Path | None, changes: tuple[str, ...], force: bool) -> None:
    """Write a board file from a Zephyr or sysbuild build folder; exit code 2 if something is unknown.

    Reads build_info.yml, domains.yaml, zephyr.dts, .config, runners.yaml, and of the nRF Connect SDK
    partitions.yml and dfu_application.zip. Contradictions and what board files cannot describe are
    named with file and line.
    """
    from ..boards.zephyr import import_build

    printed = output is not None and str(output) == "-"
    target = Path() if output is None or printed else output.parent
    imported = import_build(build, target, changes)
    for note in imported.notes:
        click.echo(f"note: {note}", err=True)
    for problem in imported.problems:
        click.echo(str(problem), err=True)
    if imported.text is None:
        raise click.exceptions.Exit(2)
    if printed:
        click.echo(imported.text, nl=False)
        return
    file = output or Path(f"{imported.name}.yaml")
    try:
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(imported.text)
    except FileExistsError:
        raise BoardError(
            "is there already", where=str(file), remedy="name another file, or add --force"
        ) from None
    except OSError as error:
        raise BoardError(f"cannot be written: {error.strerror}", where=str(file)) from None
    click.echo(
        f"{file}: board {imported.name}, {', '.join(sorted(find_board(file.absolute()).capabilities))}"
    )


@command.command("package")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--board", help="Check signatures, sizes and slots for this board.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def package(file: Path, board: str | None, as_json: bool) -> None:
    """Say which images an update package (dfu_application.zip) holds; exit code 1 if one is bad."""
    from ..boards.zephyr import read_package
    from ..mcuboot import Image, Severity, verify_signature

    definition = find_board(board) if board else None
    rows: list[dict[str, Any]] = []
    for packaged in read_package(file):
        image = Image.parse(packaged.data)
        version = str(image.version) if image.version else None
        faults = [str(finding) for finding in image.findings if finding.severity > Severity.INFO]
        if packaged.version is not None and version is not None and not _same(packaged.version, version):
            faults.append(f"the manifest says version {packaged.version}")
        component = None
        if definition is not None:
            component = next((part for part in definition.components if part.image == packaged.image), None)
            if component is None:
                faults.append(f"{definition.name} has no image {packaged.image}")
            elif len(packaged.data) > (most := definition.max_image_size(component.name)):
                faults.append(f"{len(packaged.data)} bytes, the slot has room for {most}")
            verdict = verify_signature(image, [definition.public_key])
            if not verdict.ok:
                faults.append(str(verdict))
        rows.append(
            {
                "file": packaged.name,
                "image": packaged.image,
                "component": component.name if component else None,
                "version": version,
                "size": len(packaged.data),
                "board": packaged.board,
                "faults": faults,
            }
        )
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        for row in rows:
            name = row["component"] or f"image {row['image']}"
            click.echo(f"{name:<12} {row['version'] or '-':<16} {row['size']:>8} bytes  {row['file']}")
            for fault in row["faults"]:
                click.echo(f"  {fault}")
    if any(row["faults"] for row in rows):
        raise click.exceptions.Exit(1)


def _same(told: str, version: str) -> bool:
    """Whether two texts are the same version; the build number may be left out."""
    from ..mcuboot import Version

    try:
        return Version.parse(told) == Version.parse(version)
    except HarnessError:
        return False


@command.command("schema")
def schema() -> None:
    """Print the JSON schema of board files, for editors."""
    click.echo(json_schema_text(), nl=False)
