"""The client under test, and the server that it talks to."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Final

from .._errors import BuildError, RegistrationError
from ..protocols import (
    Device,
    FirmwareUpdate,
    Lwm2mServer,
    Registration,
    Retransmission,
    ServerCertificate,
    UpdatableComponent,
    components_of,
)
from ._packages import AnjayPackages, BoardPackages, FilePackages, Packages, StandInPackages

__all__ = ["CLIENTS", "Target", "TargetOptions", "open_target"]

CLIENTS: Final = ("external", "command", "stand-in", "native")
_BOARD: Final = "nrf52840dk"
_END_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """How to come by the client.

    ``kind`` is one of `CLIENTS`. ``command`` starts it, with {uri}, {host}, {port}, {endpoint} and
    {folder} filled in. ``listen`` is where the server awaits it. ``packages`` is ``anjay``, empty
    for the kind's own, or files as `FilePackages` takes them. ``wait`` seconds are given to each
    registration, ``faults`` name what the stand-in does wrong, ``defects`` what is planted in the
    native client.
    """

    kind: str = "external"
    endpoint: str | None = None
    command: str = ""
    listen: tuple[str, int] = ("127.0.0.1", 0)
    serial: str | None = None
    baud: int = 115200
    packages: tuple[str, ...] = ()
    wait: float = 60.0
    faults: tuple[str, ...] = ()
    defects: tuple[str, ...] = ()


@dataclass(slots=True)
class Target:
    """A registered client. ``restart`` cuts its power and starts it again, None where nobody can."""

    server: Lwm2mServer
    registration: Registration
    packages: Packages
    options: TargetOptions
    restart: Callable[[], None] | None
    stack: ExitStack = field(repr=False)
    _served: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    @property
    def device(self) -> Device:
        """Requests to it."""
        return self.server.device(self.registration.endpoint)

    @property
    def components(self) -> dict[str, UpdatableComponent]:
        """All instances of both objects that it registered, by path."""
        found: list[UpdatableComponent] = []
        objects = self.registration.objects
        if FirmwareUpdate.object_id in objects:
            found.append(FirmwareUpdate(self.device))
        if 33629 in objects:
            found += components_of(self.device)
        return {str(component.path): component for component in found}

    def power_cycle(self) -> Registration:
        """Restart it and wait for its registration. `RegistrationError` where nobody can restart it."""
        if self.restart is None:
            raise RegistrationError("nobody can restart this client")
        before = self.server.registration(self.registration.endpoint)
        self.restart()
        return self.server.wait_registration(
            self.registration.endpoint, after=before, deadline=self.options.wait
        )

    def serve(self, scheme: str) -> str:
        """Serve files over one more protocol, where the client can reach it; return the base of the URIs."""
        if scheme not in self._served:
            host = self.options.listen[0] if self.options.serial is None else "127.0.0.1"
            secure = scheme in ("https", "coaps+tcp")
            certificate = ServerCertificate.self_signed(host) if secure else None
            self._served[scheme] = self.server.serve_files(scheme, host=host, certificate=certificate)
        return self._served[scheme]

    def close(self) -> None:
        """End client, if it was started here, and server."""
        self.stack.close()


def open_target(options: TargetOptions) -> Target:
    """Start server and client, and wait for the registration. Raises `HarnessError` and its kinds."""
    with ExitStack() as stack:
        server = _server(options, stack)
        packages, restart = _client(options, server, stack)
        registration = server.wait_registration(options.endpoint, deadline=options.wait)
        if packages is None:
            packages = FilePackages.parse(options.packages)
        return Target(server, registration, packages, options, restart, stack.pop_all())


def _server(options: TargetOptions, stack: ExitStack) -> Lwm2mServer:
    quick = options.kind in ("stand-in", "native")
    retransmission = Retransmission(ack_timeout=0.1 if quick else 2.0)
    if options.serial is None:
        host, port = options.listen
        return stack.enter_context(Lwm2mServer(host=host, port=port, retransmission=retransmission))
    from ..devices import SerialPort

    server = stack.enter_context(Lwm2mServer(host=None, retransmission=retransmission))
    server.attach(stack.enter_context(SerialPort(options.serial, baud=options.baud)))
    return server


def _client(
    options: TargetOptions, server: Lwm2mServer, stack: ExitStack
) -> tuple[Packages | None, Callable[[], None] | None]:
    if options.kind == "stand-in":
        return _stand_in(options, server, stack)
    if options.kind == "native":
        return _native(options, server, stack)
    if options.kind == "command":
        return _command(options, server, stack)
    return None, None


def _stand_in(
    options: TargetOptions, server: Lwm2mServer, stack: ExitStack
) -> tuple[Packages, Callable[[], None]]:
    from ..protocols.testing import Faults, StandIn

    faults = Faults()
    for name in options.faults:
        setattr(faults, name, True)
    device = stack.enter_context(
        StandIn(
            options.endpoint or "stand-in",
            server=server.uri,
            components=("application", "bootloader", "modem"),
            update_seconds=0.15,
            schemes=("coap", "http"),
            retransmission=Retransmission(ack_timeout=0.1),
            faults=faults,
        )
    )

    def restart() -> None:
        device.power_off()
        device.power_on()

    return StandInPackages(), restart


def _native(
    options: TargetOptions, server: Lwm2mServer, stack: ExitStack
) -> tuple[Packages, Callable[[], None]]:
    from ..boards import find_board
    from ..firmware import NativeClient, firmware_layout, native_client_program
    from ..updates import ImageFactory

    board = find_board(_BOARD)
    times = {"ACK_TIMEOUT_MS": 100, "REGISTRATION_PAUSE_MS": 50}
    defects = {f"DEFECT_{name}": 1 for name in options.defects}
    program = native_client_program(firmware_layout(board), options={**times, **defects})
    folder = File(stack.enter_context(tempfile.TemporaryDirectory(prefix="harness-conformance-")))
    factory = ImageFactory(board)
    client = NativeClient(program, server.uri, folder / "flash.bin")
    client.install(
        {
            board.partition(part.primary).address: factory.make(part.name, "1.0.0").data
            for part in board.components
        }
    )
    stack.enter_context(client)

    def restart() -> None:
        client.stop()
        client.start()

    return BoardPackages(factory), restart


class _Program:
    """A client that is a program of this machine."""

    def __init__(self, command: list[str], folder: File) -> None:
        self._command, self._folder = command, folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        try:
            with (self._folder / "client.log").open("ab") as log:
                self._process = subprocess.Popen(
                    self._command, cwd=self._folder, stdin=subprocess.PIPE, stdout=log, stderr=log
                )
        except OSError as problem:
            raise BuildError(
                "the client does not start", where=self._command[0], found=str(problem)
            ) from None

    def stop(self) -> None:
        """Kill it: a power cut."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=_END_SECONDS)
            self._process = None


def _command(
    options: TargetOptions, server: Lwm2mServer, stack: ExitStack
) -> tuple[Packages | None, Callable[[], None]]:
    folder = File(stack.enter_context(tempfile.TemporaryDirectory(prefix="harness-conformance-")))
    host, port = server.address
    named = {"uri": server.uri, "host": host, "port": port, "endpoint": options.endpoint or "client"}
    try:
        text = options.command.format(folder=folder, **named)
    except (KeyError, IndexError, ValueError) as problem:
        raise BuildError(
            f"the command cannot be filled in: {problem}",
            expected="{uri}, {host}, {port}, {endpoint} and {folder}",
            found=options.command,
        ) from None
    packages: Packages | None = None
    if options.packages == ("anjay",):
        original = folder / "original.img"
        packages = AnjayPackages(text, original)
        # What instances 1 to 3 compare their packages with: the body of a package for them.
        original.write_bytes(b"the image that runs\n" * 64)
    program = _Program(shlex.split(text), folder)
    stack.callback(program.stop)
    program.start()

    def restart() -> None:
        program.stop()
        program.start()

    return packages, restart
