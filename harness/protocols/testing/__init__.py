"""Test doubles: a device in this process, and serial lines in memory.

They are public, so that tests of firmware projects can be tried without a board.
"""

from __future__ import annotations

from harness.protocols.testing._device import StandIn
from harness.protocols.testing._links import MemoryLink, link_pair
from harness.protocols.testing._machine import Component, Flash, make_image
from harness.protocols.testing._resources import Faults

__all__ = ["Component", "Faults", "Flash", "MemoryLink", "StandIn", "link_pair", "make_image"]
