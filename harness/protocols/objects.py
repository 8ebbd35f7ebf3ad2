"""The objects a firmware update meets, as tables that guide decoding.

Sources: OMA LwM2M registry, files 0.xml (version 1.1 part), 1-1_1.xml, 3.xml, 4.xml and
5.xml; for 33629 the definition of the Advanced Firmware Update object, version
1.0. Object 33629 is not in the registry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from harness.protocols.content import Path, ResourceType, Types

__all__ = [
    "ADVANCED_FIRMWARE_UPDATE",
    "CONNECTIVITY",
    "DEVICE",
    "FIRMWARE_UPDATE",
    "FIRMWARE_UPDATE_VERSIONS",
    "OBJECTS",
    "SECURITY",
    "SERVER",
    "ObjectDefinition",
    "Operations",
    "ResourceDefinition",
    "definition_of",
    "types_of",
]


@dataclass(frozen=True, slots=True)
class Operations:
    """What a server may do with a resource."""

    read: bool = False
    write: bool = False
    execute: bool = False

    @classmethod
    def parse(cls, text: str) -> Operations:
        """Read the registry's letters R, W and E."""
        return cls("R" in text, "W" in text, "E" in text)


@dataclass(frozen=True, slots=True)
class ResourceDefinition:
    """One resource; executable ones have no type."""

    id: int
    name: str
    operations: Operations
    type: ResourceType | None
    multiple: bool
    mandatory: bool


@dataclass(frozen=True, slots=True)
class ObjectDefinition:
    """One object with its resources by id."""

    id: int
    name: str
    version: str
    multiple: bool
    resources: Mapping[int, ResourceDefinition]

    def resource(self, name: str) -> ResourceDefinition:
        """Find a resource by its registry name. Raises KeyError."""
        for resource in self.resources.values():
            if resource.name == name:
                return resource
        raise KeyError(f"object {self.id} has no resource {name!r}")


_TYPES: Final = {
    "str": ResourceType.STRING,
    "int": ResourceType.INTEGER,
    "uint": ResourceType.UNSIGNED,
    "bool": ResourceType.BOOLEAN,
    "opaque": ResourceType.OPAQUE,
    "time": ResourceType.TIME,
    "link": ResourceType.OBJLNK,
    "-": None,
}


def _define(object_id: int, name: str, version: str, *, multiple: bool, rows: str) -> ObjectDefinition:
    """Build a definition from rows of ``id operations type cardinality obligation name``."""
    resources = {}
    for row in filter(None, map(str.strip, rows.splitlines())):
        rid, operations, kind, cardinality, obligation, title = row.split(None, 5)
        resources[int(rid)] = ResourceDefinition(
            int(rid),
            title,
            Operations.parse(operations),
            _TYPES[kind],
            multiple=cardinality == "N",
            mandatory=obligation == "M",
        )
    return ObjectDefinition(object_id, name, version, multiple, MappingProxyType(resources))


SECURITY: Final = _define(
    0,
    "LWM2M Security",
    "1.1",
    multiple=True,
    rows="""
    0  -  str    1 M LWM2M Server URI
    1  -  bool   1 M Bootstrap-Server
    2  -  int    1 M Security Mode
    3  -  opaque 1 M Public Key or Identity
    4  -  opaque 1 M Server Public Key
    5  -  opaque 1 M Secret Key
    6  -  int    1 O SMS Security Mode
    7  -  opaque 1 O SMS Binding Key Parameters
    8  -  opaque 1 O SMS Binding Secret Key(s)
    9  -  str    1 O LwM2M Server SMS Number
    10 -  int    1 O Short Server ID
    11 -  int    1 O Client Hold Off Time
    12 -  int    1 O Bootstrap-Server Account Timeout
    13 -  uint   1 O Matching Type
    14 -  str    1 O SNI
    15 -  uint   1 O Certificate Usage
    16 -  uint   N O DTLS/TLS Ciphersuite
    17 -  link   1 O OSCORE Security Mode
    """,
)

SERVER: Final = _define(
    1,
    "LwM2M Server",
    "1.1",
    multiple=True,
    rows="""
    0  R  int    1 M Short Server ID
    1  RW int    1 M Lifetime
    2  RW int    1 O Default Minimum Period
    3  RW int    1 O Default Maximum Period
    4  E  -      1 O Disable
    5  RW int    1 O Disable Timeout
    6  RW bool   1 M Notification Storing When Disabled or Offline
    7  RW str    1 M Binding
    8  E  -      1 M Registration Update Trigger
    9  E  -      1 O Bootstrap-Request Trigger
    10 RW link   1 O APN Link
    11 R  uint   1 O TLS-DTLS Alert Code
    12 R  time   1 O Last Bootstrapped
    13 -  uint   1 O Registration Priority Order
    14 -  uint   1 O Initial Registration Delay Timer
    15 -  bool   1 O Registration Failure Block
    16 -  bool   1 O Bootstrap on Registration Failure
    17 -  uint   1 O Communication Retry Count
    18 -  uint   1 O Communication Retry Timer
    19 -  uint   1 O Communication Sequence Delay Timer
    20 -  uint   1 O Communication Sequence Retry Count
    21 RW bool   1 O Trigger
    22 RW str    1 O Preferred Transport
    23 RW bool   1 O Mute Send
    """,
)

