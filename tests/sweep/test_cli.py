"""`harness sweep` and `harness replay` as they are typed."""

from __future__ import annotations

import io
import json
import re
import signal
import socket
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.boards import Board
from harness.cli import main
from harness.sweep import Replay, Report, schema_text

from .boards import make_board

FAST = ["--build-option", "DEFECT_signature_not_checked=1", "--size", "16", "--old-size", "40"]
PLANTED = ["--build-option", "DEFECT_secondary_erased_too_early=1", "--pairs", 0, "--chains", 0]


@dataclass
class Result:
    returncode: int
    stdout: str
    stderr: str


def harness(*arguments: object) -> Result:
    """The command in this process: starting another one takes longer than most of what it does."""
    output, errors = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(errors):
        patch.setattr(sys, "argv", ["harness", *map(str, arguments)])
        with pytest.raises(SystemExit) as leaving:
            main()
    for number, handler in handlers.items():
        signal.signal(number, handler)
    code = leaving.value.code
    return Result(code if isinstance(code, int) else 0, output.getvalue(), errors.getvalue())


def board(mode: str = "overwrite-only") -> Board:
    return make_board(mode)


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a sweep that found something."""
    folder = tmp_path_factory.mktemp("results")
    files = [f"--{kind}={folder / f'out.{kind}'}" for kind in ("json", "html", "junit")]
    result = harness(
        "sweep", "--board", board().file, "--scenario", "permanent", *FAST, *PLANTED, *files, "--workers", 2
    )
    assert result.returncode == 1, result.stderr
    assert "failed" in result.stdout
    assert f"harness replay {folder / 'out.json'} --failure 1" in result.stdout
    return folder


def test_everything_held_is_exit_code_0(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    result = harness(
        "sweep",
        "--board",
        board().file,
        "--scenario",
        "test",
        *FAST,
        "--json",
        out,
        "--workers",
        1,
        "--pairs",
        50,
    )
    assert result.returncode == 0, result.stderr
    report = Report.from_json(out.read_bytes(), where="out")
    assert (report.failed, report.failures, report.complete) == (0, [], True)
    assert report.by_cuts.keys() >= {1, 2, 3}
    assert sum(report.by_cuts.values()) == report.points == report.held
    assert set(report.flash.outcomes) == {"."}
    assert len(report.flash.outcomes) == report.operations + 1
    assert not list(tmp_path.glob("*.part"))


def test_json_is_what_the_schema_says(failed: Path) -> None:
    text = (failed / "out.json").read_text()
    report = Report.from_json(text, where="out")
    assert json.loads(report.to_json()) == json.loads(text)
    properties = json.loads(schema_text())["properties"]
    assert json.loads(text).keys() == properties.keys()
    assert harness("sweep", "--schema").stdout == schema_text()


def test_published_schema_is_up_to_date() -> None:
    published = Path(__file__).parents[2] / "harness" / "sweep" / "report.schema.json"
    assert published.read_text() == schema_text(), "harness sweep --schema > harness/sweep/report.schema.json"


def test_a_failure_says_where_and_what(failed: Path) -> None:
    report = Report.from_json((failed / "out.json").read_bytes(), where="out")
    failure = report.failures[0]
    assert failure.number == 1
    assert failure.count >= report.failures[-1].count
    cut = failure.cuts[0]
    assert cut.place.startswith(("app primary", "app secondary"))
    assert re.fullmatch(r"port_flash_\w+ \(port\.c:\d+\)", cut.source)
    assert cut.address >= 0xC000
    assert "next boot" in failure.before
    assert "next boot" in failure.after
    assert "reference bootloader" in failure.console
    assert report.flash.outcomes[cut.number] == "F"
    assert sum(failure.count for failure in report.failures) == report.failed


def test_page_needs_nothing_else(failed: Path) -> None:
    page = (failed / "out.html").read_text()
    assert not re.search(r"(src|href)\s*=|https?://|@import|url\(", page)
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert data
    shown = json.loads(data[1])
    wanted = json.loads((failed / "out.json").read_text())
    del wanted["recording"]
    assert shown == wanted


def test_junit(failed: Path) -> None:
    suite = ElementTree.parse(failed / "out.junit").getroot().find("testsuite")
    assert suite is not None
    report = Report.from_json((failed / "out.json").read_bytes(), where="out")
    cases = suite.findall("testcase")
    assert suite.get("tests") == str(len(cases))
    assert len(suite.findall("testcase/failure")) == len(report.failures)
    names = [case.get("name") for case in cases]
    assert "app primary, image (write)" in names
    assert len(names) == len(set(names))


def test_replay_fails_again(failed: Path) -> None:
    result = harness("replay", failed / "out.json", "--failure", 1)
    assert result.returncode == 1, result.stderr
    assert "power lost at operation" in result.stdout
    assert "failed: " in result.stdout
    report = Report.from_json((failed / "out.json").read_bytes(), where="out")
    assert report.failures[0].before in result.stdout
    assert report.failures[0].rules[0] in result.stdout


class Debugger:
    """As much of gdb's side of its remote protocol as it takes to ask something."""

    def __init__(self, port: int) -> None:
        self._stream = socket.create_connection(("127.0.0.1", port), 30)

    def ask(self, packet: str) -> str:
        self._stream.sendall(f"${packet}#{sum(packet.encode()) & 0xFF:02x}".encode())
        answer = b""
        while not re.search(rb"\$[^#]*#..", answer):
            more = self._stream.recv(4096)
            assert more, f"the server has closed the line after {answer!r}"
            answer += more
        self._stream.sendall(b"+")
        return answer[answer.index(b"$") + 1 : answer.index(b"#")].decode()

    def close(self) -> None:
        self._stream.close()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT for one process")
