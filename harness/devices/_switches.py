"""Power switches of real boards: command lines, labgrid's drivers, objects of other libraries."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from .._errors import PowerError
from ._power import Power

__all__ = ["CommandSwitch", "DriverSwitch", "LabgridSwitch"]

_SECONDS: Final = 30


class CommandPower:
    """A command line for each direction, run without a shell. Raises `PowerError`."""

    real = True

    def __init__(self, off: Sequence[str], on: Sequence[str]) -> None:
        self._off, self._on = list(off), list(on)

    def off(self) -> None:
        """Run the command for off."""
        self._run(self._off)

    def on(self) -> None:
        """Run the command for on."""
        self._run(self._on)

    @staticmethod
    def _run(command: list[str]) -> None:
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
            problem = f"exit code {result.returncode}: {result.stderr.strip()}" if result.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as error:
            problem = str(error)
        if problem:
            raise PowerError(
                "the power switch did not obey",
                where=" ".join(command),
                found=problem,
                remedy="run the command by hand; check the bench file",
            )


class LabgridPower:
    """A network switch through labgrid's power backend of this name. Raises `PowerError`."""

    real = True

    def __init__(self, model: str, host: str, index: str) -> None:
        self._where = f"{model}://{host}/{index}"
        self._host, self._index = host, index
        try:
            self._backend: Any = import_module(f"labgrid.driver.power.{model}")
        except ImportError as error:
            raise PowerError(
                "labgrid cannot switch this",
                where=self._where,
                found=str(error),
                remedy="install labgrid; models are the modules of labgrid.driver.power",
            ) from None

    def off(self) -> None:
        """Switch off."""
        self._switch(False)

    def on(self) -> None:
        """Switch on."""
        self._switch(True)

    def _switch(self, wanted: bool) -> None:
        port = getattr(self._backend, "PORT", None)
        try:
            self._backend.power_set(self._host, port, self._index, wanted)
        except Exception as error:
            raise PowerError(
                "the power switch did not obey",
                where=self._where,
                found=f"{type(error).__name__}: {error}",
                remedy="check the switch's address; try labgrid-client power",
            ) from None


class DrivenPower:
    """A switch that is an object of another library. Raises `PowerError`."""

    real = True

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def off(self) -> None:
        """Switch off."""
        self._call("off")

    def on(self) -> None:
        """Switch on."""
        self._call("on")

    def _call(self, verb: str) -> None:
        try:
            getattr(self._driver, verb)()
        except Exception as error:
            raise PowerError(
                "the power switch did not obey",
                where=f"{type(self._driver).__name__}.{verb}",
                found=f"{type(error).__name__}: {error}",
                remedy="try the driver by itself",
            ) from None


@dataclass(frozen=True, slots=True)
class CommandSwitch:
    """`CommandPower` as data: the two command lines."""

    off: Sequence[str]
    on: Sequence[str]

    def switch(self, owned: ExitStack) -> Power:  # noqa: ARG002 - others keep something open
        """The switch."""
        return CommandPower(self.off, self.on)

    def check(self) -> None:
        """Look for the programs. Raises `PowerError`."""
        for program in (self.off[0], self.on[0]):
            if shutil.which(program) is None:
                raise PowerError(
                    "the program of the power switch is not there",
                    where=program,
                    remedy="install it, or name it by its whole path in the bench file",
                )


@dataclass(frozen=True, slots=True)
class LabgridSwitch:
    """`LabgridPower` as data."""

    model: str
    host: str
    index: str

    def switch(self, owned: ExitStack) -> Power:  # noqa: ARG002 - others keep something open
        """The switch. Raises `PowerError` if labgrid does not know it."""
        return LabgridPower(self.model, self.host, self.index)

    def check(self) -> None:
        """Look for labgrid's driver. Raises `PowerError`."""
        LabgridPower(self.model, self.host, self.index)


@dataclass(frozen=True, slots=True)
class DriverSwitch:
    """`DrivenPower` as data: an object with ``on`` and ``off``."""

    driver: Any

    def switch(self, owned: ExitStack) -> Power:  # noqa: ARG002 - others keep something open
        """The switch."""
        return DrivenPower(self.driver)

    def check(self) -> None:
        """Nothing can be known of it."""
