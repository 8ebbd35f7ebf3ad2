"""The whole way from a board and a scenario's name to results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from .._errors import SweepError, VerdictError
from ..boards import Board
from ..emulator import OperationKind
from ..mcuboot import FlashView
from ._bench_report import BenchReport
from ._download import record_download
from ._dump import dump_setup
from ._evidence import make_report
from ._explore import AUTOMATIC, Plan
from ._junit import bench_junit_text, junit_text
from ._page import page_text
from ._places import Places
from ._record import record
from ._recording import Recording
from ._report import Report
from ._run import Progress, Sweep, SweepLog, run_sweep
from ._scenarios import DOWNLOAD, SCENARIOS, Maker, Options, maker_for
from ._workers import Executor, InlineExecutor, executor_for

__all__ = ["Results", "Subject", "prepare", "sweep", "write_bench_report"]

#: up to so many operations all pairs are tried, beyond them a sample of so many
_SMALL: Final = 400
_SAMPLE: Final = 1000


@dataclass(frozen=True, slots=True)
class Subject:
    """A recorded scenario, with the files that its code came from."""

    recording: Recording
    bootloader: Path
    files: tuple[Path, ...]
    """ELF files that know source lines."""


def prepare(
    board: Board,
    scenario: str | None = None,
    *,
    options: Options | None = None,
    flash: FlashView | None = None,
    log: SweepLog | None = None,
) -> Subject:
    """Record a scenario by name, or what a device does with the content of its ``flash``.

    ``log`` is a sweep that was begun: its recording is used, if it is of the same scenario.

    Raises:
        SweepError: the scenario cannot be swept; also for bad input.
        CapabilityMissing: the board cannot do what the scenario needs.
        ImageError, BuildError, SigningError: a file or a build is not usable.
    """
    maker = maker_for(board, options)
    loader = maker.factory.bootloader_file()
    files = tuple(file for file in (loader, *_application(maker, scenario)) if file.suffix == ".elf")
    if flash is None and scenario is None:
        raise SweepError(
            "no scenario", expected=", ".join(SCENARIOS), remedy="name one, or give a flash dump"
        )
    if log is not None:
        recording = log.recording
        if (recording.board, recording.scenario) != (board.name, scenario or "flash dump"):
            raise SweepError(
                "the sweep to go on with is another one",
                where=str(log.file),
                expected=f"{scenario} on {board.name}",
                found=f"{recording.scenario} on {recording.board}",
            )
        return Subject(recording, loader, files)
    setup = maker.named(scenario) if flash is None and scenario else dump_setup(maker, flash or FlashView())
    if setup.scenario == DOWNLOAD:
        return Subject(record_download(maker.board, maker.factory, setup), loader, files)
    return Subject(record(setup), loader, files)


def _application(maker: Maker, scenario: str | None) -> list[Path]:
    """ELF files of the application, where the scenario runs one that is built here."""
    return maker.application_files() if scenario in {"confirm", DOWNLOAD} else []


def _plan_for(recording: Recording, plan: Plan) -> Plan:
    """The plan, with all pairs on a small scenario and a sample on a large one if it leaves that open."""
    if plan.pairs != AUTOMATIC:
        return plan
    return replace(plan, pairs=None if len(recording.operations) <= _SMALL else _SAMPLE)


def write_bench_report(report: BenchReport, files: Mapping[str, Path | None]) -> None:
    """Write what `cut_on_bench` gave to files by kind: ``json``, ``junit``. Raises `SweepError`."""
    _write({"json": report.to_json, "junit": lambda: bench_junit_text(report)}, files)


def _write(makers: Mapping[str, Callable[[], str]], files: Mapping[str, Path | None]) -> None:
    for kind, file in files.items():
        if file is None:
            continue
        try:
            file.write_text(makers[kind](), encoding="utf-8")
        except OSError as error:
            raise SweepError(
                "cannot be written", where=str(file), found=error.strerror or str(error)
            ) from None


class Results:
    """What came of a sweep. ``report`` costs a few seconds, as it looks at failures closely."""

    def __init__(self, subject: Subject, outcome: Sweep) -> None:
        self.subject, self.sweep = subject, outcome

    @property
    def failed(self) -> int:
        """Points at which a rule did not hold."""
        return self.sweep.failed

    def report(self, out: str = "OUT") -> Report:
        """Everything for programs. ``out`` is the file that the replay commands name."""
        return make_report(self.sweep, self.subject.files, bootloader=self.subject.bootloader, out=out)

    def write(self, report: Report, files: Mapping[str, Path | None]) -> None:
        """Write the report to files by kind: ``json``, ``html``, ``junit``. Raises `SweepError`."""
        makers = {
            "json": report.to_json,
            "html": lambda: page_text(report),
            "junit": lambda: junit_text(report, self._by_place()),
        }
        _write(makers, files)

    def _by_place(self) -> Counter[str]:
        places = Places(self.subject.recording)
        return Counter(
            places.at(operation.address, operation.size).kind
            + (" (write)" if operation.kind is OperationKind.WRITE else " (erase)")
            for operation in self.subject.recording.operations
        )

    def expect_survived(self) -> None:
        """Raise `VerdictError` with causes and examples unless every point held."""
        if not self.failed:
            return
        report = self.report()
        lines = [f"{report.failed} of {report.points} power cuts were not survived:"]
        for failure in report.failures[:5]:
            cuts = ", then ".join(f"operation {cut.number} ({cut.kind}, {cut.tear})" for cut in failure.cuts)
            last = failure.cuts[-1]
            source = f" in {last.source}" if last.source else ""
            lines += [
                f"{failure.number}. {'; '.join(failure.rules)} - {failure.count} points",
                f"   power lost at {cuts}: {last.place}{source}",
            ]
        if len(report.failures) > 5:
            lines.append(f"and {len(report.failures) - 5} more causes")
        if report.failures:
            lines += ["", "slots after the first of them:", report.failures[0].before]
        raise VerdictError("\n".join(lines))


def sweep(
    subject: Subject,
    plan: Plan | None = None,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    log: SweepLog | None = None,
    progress: Callable[[Progress], None] = lambda _progress: None,
    first_failure: bool = False,
) -> Results:
    """Cut power at every flash operation of a recorded scenario.

    ``executor`` says where, by default on all cores of this machine or as many as ``workers``
    says. For the rest see `run_sweep`.
    """
    chosen = _plan_for(subject.recording, plan or Plan())
    here = executor_for(workers) if executor is None else None
    try:
        outcome = run_sweep(
            subject.recording,
            chosen,
            executor or here or InlineExecutor(),
            log=log,
            progress=progress,
            first_failure=first_failure,
        )
    finally:
        if here is not None:
            here.close()
    return Results(subject, outcome)