DEVICE: Final = _define(
    3,
    "Device",
    "1.2",
    multiple=False,
    rows="""
    0  R  str    1 O Manufacturer
    1  R  str    1 O Model Number
    2  R  str    1 O Serial Number
    3  R  str    1 O Firmware Version
    4  E  -      1 M Reboot
    5  E  -      1 O Factory Reset
    6  R  int    N O Available Power Sources
    7  R  int    N O Power Source Voltage
    8  R  int    N O Power Source Current
    9  R  int    1 O Battery Level
    10 R  int    1 O Memory Free
    11 R  int    N M Error Code
    12 E  -      1 O Reset Error Code
    13 RW time   1 O Current Time
    14 RW str    1 O UTC Offset
    15 RW str    1 O Timezone
    16 R  str    1 M Supported Binding and Modes
    17 R  str    1 O Device Type
    18 R  str    1 O Hardware Version
    19 R  str    1 O Software Version
    20 R  int    1 O Battery Status
    21 R  int    1 O Memory Total
    22 R  link   N O ExtDevInfo
    """,
)

CONNECTIVITY: Final = _define(
    4,
    "Connectivity Monitoring",
    "1.3",
    multiple=False,
    rows="""
    0  R  int    1 M Network Bearer
    1  R  int    N M Available Network Bearer
    2  R  int    1 M Radio Signal Strength
    3  R  int    1 O Link Quality
    4  R  str    N M IP Addresses
    5  R  str    N O Router IP Addresses
    6  R  int    1 O Link Utilization
    7  R  str    N O APN
    8  R  int    1 O Cell ID
    9  R  int    1 O SMNC
    10 R  int    1 O SMCC
    11 R  int    1 O SignalSNR
    12 R  int    1 O LAC
    13 R  int    1 O Coverage Enhancement Level
    """,
)

FIRMWARE_UPDATE: Final = _define(
    5,
    "Firmware Update",
    "1.2",
    multiple=False,
    rows="""
    0  W  opaque 1 M Package
    1  RW str    1 M Package URI
    2  E  -      1 M Update
    3  R  int    1 M State
    5  R  int    1 M Update Result
    6  R  str    1 O PkgName
    7  R  str    1 O PkgVersion
    8  R  int    N O Firmware Update Protocol Support
    9  R  int    1 M Firmware Update Delivery Method
    10 E  -      1 O Cancel
    11 RW int    1 O Severity
    12 R  time   1 O Last State Change Time
    13 RW uint   1 O Maximum Defer Period
    14 RW bool   1 O Automatic Upgrade at Download
    """,
)

ADVANCED_FIRMWARE_UPDATE: Final = _define(
    33629,
    "Advanced Firmware Update",
    "1.0",
    multiple=True,
    rows="""
    0  W  opaque 1 M Package
    1  RW str    1 M Package URI
    2  E  -      1 M Update
    3  R  int    1 M State
    5  R  int    1 M Update Result
    6  R  str    1 O PkgName
    7  R  str    1 O PkgVersion
    8  R  int    N O Firmware Update Protocol Support
    9  R  int    1 M Firmware Update Delivery Method
    10 E  -      1 O Cancel
    11 RW int    1 O Severity
    12 R  time   1 O Last State Change Time
    13 RW uint   1 O Maximum Defer Period
    14 R  str    1 M Component Name
    15 R  str    1 M Current Version
    16 R  link   N O Linked Instances
    17 R  link   N O Conflicting Instances
    """,
)


def _without(definition: ObjectDefinition, version: str, later: range) -> ObjectDefinition:
    resources = {i: resource for i, resource in definition.resources.items() if i not in later}
    return replace(definition, version=version, resources=MappingProxyType(resources))


_ADDED_LATER: Final = {"1.0": range(10, 15), "1.1": range(14, 15), "1.2": range(0)}

FIRMWARE_UPDATE_VERSIONS: Final[Mapping[str, ObjectDefinition]] = MappingProxyType(
    {version: _without(FIRMWARE_UPDATE, version, later) for version, later in _ADDED_LATER.items()}
)
"""Object 5 as of each version; with 1.0 and 1.1 a device has fewer resources."""

OBJECTS: Final[Mapping[int, ObjectDefinition]] = MappingProxyType(
    {o.id: o for o in (SECURITY, SERVER, DEVICE, CONNECTIVITY, FIRMWARE_UPDATE, ADVANCED_FIRMWARE_UPDATE)}
)


def types_of(objects: Iterable[ObjectDefinition]) -> Types:
    """Return the data types of all resources, as the codecs take them."""
    return {(o.id, r.id): r.type for o in objects for r in o.resources.values() if r.type is not None}


def definition_of(path: Path, objects: Mapping[int, ObjectDefinition] = OBJECTS) -> ResourceDefinition | None:
    """Return the definition of the resource that ``path`` is or lies in, if it is known."""
    if path.object_id is None or path.resource_id is None:
        return None
    known = objects.get(path.object_id)
    return known.resources.get(path.resource_id) if known else None
