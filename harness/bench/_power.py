"""What a bench file says of a device's power: one section for each kind of switch."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from ..boards import Checked, Problem, Section
from ..devices import (
    PPK2_MILLIVOLTS,
    CommandSwitch,
    LabgridSwitch,
    PowerSettings,
    Ppk2Switch,
)

__all__ = ["PowerSection"]

_Text = Annotated[str, Field(min_length=1, max_length=400)]


class _Uhubctl(Section):
    location: _Text
    """Hub, as `uhubctl` prints it, for example 1-1.4."""
    port: Annotated[int, Field(ge=1, le=64)]

    def settings(self) -> PowerSettings:
        hub = ("uhubctl", "-l", self.location, "-p", str(self.port), "-a")
        return CommandSwitch(off=(*hub, "off"), on=(*hub, "on"))


class _Labgrid(Section):
    model: _Text
    """labgrid's name of the switch, for example netio."""
    host: _Text
    index: _Text | int = "1"

    def settings(self) -> PowerSettings:
        return LabgridSwitch(self.model, self.host, str(self.index))


class _Ppk2(Section):
    serial: _Text
    """USB serial number, see `harness doctor`."""
    mode: Literal["source", "ampere"]
    millivolts: Annotated[int, Field(ge=PPK2_MILLIVOLTS[0], le=PPK2_MILLIVOLTS[1])]
    """What the board gets; in mode ampere what is at VIN."""

    def settings(self) -> PowerSettings:
        return Ppk2Switch(self.serial, self.mode, self.millivolts)


class PowerSection(Section):
    """One of: both commands, a hub, a labgrid switch, a PPK2."""

    off: _Text | None = None
    on: _Text | None = None
    uhubctl: _Uhubctl | None = None
    labgrid: _Labgrid | None = None
    ppk2: _Ppk2 | None = None

    def problems(self, checked: Checked[Any], path: tuple[str | int, ...]) -> Iterator[Problem]:
        """What is wrong with the section at this path of the file."""
        kinds = [kind for kind in (*self._sections(), self.off or self.on) if kind is not None]
        if len(kinds) != 1:
            yield checked.problem(
                path, "not one way to switch power", expected="off and on, or uhubctl, or labgrid, or ppk2"
            )
        elif (self.off is None) != (self.on is None):
            yield checked.problem(path, "off and on need each other")
        for name, text in (("off", self.off), ("on", self.on)):
            try:
                if text is not None and not _words(text):
                    yield checked.problem((*path, name), "no command line: nothing in it")
            except ValueError as error:
                yield checked.problem((*path, name), f"no command line: {error}")

    def settings(self) -> PowerSettings | None:
        """The switch; ``None`` if there are `problems`."""
        for section in self._sections():
            if section is not None:
                return section.settings()
        try:
            off, on = _words(self.off or ""), _words(self.on or "")
        except ValueError:
            return None
        return CommandSwitch(off, on) if off and on else None

    def _sections(self) -> tuple[_Uhubctl | _Labgrid | _Ppk2 | None, ...]:
        return self.uhubctl, self.labgrid, self.ppk2


def _words(text: str) -> tuple[str, ...]:
    return tuple(shlex.split(text, posix=os.name == "posix"))
