"""Runs Renode headless, as a child that ends with its owner."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from .._deadline import Deadline
from .._errors import EmulatorError
from ._find import OLDEST, SETTING, find_renode
from ._gdb import GdbClient
from ._platforms import Platform, model_file

__all__ = ["RenodeProcess", "problems"]

START_SECONDS: Final = 90.0
_END_SECONDS: Final = 10.0
_LINES_KEPT: Final = 60
_LINES_TOLD: Final = 5
_READY: Final = "harness: the board is set up"
#: monitor commands, run by the Python inside Renode. Memory to and from files, which is fast. What makes the
#: core stand until it is told to step: the last of its modes, which has another name in 1.15 than in 1.16.
_COMMANDS: Final = """
def mc_harness_read(path, address, size):
    System.IO.File.WriteAllBytes(path, self.Machine.SystemBus.ReadBytes(address, size))

def mc_harness_write(path, address):
    self.Machine.SystemBus.WriteBytes(System.IO.File.ReadAllBytes(path), address)

def mc_harness_stop():
    cpu = self.Machine["sysbus.cpu"]
    cpu.Pause()
    modes = System.Enum.GetValues(cpu.ExecutionMode.GetType())
    cpu.ExecutionMode = modes[modes.Length - 1]
"""
_PROBLEM: Final = re.compile(
    r"\[ERROR\]|There was an error executing|No such command or device|Fatal error|Unhandled exception"
    r"|Could not|Errors? during compilation|Error E\d+",
    re.IGNORECASE,
)
_VERSION: Final = re.compile(r"Renode, version (\d+)\.(\d+)")
#: Renode's PPI model looks for a radio, which no firmware here needs
_HARMLESS: Final = re.compile(r"ppi: Failed to register PPI|Failed to download")


def problems(lines: list[str]) -> list[str]:
    """The lines of Renode's output that tell of something wrong."""
    return [line for line in lines if _PROBLEM.search(line) and not _HARMLESS.search(line)]


class RenodeProcess:
    """Renode with one board, which does not run yet. ``gdb`` is the connection to its GDB server.

    ``serial`` are pyserial URLs by UART. Raises `EmulatorError` with what Renode wrote if it does not
    come up in time. Renode ends with `close`; on Linux also when this process is killed.
    """

    def __init__(self, platform: Platform) -> None:
        with ExitStack() as stack:
            gdb_port, *ports = _free_ports(1 + len(platform.uarts))
            self.serial = {
                uart: f"socket://127.0.0.1:{port}" for uart, port in zip(platform.uarts, ports, strict=True)
            }
            self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
            self._written = threading.Condition()
            self._ready = self._ended = False
            self._version = OLDEST  # until it tells its own
            with tempfile.TemporaryDirectory(prefix="harness-renode-") as folder:  # read once, at the start
                commands, models = Path(folder, "commands.py"), Path(folder, "models.cs")
                script = Path(folder, "board.resc")
                commands.write_text(_COMMANDS, encoding="utf-8")
                models.write_text(_models(platform), encoding="utf-8")
                script.write_text(_script(platform, (commands, models), gdb_port, ports), encoding="utf-8")
                program = find_renode()
                self._process = self._start(program, script)
                self._reader = threading.Thread(target=self._read, name="renode output", daemon=True)
                self._reader.start()
                stack.callback(self._end)
                self._wait_ready(program)
            self.gdb = GdbClient(gdb_port)
            stack.callback(self.gdb.close)
            # With the client there, the core stands at its first instruction.
            self.gdb.monitor("start")
            self._owned = stack.pop_all()

    def _start(self, program: Path, script: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(program), "--disable-xwt", "--console", "--plain", "-e", f"include @{script}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=tempfile.gettempdir(),
            start_new_session=sys.platform != "win32",
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one call
        )

    def close(self) -> None:
        """End Renode and wait for it."""
        self._owned.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with suppress(OSError, ValueError):
            for raw in self._process.stdout:
                line = raw.decode(errors="replace").strip()
                with self._written:
                    self._lines.append(line)
                    self._ready |= line.endswith(_READY) and "echo" not in line
                    if told := _VERSION.search(line):
                        self._version = int(told[1]), int(told[2])
                    self._written.notify_all()
        with self._written:
            self._ended = True
            self._written.notify_all()

    def _wait_ready(self, program: Path) -> None:
        limit = Deadline(START_SECONDS)
        with self._written:
            self._written.wait_for(
                lambda: self._ready or self._ended or self._version < OLDEST or problems(list(self._lines)),
                limit.remaining,
            )
            ready, version = self._ready, self._version
        if version < OLDEST:
            raise EmulatorError(
                "this Renode is too old",
                where=str(program),
                found="version {}.{}".format(*version),
                expected="version {}.{} or later".format(*OLDEST),
                remedy=f"install a later one from https://renode.io, or name one in {SETTING}",
            )
        if ready:
            return
        self._end()  # all that it has to say is then written
        lines = list(self._lines)
        first = lines.index(problems(lines)[0]) if problems(lines) else -_LINES_TOLD
        raise EmulatorError(
            "Renode did not set up the board",
            where=str(program),
            found="; ".join(lines[first:][:_LINES_TOLD] or ["nothing was written"]),
            expected=f"the board within {START_SECONDS:.0f} s",
            remedy="try it on its own; docs/renode.md says with which versions it was run",
        )

    def _end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(OSError, ValueError):  # it is gone, or was told before
            self._process.stdin.write(b"quit\n")
            self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(_END_SECONDS)
        self._process.stdout.close()


def _free_ports(count: int) -> list[int]:
    """Ports that nobody has now. Renode cannot pick one itself and tell (1.16)."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(one.getsockname()[1]) for one in sockets]


def _models(platform: Platform) -> str:
    """All models as one source: Renode 1.15 does not let one file use what is in another."""
    files = ("common.cs", f"{platform.name}.cs")
    return "".join(f'#line 1 "{name}"\n{model_file(name).read_text(encoding="utf-8")}\n' for name in files)


def _script(platform: Platform, includes: tuple[Path, ...], gdb_port: int, ports: list[int]) -> str:
    lines = ["version", *(f"include @{file}" for file in includes)]
    lines += ["mach create", f"machine LoadPlatformDescription @{model_file(platform.name + '.repl')}"]
    for uart, port in zip(platform.uarts, ports, strict=True):
        lines += [
            f'emulation CreateServerSocketTerminal {port} "{uart}_line" false',
            f"connector Connect sysbus.{uart} {uart}_line",
        ]
    # Renode gives up a core that finds no vectors when it starts, and time then stands still for it.
    (flash, _), (ram, size) = platform.flash[0], platform.ram[0]
    lines += [f"sysbus WriteDoubleWord {flash:#x} {ram + size:#x}"]
    lines += [f"sysbus WriteDoubleWord {flash + 4:#x} {ram | 1:#x}"]
    lines += [f"machine StartGdbServer {gdb_port} false", f'echo "{_READY}"']
    return "\n".join(lines) + "\n"


def _die_with_parent() -> None:
    """Linux ends this process when its parent is gone, however it went (prctl(2), PR_SET_PDEATHSIG)."""
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
