"""The reference application as a program of this machine: an LwM2M client on UDP."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Final

from .._errors import BuildError
from ..mcuboot import SwapMode
from ._compile import compile_program
from ._layout import FirmwareLayout
from ._reference import sources_folder
from ._toolchain import Program, zig_path

__all__ = ["NativeClient", "native_client_program"]

#: what firmware/port/native has in place of the application's own
_REPLACED: Final = {"main.c", "platform.c", "link.c", "fault.c"}
_END_SECONDS: Final = 10.0


class _Host:
    """The zig package's C compiler for the machine it runs on, with checks for undefined behaviour."""

    @property
    def identity(self) -> str:
        return f"zig {version('ziglang')} for the host"

    def compile_command(self, program: Program) -> list[str]:  # noqa: ARG002 - the protocol's signature
        return [
            *(zig_path(), "cc", "-std=c11", "-D_GNU_SOURCE", "-O1", "-g"),
            *("-Wall", "-Wextra", "-Werror", "-fsanitize=undefined", "-fsanitize-trap=undefined"),
        ]

    def link_command(self, program: Program) -> list[str]:
        return self.compile_command(program)

    @property
    def libraries(self) -> list[str]:
        return []


def native_client_program(layout: FirmwareLayout, *, options: Mapping[str, int] | None = None) -> Path:
    """Build the application for this machine and return the executable.

    ``options`` are further C defines, such as ``DEFECT_name``. Raises `BuildError`, also for
    layouts that do not swap by scratch.
    """
    if layout.mode is not SwapMode.SCRATCH:
        raise BuildError(
            f"the native client has no stand-in for a boot loader with mode {layout.mode}", expected="scratch"
        )
    root = sources_folder()
    app, port, native = root / "app", root / "port", root / "port" / "native"
    main = (app / "main.c").read_text(encoding="utf-8")
    program = Program(
        name=f"{layout.board}-native",
        cpu="host",
        sources=[
            *(source for source in sorted(app.glob("*.c")) if source.name not in _REPLACED),
            *sorted(native.glob("*.c")),
            *(source for source in sorted((root / "lib").glob("*.c")) if source.name != "memory.c"),
        ],
        linker_script=None,
        headers=[native, app, root / "lib", port],
        generated={
            "board_config.h": layout.header(),
            "application_main.h": f"#define main application_main\n{main}#undef main\n",
        },
        defines=dict(options or {}),
    )
    return compile_program(program, _Host())


@dataclass(slots=True)
class NativeClient:
    """A running client. It keeps its flash in a file, and starts itself anew when it resets.

    ``server`` is a URI with a numeric address, ``speed`` how much faster than the clock time
    passes for it; with ``smp_port`` it speaks SMP on that UDP port of 127.0.0.1 as well.
    Use `with`, or `start` and `stop`; `stop` is like a power cut.
    """

    program: Path
    server: str
    flash: Path
    identity: str = "0011223344556677"
    speed: int = 1
    port: int = 0
    smp_port: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def command(self) -> Sequence[str]:
        """The command line."""
        return [
            *(str(self.program), "--server", self.server, "--flash", str(self.flash)),
            *("--id", self.identity, "--speed", str(self.speed), "--port", str(self.port)),
            *("--smp-port", str(self.smp_port)),
        ]

    def install(self, content: Mapping[int, bytes]) -> None:
        """Make flash hold exactly this, by address; the client must not run."""
        size = max((address + len(data) for address, data in content.items()), default=0)
        flash = bytearray(b"\xff" * size)
        for address, data in content.items():
            flash[address : address + len(data)] = data
        self.flash.write_bytes(flash)

    @property
    def log(self) -> Path:
        """What it prints goes to this file, beside the one with its flash."""
        return self.flash.with_suffix(".log")

    def start(self) -> None:
        """Start. Raises `BuildError` if the program cannot be run."""
        try:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
                )
        except OSError as error:
            raise BuildError("the client does not start", where=str(self.program), found=str(error)) from None

    def stop(self) -> None:
        """Kill it: a power cut."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.wait(_END_SECONDS)

    @property
    def running(self) -> bool:
        """False once it has ended by itself, which it does only for a reason that it prints."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> NativeClient:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
