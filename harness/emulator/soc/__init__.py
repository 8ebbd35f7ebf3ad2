"""SoC models by name."""

from __future__ import annotations

from ..._errors import EmulatorError
from ._model import Parts, Soc
from .nrf52840 import Nrf52840

__all__ = ["Parts", "Soc", "soc_model", "soc_names"]

_MODELS: dict[str, type[Soc]] = {"nrf52840": Nrf52840}


def soc_names() -> list[str]:
    """Names of the SoCs that are modelled."""
    return sorted(_MODELS)


def soc_model(name: str) -> Soc:
    """The model of this name; `EmulatorError` if there is none."""
    try:
        return _MODELS[name]()
    except KeyError:
        raise EmulatorError(
            f"no model of a SoC named {name!r}",
            expected="one of " + ", ".join(soc_names()),
            remedy="correct emulator.model in the board file, or run the board as hardware",
        ) from None
