"""A board in Renode, offered to other processes like an emulated one."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

from .._errors import EmulatorError, HarnessError
from ..emulator.control import ControlServer, DebugAccessPort
from ._machine import RenodeMachine
from ._platforms import find_platform
from ._process import RenodeProcess

__all__ = ["RenodeServer"]


class RenodeServer(ControlServer):
    """One board in a Renode of its own, powered, until `close`. Arguments as of `RenodeBoard`."""

    def __init__(self, platform: str, *, uid: str, board: str, target: str, seed: int) -> None:
        known = find_platform(platform)
        self._process = RenodeProcess(known)
        self._lock = threading.Lock()
        try:
            self._machine = RenodeMachine(self._process.gdb, known, seed=seed)
            self._machine.power_on()
        except BaseException:
            self._process.close()
            raise
        self._dap = DebugAccessPort(self._machine)
        self._snapshots: dict[str, list[bytes]] = {}
        super().__init__(uid=uid, board=board, soc=platform, target=target, serial=self._process.serial)
        threading.Thread(target=self._watch, name="renode core", daemon=True).start()

    def _watch(self) -> None:
        """Look after a core that Renode gives up; ends with Renode."""
        with suppress(EmulatorError):  # Renode may be gone in between
            while self._process.gdb.wait_abort():
                with self._lock:
                    self._machine.core_gave_up()

    def _end(self) -> None:
        self._process.close()

    # what a client may ask for

    def _do_read_dp(self, address: int) -> int:
        with self._lock:
            return self._dap.read_dp(address)

    def _do_write_dp(self, address: int, value: int) -> None:
        with self._lock:
            self._dap.write_dp(address, value)

    def _do_read_ap(self, port: int, address: int, count: int = 1) -> list[int]:
        with self._lock:
            return [self._dap.read_ap(port, address) for _ in range(count)]

    def _do_write_ap(self, port: int, address: int, values: list[int]) -> None:
        with self._lock:
            for value in values:
                self._dap.write_ap(port, address, value)

    def _do_read_memory(self, address: int, size: int) -> bytes:
        with self._lock:
            return self._dap.read_memory(address, size)

    def _do_write_memory(self, address: int, data: bytes) -> None:
        with self._lock:
            self._dap.write_memory(address, data)

    def _do_reset(self, _kind: str) -> None:
        with self._lock:
            self._machine.reset_pin()

    def _do_power(self, on: bool, halted: bool = False) -> None:
        with self._lock:
            if on:
                self._machine.power_on(halted=halted)
            else:
                self._machine.power_off()

    def _do_state(self) -> dict[str, Any]:
        with self._lock:
            return {"powered": self._machine.powered, "halted": self._machine.halted}

    def _do_forget_diagnostics(self) -> None:
        """Renode finds no fault with firmware."""

    def _do_snapshot(self, name: str) -> None:
        with self._lock:
            if self._machine.powered:
                raise HarnessError("a snapshot keeps flash alone", expected="a board without power")
            self._snapshots[name] = self._machine.save()

    def _do_restore(self, name: str) -> None:
        with self._lock:
            if name not in self._snapshots:
                raise HarnessError(
                    f"no snapshot named {name!r}", expected=", ".join(self._snapshots) or "none yet"
                )
            self._machine.power_off()
            self._machine.restore(self._snapshots[name])
