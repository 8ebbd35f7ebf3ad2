"""Bad links between a server and its devices: seeded faults, and a report of what they hit.

:class:`UdpBadLink` is a relay for UDP, :class:`BadFrameLink` a wrapper for a serial line.
"""

from __future__ import annotations

from harness.protocols.badlink._base import BadLink
from harness.protocols.badlink._conditions import LinkConditions
from harness.protocols.badlink._frames import BadFrameLink
from harness.protocols.badlink._model import Arrival, Direction, Fate, LinkModel
from harness.protocols.badlink._report import LinkEvent, LinkReport, Passage
from harness.protocols.badlink._udp import UdpBadLink

__all__ = [
    "Arrival",
    "BadFrameLink",
    "BadLink",
    "Direction",
    "Fate",
    "LinkConditions",
    "LinkEvent",
    "LinkModel",
    "LinkReport",
    "Passage",
    "UdpBadLink",
]
