"""Runs side by side, each on a board of its own; and runs that are stopped, which leave nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness._deadline import Deadline
from harness.emulator.control import Entry, running_boards

from .._boards import BOARD

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")

#: says that its board is open, waits until it may go on, and uses its board
TEST = """
from pathlib import Path
from harness._deadline import Deadline

FOLDER = Path(__file__).parent

def wait_for(file):
    limit = Deadline(60)
    while not file.exists():
        assert not limit.expired
        limit.pause(0.01)

def work(rig, images, version):
    uid = rig.device.debug.unique_id
    rig.install(*(images.make(part, version) for part in rig.board.components))
    (FOLDER / f"open-{uid}").touch()
    wait_for(FOLDER / "go")
    rig.boot()
    assert rig.told("model")["model"].version == version
    (FOLDER / f"worked-{uid}").touch()

def test_first(hil_rig, hil_images):
    work(hil_rig, hil_images, "1.0.0")

def test_second(hil_rig, hil_images):
    work(hil_rig, hil_images, "2.0.0")
"""


@dataclass
class Run:
    """A run of pytest in a folder of its own, with temporary files and registry in there as well."""

    folder: Path
    arguments: tuple[str, ...]
    process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("temporary", "state"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "test_work.py").write_text(TEST, encoding="utf-8")
        places = {"TMPDIR": "temporary", "HARNESS_STATE_DIR": "state"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--hil-board", BOARD, *self.arguments],
            cwd=self.folder,
            env=os.environ | {name: str(self.folder / place) for name, place in places.items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # as a terminal does it, whose Ctrl-C reaches all of a run
        )

    @property
    def output(self) -> str:
        text, _ = self.process.communicate(timeout=60)
        return text

    def marks(self, name: str) -> list[str]:
        return sorted(file.name.removeprefix(f"{name}-") for file in self.folder.glob(f"{name}-*"))

    def wait_open(self, boards: int) -> None:
        self._wait(lambda: len(self.marks("open")) >= boards, f"{boards} open boards")

    def go(self) -> None:
        (self.folder / "go").touch()

    def boards(self) -> list[Entry]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HARNESS_STATE_DIR", str(self.folder / "state"))
            return list(running_boards())

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        limit = Deadline(60)
        while not condition():
            if self.process.poll() is not None and not condition():
                pytest.fail(f"pytest ended without {what}:\n{self.output}")
            assert not limit.expired, f"no {what} within a minute"
            limit.pause(0.02)

    def assert_nothing_is_left(self, boards: list[Entry]) -> None:
        """Processes that die of a broken pipe take a moment for it."""
        limit = Deadline(60)
        while (left := sorted(self._left(boards))) and not limit.expired:
            limit.pause(0.02)
        assert not left

    def _left(self, boards: list[Entry]) -> Iterator[str]:
        for entry in boards:
            if Path(f"/proc/{entry.pid}").exists():
                yield f"process {entry.pid}"
            urls = [entry.serial["uart0"], entry.serial["uart1"], f"socket://127.0.0.1:{entry.port}"]
            for url in urls:
                host, _, port = url.removeprefix("socket://").partition(":")
                with socket.socket() as probe:
                    if probe.connect_ex((host, int(port))) == 0:
                        yield f"open port {port}"
        for folder in ("state", "temporary"):
            for path in (self.folder / folder).rglob("*"):
                if path.is_file() and "pytest-of-" not in str(path):
                    yield str(path)
        for process in _processes_in(self.folder):
            yield f"process {process} in {self.folder}"


def _processes_in(folder: Path) -> Iterator[int]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            here = (process / "cwd").readlink()
        except OSError:
            continue  # it has just ended, or is not ours
        if here == folder:
            yield int(process.name)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def make(*arguments: str) -> Run:
        runs.append(Run(tmp_path / f"run{len(runs)}", arguments))
        return runs[-1]

    yield make
    for run in runs:
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGKILL)
        run.process.communicate(timeout=60)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "killed"])
def test_a_stopped_run_leaves_nothing_and_its_neighbour_alone(
    start: Callable[..., Run], ending: signal.Signals
):
    stopped, neighbour = start(), start()
    stopped.wait_open(1)
    neighbour.wait_open(1)
    boards, others = stopped.boards(), neighbour.boards()
    assert [entry.uid for entry in boards] == stopped.marks("open")
    assert [entry.uid for entry in others] == neighbour.marks("open")
    os.killpg(stopped.process.pid, ending)
    printed = stopped.output
    if ending is signal.SIGINT:
        assert stopped.process.returncode == pytest.ExitCode.INTERRUPTED
        assert "KeyboardInterrupt" in printed
        assert "Error" not in printed
    stopped.assert_nothing_is_left(boards)
    neighbour.go()
    assert "2 passed" in neighbour.output
    neighbour.assert_nothing_is_left(others)


@pytest.mark.parametrize("interrupted", [False, True], ids=["end", "ctrl-c"])
def test_two_workers_have_a_board_each(start: Callable[..., Run], interrupted: bool):
    run = start("-n", "2")
    run.wait_open(2)
    boards = run.boards()
    assert sorted(entry.uid for entry in boards) == run.marks("open")
    if interrupted:
        os.killpg(run.process.pid, signal.SIGINT)
        assert "KeyboardInterrupt" in run.output
    else:
        run.go()
        assert "2 passed" in run.output
        assert run.marks("worked") == run.marks("open")
    run.assert_nothing_is_left(boards)
