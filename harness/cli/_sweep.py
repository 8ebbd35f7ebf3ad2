"""`harness sweep`: power cuts at every flash operation."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from .._errors import ImageError
from ..boards import find_board
from ..mcuboot import FlashView

if TYPE_CHECKING:
    from ..sweep import Executor, Plan, Progress, Recording, Report, SweepLog

#: causes that are listed
_SHOWN: Final = 20
_FILE: Final = click.Path(dir_okay=False, path_type=Path)


class _Pairs(click.ParamType[int | None]):
    """A number, or ``all``, or ``auto``."""

    name = "number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """Parse; a usage error otherwise."""
        if value == "all":
            return None
        if value == "auto":
            return -1
        try:
            number = int(str(value))
        except ValueError:
            number = -1
        if number < 0:
            self.fail(f"{value!r} is neither a number nor all or auto", param, ctx)
        return number


def _list(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from ..sweep import SCENARIOS

        for name, (_, text) in SCENARIOS.items():
            click.echo(f"{name:<12} {text}")
        context.exit()


def _schema(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from ..sweep import schema_text

        click.echo(schema_text(), nl=False)
        context.exit()


@click.command("sweep")
@click.option("--board", required=True, help="Name of a shipped board, or a board file.")
@click.option("--scenario", help="Which update: see --list.")
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list,
    help="List the scenarios and leave.",
)
@click.option("--flash", type=_FILE, help="Start from this flash dump (raw or Intel HEX) instead.")
@click.option(
    "--bootloader", type=_FILE, help="Boot loader to sweep: .elf, .hex or .bin (default: the board's)."
)
@click.option(
    "--image",
    "images",
    multiple=True,
    metavar="ROLE=FILE",
    help="Signed image: NAME=FILE for a component's update, NAME.old=FILE for what it has; may be repeated.",
)
@click.option("--component", help="The component to update (default: the first).")
@click.option(
    "--size", type=click.IntRange(16), default=20_000, show_default=True, help="Bytes of made images."
)
@click.option("--old-size", type=click.IntRange(16), help="Bytes of the made images that are there before.")
@click.option(
    "--settle",
    type=click.IntRange(1, 600_000),
    default=400,
    show_default=True,
    help="Milliseconds without a write until a running application counts as settled.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Makes all random choices.")
@click.option("--between", is_flag=True, help="Cut between operations only, not inside them.")
@click.option(
    "--random",
    "random_",
    type=click.IntRange(0, 64),
    default=1,
    show_default=True,
    help="Random ways to tear each operation.",
)
@click.option(
    "--weak", is_flag=True, help="Also leave erased cells undecided: they read differently each time."
)
@click.option(
    "--pairs",
    type=_Pairs(),
    default="auto",
    show_default=True,
    help="Points with a second cut while recovering: a number, all, or auto.",
)
@click.option(
    "--chains",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    help="Points with several cuts in a row.",
)
@click.option("--chain", type=click.IntRange(2, 20), default=3, show_default=True, help="How many that are.")
@click.option("--workers", type=click.IntRange(1, 1024), help="Processes (default: one for each core).")
@click.option(
    "--executor",
    default="local",
    show_default=True,
    metavar="WHERE",
    help="local, or the address of a Dask scheduler: dask://HOST:PORT.",
)
@click.option(
    "--json", "json_file", type=_FILE, help="Write the results for programs, and for harness replay."
)
@click.option("--html", type=_FILE, help="Write a page with the flash map and all failures.")
@click.option("--junit", type=_FILE, help="Write a JUnit file.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted sweep of the same --json file.")
@click.option("--first-failure", is_flag=True, help="End as soon as something has failed.")
@click.option(
    "--build-option",
    "build",
    multiple=True,
    metavar="NAME=VALUE",
    help="C define for the reference firmware; may be repeated.",
)
@click.option(
    "--schema",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_schema,
    help="Print the JSON schema of the results and leave.",
)
def command(
    board: str,
    scenario: str | None,
    flash: Path | None,
    bootloader: Path | None,
    images: tuple[str, ...],
    component: str | None,
    settle: int,
    size: int,
    old_size: int | None,
    seed: int,
    between: bool,
    random_: int,
    weak: bool,
    pairs: int | None,
    chains: int,
    chain: int,
    workers: int | None,
    executor: str,
    json_file: Path | None,
    html: Path | None,
    junit: Path | None,
    resume: bool,
    first_failure: bool,
    build: tuple[str, ...],
) -> None:
    """Cut power at every flash operation of an update, inside it too, and judge what comes of it.

    Exit code 0: the device survived everything; 1: it did not; 2: wrong use, bad input, or a scenario that
    never reaches an application. Ctrl-C ends it with the results so far, and code 130.
    """
    from .. import sweep as sweeps

    if scenario is None and flash is None:
        raise click.UsageError("name a scenario (--scenario, see --list), or a flash dump (--flash)")
    if scenario is not None and flash is not None:
        raise click.UsageError("--flash stands for the scenario: leave --scenario away")
    if resume and json_file is None:
        raise click.UsageError("--resume needs the --json file of the sweep to go on with")
    definition = find_board(board)
    options = sweeps.Options(
        bootloader=bootloader,
        images={role: _read(file) for role, file in _pairs("--image", images)},
        size=size,
        old_size=old_size,
        component=component,
        settle=settle,
        build={name: _number(name, value) for name, value in _pairs("--build-option", build)},
    )
    tears = sweeps.Tears(inside=not between, random=random_, weak=weak, seed=seed)
    plan = sweeps.Plan(tears, pairs=pairs, chains=chains, chain=chain)
    log_file = json_file.with_name(json_file.name + ".part") if json_file else None
    before = sweeps.SweepLog.go_on(log_file, plan) if resume and log_file else None
    dump = FlashView.load(_read(str(flash)), definition.flash.base) if flash else None
    with ExitStack() as stack:
        subject = sweeps.prepare(definition, scenario, options=options, flash=dump, log=before)
        click.echo(
            f"{subject.recording.scenario} on {definition.name}: {len(subject.recording.operations)} flash"
            f" operations; boot loader {subject.bootloader.name}"
        )
        screen = stack.enter_context(_Screen())
        results = sweeps.sweep(
            subject,
            plan,
            executor=_executor(executor, workers, stack),
            log=before or _begin(log_file, subject.recording, plan),
            progress=screen.show,
            first_failure=first_failure,
        )
    out = str(json_file) if json_file else "OUT"
    report = results.report(out)
    results.write(report, {"json": json_file, "html": html, "junit": junit})
    _tell(report, json_file)
    if report.complete and log_file is not None:
        log_file.unlink(missing_ok=True)
    if report.failed:
        raise click.exceptions.Exit(1)
    if not report.complete:
        click.echo("interrupted; go on with --resume" if log_file else "interrupted", err=True)
        raise click.exceptions.Exit(130)


def _pairs(option: str, texts: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise click.UsageError(f"{option} {text!r}: expected NAME=VALUE")
        pairs.append((name, value))
    return pairs


def _number(name: str, text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise click.UsageError(f"--build-option {name}: {text!r} is no number") from None


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ImageError("cannot be read", where=file, found=error.strerror or str(error)) from None


def _begin(file: Path | None, recording: Recording, plan: Plan) -> SweepLog | None:
    from ..sweep import SweepLog

    return SweepLog.begin(file, recording, plan) if file is not None else None


def _executor(where: str, workers: int | None, stack: ExitStack) -> Executor:
    from ..sweep import DaskExecutor, executor_for

    executor: Executor
    if where == "local":
        executor = executor_for(workers)
    elif where.startswith("dask://"):
        executor = DaskExecutor(where)
    else:
        raise click.UsageError(f"--executor {where!r}: expected local or dask://HOST:PORT")
    stack.callback(executor.close)
    return executor


class _Screen:
    """Progress: a live line on a terminal, some lines elsewhere."""

    def __enter__(self) -> _Screen:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._console = Console(stderr=True)
        self._shown = 0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None)
        self._bar.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._bar.stop()

    def show(self, progress: Progress) -> None:
        """Show how far it is."""
        left = "" if progress.left is None else f", {progress.left:.0f} s left"
        failed = f", {progress.failed} failed" if progress.failed else ""
        text = f"{progress.points} points, {progress.rate:.0f}/s{failed}{left}"
        self._bar.update(self._task, description=text, completed=progress.done, total=progress.total)
        tenth = 10 * progress.done // progress.total
        if not self._console.is_terminal and tenth > self._shown:
            self._shown = tenth
            click.echo(f"{10 * tenth} %: {text}", err=True)


def _tell(report: Report, json_file: Path | None) -> None:
    """The results in a few lines."""
    cuts = ", ".join(f"{count} with {number} cuts" for number, count in report.by_cuts.items() if number > 1)
    click.echo(
        f"{report.points} points{f' ({cuts})' if cuts else ''} in {report.seconds:.1f} s, "
        f"{report.points_per_second:.0f} a second: {report.held} held, {report.failed} failed"
    )
    click.echo(
        f"{report.boots} power-ons executed, {report.foreseen} more seen to be the same; "
        f"{report.instructions / 1e6:.0f} M instructions"
    )
    if report.used_up.count:
        click.echo(
            f"{report.used_up.count} points used up the test boot: power lost behind the last trailer write "
            "(legal: the boot loader cannot tell)"
        )
    for text in report.without_cut:
        click.echo(f"even without a power cut: {text}")
    for failure in report.failures[:_SHOWN]:
        cuts = ", then ".join(f"operation {cut.number} ({cut.kind}, {cut.tear})" for cut in failure.cuts)
        last = failure.cuts[-1]
        source = f", in {last.source}" if last.source else ""
        click.echo(f"\n{failure.number}. {'; '.join(failure.rules)} - {failure.count} points")
        click.echo(f"   power lost at {cuts}, {last.address:#010x}: {last.place}{source}")
        if json_file is not None:
            click.echo(f"   {failure.replay}")
    if len(report.failures) > _SHOWN:
        click.echo(f"\nand {len(report.failures) - _SHOWN} more causes")
