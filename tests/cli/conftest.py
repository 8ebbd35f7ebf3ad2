"""The command `harness`, in this process and as a process of its own."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.cli import main

from .._boards import clean_environment

SECONDS = 180
SCRIPT = str(Path(sysconfig.get_path("scripts")) / "harness")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clean_environment(monkeypatch, tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    folder = tmp_path / "here"  # away from this project's own settings
    folder.mkdir()
    monkeypatch.chdir(folder)


@dataclasses.dataclass
class Outcome:
    """How a command ended."""

    code: int
    output: str
    errors: str

    def ended(self, code: int) -> str:
        """What the command printed; the exit code has to be this."""
        assert self.code == code, f"exit code {self.code}, printed:\n{self.output}{self.errors}"
        return self.output

    def refused(self) -> str:
        """The message of a command that was used wrongly."""
        self.ended(2)
        assert "Traceback" not in self.errors
        return self.errors


@pytest.fixture
def harness(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Outcome]]:
    """Runs a command in this process; an exception that gets out is a failed test."""
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}

    def run(*arguments: str | int | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["harness", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        captured = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return Outcome(left.value.code, captured.out, captured.err)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def spawn(*arguments: str | Path) -> subprocess.Popen[str]:
    """Starts a command as a process with pipes for its output."""
    command = [SCRIPT, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> Outcome:
    """Waits for the end of a process."""
    try:
        output, errors = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
        pytest.fail(f"the command does not end:\n{output}{errors}")
    return Outcome(process.returncode, output, errors)
