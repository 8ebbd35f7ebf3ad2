"""`harness link`, as the program that it is."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys

import pytest

SECONDS = 60


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "link", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def refused(*arguments: str) -> str:
    process = start(*arguments)
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 2
    assert "Traceback" not in errors
    return errors


def udp() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    made.settimeout(SECONDS)
    return made


def test_relays_and_reports_when_it_is_ended():
    with udp() as server, udp() as device:
        uri = f"coap://127.0.0.1:{server.getsockname()[1]}"
        process = start("--server", uri, "--conditions", "duplication=1", "--json")
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.match(r"devices: coap://127\.0\.0\.1:(\d+)   server: .*   duplication=1,seed=0", line)
        assert found, line
        device.sendto(bytes.fromhex("4001 1234 b133"), ("127.0.0.1", int(found[1])))
        data, path = server.recvfrom(100)
        assert server.recv(100) == data
        server.sendto(b"answer", path)
        assert device.recv(100) == b"answer"
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    report = json.loads(output)
    assert report["summary"]["to server"] == {"messages": 1, "bytes": 6, "duplicated": 1}
    assert report["entries"][0]["message"] == "CON GET /3 mid 0x1234, 6 bytes"


def test_ends_by_itself():
    process = start("--server", "coap://127.0.0.1:1", "--for", "0.01")
    output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert output.splitlines() == ["to device: 0 messages, 0 bytes", "to server: 0 messages, 0 bytes"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--server", "http://x"], "is no URI of a server"),
        (["--server", "smp://"], "is no URI of a server or device"),
        (["--server", "coap://h", "--conditions", "lose=3"], "'lose' is nothing that a link does"),
        (["--server", "coap://h", "--listen", "nowhere"], "is not HOST:PORT"),
        (["--server", "coap://h", "--listen", "192.0.2.1:5683"], "cannot listen for devices"),
        (["--server", "coap://h", "--for", "0"], "--for"),
        ([], "--server"),
    ],
)
def test_wrong_use_is_explained(arguments, said):
    assert said in refused(*arguments)
