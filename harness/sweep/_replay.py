"""One failure of a sweep again: what a person wants to see of it, and the same in a debugger."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .._errors import SweepError
from ._evidence import Evidence, Witness
from ._explore import Case, Explorer, Plan
from ._judge import Verdict
from ._recording import Recording
from ._report import Failure, Report
from ._tears import Cut, Tears

__all__ = ["Replay"]

_END_SECONDS: Final = 10.0
#: pyOCD's server, which ends when whoever started it does, in whatever way: its input ends then
_GDB_SERVER: Final = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(1)), daemon=True).start()
from pyocd.__main__ import main
sys.exit(main())
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a replay."""

    verdict: Verdict
    evidence: Evidence


class Replay:
    """Does one failure of a report again. ``files`` are ELF files with source lines."""

    def __init__(self, report: Report, number: int, files: tuple[Path, ...] = ()) -> None:
        if not 1 <= number <= len(report.failures):
            raise SweepError(
                f"no failure {number} in the report",
                expected=f"1 to {len(report.failures)}" if report.failures else "none: everything held",
            )
        self.failure: Failure = report.failures[number - 1]
        self.recording = Recording.unpack(report.packed())
        settings = report.settings
        tears = Tears(settings.inside, settings.random, settings.weak, settings.seed)
        self._explorer = Explorer(self.recording, Plan(tears, pairs=0, chains=0))
        self._witness = Witness(self.recording, self._explorer, files)
        self.case: Case = tuple(Cut(cut.number, cut.tear) for cut in self.failure.cuts)

    def run(self) -> Seen:
        """Run it to where nothing changes any more."""
        return Seen(self._explorer.verdict(self.case), self._witness.testify(self.case))

    def content(self) -> dict[int, bytes]:
        """Flash after the last cut, by address, without what is erased."""
        contents, _ = self._explorer.contents_at(self.case)
        starts = sorted(contents.origin.pieces.keys() | contents.changed.keys())
        pieces = {start: contents.piece(start) for start in starts}
        return {start: piece for start, piece in pieces.items() if piece.strip(b"\xff")}

    @contextmanager
    def debugger(self, port: int) -> Iterator[subprocess.Popen[bytes]]:
        """A gdb server on this port, for a chip that stands at its first instruction after the cut."""
        from ..emulator.control import BoardServer

        uid = f"replay-{secrets.token_hex(4)}"
        server = BoardServer(
            self.recording.soc,
            uid=uid,
            board=self.recording.board,
            target=self.recording.target,
            seed=self.recording.chip_seed,
            content=self.content(),
            halted=True,
        )
        try:
            command = [sys.executable, "-c", _GDB_SERVER, "gdbserver", "--uid", uid, "--port", str(port)]
            command += ["--target", self.recording.target, "--connect", "attach", "--no-wait"]
            command += ["--telnet-port", "0"]  # any: two may run at a time
            process = subprocess.Popen(command, stdin=subprocess.PIPE)
            try:
                yield process
            finally:
                process.terminate()
                try:
                    process.wait(_END_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        finally:
            server.close()
