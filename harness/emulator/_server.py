"""An emulated board as a process of its own: serial ports, control connections, an entry in the registry."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from .._errors import HarnessError
from ._control import Connection
from ._dap import DapError, DebugAccessPort
from ._debug import DFSR_HALTED
from ._machine import Machine, Snapshot
from ._peripheral import ResetKind
from ._registry import Entry, announce, withdraw
from ._runner import Runner
from ._serial import SerialHub
from ._tear import TearWord

__all__ = ["BoardServer"]


class BoardServer:
    """One emulated board, offered on the loopback interface until `close`.

    ``uid`` is the probe id under which pyOCD finds it; ``board`` is a name for people.
    ``target`` is the pyOCD target type. ``content`` is flash by address (default: erased). With ``halted``
    the core stands before its first instruction until a debugger lets it go. Raises `EmulatorError`
    for an unknown SoC.
    """

    def __init__(
        self,
        soc: str,
        *,
        uid: str,
        board: str = "",
        target: str = "",
        serial: dict[str, str] | None = None,
        speed: float = 1.0,
        seed: int = 1,
        native: bool | None = None,
        content: Mapping[int, bytes] | None = None,
        halted: bool = False,
    ) -> None:
        machine = Machine(soc, seed=seed, native=native)
        for address, data in (content or {}).items():
            machine.load(address, data)
        machine.power_on()
        if halted:
            machine.debug.halt(DFSR_HALTED)
        self._snapshots: dict[str, Snapshot] = {}
        self._runner = Runner(machine, speed=speed)
        self._dap = DebugAccessPort(machine)
        try:
            self._serial = SerialHub(self._runner, machine.uarts, serial)
        except BaseException:
            self._runner.close()  # else it runs on a machine that is taken apart
            raise
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: set[Connection] = set()
        self.closed = threading.Event()
        self.entry = Entry(
            uid=uid,
            board=board,
            soc=soc,
            target=target or soc,
            port=self._listener.getsockname()[1],
            token=secrets.token_hex(16),
            serial=self._serial.urls,
        )
        self._methods: dict[str, Callable[..., Any]] = {
            name.removeprefix("_do_"): getattr(self, name) for name in dir(self) if name.startswith("_do_")
        }
        threading.Thread(target=self._accept, name="control", daemon=True).start()
        announce(self.entry)

    def close(self) -> None:
        """End everything that this board owns."""
        if self.closed.is_set():
            return
        self.closed.set()
        withdraw(self.entry)
        self._listener.close()
        for connection in list(self._connections):
            connection.close()
        self._serial.close()
        self._runner.close()

    def _accept(self) -> None:
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(Connection(stream),), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        self._connections.add(connection)
        trusted = False
        try:
            while (request := connection.receive()) is not None:
                number, method, arguments = request
                if not trusted and (method != "hello" or arguments != [self.entry.token]):
                    connection.send([number, None, ["refused", "wrong token", None]])
                    return
                trusted = True
                connection.send([number, *self._answer(method, arguments)])
                if method == "shutdown":
                    self.close()
        except (OSError, ValueError, HarnessError):
            pass  # the client went away or talks nonsense: its connection ends, the board runs on
        finally:
            self._connections.discard(connection)
            connection.close()

    def _answer(self, method: str, arguments: list[Any]) -> tuple[Any, list[Any] | None]:
        try:
            action = self._methods.get(method)
            if action is None:
                return None, ["unknown", f"an emulated board has no method {method!r}", None]
            return action(*arguments), None
        except DapError as fault:
            return None, ["fault", str(fault), fault.address]
        except Exception as error:  # whatever fails in one request is told to its caller
            return None, ["error", f"{method}: {error}", None]

    # what a client may ask for; arguments and results are CBOR values

    def _do_hello(self, _token: str) -> dict[str, Any]:
        return {name: value for name, value in asdict(self.entry).items() if name != "token"}

    def _do_shutdown(self) -> None:
        """Answered first, then carried out."""

    def _do_read_dp(self, address: int) -> int:
        with self._runner.stopped(wake=False):
            return self._dap.read_dp(address)

    def _do_write_dp(self, address: int, value: int) -> None:
        with self._runner.stopped():
            self._dap.write_dp(address, value)

    def _do_read_ap(self, port: int, address: int, count: int = 1) -> list[int]:
        with self._runner.stopped(wake=False):
            return [self._dap.read_ap(port, address) for _ in range(count)]

    def _do_write_ap(self, port: int, address: int, values: list[int]) -> None:
        with self._runner.stopped():
            for value in values:
                self._dap.write_ap(port, address, value)

    def _do_read_memory(self, address: int, size: int) -> bytes:
        with self._runner.stopped(wake=False):
            return self._dap.read_memory(address, size)

    def _do_write_memory(self, address: int, data: bytes) -> None:
        with self._runner.stopped():
            self._dap.write_memory(address, data)

    def _do_reset(self, kind: str) -> None:
        with self._runner.stopped() as machine:
            machine.reset(ResetKind[kind.upper()])

    def _do_power(self, on: bool, halted: bool = False) -> None:
        with self._runner.stopped() as machine:
            (machine.power_on if on else machine.power_off)()
            if halted:
                machine.debug.halt(DFSR_HALTED)

    def _do_state(self) -> dict[str, Any]:
        with self._runner.stopped(wake=False) as machine:
            return {
                "powered": machine.powered,
                "halted": machine.debug.halted,
                "sleeping": machine.core.sleeping,
                "locked_up": machine.core.locked_up,
                "cycle": machine.now,
                "instructions": machine.hot.instructions,
                "operations": machine.operations,
                "pc": machine.core.registers.pc,
            }

    def _do_diagnostics(self) -> list[str]:
        with self._runner.stopped(wake=False) as machine:
            return [str(diagnostic) for diagnostic in machine.diagnostics]

    def _do_forget_diagnostics(self) -> None:
        with self._runner.stopped(wake=False) as machine:
            machine.diagnostics.clear()

    def _do_speed(self, factor: float) -> None:
        with self._runner.stopped(wake=False):
            self._runner.speed = factor

    def _do_pace_serial(self, paced: bool) -> None:
        with self._runner.stopped(wake=False) as machine:
            for line in machine.uarts:
                line.paced = paced

    def _do_snapshot(self, name: str) -> None:
        with self._runner.stopped(wake=False) as machine:
            self._snapshots[name] = machine.snapshot()

    def _do_restore(self, name: str) -> None:
        with self._runner.stopped() as machine:
            if name not in self._snapshots:
                raise HarnessError(
                    f"no snapshot named {name!r}", expected=", ".join(self._snapshots) or "none yet"
                )
            machine.restore(self._snapshots[name])

    def _do_start_journal(self) -> None:
        with self._runner.stopped(wake=False) as machine:
            machine.start_journal()

    def _do_stop_journal(self) -> list[list[int]]:
        with self._runner.stopped(wake=False) as machine:
            return [list(operation) for operation in machine.stop_journal()]

    def _do_cut_power_at(self, operation: int | None, programmed: int) -> None:
        with self._runner.stopped(wake=False) as machine:
            machine.cut_power_at(operation, TearWord(programmed))
