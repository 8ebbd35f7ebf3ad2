"""SMP, the management protocol of MCUmgr: a client for serial lines that others share, and for UDP.

`smpclient` does the protocol and is loaded with the first request.
"""

from __future__ import annotations

from ._client import ImageSlot, Parameters, SmpClient
from ._transports import PATIENCE
from .lines import LineDecoder, SmpMessage

__all__ = ["PATIENCE", "ImageSlot", "LineDecoder", "Parameters", "SmpClient", "SmpMessage"]
