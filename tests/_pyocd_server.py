"""pyOCD's own probe server in a process, in front of an emulated board's probe."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness._deadline import Deadline
from harness.emulator import control

PYOCD = [sys.executable, "-m", "pyocd"]


class PyocdServer:
    """`pyocd server` on a free port. ``log`` is a file for what it says."""

    def __init__(self, board: control.EmulatedBoard, log: Path) -> None:
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [*PYOCD, "server", "--port", "0", "--uid", board.entry.uid],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        limit = Deadline(60)
        while (said := re.search(rb"on port (\d+)", log.read_bytes())) is None:
            if limit.expired or self._process.poll() is not None:
                self.kill()
                raise AssertionError(log.read_text())
            limit.pause(0.05)
        self.port = int(said[1])

    @property
    def probe(self) -> str:
        """Id of the probe behind it."""
        return f"remote:127.0.0.1:{self.port}"

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.wait(30)

    def __enter__(self) -> PyocdServer:
        return self

    def __exit__(self, *_exception: Any) -> None:
        self.kill()
