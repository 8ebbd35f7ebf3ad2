"""What the pytest plugin costs those who name no board: start-up, and each test."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _measure import Figures

REPEAT = 31
TESTS = 1000
LIMIT_MS = 60
WITHOUT = ("-p", "no:mcuboot-harness")


def _milliseconds(folder: Path, *arguments: str) -> float:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1e3


def _compare(figures: Figures, folder: Path, what: str, repeat: int) -> list[float]:
    """Differences of runs with and without the plugin, in turn: the load of the machine hits both."""
    pairs = [(_milliseconds(folder, *WITHOUT), _milliseconds(folder)) for _ in range(repeat + 1)][1:]
    figures.show(f"bare pytest, {what}", [without for without, _ in pairs], "ms")
    figures.show(f"with the plugin, {what}", [with_plugin for _, with_plugin in pairs], "ms")
    return [with_plugin - without for without, with_plugin in pairs]


def main() -> None:
    figures = Figures(f"pytest plugin without a board ({Path(__file__).name})")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        test = folder / "test_empty.py"
        test.write_text("def test_empty(): pass\n", encoding="utf-8")
        start = _compare(figures, folder, "one empty test", REPEAT)
        figures.show("start-up cost", start, "ms", beside=f"limit {LIMIT_MS}")

        test.write_text(
            f"import pytest\n@pytest.mark.parametrize('n', range({TESTS}))\ndef test_empty(n): pass\n",
            encoding="utf-8",
        )
        more = _compare(figures, folder, f"{TESTS} empty tests", REPEAT // 2)
        each = [(difference - statistics.median(start)) / TESTS * 1e3 for difference in more]
        figures.show("cost a test", each, "us", beside="no hook runs for a test")


if __name__ == "__main__":
    main()
