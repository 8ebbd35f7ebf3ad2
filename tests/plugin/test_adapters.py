"""Tests written for twister, pytest-embedded and labgrid on devices of this harness; all plugins at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import BenchError, DeadlineExceeded, PowerError
from harness.adapters import EmbeddedDut, TwisterDut, TwisterMcumgr, labgrid_settings
from harness.boards import find_board
from harness.devices import Console, SerialPort, open_device
from harness.protocols.smp import SmpClient
from harness.updates import ImageFactory, UpdateRig

from .._boards import BOARD
from ..devices.stand_ins import PseudoTerminal, pseudo_terminal
from .conftest import Runner


@pytest.fixture
def line() -> Iterator[tuple[PseudoTerminal, Any]]:
    """The board's end of a serial line, and a device with its console."""
    with pseudo_terminal() as board, SerialPort(board.name, baud=115200) as port:
        console = Console(port, framed=False)
        yield board, SimpleNamespace(console=console, port=port)


def test_lines_as_twister_reads_them(line: tuple[PseudoTerminal, Any]) -> None:
    board, device = line
    dut = TwisterDut(device, base_timeout=10)
    board.say(b"*** Booting Zephyr ***\r\nuart:~$ \r\nversion 1.2.3\r\nhalf")
    assert dut.readline() == "*** Booting Zephyr ***"
    assert dut.readlines_until(regex=r"version \d") == ["uart:~$ ", "version 1.2.3"]
    assert dut.readlines() == []
    board.say(b" done\r\none\r\ntwo\r\n")
    assert dut.readlines_until(num_of_lines=2) == ["half done", "one"]
    with pytest.raises(AssertionError, match="time ran out"):
        dut.readlines_until(regex="never", timeout=0.1)
    dut.clear_buffer()
    assert dut.readlines() == []
    dut.write(b"kernel version\n")
    assert board.hear(15) == b"kernel version\n"


def test_expect_as_pytest_embedded_has_it(line: tuple[PseudoTerminal, Any]) -> None:
    board, device = line
    dut = EmbeddedDut(device)
    board.say(b"heap 1024 bytes\nready (really)\n")
    assert dut.expect(r"heap (\d+) bytes")[1] == b"1024"
    assert dut.expect_exact("(really)") == b"(really)"
    board.say(b"x=7\n")
    assert dut.expect(re.compile(rb"x=(\d)"), timeout=10)[1] == b"7"
    with pytest.raises(DeadlineExceeded):
        dut.expect("never", timeout=0.1)
    dut.write("help")
    assert board.hear(5) == b"help\n"


def test_mcumgr_as_twister_uses_it(tmp_path: Path) -> None:
    board = find_board(BOARD)
    images = ImageFactory(board)
    new = images.make("app", "2.0.0")
    file = tmp_path / "zephyr.signed.bin"
    file.write_bytes(new.data)
    with open_device(board) as device, UpdateRig(device, images) as rig:
        rig.install(*(images.make(part.name, "1.0.0") for part in board.components))
        rig.boot()
        with SmpClient.on_line(device.smp_link) as client:
            mcumgr = TwisterMcumgr(client)
            first = mcumgr.get_image_list()[0]
            assert (first.image, first.slot, first.version) == (0, 0, "1.0.0")
            mcumgr.image_upload(file, timeout=120)
            wanted = next(one for one in mcumgr.get_image_list() if (one.image, one.slot) == (0, 1))
            assert wanted.version == "2.0.0"
            mcumgr.image_test(wanted.hash)
            assert any("pending" in one.flags for one in mcumgr.get_image_list())
            assert mcumgr.get_hash_to_test() == wanted.hash
            mcumgr.image_confirm()
            mcumgr.reset_device()


class Driver:
    """A power driver, as labgrid's are: on and off."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def on(self) -> None:
        self.said.append("on")

    def off(self) -> None:
        raise RuntimeError("relay stuck")


def test_labgrid_target_as_settings() -> None:
    port = type("NetworkSerialPort", (), {"name": "uart", "host": "h", "port": 4000, "protocol": "rfc2217"})()
    local = type("USBSerialPort", (), {"name": "log", "port": "/dev/ttyACM1"})()
    target = SimpleNamespace(name="main", resources=[port, object()], drivers=[object(), Driver()])
    settings = labgrid_settings(target, probe="1")
    assert (settings.backend, settings.probe, settings.ports) == (
        "hardware",
        "1",
        {"console": "rfc2217://h:4000"},
    )
    assert settings.power is not None
    switch = settings.power.switch(ExitStack())
    switch.on()
    assert target.drivers[1].said == ["on"]
    with pytest.raises(PowerError, match="did not obey"):
        switch.off()
    target.resources.append(local)
    with pytest.raises(BenchError, match="two serial ports"):
        labgrid_settings(target)
    assert labgrid_settings(target, roles={"log": "log"}).ports["log"] == "/dev/ttyACM1"


def test_real_labgrid_target() -> None:
    pytest.importorskip("labgrid", reason="labgrid is not installed")
    from labgrid import Target
    from labgrid.driver import ExternalPowerDriver
    from labgrid.resource import RawSerialPort

    target = Target("main")
    RawSerialPort(target, name=None, port="/dev/ttyACM0", speed=115200)
    target.activate(ExternalPowerDriver(target, name=None, cmd_on="true", cmd_off="false"))
    settings = labgrid_settings(target)
    assert settings.ports == {"console": "/dev/ttyACM0"}
    assert settings.power is not None
    switch = settings.power.switch(ExitStack())
    switch.on()
    with pytest.raises(PowerError):
        switch.off()


def test_beside_pytest_embedded(run: Runner) -> None:
    pytest.importorskip("pytest_embedded", reason="pytest-embedded is not installed")
    test = """
    def test_theirs(dut, hil_board):
        assert type(dut).__module__.startswith("pytest_embedded")
    """
    run(test, "-W", "default", "-p", "no:labgrid", "--hil-board", BOARD, passed=1)


def test_beside_labgrid(run: Runner, tmp_path: Path) -> None:
    pytest.importorskip("labgrid", reason="labgrid is not installed")
    environment = tmp_path / "env.yaml"
    environment.write_text(
        "targets:\n  main:\n    resources:\n"
        "      RawSerialPort:\n        port: /dev/ttyACM7\n        speed: 115200\n"
    )
    test = """
    from harness.adapters import labgrid_settings

    def test_theirs(target, hil_board):
        assert labgrid_settings(target).ports == {"console": "/dev/ttyACM7"}
    """
    others = ("-p", "no:pytest_embedded", "--lg-env", str(environment))
    run(test, "-W", "default", *others, "--hil-board", BOARD, passed=1)


def test_beside_both(run: Runner, tmp_path: Path) -> None:
    """Pytest-embedded takes labgrid's `target` for its own, so that labgrid wants its configuration."""
    pytest.importorskip("labgrid", reason="labgrid is not installed")
    pytest.importorskip("pytest_embedded", reason="pytest-embedded is not installed")
    environment = tmp_path / "env.yaml"
    environment.write_text(
        "targets:\n  main:\n    resources:\n"
        "      RawSerialPort:\n        port: /dev/ttyACM7\n        speed: 115200\n"
    )
    test = """
    def test_all(dut, target, hil_slots):
        assert type(dut).__module__.startswith("pytest_embedded")
        assert type(target).__module__.startswith("labgrid")
        assert hil_slots()
    """
    run(test, "-W", "default", "--lg-env", str(environment), "--hil-board", BOARD, passed=1)
