"""Updates from images to verdicts: what to bring onto a device, how, and what became of it."""

from __future__ import annotations

from ._boot import Restart, describe_core
from ._images import ImageFactory, SignedImage, describe
from ._rig import UpdateRig
from ._verdict import ComponentVerdict, Told, Verdict, judge, meaning

__all__ = [
    "ComponentVerdict",
    "ImageFactory",
    "Restart",
    "SignedImage",
    "Told",
    "UpdateRig",
    "Verdict",
    "describe",
    "describe_core",
    "judge",
    "meaning",
]
