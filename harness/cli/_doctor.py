"""`harness doctor`: what is wrong with this machine as a bench."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click


@click.command("doctor")
@click.option("--bench", "file", metavar="FILE", help="Bench file or twister hardware map.")
@click.option(
    "--board", "boards", multiple=True, type=click.Path(path_type=Path), help="Board file to check as well."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def command(file: str | None, boards: tuple[Path, ...], as_json: bool) -> None:
    """Look at probes, ports, permissions, boards, tools and folders; exit code 1 if something is wrong."""
    from ..bench import Level, bench_path, examine, read_bench

    path = bench_path(file)
    bench = read_bench(path) if file or path.is_file() else None
    findings = examine(bench, boards)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(f"{finding.level:<6}{finding.topic:<12} {finding.what}")
            if finding.remedy:
                click.echo(f"{'':<19}to do: {finding.remedy}")
    if any(finding.level is Level.WRONG for finding in findings):
        raise click.exceptions.Exit(1)
