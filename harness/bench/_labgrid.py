"""Places of labgrid: devices that several machines share through its coordinator.

Asked for through `labgrid-client`, which may live in an environment of its own: labgrid brings a fork
of pyserial that would replace the one used here.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from .._errors import BenchError, DeviceBusyError
from ..devices import CommandSwitch, PowerSettings

__all__ = ["LabgridPlace"]

_SECONDS: Final = 60
_RESOURCE: Final = re.compile(r"^Acquired resource '([^']+)' \([^)]*\):\n((?:  .*\n?)+)", re.MULTILINE)
_SCHEMES: Final = {"raw": "socket", "rfc2217": "rfc2217"}


@dataclass(frozen=True, slots=True)
class LabgridPlace:
    """A place by name, at a coordinator (``host:port``; labgrid's own setting if None)."""

    name: str
    coordinator: str | None = None

    def acquire(self) -> None:
        """Take the place. One that a killed process of this user still has is taken over.

        Raises:
            DeviceBusyError: somebody else has it.
            BenchError: no labgrid, no coordinator, no such place.
        """
        problem = self._run("acquire")
        if problem is None or "You have already acquired" in problem:
            return  # whoever comes here holds the device's lock: no process on this machine uses it
        if "already acquired by" in problem:
            raise DeviceBusyError(
                "the labgrid place is taken",
                where=self._where,
                found=problem,
                remedy="wait, or take another device",
            )
        raise self._error(problem)

    def release(self) -> None:
        """Give the place back."""
        self._run("release")

    def ports(self, roles: Sequence[str]) -> dict[str, str]:
        """URLs of the acquired place's serial ports: those named like a role, or the only one for one."""
        serial = {
            name: f"{_SCHEMES[params['protocol']]}://{params['host']}:{params['port']}"
            for name, kind, params in self._resources()
            if kind == "NetworkSerialPort" and params.get("protocol") in _SCHEMES
        }
        found = {role: serial[role] for role in roles if role in serial}
        return found or (
            dict(zip(roles, serial.values(), strict=True)) if len(serial) == len(roles) == 1 else {}
        )

    def power(self) -> PowerSettings | None:
        """How labgrid switches the acquired place; nothing if it has no power port."""
        if not any(kind.endswith("PowerPort") for _, kind, _ in self._resources()):
            return None
        command = (*self._command(), "-p", self.name, "power")
        return CommandSwitch(off=(*command, "off"), on=(*command, "on"))

    @property
    def _where(self) -> str:
        return f"place {self.name}" + (f" at {self.coordinator}" if self.coordinator else "")

    def _command(self) -> tuple[str, ...]:
        client = os.environ.get("HIL_LABGRID_CLIENT") or shutil.which("labgrid-client")
        if not client:
            raise BenchError(
                "there is no labgrid-client",
                where=self._where,
                remedy="install labgrid in an environment of its own; HIL_LABGRID_CLIENT names its program",
            )
        return (client, *(("-x", self.coordinator) if self.coordinator else ()))

    def _call(self, verb: str) -> subprocess.CompletedProcess[str]:
        command = [*self._command(), "-p", self.name, verb]
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self._error(str(error)) from None

    def _run(self, verb: str) -> str | None:
        """What the client complains about; ``None`` if it did what it was asked for."""
        result = self._call(verb)
        text = (result.stderr or result.stdout).strip()
        return (text or f"exit code {result.returncode}")[-400:] if result.returncode else None

    def _error(self, problem: str) -> BenchError:
        return BenchError(
            "labgrid refuses",
            where=self._where,
            found=problem,
            remedy="try 'labgrid-client places'; check that coordinator and exporter run",
        )

    def _resources(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Name, class and parameters of everything that was acquired, from what ``show`` prints."""
        result = self._call("show")
        found = []
        for name, body in _RESOURCE.findall(result.stdout):
            try:
                entry = ast.literal_eval(body.strip())
                found.append((str(name), str(entry["cls"]), dict(entry["params"])))
            except (ValueError, SyntaxError, KeyError, TypeError, RecursionError):
                raise self._error(f"cannot read what it says of {name}") from None
        return found
