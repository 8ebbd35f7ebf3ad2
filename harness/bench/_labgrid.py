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

from .._errors import BenchError, DeviceBusyError, ProbeError
from ..devices import CommandSwitch, PowerSettings, probe_id

__all__ = ["Debugger", "LabgridPlace", "PlaceContents"]

_SECONDS: Final = 60
_RESOURCE: Final = re.compile(r"^Acquired resource '([^']+)' \([^)]*\):\n((?:  .*\n?)+)", re.MULTILINE)
_SCHEMES: Final = {"raw": "socket", "rfc2217": "rfc2217"}
_DEBUGGERS: Final = ("NetworkUSBDebugger", "USBDebugger")
_PROBE: Final = "probe"


@dataclass(frozen=True, slots=True)
class LabgridPlace:
    """A place by name, at a coordinator (``host:port``; labgrid's own setting if None).

    ``pyocd`` is the program on the machine that has the place's debugger.
    """

    name: str
    coordinator: str | None = None
    pyocd: str = "pyocd"

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

    def contents(self) -> PlaceContents:
        """What the acquired place holds. Raises `BenchError`."""
        result = self._call("show")
        found = []
        for name, body in _RESOURCE.findall(result.stdout):
            try:
                entry = ast.literal_eval(body.strip())
                found.append(_Resource(str(name), str(entry["cls"]), dict(entry["params"])))
            except (ValueError, SyntaxError, KeyError, TypeError, RecursionError):
                raise self._error(f"cannot read what it says of {name}") from None
        return PlaceContents(self, tuple(found))

    def check(self) -> None:
        """Ask for the place, without taking it. Raises `BenchError`."""
        problem = self._run("show")
        if problem is not None:
            raise self._error(problem)

    @property
    def _where(self) -> str:
        return f"place {self.name}" + (f" at {self.coordinator}" if self.coordinator else "")

    def client(self) -> tuple[str, ...]:
        """The command line of `labgrid-client`, without a verb. Raises `BenchError`."""
        client = os.environ.get("HIL_LABGRID_CLIENT") or shutil.which("labgrid-client")
        if not client:
            raise BenchError(
                "there is no labgrid-client",
                where=self._where,
                remedy="install labgrid in an environment of its own; HIL_LABGRID_CLIENT names its program",
            )
        return (client, *(("-x", self.coordinator) if self.coordinator else ()))

    def _call(self, verb: str) -> subprocess.CompletedProcess[str]:
        command = [*self.client(), "-p", self.name, verb]
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


@dataclass(frozen=True, slots=True)
class _Resource:
    name: str
    kind: str
    params: dict[str, Any]

    def get(self, key: str) -> str:
        return str(self.params.get(key, ""))


@dataclass(frozen=True, slots=True)
class Debugger:
    """A USB probe: ``path`` is its place on the USB of ``host``, for example 1-1.2."""

    host: str
    path: str


@dataclass(frozen=True, slots=True)
class PlaceContents:
    """Resources of an acquired place."""

    place: LabgridPlace
    resources: tuple[_Resource, ...]

    @property
    def names(self) -> list[str]:
        """All of them, for messages."""
        return [f"{one.name} ({one.kind})" for one in self.resources]

    def ports(self, roles: Sequence[str]) -> dict[str, str]:
        """URLs of the serial ports: those named like a role, or the only one for one."""
        serial = {
            one.name: f"{_SCHEMES[one.get('protocol')]}://{one.get('host')}:{one.get('port')}"
            for one in self.resources
            if one.kind == "NetworkSerialPort" and one.get("protocol") in _SCHEMES
        }
        found = {role: serial[role] for role in roles if role in serial}
        return found or (
            dict(zip(roles, serial.values(), strict=True)) if len(serial) == len(roles) == 1 else {}
        )

    def power(self) -> PowerSettings | None:
        """How labgrid switches the place; nothing if it has no power port."""
        if not any(one.kind.endswith("PowerPort") for one in self.resources):
            return None
        command = (*self.place.client(), "-p", self.place.name, "power")
        return CommandSwitch(off=(*command, "off"), on=(*command, "on"))

    def probe_server(self) -> str | None:
        """Id of the probe behind the network service named `probe`, which is a `pyocd server`."""
        for one in self.resources:
            if one.kind == "NetworkService" and one.name == _PROBE:
                host = one.get("address")
                return probe_id(f"remote:{f'[{host}]' if ':' in host else host}:{one.get('port')}")
        return None

    def debugger(self) -> Debugger | None:
        """The USB probe: the one that is named `probe`, or the only one."""
        found = {one.name: one for one in self.resources if one.kind in _DEBUGGERS}
        if _PROBE not in found and len(found) > 1:
            raise ProbeError(
                "the labgrid place has more than one debugger",
                where=f"place {self.place.name}",
                found=", ".join(found),
                remedy=f"name the right one {_PROBE!r} in the exporter's configuration",
            )
        chosen = found.get(_PROBE) or next(iter(found.values()), None)
        if chosen is None:
            return None
        extra = chosen.params.get("extra")
        through = extra.get("proxy") if isinstance(extra, dict) and extra.get("proxy_required") else None
        return Debugger(str(through or chosen.get("host")), chosen.get("path"))
