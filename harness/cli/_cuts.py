"""`harness cuts`: power cuts at random times on a real device."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..boards import find_board

if TYPE_CHECKING:
    from ..devices import DeviceSettings
    from ..sweep import BenchReport


@click.command("cuts")
@click.option("--board", required=True, help="Name of a shipped board, or a board file.")
@click.option("--scenario", default="test", show_default=True, help="Which update: harness sweep --list.")
@click.option("--cuts", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many.")
@click.option("--seed", type=int, default=0, show_default=True, help="Makes the times.")
@click.option(
    "--size", type=click.IntRange(16), default=20_000, show_default=True, help="Bytes of the images."
)
@click.option("--component", help="The component to update (default: the first).")
@click.option("--bench", "file", metavar="FILE", help="Bench file or twister hardware map.")
@click.option("--probe", metavar="ID", help="Probe id, or name on the bench.")
@click.option("--wait", type=click.FloatRange(0), default=0.0, help="Seconds to wait for a taken device.")
@click.option(
    "--boot-seconds",
    type=click.FloatRange(0.1),
    default=120.0,
    show_default=True,
    help="What an update may take.",
)
@click.option(
    "--json", "file_json", type=click.Path(dir_okay=False, path_type=Path), help="Write the report."
)
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write a JUnit file.")
def command(
    board: str,
    scenario: str,
    cuts: int,
    seed: int,
    size: int,
    component: str | None,
    file: str | None,
    probe: str | None,
    wait: float,
    boot_seconds: float,
    file_json: Path | None,
    junit: Path | None,
) -> None:
    """Take power from a real device at random times of an update, and judge what comes of it.

    Times spread over the measured length of the update; each is told as the range that it lay in. Without
    a power switch in the bench file the core is stopped and reset through the probe. The rules are those of
    'harness sweep', which alone can cut inside flash operations. Exit code 1 if one does not hold.
    """
    from ..bench import Request, bench_path, open_on_bench, read_bench
    from ..sweep import Options, cut_on_bench, write_bench_report

    definition = find_board(board)
    path = bench_path(file)
    bench = read_bench(path).require() if file or path.is_file() else None
    request = Request(definition, _settings(probe), bench, wait)

    def progress(done: int, total: int, failed: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{done} of {total} cuts, {failed} failed", nl=done == total, err=True)

    with open_on_bench(request) as (device, attendance):
        report = cut_on_bench(
            device,
            scenario,
            cuts=cuts,
            seed=seed,
            options=Options(size=size, component=component),
            boot_seconds=boot_seconds,
            progress=progress,
        )
    report = report.model_copy(update={"probe": attendance.key})
    _say(report)
    write_bench_report(report, {"json": file_json, "junit": junit})
    if report.failed:
        raise click.exceptions.Exit(1)


def _settings(probe: str | None) -> DeviceSettings:
    from ..devices import DeviceSettings

    return DeviceSettings(backend="hardware", probe=probe)


def _say(report: BenchReport) -> None:
    how = "power switched" if report.method == "power" else "no power switch: core stopped and reset"
    click.echo(f"{report.scenario} on {report.board} ({report.probe}), {how}")
    click.echo(
        f"{report.points} cuts within {report.window * 1000:.0f} ms: {report.held} held,"
        f" {report.used_up} used up, {report.failed} failed; {report.seconds:.0f} s"
        f"{'' if report.complete else ', interrupted'}"
    )
    mean, largest, spread = (
        1000 * value for value in (report.jitter.mean, report.jitter.largest, report.jitter.spread)
    )
    click.echo(
        f"cuts came {mean:+.1f} ms from the wanted time on average, {largest:.1f} ms at most;"
        f" each is known to {spread:.1f} ms, not to a flash operation"
    )
    for failure in report.failures:
        click.echo(f"{failure.number}. {'; '.join(failure.rules)} - {failure.count} cuts\n{failure.after}")
