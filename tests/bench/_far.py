"""A machine that ssh reaches as `far`: this one, by a real sshd or by a program that stands in for ssh."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from harness._deadline import Deadline

SSHD = shutil.which(
    "sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
)

#: forwards one port and runs one command by a shell, as ssh does with what it is given here
STAND_IN = """#!{python} -SE
import socket, subprocess, sys, threading

words = sys.argv[1:]
end = words.index("--")
host, command = words[end + 1 :]
if host != "far":
    sys.exit(f"ssh: Could not resolve hostname {{host}}") if host != "refused" else sys.exit(255)
_, near, _, there = words[words.index("-L") + 1].split(":")


def copy(source, sink):
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
    except OSError:
        pass
    for one in (source, sink):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(listener):
    while True:
        near_side, _ = listener.accept()
        far_side = socket.create_connection(("127.0.0.1", int(there)))
        for pair in ((near_side, far_side), (far_side, near_side)):
            threading.Thread(target=copy, args=pair, daemon=True).start()


listener = socket.create_server(("127.0.0.1", int(near)))
threading.Thread(target=serve, args=(listener,), daemon=True).start()
sys.exit(subprocess.call(["sh", "-c", command]))
"""


@contextmanager
def stand_in(folder: Path) -> Iterator[None]:
    """A program `ssh` in this folder."""
    script = folder / "ssh"
    script.write_text(STAND_IN.format(python=sys.executable))
    script.chmod(0o755)
    yield


@contextmanager
def real(folder: Path) -> Iterator[None]:
    """A program `ssh` in this folder that knows the sshd which runs as long."""
    client, keygen = shutil.which("ssh"), shutil.which("ssh-keygen")
    if not (SSHD and client and keygen):
        pytest.skip("OpenSSH is not installed (ssh, ssh-keygen, sshd)")
    for key in ("host", "user"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "user.pub",
        "StrictModes": "no",
        "PidFile": "none",
    }
    (folder / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in server.items()))
    user = {
        "HostName": "127.0.0.1",
        "Port": port,
        "User": getpass.getuser(),
        "IdentityFile": folder / "user",
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": folder / "known",
        "StrictHostKeyChecking": "no",
        "LogLevel": "ERROR",
    }
    (folder / "ssh_config").write_text(
        "Host far\n" + "".join(f"  {key} {value}\n" for key, value in user.items())
    )
    script = folder / "ssh"
    script.write_text(f'#!/bin/sh\nexec {client} -F {folder / "ssh_config"} "$@"\n')
    script.chmod(0o755)
    log = (folder / "sshd.log").open("wb")
    with ExitStack() as stack:
        stack.callback(log.close)
        private = Path("/run/sshd")  # what the system's own service makes at its start
        if os.getuid() == 0 and not private.exists():
            private.mkdir()
            stack.callback(private.rmdir)
        process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", folder / "sshd_config"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)
        limit = Deadline(30)
        while b"listening" not in (folder / "sshd.log").read_bytes():
            if process.poll() is not None:
                pytest.skip(f"sshd does not start: {(folder / 'sshd.log').read_text()}")
            assert not limit.expired
            limit.pause(0.05)
        yield


#: the real one where it is installed
best = real if SSHD else stand_in


def pyocd(folder: Path) -> Path:
    """pyOCD as it is on the other machine, which finds the boards of this test. `pid` is its process id."""
    script = folder / "pyocd"
    script.write_text(
        f"#!/bin/sh\nexport HARNESS_STATE_DIR='{os.environ['HARNESS_STATE_DIR']}'\n"
        f"echo $$ > '{folder}/pid.new' && mv '{folder}/pid.new' '{folder}/pid'\n"
        f'exec {sys.executable} -m pyocd "$@"\n'
    )
    script.chmod(0o755)
    return script


def has_ended(folder: Path) -> bool:
    """Whether the last `pyocd` of the other machine ends within a while."""
    state, limit = Path("/proc") / (folder / "pid").read_text().strip() / "stat", Deadline(30)
    while not limit.expired:
        try:
            if state.read_text().rpartition(")")[2].split()[0] == "Z":  # nobody waits for it any more
                return True
        except OSError:
            return True
        limit.pause(0.02)
    return False
