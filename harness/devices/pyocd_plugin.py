"""What pyOCD finds in the entry point group `pyocd.probe`. The probe is loaded when pyOCD asks for it."""

from __future__ import annotations

from pyocd.core.plugin import Plugin

__all__ = ["EmulatedProbePlugin"]


class EmulatedProbePlugin(Plugin):
    """Boards emulated by this package, as a kind of debug probe."""

    def load(self) -> type:
        """The probe class."""
        from .pyocd_probe import EmulatedProbe

        return EmulatedProbe

    @property
    def name(self) -> str:
        """Name of the probe kind, as in `--uid emulated:ID`."""
        return "emulated"

    @property
    def description(self) -> str:
        """One line for `pyocd list --plugins`."""
        return "Boards emulated by mcuboot-harness"