def test_replay_waits_for_a_debugger_right_after_the_cut(failed: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    out = failed / "out.json"
    command = [sys.executable, "-m", "harness", "replay", str(out), "--failure", "1", "--gdb"]
    process = subprocess.Popen([*command, "--port", str(port)], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = ""
        while "server listening" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        assert f"target extended-remote localhost:{port}" in said
        replay = Replay(Report.from_json(out.read_bytes(), where="out"), 1)
        content = replay.content()
        start = int.from_bytes(content[0][4:8], "little") & ~1
        debugger = Debugger(port)
        pc = start.to_bytes(4, "little").hex()
        assert f"0f:{pc};" in debugger.ask("?")
        cut = replay.failure.cuts[-1].address
        assert debugger.ask(f"m{cut & ~0xFFF:x},20") == content.get(cut & ~0xFFF, b"\xff" * 32)[:32].hex()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 130
        debugger.close()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), 5)
    finally:
        process.kill()
        process.communicate()


def test_replay_of_what_is_not_there(failed: Path, tmp_path: Path) -> None:
    result = harness("replay", failed / "out.json", "--failure", 999)
    assert result.returncode == 2
    assert "no failure 999" in result.stderr
    spoiled = tmp_path / "spoiled.json"
    spoiled.write_text("{}")
    result = harness("replay", spoiled, "--failure", 1)
    assert result.returncode == 2
    assert "no sweep report" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scenario", "sideways"], "no scenario 'sideways'"),
        (["--scenario", "revert"], "has no revert"),
        (["--scenario", "dependency"], "has no two-images"),
        (["--scenario", "test", "--bootloader", "nothing.elf"], "no such file"),
        (["--scenario", "test", "--image", "app=/nowhere"], "cannot be read"),
        (["--scenario", "test", "--image", "other=/dev/null"], "no component 'other'"),
        (["--scenario", "test", "--image", "app=/dev/null"], "no signed image"),
        (["--scenario", "test", "--executor", "somewhere"], "expected local or dask"),
        (["--scenario", "test", "--pairs", "many"], "neither a number nor all"),
        (["--scenario", "test", "--resume"], "needs the --json file"),
        (["--scenario", "test", "--build-option", "X=y"], "no number"),
        ([], "name a scenario"),
        (["--scenario", "test", "--flash", "x"], "leave --scenario away"),
    ],
)
def test_wrong_use_is_exit_code_2(arguments: list[str], words: str) -> None:
    result = harness("sweep", "--board", board().file, *arguments)
    assert result.returncode == 2, result.stdout
    assert words in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT for one process")
def test_interrupted_and_resumed(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    options = ["--board", board("scratch").file, "--scenario", "test", "--json", out, "--workers", 1]
    options += [*FAST[:2], "--size", 3000, "--pairs", 0]
    command = [sys.executable, "-m", "harness", "sweep", *options]
    process = subprocess.Popen(
        [*map(str, command)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    first = process.stderr.readline()  # 10 % are done
    assert "points" in first
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "go on with --resume" in errors
    some = Report.from_json(out.read_bytes(), where="out")
    assert not some.complete
    assert 0 < some.tried < some.operations + 1
    assert "?" in some.flash.outcomes
    result = harness("sweep", *options, "--resume")
    assert result.returncode == 0, result.stderr
    report = Report.from_json(out.read_bytes(), where="out")
    assert report.complete
    assert report.points > some.points
    assert not list(tmp_path.glob("*.part"))
