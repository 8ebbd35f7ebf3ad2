"""Updates from images to verdicts: what to bring onto a device, how, and what became of it."""

from __future__ import annotations

from ._boot import Restart, describe_core, running_slot
from ._images import ImageFactory, SignedImage, describe
from ._rig import BOOT_SECONDS, UpdateRig
from ._staging import factory_trailer, request, staged, upload_area
from ._told import Told, ToldSlots, Verdict, Words
from ._verdict import ComponentVerdict, judge, meaning
from ._wear import Wear, sector_name

__all__ = [
    "BOOT_SECONDS",
    "ComponentVerdict",
    "ImageFactory",
    "Restart",
    "SignedImage",
    "Told",
    "ToldSlots",
    "UpdateRig",
    "Verdict",
    "Wear",
    "Words",
    "describe",
    "describe_core",
    "factory_trailer",
    "judge",
    "meaning",
    "request",
    "running_slot",
    "sector_name",
    "staged",
    "upload_area",
]
