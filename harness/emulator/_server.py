"""An emulated board for other processes: its machine, its serial ports, what they may ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._errors import HarnessError
from ._dap import DebugAccessPort
from ._debug import DFSR_HALTED
from ._machine import Machine, Snapshot
from ._peripheral import ResetKind
from ._runner import Runner
from ._serial import SerialHub
from ._serving import ControlServer
from ._tear import TearWord

__all__ = ["BoardServer"]


class BoardServer(ControlServer):
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
        super().__init__(uid=uid, board=board, soc=soc, target=target or soc, serial=self._serial.urls)

    def _end(self) -> None:
        self._serial.close()
        self._runner.close()

    # what a client may ask for

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

    def _do_diagnostics(self) -> list[tuple[bool, str]]:
        with self._runner.stopped(wake=False) as machine:
            return [(one.kind.modelled, str(one)) for one in machine.diagnostics]

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
