"""Every example of the documentation is run, and prints what the documentation says it prints."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness._deadline import Deadline
from harness.boards import boards_folder, check_board

from .markdown import ACTIONS, ROOT, Block, blocks, chapters

SECONDS = 120


class Folder:
    """Where the blocks of one chapter run, one after the other: a copy of `boards`, and what they write."""

    def __init__(self, path: Path, owned: ExitStack) -> None:
        self.path, self._owned = path, owned
        shutil.copytree(boards_folder(), path / "boards")
        scripts = Path(sys.executable).parent
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "HIL_", "PYTHONWARN"))}
        self.environment = kept | {
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            "HARNESS_STATE_DIR": str(path / "state"),
            "NO_COLOR": "1",
            "COLUMNS": "80",
        }

    def command(self, line: str) -> str:
        """What a command prints."""
        result = subprocess.run(
            ["bash", "-c", line],
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return result.stdout

    def background(self, line: str, expected: str) -> str:
        """Start a command that runs until the chapter ends; what it prints until it has said all."""
        output = self.path / "background.txt"
        with output.open("w") as file:
            # exec: a signal must reach the command and not the shell
            process = subprocess.Popen(
                ["bash", "-c", f"exec {line}"],
                cwd=self.path,
                env=self.environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self._owned.callback(process.wait, 20)
        self._owned.callback(process.terminate)
        limit = Deadline(SECONDS)
        while not matches(expected, output.read_text()):
            if limit.expired or process.poll() is not None:
                break
            limit.pause(0.05)
        return output.read_text()


def matches(expected: str, found: str) -> bool:
    """Whether a text is what a block says: a line of dots is any lines, dots in a line are any text."""
    pattern = ""
    for line in expected.splitlines():
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += r"[^\n]*".join(re.escape(part) for part in line.rstrip().split("...")) + r"[ \t]*\n"
    text = "".join(f"{line}\n" for line in found.splitlines())
    return re.fullmatch(pattern, text) is not None


def first_difference(expected: str, found: str) -> str:
    """The first expected line up to which the two do not agree."""
    lines = expected.splitlines()
    for count in range(1, len(lines) + 1):
        if not matches("\n".join([*lines[:count], "..."]), found):
            return lines[count - 1]
    return "(there is more)"


def _commands(block: Block) -> Iterator[tuple[str, str]]:
    """(command, what it prints) one by one."""
    command, expected = "", ""
    for line in block.text.splitlines(keepends=True):
        if line.startswith("$ "):
            if command:
                yield command, expected
            command, expected = line[2:].rstrip(), ""
        else:
            assert command, f"{block}: output before the first command"
            expected += line
    yield command, expected


def run_console(block: Block, folder: Folder) -> None:
    for command, expected in _commands(block):
        if command.endswith("&"):
            found = folder.background(command.removesuffix("&").strip(), expected)
        else:
            found = folder.command(command)
        if not matches(expected, found):
            wanted = first_difference(expected, found)
            pytest.fail(f"{block}: $ {command}\ndid not print\n{wanted}\nbut\n{found}", pytrace=False)


def run_python(block: Block, folder: Folder) -> None:
    code = compile("\n" * (block.line - 1) + block.text, block.path, "exec")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.path)
        exec(code, {"__name__": "__main__"})


def compile_python(block: Block, folder: Folder) -> None:
    compile(block.text, str(block), "exec")


def merged(base: Any, change: Any) -> Any:
    """Mappings are merged, all else is replaced."""
    if isinstance(base, dict) and isinstance(change, dict):
        return base | {key: merged(base.get(key), value) for key, value in change.items()}
    return change


def check_yaml(block: Block, folder: Folder) -> None:
    shipped = folder.path / "boards" / "nrf52840dk.yaml"
    data = yaml.safe_load(block.text)
    if block.action == "change":
        data = merged(yaml.safe_load(shipped.read_text(encoding="utf-8")), data)
    path = folder.path / "boards" / (block.file or "example.yaml")
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    problems = check_board(path)
    assert not problems, f"{block}: " + "\n".join(map(str, problems))


def run_tests(tests: list[Block], folder: Folder) -> None:
    """All test files in one run: they share a device."""
    names = []
    for number, block in enumerate(tests):
        name = block.file or f"test_example_{number}.py"
        assert name not in names, f"{block}: another example is called {name}"
        (folder.path / name).write_text(f"# {block}\n{block.text}", encoding="utf-8")
        names.append(name)
    options = "-p no:cacheprovider -q -rA --hil-board nrf52840dk:serial_recovery=true --junitxml=examples.xml"
    found = folder.command(f"pytest {options} {' '.join(names)}")
    cases = list(ET.parse(folder.path / "examples.xml").iter("testcase"))
    bad = [case for case in cases for outcome in case if outcome.tag in {"failure", "error", "skipped"}]
    if bad or {f"{case.get('classname')}.py" for case in cases} != set(names):
        pytest.fail(found, pytrace=False)


RUN = {
    "python run": run_python,
    "python shown": compile_python,
    "yaml board": check_yaml,
    "yaml change": check_yaml,
    "console run": run_console,
}


posix = pytest.mark.skipif(sys.platform == "win32", reason="the examples are written for a POSIX shell")


@posix
@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_examples_do_what_is_said(path: Path, tmp_path: Path) -> None:
    with ExitStack() as owned:
        folder = Folder(tmp_path, owned)
        for block in blocks(path):
            run = RUN.get(f"{block.language} {block.action}")
            if run is not None:
                run(block, folder)
            elif block.file:
                (tmp_path / block.file).write_text(block.text, encoding="utf-8")


@posix
def test_examples_of_tests_pass(tmp_path: Path) -> None:
    readme = [block for block in blocks(ROOT / "README.md") if block.language == "python"]
    others = [block for path in chapters() for block in blocks(path) if block.action == "pytest"]
    assert readme
    assert others
    with ExitStack() as owned:
        run_tests([*readme, *others], Folder(tmp_path, owned))


def test_every_example_says_what_becomes_of_it() -> None:
    untold = []
    for block in (block for path in chapters() for block in blocks(path)):
        known = ACTIONS.get(block.language, {})
        if known and block.action not in known:
            choice = ", ".join(f"```{block.language} {action}" for action in known)
            untold.append(f"{block}: write one of {choice}")
        if block.language in {"sh", "shell", "bash"}:
            untold.append(f"{block}: write ```console run")
    assert not untold


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        ("a\n", "a\n", True),
        ("a\n", "a\nb\n", False),
        ("a\n...\n", "a\nb\nc\n", True),
        ("a\n...\nc\n", "a\nb\n", False),
        ("at ... now\n", "at 12:30 now\n", True),
        ("at ... now\n", "at\nnow\n", False),
        ("...\n", "", True),
        ("", "a\n", False),
        ("a.c\n", "abc\n", False),
    ],
)
def test_expected_output_is_compared_line_by_line(expected: str, found: str, same: bool) -> None:
    assert matches(expected, found) == same
