"""Commands on the console."""

from __future__ import annotations

import zlib

import pytest

from harness.emulator import ResetKind
from harness.firmware import model_payload

from .bench import HEADER, Bench, app_image, model_image


def test_version(device: Bench):
    content = model_payload("1.0.0", 900, 7)[32:]
    text, end = device.command("version")
    assert text.splitlines() == [
        "board bench behaviour good",
        "app 1.0.0",
        f"model 1.0.0 content {zlib.crc32(content):08x}",
    ]
    assert end == "ok"


@pytest.mark.parametrize("mode", ["scratch", "offset"])
def test_slots(make, mode: str):
    device = make(mode=mode)
    package = app_image("2.0.0+9", 500)
    device.push(0, package)
    size = len(device.setup.app())
    before = device.command("slots")[0].splitlines()
    assert before == [
        f"app primary 1.0.0 size {size} magic unset image_ok unset copy_done unset swap_info ff",
        f"app secondary 2.0.0+9 size {len(package)} magic unset image_ok unset copy_done unset swap_info ff",
        f"model primary 1.0.0 size {len(model_image('1.0.0', 900))} "
        "magic unset image_ok unset copy_done unset swap_info ff",
        "model secondary empty magic unset image_ok unset copy_done unset swap_info ff",
    ]
    assert device.command("pending app") == ("", "ok")
    after = device.command("slots")[0].splitlines()
    assert after[1].endswith("magic good image_ok unset copy_done unset swap_info 02")
    assert after[0] == before[0]


def test_image_that_was_replaced_is_seen_at_the_start_of_the_slot(make):
    """In offset mode the boot loader leaves it there."""
    device = make(mode="offset")
    device.machine.program(device.slot(0, secondary=True).address, app_image("0.9.0", 300))
    assert device.command("slots")[0].splitlines()[1].startswith("app secondary 0.9.0 ")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("", None),
        ("   ", None),
        ("echo", ("", "ok")),
        ("echo  two   words", ("two words", "ok")),
        ("nonsense", ("", "error: no such command; help lists them")),
        ("pending", ("", "error: pending <component> [permanent]")),
        ("pending nobody", ("", "error: no such component")),
        ("pending 2", ("", "error: no such component")),
        ("pending app forever", ("", "error: pending <component> [permanent]")),
        ("confirm", ("", "error: confirm <component>")),
        ("confirm app model", ("", "error: confirm <component>")),
        ("fault", ("", "error: fault hang|crash|hardfault|stack")),
        ("fault nothing", ("", "error: fault hang|crash|hardfault|stack")),
    ],
)
def test_answers(device: Bench, line: str, answer: tuple[str, str] | None):
    if answer is None:
        device.machine.uarts[0].feed(line.encode() + b"\n")
        device.run(20)
        assert device.text.replace("ok", "").strip() == ""
    else:
        text, end = device.command(line)
        assert (text.strip(), end) == answer


def test_help_names_every_command(device: Bench):
    text, _ = device.command("help")
    for command in ("version", "slots", "pending", "confirm", "reset", "fault", "echo", "stats"):
        assert command in text


@pytest.fixture
def resets(device: Bench, monkeypatch: pytest.MonkeyPatch) -> list[ResetKind]:
    """Kinds of the resets that happen."""
    kinds: list[ResetKind] = []
    original = device.machine.reset

    def reset(kind: ResetKind) -> None:
        kinds.append(kind)
        device._frames.reset()
        original(kind)

    monkeypatch.setattr(device.machine, "reset", reset)
    return kinds


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ("reset", {ResetKind.SOFT}),
        ("fault hang", {ResetKind.WATCHDOG}),
        ("fault crash", {ResetKind.SOFT}),
        ("fault hardfault", {ResetKind.SOFT}),
        # where the stack ends decides whether the fault handler still has one
        ("fault stack", {ResetKind.SOFT, ResetKind.LOCKUP}),
    ],
)
def test_faults_end_in_a_reset(device: Bench, resets: list[ResetKind], line: str, kinds: set[ResetKind]):
    causes = {ResetKind.WATCHDOG: "17", ResetKind.SOFT: "18", ResetKind.LOCKUP: "19"}
    before = len(device.registrations)
    assert device.command(line) == ("", "ok")
    device.until(lambda: len(device.registrations) > before, 4000)
    assert len(resets) == 1
    assert resets[0] in kinds
    assert "application 1.0.0 (good) on bench" in device.text
    assert device.read("/3/0/11/0") == causes[resets[0]]


def test_watchdog_is_fed_whatever_happens(device: Bench, resets: list[ResetKind]):
    device.run(2500)
    device.push(1, model_image("2.0.0", 9000))
    device.run(2500)
    assert resets == []
    assert device.status(1) == (2, 0)


def test_pending_by_hand_is_no_update(device: Bench):
    """The console speaks to the boot loader; states belong to the server."""
    device.machine.program(device.slot(0, secondary=True).address, app_image("2.0.0", 300))
    assert device.command("pending 0") == ("", "ok")
    assert device.status() == (0, 0)
    assert device.flash(device.slot(0).address, HEADER)[:4] == bytes.fromhex("3db8f396")
