"""Prove MCUboot firmware updates from flash contents, on real and emulated boards."""

from __future__ import annotations

from ._errors import *  # noqa: F403 - the exception tree is public at the top level
from ._errors import __all__ as _errors_all

__all__ = [*_errors_all]  # noqa: PLE0604 - the list is of strings
