"""The conformance tests, on clients that conform and on clients that do not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.conformance._table import Outcome, table

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "harness" / "conformance"
SECONDS = 300


def conformance(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", "conformance", "--wait", "10", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=folder)


#: the cases that take long because of many small blocks
QUICK = "not 16 and not 32 and not 64"


def test_the_stand_in_conforms(tmp_path):
    file = tmp_path / "junit.xml"
    result = conformance("--stand-in", f"--junit-xml={file}", "-k", f"33629_0 and {QUICK}", folder=tmp_path)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr
    assert "conformance of stand-in" in result.stdout
    assert "differs:" not in result.stdout
    assert re.search(r"^Each operation is answered as its state demands.*  yes$", result.stdout, re.MULTILINE)
    suite = ElementTree.parse(file).getroot().find("testsuite")
    assert suite is not None
    assert int(suite.get("tests", "0")) > 80
    properties = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert properties["conformance.endpoint"] == "stand-in"
    assert properties["conformance.object.33629"] == "1.0"


def test_the_reference_application_conforms(tmp_path):
    result = conformance("--native", "-k", f"(5_0 or main_version) and {QUICK}", folder=tmp_path)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr


@pytest.mark.parametrize(
    ("client", "tests", "said"),
    [
        ("defect=reset_keeps_state", "legality and RESET and DOWNLOADED and 5_0", "does not return to Idle"),
        ("defect=update_in_idle", "legality and UPDATE-IDLE and 33629_1", "POST 2 in 0/0"),
        ("defect=takes_any_block", "blocks_out_of_order and 33629_1", "2.31 instead of 4.08 or 5.03"),
        ("fault=keeps_old_version", "test_update and 33629_0", "instead of '3.1.4'"),
        ("fault=continue_at_end", "test_push and 1024 and 33629_0", "asked for more after the last block"),
    ],
)
def test_what_is_planted_is_found(tmp_path, client, tests, said):
    kind = "--native" if client.startswith("defect") else "--stand-in"
    result = conformance(kind, f"--conformance-{client}", "-k", tests, folder=tmp_path)
    assert result.returncode == 1, result.stdout[-3000:] + result.stderr
    assert "differs:" in result.stdout
    assert said in result.stdout.partition("differs:")[2]


def test_a_client_that_is_busy_until_it_gives_a_push_up(tmp_path):
    """It answers 5.03 to everything, for a second (what true is as a number) in place of five minutes."""
    options = ("--stand-in", "--slow", "--conformance-fault=upload_seconds")
    result = conformance(*options, "-k", "abandoned_push and 33629_1", folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "yes" in result.stdout


def test_a_client_that_is_a_command(tmp_path):
    """Anything that registers will do: here the stand-in, as a program of its own."""
    program = tmp_path / "client.py"
    program.write_text(
        "import sys, threading\n"
        "from harness.protocols.testing import StandIn\n"
        "with StandIn(sys.argv[2], server=sys.argv[1]):\n"
        "    threading.Event().wait()\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -n 2 --strict-config\n")  # not for these tests
    command = f"{sys.executable} {program} {{uri}} {{endpoint}}"
    result = conformance(
        "--command", command, "--endpoint", "mine", "-k", "survives and 33629_0", folder=tmp_path
    )
    # There are no packages for it, so most is left out; but it was started, and restarted.
    assert result.returncode == 0, result.stdout + result.stderr
    assert "conformance of mine" in result.stdout
    assert "there is no package for /33629/0" in result.stdout


def test_packages_from_files(tmp_path):
    from harness.protocols.testing import make_image

    file = tmp_path / "image.bin"
    file.write_bytes(make_image(0, "5.0.0", size=3000))
    program = tmp_path / "client.py"
    program.write_text(
        "import sys, threading\n"
        "from harness.protocols.testing import StandIn\n"
        "with StandIn(server=sys.argv[1]): threading.Event().wait()\n"
    )
    command = f"{sys.executable} {program} {{uri}}"
    tests = "(test_update or corrupt) and 33629_0"
    result = conformance("--command", command, "--package", f"0={file}:5.0.0", "-k", tests, folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "yes" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--listen", "nowhere"], "is not HOST:PORT"),
        (["--stand-in", "--native"], "exclude each other"),
        (["--wait", "0.2", "--endpoint", "nobody"], "a registration of 'nobody'"),
        (["--command", "/nowhere/client {uri}"], "the client does not start"),
        (["--command", "client {nonsense}"], "the command cannot be filled in"),
    ],
)
def test_wrong_use_is_explained(tmp_path, arguments, said):
    result = conformance(*arguments, folder=tmp_path)
    assert result.returncode == 2, result.stdout + result.stderr
    assert said in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("package", "said"), [("0", "INSTANCE=FILE:VERSION"), ("0=/nowhere/x:1", "cannot be read")]
)
def test_packages_that_are_none(tmp_path, package, said):
    program = "from harness.protocols.testing import StandIn; import sys, threading"
    file = tmp_path / "client.py"
    file.write_text(program + "\ns = StandIn(server=sys.argv[1])\nthreading.Event().wait()\n")
    result = conformance(
        "--command", f"{sys.executable} {file} {{uri}}", "--package", package, folder=tmp_path
    )
    assert result.returncode == 2
    assert said in result.stdout + result.stderr


def test_the_table():
    outcomes = [
        Outcome("it works", "/5/0", "passed", "", ""),
        Outcome("it works", "/33629/0", "passed", "one", ""),
        Outcome("it works", "/33629/0", "failed", "two", "4.05 instead of 2.04"),
        Outcome("as a whole", "", "skipped", "", "not there"),
    ]
    assert table(outcomes) == [
        "            client  /5/0  /33629/0",
        "it works            yes   NO",
        "as a whole  -",
        "",
        "differs:",
        "  it works (/33629/0 two): 4.05 instead of 2.04",
        "",
        "not tried:",
        "  as a whole (client): not there",
    ]


def test_every_behaviour_of_the_documentation_has_its_test():
    text = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", text))
    there = {
        name
        for file in TESTS.glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    assert named == there
