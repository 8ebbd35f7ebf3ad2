"""A probe on another machine: pyOCD's probe server there, started over ssh, for as long as it is needed."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from .._deadline import Deadline
from .._errors import BenchError, ProbeMissingError

__all__ = ["ServedProbe"]

_SECONDS: Final = 45.0
_END: Final = 10.0
_TRIES: Final = 5
#: below those that systems give to outgoing connections
_PORTS: Final = range(20000, 32768)
_SAID: Final = 12  # lines
_SERVES, _TAKEN, _WAITS = "Serving debug probe", "Address already in use", "Waiting for a debug probe"
#: Serves until its input ends, which is when this process or the connection does, however it ends.
#: $1 pyocd, $2 port, $3 probe id, $4 file with the USB serial number that counts where no id is given
_SCRIPT: Final = (
    'exec 3<&0; id=$3; if [ -z "$id" ]; then id=$(sed "s/^0*//" "$4"); [ -n "$id" ] || exit 66; fi; '
    'PYTHONUNBUFFERED=1 "$1" server --no-config --uid "$id" --port "$2" </dev/null 3<&- & server=$!; '
    "{ cat <&3; kill $server; } >/dev/null 2>&1 & watch=$!; exec 3<&-; "
    "wait $server; status=$?; kill $watch 2>/dev/null; exit $status"
)
#: no question is asked, and a connection of its own, which ends when the other side is gone for 15 s
_SSH: Final = (
    *("-x", "-a", "-T", "-S", "none"),
    *("-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o", "ConnectTimeout=15"),
    *("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"),
)


class ServedProbe:
    """A probe behind a `pyocd server` on ``host``, which ends with this object, and with this process.

    ``probe`` is the probe's id there; without one it is the serial number in the file ``serial``.
    The port is forwarded by ssh: the server listens on its own machine alone.

    Raises:
        ProbeMissingError: no server, with what ssh and pyOCD said.
        BenchError: there is no ssh.
    """

    def __init__(self, host: str, probe: str | None, serial: Path, *, pyocd: str) -> None:
        self.host = host
        for rest in reversed(range(_TRIES)):
            server = _Server(host, probe or "", serial, pyocd)
            if server.serves:
                break
            server.close()
            if not rest or _TAKEN not in server.said:  # ports are guessed; the next guess is another one
                raise self._missing(server)
        self._server = server
        self.unique_id = f"remote:127.0.0.1:{server.port}"
        """Id of the probe, for this machine."""

    def _missing(self, server: _Server) -> ProbeMissingError:
        remedy = f"look at the probe there: ssh {self.host} pyocd list"
        match server.code:
            case 255:
                remedy = f"'ssh {self.host} true' has to work without a question"
            case 126 | 127:
                remedy = "install pyOCD there, or name its program: 'pyocd' of the place in the bench file"
            case 66:
                remedy = "name the probe's id in the bench file"
        return ProbeMissingError(
            "no probe server could be started",
            where=self.host,
            expected=f"'pyocd server' on that machine, over ssh, within {_SECONDS:g} s",
            found=server.said or "nothing was said",
            remedy=remedy,
        )

    def close(self) -> None:
        """End the server."""
        self._server.close()

    def __enter__(self) -> ServedProbe:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


class _Server:
    """One try: an ssh that forwards ``port`` of this machine to a server that it runs."""

    def __init__(self, host: str, probe: str, serial: Path, pyocd: str) -> None:
        self.port, there = _free_port(), secrets.choice(_PORTS)
        script = ("sh", "-c", _SCRIPT, "probe", pyocd, str(there), probe, str(serial))
        forward = f"127.0.0.1:{self.port}:127.0.0.1:{there}"
        self._process = _start((_ssh(host), *_SSH, "-L", forward, "--", host, shlex.join(script)))
        self._lines: deque[str] = deque(maxlen=_SAID)
        self._decided = threading.Event()
        self.serves = False
        self._reader = threading.Thread(target=self._read, name=f"probe server {host}", daemon=True)
        self._reader.start()
        try:
            self._decided.wait(_SECONDS)
        except BaseException:
            self.close()
            raise

    def _read(self) -> None:
        """What is said, until the end: a server that nobody listens to stops."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line.rstrip())
            self.serves = self.serves or _SERVES in line
            if self.serves or _WAITS in line:
                self._decided.set()
        self._decided.set()

    @property
    def said(self) -> str:
        """The last lines of ssh and pyOCD."""
        return "\n".join(list(self._lines))

    @property
    def code(self) -> int | None:
        """How ssh ended: the server's exit code, or 255."""
        return self._process.poll()

    def close(self) -> None:
        """End the server: by the end of its input, or else by killing ssh."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        limit = Deadline(_END)
        try:
            process.wait(limit.remaining)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_END)
        self._reader.join(_END)
        if not self._reader.is_alive():  # else somebody has inherited the other end
            process.stdout.close()


def _ssh(host: str) -> str:
    found = shutil.which("ssh")
    if found is None:
        raise BenchError("there is no ssh", where=host, remedy="install the OpenSSH client")
    return found


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=os.name == "posix",  # Ctrl-C is for this process, which ends it in order
        )
    except OSError as error:
        raise BenchError("ssh does not start", where=command[0], found=str(error)) from None
