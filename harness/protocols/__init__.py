"""How updates travel: CoAP over UDP and serial lines, LwM2M, firmware update objects.

Everything public is importable from here. Nothing is loaded before it is asked
for, because aiocoap is slow to import and pytest runs without protocols never need it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from harness.protocols._blockwise import BLOCK_SIZES, Transfer
    from harness.protocols._component import PushOutcome, UpdatableComponent
    from harness.protocols._device import Answer, Device
    from harness.protocols._node import Retransmission
    from harness.protocols._observation import Observation
    from harness.protocols._publication import HttpFaults, HttpRequest, Publication
    from harness.protocols._registry import RegisteredObject, Registration
    from harness.protocols._sends import Sent
    from harness.protocols._server import Lwm2mServer
    from harness.protocols.badlink import BadFrameLink, LinkConditions, LinkReport, UdpBadLink
    from harness.protocols.bootstrap import Account, BootstrapServer, Provisioning
    from harness.protocols.certificates import ServerCertificate
    from harness.protocols.content import ContentFormat, Link, ObjectLink, Path, ResourceType
    from harness.protocols.firmware import AdvancedFirmwareUpdate, FirmwareUpdate, components_of
    from harness.protocols.links import FrameLink
    from harness.protocols.object_files import objects_with, read_object_file
    from harness.protocols.objects import OBJECTS, ObjectDefinition, ResourceDefinition
    from harness.protocols.security import DtlsSettings, Psk, Rejection, Rejections
    from harness.protocols.update_report import ComponentReport, UpdateReport, confirm_update
    from harness.protocols.update_rules import (
        LEGALITY,
        STARTS,
        TRANSITIONS,
        DeliveryMethod,
        Effect,
        Operation,
        PullProtocol,
        Severity,
        UpdateResult,
        UpdateState,
        UpdateStatus,
    )
    from harness.protocols.update_run import Delivery, Ending, Package, UpdateRun, run_update

__all__ = [
    "BLOCK_SIZES",
    "LEGALITY",
    "OBJECTS",
    "STARTS",
    "TRANSITIONS",
    "Account",
    "AdvancedFirmwareUpdate",
    "Answer",
    "BadFrameLink",
    "BootstrapServer",
    "ComponentReport",
    "ContentFormat",
    "Delivery",
    "DeliveryMethod",
    "Device",
    "DtlsSettings",
    "Effect",
    "Ending",
    "FirmwareUpdate",
    "FrameLink",
    "HttpFaults",
    "HttpRequest",
    "Link",
    "LinkConditions",
    "LinkReport",
    "Lwm2mServer",
    "ObjectDefinition",
    "ObjectLink",
    "Observation",
    "Operation",
    "Package",
    "Path",
    "Provisioning",
    "Psk",
    "Publication",
    "PullProtocol",
    "PushOutcome",
    "RegisteredObject",
    "Registration",
    "Rejection",
    "Rejections",
    "ResourceDefinition",
    "ResourceType",
    "Retransmission",
    "Sent",
    "ServerCertificate",
    "Severity",
    "Transfer",
    "UdpBadLink",
    "UpdatableComponent",
    "UpdateReport",
    "UpdateResult",
    "UpdateRun",
    "UpdateState",
    "UpdateStatus",
    "components_of",
    "confirm_update",
    "objects_with",
    "read_object_file",
    "run_update",
]

_HOMES: Final = {
    "_blockwise": ("BLOCK_SIZES", "Transfer"),
    "_component": ("PushOutcome", "UpdatableComponent"),
    "_device": ("Answer", "Device"),
    "_node": ("Retransmission",),
    "_observation": ("Observation",),
    "_publication": ("HttpFaults", "HttpRequest", "Publication"),
    "_registry": ("RegisteredObject", "Registration"),
    "_sends": ("Sent",),
    "_server": ("Lwm2mServer",),
    "bootstrap": ("Account", "BootstrapServer", "Provisioning"),
    "badlink": ("BadFrameLink", "LinkConditions", "LinkReport", "UdpBadLink"),
    "certificates": ("ServerCertificate",),
    "content": ("ContentFormat", "Link", "ObjectLink", "Path", "ResourceType"),
    "firmware": ("AdvancedFirmwareUpdate", "FirmwareUpdate", "components_of"),
    "links": ("FrameLink",),
    "object_files": ("objects_with", "read_object_file"),
    "objects": ("OBJECTS", "ObjectDefinition", "ResourceDefinition"),
    "security": ("DtlsSettings", "Psk", "Rejection", "Rejections"),
    "update_report": ("ComponentReport", "UpdateReport", "confirm_update"),
    "update_rules": (
        "LEGALITY",
        "STARTS",
        "TRANSITIONS",
        "DeliveryMethod",
        "Effect",
        "Operation",
        "PullProtocol",
        "Severity",
        "UpdateResult",
        "UpdateState",
        "UpdateStatus",
    ),
    "update_run": ("Delivery", "Ending", "Package", "UpdateRun", "run_update"),
}
_MODULE_OF: Final = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
