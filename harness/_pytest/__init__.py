"""The working part of the pytest plugin, loaded when a board is named."""

from __future__ import annotations

import pytest

from . import _fixtures, _link, _reports, _settings, _twister

__all__ = ["activate"]


def activate(config: pytest.Config) -> None:
    """Check the options and register fixtures and reports."""
    settings = _settings.read(config)
    config.stash[_settings.KEY] = settings
    config.pluginmanager.register(_fixtures, "mcuboot-harness-fixtures")
    config.pluginmanager.register(_link, "mcuboot-harness-link")
    config.pluginmanager.register(_reports, "mcuboot-harness-reports")
    if settings.shared:
        config.pluginmanager.register(_twister.Beside(), "mcuboot-harness-twister")
