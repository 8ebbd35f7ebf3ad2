"""How many power cuts a second are tried and judged, beside boots and instructions; the memory that takes.

`--board FILE --bootloader FILE` also sweeps another boot loader, such as a Zephyr build of MCUboot;
`--workers N` also measures so many processes together.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from _measure import Figures

from harness.boards import find_board
from harness.sweep import InlineExecutor, Options, Subject, prepare, sweep

#: images of 20 KB with header and TLVs
SIZE = 19_000
MODES = ("move", "scratch", "overwrite-only")


@dataclass(frozen=True)
class Spent:
    """What a sweep took: CPU seconds, and megabytes at the most."""

    points: int
    cpu: float
    power_ons: int
    foreseen: int
    instructions: int
    peak: float


def _megabytes() -> float:
    """The most memory that this process had."""
    if sys.platform == "win32":
        return float("nan")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def _worker(board: str, bootloader: Path | None) -> Spent:
    """All points in this process."""
    subject = _subject(board, bootloader)
    began = time.process_time()
    tally = sweep(subject, executor=InlineExecutor()).sweep.tally
    cpu = time.process_time() - began
    counts = tally.counts
    return Spent(tally.points, cpu, counts.boots, counts.foreseen, counts.instructions, _megabytes())


def _subject(board: str, bootloader: Path | None) -> Subject:
    options = Options(bootloader=bootloader, size=SIZE, old_size=SIZE)
    return prepare(find_board(board), "test", options=options)


def measure(title: str, board: str, bootloader: Path | None, workers: int) -> None:
    subject = _subject(board, bootloader)
    operations = len(subject.recording.operations)
    figures = Figures(f"{title}: test update, two images of 20 KB, {operations} flash operations")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        spent = pool.apply(_worker, (board, bootloader))
    figures.show("points, a second and core", [spent.points / spent.cpu], "1/s", beside=f"{spent.points}")
    figures.show("power-ons executed", [spent.power_ons / spent.cpu], "1/s", beside=f"{spent.power_ons}")
    figures.show("power-ons foreseen", [spent.foreseen / spent.cpu], "1/s", beside=f"{spent.foreseen}")
    figures.show("instructions", [spent.instructions / spent.cpu / 1e6], "M/s")
    figures.show("memory of a worker, at most", [spent.peak], "MB", beside="limit: 500")
    if workers > 1:
        results = sweep(subject, workers=workers).sweep
        figures.show(f"points, {workers} workers", [results.tally.points / results.seconds], "1/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--board", help="board file of the other boot loader")
    parser.add_argument("--bootloader", type=Path, help="its ELF, HEX or binary file")
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args()
    for mode in MODES:
        measure(f"reference boot loader, {mode}", f"nrf52840dk:swap_mode={mode}", None, chosen.workers)
    if chosen.bootloader is not None:
        measure(chosen.bootloader.name, chosen.board, chosen.bootloader, chosen.workers)


if __name__ == "__main__":
    main()
