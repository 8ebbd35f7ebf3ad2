"""`harness bench` and `harness doctor`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from harness.bench import DeviceLock, evidence, quarantine
from harness.boards import find_board
from harness.devices import DebugPort
from harness.emulator import control
from harness.updates import ImageFactory

from .._boards import BOARD
from .conftest import Outcome

Command = Callable[..., Outcome]


@pytest.fixture
def desk() -> Iterator[control.EmulatedBoard]:
    with control.EmulatedBoard("nrf52840", board=BOARD, target="nrf52840", seed=7, speed=8) as running:
        yield running


def url(board: control.EmulatedBoard) -> str:
    return board.entry.serial["uart0"]


def write(board: control.EmulatedBoard) -> None:
    Path("bench.yaml").write_text(
        f"# ours\ndevices:\n  - {{ name: desk, board: {BOARD}, probe: {board.entry.uid},"
        f" ports: {{ console: '{url(board)}' }} }}\n"
    )


def test_device_is_found_proved_and_added(harness: Command, desk: control.EmulatedBoard):
    images = ImageFactory(find_board(BOARD))
    content = images.bootloader()
    for part in images.board.components:
        content[images.board.partition(part.primary).address] = images.make(part.name, "1.0.0").data
    with DebugPort(desk.entry.uid, target="nrf52840") as debug:
        debug.program(content)
    Path("bench.yaml").write_text("# ours\ndevices: [ ]  # none\n".replace(" [ ]  # none", ""))
    outcome = harness(
        "bench", "add", "desk", "--board", BOARD, "--port", f"console={url(desk)}", "--probe", desk.entry.uid
    )
    outcome.ended(0)
    assert f"proved: console is {url(desk)}" in outcome.errors
    assert Path("bench.yaml").read_text().startswith("# ours\ndevices:\n  - ")
    (entry,) = yaml.safe_load(Path("bench.yaml").read_text())["devices"]
    assert entry == {
        "name": "desk",
        "board": BOARD,
        "probe": desk.entry.uid,
        "device_id": "0000000000000007",
        "ports": {"console": url(desk)},
    }
    again = harness(
        "bench", "add", "desk", "--board", BOARD, "--no-proof", "--probe", desk.entry.uid
    ).refused()
    assert "same name as devices[0]" in again
    assert len(yaml.safe_load(Path("bench.yaml").read_text())["devices"]) == 1, (
        "what is refused is taken back"
    )


def test_list_lock_and_release(
    harness: Command, desk: control.EmulatedBoard, monkeypatch: pytest.MonkeyPatch
):
    write(desk)
    assert harness("bench", "list").ended(0).split()[-1] == "free"
    monkeypatch.setenv("HIL_OWNER", "anna")
    assert "reserved by anna" in harness(
        "bench", "lock", "desk", "--for", "30m", "--reason", "release"
    ).ended(0)
    (row,) = json.loads(harness("bench", "list", "--json").ended(0))
    assert (row["state"], row["present"]) == ("locked", True)
    monkeypatch.setenv("HIL_OWNER", "bert")
    assert "reserved by anna" in harness("bench", "lock", "desk").refused()
    assert "--force" in harness("bench", "release", "desk").refused()
    assert "was reserved by anna" in harness("bench", "release", "desk", "--force").ended(0)
    assert "was free" in harness("bench", "release", "desk").ended(0)
    with DeviceLock(desk.entry.uid, doing="tests"):
        assert "in use by bert" in harness("bench", "list").ended(0)
        assert "end process" in harness("bench", "release", "desk", "--force").refused()


def test_recover(harness: Command, desk: control.EmulatedBoard):
    write(desk)
    quarantine(desk.entry.uid, "no answer")
    assert "in quarantine" in harness("bench", "list").ended(0)
    assert harness("bench", "recover", "desk").ended(0).splitlines()[-1] == "desk: well"
    assert evidence(desk.entry.uid) is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list", "--bench", "none.yaml"), "there is no such file"),
        (("lock", "shelf"), "no device 'shelf'"),
        (("lock", "desk", "--for", "soon"), "no time"),
        (("add", "x", "--board", BOARD, "--probe", "1", "--port", "console"), "not ROLE=URL"),
    ],
)
def test_wrong_use(harness: Command, arguments: tuple[str, ...], said: str):
    Path("bench.yaml").write_text(f"devices:\n  - {{ name: desk, board: {BOARD}, probe: 1 }}\n")
    assert said in harness("bench", *arguments).refused()


def test_device_whose_probe_its_place_brings(harness: Command, monkeypatch: pytest.MonkeyPatch):
    Path("bench.yaml").write_text(
        f"devices:\n  - {{ name: desk, board: {BOARD}, place: {{ name: shelf }} }}\n"
    )
    monkeypatch.setenv("HIL_LABGRID_CLIENT", "/nowhere/labgrid-client")
    (row,) = json.loads(harness("bench", "list", "--json").ended(0))
    assert (row["probe"], row["present"], row["state"]) == (None, None, "free"), "nobody can tell from here"
    with DeviceLock("labgrid:shelf", doing="night run"):
        text = harness("bench", "list").ended(0)
    assert "of its place" in text
    assert "night run" in text
    assert "desk: its place: labgrid refuses" in harness("doctor").ended(1)


def test_doctor_fails_when_something_is_wrong(harness: Command, desk: control.EmulatedBoard):
    assert "note  bench" in harness("doctor").output
    Path("bench.yaml").write_text(f"devices:\n  - {{ name: gone, board: {BOARD}, probe: 1 }}\n")
    text = harness("doctor").ended(1)
    assert "wrong bench        gone: its probe 1 is not there\n" in text
    assert "to do: check cable and power" in text
    rows = json.loads(harness("doctor", "--json").ended(1))
    assert {row["level"] for row in rows if row["what"].startswith("gone")} == {"wrong"}
