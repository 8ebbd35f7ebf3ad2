"""Each way in which hardware fails has an error of its own, and a rerun works once the cause is gone."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from harness import (
    FlashError,
    HarnessError,
    LineNoiseError,
    PortBusyError,
    PortError,
    PortMissingError,
    PowerError,
    ProbeError,
    ProbeFirmwareError,
    ProbeMissingError,
    TargetLockedError,
)
from harness._deadline import Deadline
from harness.devices import CommandSwitch, Console, DebugPort, LabgridSwitch, SerialPort
from harness.emulator import control

from .stand_ins import FaultyProbe, Rfc2217Port, power_switch, pseudo_terminal


@pytest.fixture
def probe(board: control.EmulatedBoard) -> Iterator[FaultyProbe]:
    """Faults for the board's probe. pyOCD has found the board once, as it has before any fault."""
    with DebugPort(board.entry.uid, target="nrf52840"):
        pass
    with pytest.MonkeyPatch.context() as patch:
        yield FaultyProbe(patch)


def said(error: pytest.ExceptionInfo[HarnessError], *words: str) -> None:
    """Every such message has a remedy, and the place."""
    assert error.value.remedy
    assert error.value.where
    text = str(error.value)
    assert [word for word in words if word not in text] == [], text


# debug probe


def test_cable_of_the_probe_is_pulled(board: control.EmulatedBoard) -> None:
    with DebugPort(board.entry.uid, target="nrf52840") as debug:
        os.kill(board.entry.pid, 9)
        with pytest.raises(ProbeMissingError) as caught:
            debug.read(0, 4)
        said(caught, "the probe is gone", "USB cable", "0x00000000")
    board.close()  # what was killed takes a moment to go
    with pytest.raises(ProbeMissingError) as again:
        DebugPort(board.entry.uid, target="nrf52840")
    said(again, "no such debug probe", "probes present")
    with (
        control.EmulatedBoard("nrf52840", uid=board.entry.uid, target="nrf52840") as plugged_in,
        DebugPort(plugged_in.entry.uid, target="nrf52840") as debug,
    ):
        assert debug.read(0, 4) == b"\xff" * 4


@pytest.mark.parametrize("when", ["at the start", "while flashing"])
def test_probe_reports_a_failure_of_its_own(
    board: control.EmulatedBoard, probe: FaultyProbe, when: str
) -> None:
    from pyocd.core.exceptions import ProbeError as PyocdProbeError

    failure = PyocdProbeError("STLink error (22): unknown command")
    if when == "at the start":
        probe.fail(failure, "open")
        with pytest.raises(ProbeFirmwareError) as caught:
            DebugPort(board.entry.uid, target="nrf52840")
    else:
        with DebugPort(board.entry.uid, target="nrf52840") as debug:
            probe.fail(failure, "write_ap", "reset", "assert_reset")
            with pytest.raises(ProbeFirmwareError) as caught:
                debug.program({0x1000: b"x"})
            probe.end()
    said(caught, "unknown command", board.entry.uid if when == "at the start" else "0x1000", "firmware")
    probe.end()
    with DebugPort(board.entry.uid, target="nrf52840") as debug:
        debug.program({0x1000: b"x"})
        assert debug.read(0x1000, 1) == b"x"


def test_locked_target_is_refused_and_opened_only_when_asked(
    board: control.EmulatedBoard, probe: FaultyProbe
) -> None:
    with DebugPort(board.entry.uid, target="nrf52840") as debug:
        debug.program({0x1000: b"precious"})
    probe.lock()
    board.control.call("start_journal")
    with pytest.raises(TargetLockedError) as caught:
        DebugPort(board.entry.uid, target="nrf52840")
    said(caught, "nothing was written", "recover NAME --erase", "nrf52840")
    assert not board.control.call("stop_journal")
    with DebugPort(board.entry.uid, target="nrf52840", unlock=True) as debug:
        assert debug.read(0x1000, 8) == b"\xff" * 8
    probe.end()
    with DebugPort(board.entry.uid, target="nrf52840") as debug:
        debug.program({0x1000: b"again"})


def test_target_without_power(board: control.EmulatedBoard, probe: FaultyProbe) -> None:
    from pyocd.core.exceptions import TransferError

    probe.fail(TransferError("no ACK received"), "read_dp", "write_dp", "read_ap", "write_ap")
    with pytest.raises(ProbeError) as caught:
        DebugPort(board.entry.uid, target="nrf52840")
    assert type(caught.value) is ProbeError
    said(caught, "does not answer", "Target not detected", "has power")
    probe.end()
    with DebugPort(board.entry.uid, target="nrf52840"):
        pass


