"""Starts a board as a child process that cannot outlive its owner."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, Final, Self

from .._errors import EmulatorError
from ._control import ControlClient
from ._registry import Entry, withdraw
from ._serving import ControlServer

__all__ = ["BoardProcess", "EmulatedBoard", "serve_child"]

_START_SECONDS: Final = 30.0
_END_SECONDS: Final = 10.0


class BoardProcess:
    """A board in its own process, and the owner of that process.

    ``module`` is what Python runs (see `serve_child`), ``settings`` are its server's arguments. The process
    ends with `close`, and also when this process dies in any way: it watches a pipe from here.
    """

    def __init__(self, module: str, settings: dict[str, Any], *, seconds: float = _START_SECONDS) -> None:
        self._seconds = seconds
        self._entry: Entry | None = None
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            # A Ctrl-C in the terminal is the owner's business, who then closes the pipe.
            **_own_group(),
        )
        try:
            self._entry = self._handshake(settings)
            self.control = ControlClient(self.entry.port, self.entry.token)
        except BaseException:
            self._end()
            raise

    def _handshake(self, settings: dict[str, Any]) -> Entry:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        guard = threading.Timer(self._seconds, self._process.kill)
        guard.start()
        try:
            self._process.stdin.write(json.dumps(settings).encode() + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = b""
        finally:
            guard.cancel()
        answer = json.loads(line) if line else {"error": self._error_text()}
        if "error" in answer:
            raise EmulatorError(
                "the emulated board did not start",
                found=answer["error"] or f"no answer within {self._seconds:.0f} s",
                remedy="run it alone to see more: harness emulate --board NAME",
            )
        return Entry(**answer)

    def _error_text(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()[-2000:]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @property
    def entry(self) -> Entry:
        """Where the board answers."""
        assert self._entry is not None
        return self._entry

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the process and wait for it."""
        self.control.close()
        self._end()

    def _end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()
        if self._entry is not None:
            withdraw(self._entry)  # in case the process was killed


class EmulatedBoard(BoardProcess):
    """An emulated board in its own process."""

    def __init__(
        self,
        soc: str,
        *,
        uid: str | None = None,
        board: str = "",
        target: str = "",
        seed: int = 1,
        speed: float = 1.0,
        native: bool | None = None,
    ) -> None:
        settings = {
            "soc": soc,
            "uid": uid or f"emulated-{secrets.token_hex(4)}",
            "board": board,
            "target": target,
            "seed": seed,
            "speed": speed,
            "native": native,
        }
        super().__init__("harness.emulator", settings)


def _own_group() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def serve_child(server_of: Callable[..., ControlServer]) -> None:
    """The child's main program: settings on stdin, the entry on stdout, then serve until stdin ends."""
    settings = json.loads(sys.stdin.readline())
    try:
        server = server_of(**settings)
    except Exception as error:  # told to the parent, whatever it is
        _tell({"error": str(error)})
        return
    try:
        entry = server.entry
        _tell({name: getattr(entry, name) for name in entry.__slots__})
        threading.Thread(target=_close_at_end, args=(server,), daemon=True).start()
        server.closed.wait()
    finally:
        server.close()


def _tell(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _close_at_end(server: Any) -> None:
    sys.stdin.read()
    server.close()
