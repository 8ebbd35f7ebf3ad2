"""SoC models by name: each is a package in this folder that calls its model ``MODEL``."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from ..._errors import EmulatorError
from ._model import Parts, Soc

__all__ = ["Parts", "Soc", "soc_model", "soc_names"]


def soc_names() -> list[str]:
    """Names of the SoCs that are modelled."""
    return sorted(module.name for module in iter_modules(__path__) if module.ispkg)


def soc_model(name: str) -> Soc:
    """The model of this name; `EmulatorError` if there is none."""
    if name not in soc_names():
        raise EmulatorError(
            f"no model of a SoC named {name!r}",
            expected="one of " + ", ".join(soc_names()),
            remedy="correct emulator.model in the board file, or run the board as hardware",
        )
    model: type[Soc] = import_module(f".{name}", __name__).MODEL
    return model()