def test_target_that_comes_up_slowly_after_a_loss_of_power(board: control.EmulatedBoard) -> None:
    from pyocd.core.exceptions import TransferError

    with DebugPort(board.entry.uid, target="nrf52840") as debug, pytest.MonkeyPatch.context() as patch:
        board.control.call("power", False)
        left = [TransferError("no ACK received")] * 3
        FaultyProbe(patch).fail_first("read_dp", left)
        board.control.call("power", True)
        debug.reconnect(deadline=30)
        assert not left
        assert debug.read(0, 4) == b"\xff" * 4
        board.control.call("power", False)
        with pytest.raises(ProbeError) as caught:
            debug.reconnect(deadline=0.1)
        said(caught, "after a loss of power", board.entry.uid)
        board.control.call("power", True)


def test_flash_that_does_not_take_what_is_written(board: control.EmulatedBoard, probe: FaultyProbe) -> None:
    probe.wear(0x1003)
    with DebugPort(board.entry.uid, target="nrf52840") as debug:
        with pytest.raises(FlashError) as caught:
            debug.program({0x1000: b"image"})
        said(caught, "does not hold", "0x00001003", "expected: 0x67", "found: 0x00", "worn")
    probe.end()
    with DebugPort(board.entry.uid, target="nrf52840") as debug:
        debug.program({0x1000: b"image"})


# serial ports


def test_cable_of_the_port_is_pulled() -> None:
    with pseudo_terminal() as line, SerialPort(line.name, baud=115200) as port:
        console = Console(port, framed=False)
        line.pull()
        with pytest.raises(PortMissingError) as caught:
            console.expect("anything", deadline=10)
    said(caught, "vanished while in use", line.name)
    with pytest.raises(PortMissingError) as again:
        SerialPort(f"{line.name}-none", baud=115200)
    said(again, "no such serial port", "hwgrep://SER=")
    with pseudo_terminal() as line, SerialPort(line.name, baud=115200) as port:
        console = Console(port, framed=False)  # hears what comes from now on
        line.say(b"plugged in\n")
        console.expect("plugged in")


def test_port_that_another_program_holds() -> None:
    with pseudo_terminal() as line:
        name = line.name
        with SerialPort(name, baud=115200):
            with pytest.raises(PortBusyError) as caught:
                SerialPort(name, baud=115200)
            said(caught, "another program holds", "fuser", name)
        with SerialPort(name, baud=115200):
            pass


def test_port_that_nobody_may_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import serial

    def refuse(*_arguments: object, **_more: object) -> None:
        raise serial.SerialException(13, "could not open port: [Errno 13] Permission denied")

    with pseudo_terminal() as line:
        name = line.name
        with monkeypatch.context() as patch:
            patch.setattr(serial.Serial, "open", refuse)
            with pytest.raises(PortError) as caught:
                SerialPort(name, baud=115200)
        said(caught, "no permission", "dialout")
        with SerialPort(name, baud=115200):
            pass


def test_wrong_speed_and_a_port_on_the_network() -> None:
    server = Rfc2217Port(115200, b"*** Booting MCUboot v2.2.0 ***\napp: ready\n")
    try:
        with SerialPort(server.url, baud=9600) as port:
            console = Console(port, framed=False)
            console.send("version\n")
            with pytest.raises(LineNoiseError) as caught:
                console.expect("app: ready", deadline=2)
        said(caught, "no text", "at 9600 baud", "serial[].baud", server.url)
        with SerialPort(server.url, baud=115200) as port:
            console = Console(port, framed=False)
            console.send("version\n")
            console.expect("app: ready", deadline=10)
        assert bytes(server.received) == b"version\n" * 2
    finally:
        server.close()


def test_garbage_on_the_wire() -> None:
    with pseudo_terminal() as line, SerialPort(line.name, baud=115200) as port:
        console = Console(port, framed=False)
        line.say(bytes(range(0x80, 0xC0)))
        with pytest.raises(LineNoiseError) as caught:
            console.expect("boot", deadline=0.3)
        said(caught, "64 of them unreadable", "cable")
        line.say(b"\x00\xffboot: ready\n")
        console.expect("boot: ready")


def test_glitch_is_no_garbage() -> None:
    with pseudo_terminal() as line, SerialPort(line.name, baud=115200) as port:
        line.say(b"\x00\xff\xfe")
        with pytest.raises(TimeoutError):
            Console(port, framed=False).expect("boot", deadline=0.1)


def test_port_that_comes_back_under_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from serial.tools import list_ports
    from serial.tools.list_ports_common import ListPortInfo

    present: list[ListPortInfo] = []
    monkeypatch.setattr(list_ports, "comports", lambda *_arguments, **_more: list(present))

    def plug_in(name: str) -> None:
        info = ListPortInfo(name)
        info.serial_number, info.hwid = "000683", "USB VID:PID=1366:1015 SER=000683 LOCATION=1-1"
        present[:] = [info]

    with pseudo_terminal() as before, pseudo_terminal() as after:
        plug_in(before.name)
        with SerialPort(before.name, baud=115200) as port:
            plug_in(after.name)
            before.pull()
            with pytest.raises(PortMissingError) as caught:
                Console(port, framed=False).expect("boot", deadline=10)
        said(caught, "under another name", after.name, "hwgrep://SER=000683")
        with SerialPort("hwgrep://SER=000683", baud=115200) as port:
            console = Console(port, framed=False)
            after.say(b"boot: again\n")
            console.expect("boot: again")


@pytest.mark.parametrize("kind", ["pty", "socket", "rfc2217"])
def test_line_that_takes_nothing_does_not_keep_the_port_open(kind: str) -> None:
    def first() -> object:
        """Wait for the first bytes: the writer is at it."""
        if kind == "pty":
            return terminal.hear(1)
        if kind == "socket":
            peer, _ = server.accept()
            stack.callback(peer.close)
            return peer.recv(1)
        limit = Deadline(10)
        while not line.received and not limit.expired:
            limit.pause(0.01)
        return line.received

    with ExitStack() as stack:
        if kind == "pty":
            terminal = stack.enter_context(pseudo_terminal())
            url = terminal.name
        elif kind == "socket":
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            url = f"socket://127.0.0.1:{server.getsockname()[1]}"
        else:
            line = Rfc2217Port(115200, b"")
            stack.callback(line.close)
            url = line.url
        port = SerialPort(url, baud=115200)
        if kind == "rfc2217":
            line.hears.clear()
        ends: list[Exception | None] = []
        port.subscribe(lambda _message: None, ends.append)
        port.send(b"x" * (16 << 20))
        assert first()
        end = threading.Thread(target=port.close, daemon=True)
        end.start()
        end.join(20)
        assert not end.is_alive()
        assert ends == [None], "an orderly end"


# power


def test_switch_that_does_not_obey(
    board: control.EmulatedBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    power_switch(tmp_path, board, "uhubctl")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    hub = ("uhubctl", "-l", "1-1.4", "-p", "2", "-a")
    switch = CommandSwitch((*hub, "off"), (*hub, "on")).switch(ExitStack())
    (tmp_path / "broken").touch()
    with pytest.raises(PowerError) as caught:
        switch.off()
    said(caught, "did not obey", "no hub at that location", "uhubctl -l 1-1.4 -p 2 -a off")
    (tmp_path / "broken").unlink()
    with DebugPort(board.entry.uid, target="nrf52840") as debug:
        debug.target.write32(0x20000000, 0x12345678)
        debug.resume()
        switch.off()
        switch.on()
        assert debug.read(0x20000000, 4) != (0x12345678).to_bytes(4, "little"), (
            "RAM keeps nothing without power"
        )
    assert (tmp_path / "said").read_text() == "-l 1-1.4 -p 2 -a off\n-l 1-1.4 -p 2 -a on\n"


def test_switch_that_is_not_there() -> None:
    settings = CommandSwitch(("no-such-switch", "off"), ("no-such-switch", "on"))
    switch = settings.switch(ExitStack())
    with pytest.raises(PowerError) as caught:
        switch.on()
    said(caught, "no-such-switch on", "by hand")
    with pytest.raises(PowerError) as before:
        settings.check()
    said(before, "is not there", "no-such-switch")


def test_switch_of_labgrid() -> None:
    pytest.importorskip("labgrid", reason="labgrid is not installed")
    asked: list[str] = []

    class Switch(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200 if "7" not in self.path else 500)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Switch)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        host = f"http://127.0.0.1:{server.server_port}/{{index}}/{{value}}"
        switch = LabgridSwitch("simplerest", host, "3").switch(ExitStack())
        switch.off()
        switch.on()
        assert asked == ["/3/0", "/3/1"]
        ill = LabgridSwitch("simplerest", host, "7").switch(ExitStack())
        with pytest.raises(PowerError) as caught:
            ill.off()
        said(caught, "did not obey", "500")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_labgrid_knows_no_such_switch() -> None:
    with pytest.raises(PowerError) as caught:
        LabgridSwitch("no_such_model", "host", "1").switch(ExitStack())
    said(caught, "no_such_model", "install labgrid")
