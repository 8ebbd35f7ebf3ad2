"""The state machine of LwM2M firmware updates, as data.

Sources: OMA LwM2M registry, object 5 versions 1.0 to 1.2; definition of object 33629
(Advanced Firmware Update) version 1.0. Where these leave room, the tables hold what
an independent client (Anjay 3.14) does.

The code of an answer says whether an operation was legal, never whether an update
is good: that stands in State and Update Result afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Final

__all__ = [
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
]


class UpdateState(IntEnum):
    """Resource 3, State."""

    IDLE = 0
    DOWNLOADING = 1
    DOWNLOADED = 2
    UPDATING = 3


class UpdateResult(IntEnum):
    """Resource 5, Update Result. 12 and 13 exist in object 33629 only."""

    INITIAL = 0
    SUCCESS = 1
    NOT_ENOUGH_FLASH = 2
    OUT_OF_RAM = 3
    CONNECTION_LOST = 4
    INTEGRITY_CHECK_FAILED = 5
    UNSUPPORTED_PACKAGE = 6
    INVALID_URI = 7
    UPDATE_FAILED = 8
    UNSUPPORTED_PROTOCOL = 9
    CANCELLED = 10
    DEFERRED = 11
    CONFLICTING_STATE = 12
    DEPENDENCY_ERROR = 13

    @property
    def meaning(self) -> str:
        """What the code says, in words."""
        return _MEANINGS[self]


_MEANINGS: Final[Mapping[UpdateResult, str]] = {
    UpdateResult.INITIAL: "nothing to report, or a download or update has just begun",
    UpdateResult.SUCCESS: "updated successfully",
    UpdateResult.NOT_ENOUGH_FLASH: "not enough flash for the new package",
    UpdateResult.OUT_OF_RAM: "out of RAM while downloading",
    UpdateResult.CONNECTION_LOST: "connection lost while downloading",
    UpdateResult.INTEGRITY_CHECK_FAILED: "integrity check of the package failed",
    UpdateResult.UNSUPPORTED_PACKAGE: "unsupported package type",
    UpdateResult.INVALID_URI: "invalid URI",
    UpdateResult.UPDATE_FAILED: "the update failed",
    UpdateResult.UNSUPPORTED_PROTOCOL: "unsupported protocol, or no credentials for it",
    UpdateResult.CANCELLED: "cancelled",
    UpdateResult.DEFERRED: "deferred by the device",
    UpdateResult.CONFLICTING_STATE: "an affected component was not idle",
    UpdateResult.DEPENDENCY_ERROR: "another component has to be updated first, or together",
}


class Severity(IntEnum):
    """Resource 11, Severity."""

    CRITICAL = 0
    MANDATORY = 1
    OPTIONAL = 2


class PullProtocol(IntEnum):
    """Resource 8, Protocol Support; ``scheme`` is that of URIs to pull from."""

    COAP = 0
    COAPS = 1
    HTTP = 2
    HTTPS = 3
    COAP_TCP = 4
    COAPS_TCP = 5

    @property
    def scheme(self) -> str:
        """The URI scheme, such as ``coap+tcp``."""
        return self.name.lower().replace("_", "+")


class DeliveryMethod(IntEnum):
    """Resource 9, Delivery Method: how a device takes images."""

    PULL = 0
    PUSH = 1
    BOTH = 2


@dataclass(frozen=True, slots=True, order=True)
class UpdateStatus:
    """State and result of one component, read together."""

    state: UpdateState
    result: UpdateResult

    def __str__(self) -> str:
        return f"{self.state.value}/{self.result.value} ({self.state.name.lower()}, {self.result.meaning})"


class Operation(Enum):
    """What a server can do to an update object."""

    PUSH = "PUT 0 with an image"
    RESET_BY_PACKAGE = "PUT 0 with one byte 00"
    SET_URI = "PUT 1 with a URI"
    RESET_BY_URI = "PUT 1 with an empty string"
    UPDATE = "POST 2"
    CANCEL = "POST 10"


@dataclass(frozen=True, slots=True)
class Effect:
    """One lawful reaction: the answer's code and what may be read when it has settled.

    ``after`` is None where nothing may change.
    """

    code: str
    after: frozenset[UpdateStatus] | None

    def allows(self, code: str, before: UpdateStatus, after: UpdateStatus) -> bool:
        """Tell whether a reaction that was seen is this one."""
        if code != self.code:
            return False
        return after == before if self.after is None else after in self.after


def _status(state: UpdateState, *results: int) -> frozenset[UpdateStatus]:
    return frozenset(UpdateStatus(state, UpdateResult(result)) for result in results)


_IDLE, _DOWNLOADING, _DOWNLOADED, _UPDATING = UpdateState

_RESET: Final = (Effect("2.04", _status(_IDLE, 0)),)
_CANCELLED: Final = (Effect("2.04", _status(_IDLE, 10)),)
_NOT_ALLOWED: Final = (Effect("4.05", None),)
_BAD_REQUEST: Final = (Effect("4.00", None),)
_PUSHED: Final = (
    Effect("2.04", _status(_DOWNLOADED, 0, 11) | _status(_IDLE, 2, 3, 4, 5, 6, 8, 12, 13)),
    # While any component pulls, pushes are refused on all of them.
    Effect("4.05", None),
)
_URI_SET: Final = (
    # A quick download may be over by the time one looks.
    Effect(
        "2.04",
        _status(_DOWNLOADING, 0) | _status(_DOWNLOADED, 0, 11) | _status(_IDLE, 2, 3, 4, 5, 6, 7, 8, 9),
    ),
    Effect("4.00", _status(_IDLE, 9)),
)
_UPDATED: Final = (
    Effect(
        "2.04",
        _status(_UPDATING, 0) | _status(_DOWNLOADED, 8, 11, 13) | _status(_IDLE, 1, 2, 3, 5, 8, 13),
    ),
)

LEGALITY: Final[Mapping[tuple[Operation, UpdateState], tuple[Effect, ...]]] = MappingProxyType(
    {
        (Operation.PUSH, _IDLE): _PUSHED,
        (Operation.PUSH, _DOWNLOADING): _NOT_ALLOWED,
        (Operation.PUSH, _DOWNLOADED): _BAD_REQUEST,
        (Operation.PUSH, _UPDATING): _NOT_ALLOWED,
        (Operation.RESET_BY_PACKAGE, _IDLE): _RESET,
        (Operation.RESET_BY_PACKAGE, _DOWNLOADING): _RESET,
        (Operation.RESET_BY_PACKAGE, _DOWNLOADED): _RESET,
        (Operation.RESET_BY_PACKAGE, _UPDATING): _NOT_ALLOWED,
        (Operation.SET_URI, _IDLE): _URI_SET,
        (Operation.SET_URI, _DOWNLOADING): _BAD_REQUEST,
        (Operation.SET_URI, _DOWNLOADED): _BAD_REQUEST,
        (Operation.SET_URI, _UPDATING): _BAD_REQUEST,
        (Operation.RESET_BY_URI, _IDLE): _RESET,
        (Operation.RESET_BY_URI, _DOWNLOADING): _RESET,
        (Operation.RESET_BY_URI, _DOWNLOADED): _RESET,
        (Operation.RESET_BY_URI, _UPDATING): _NOT_ALLOWED,
        (Operation.UPDATE, _IDLE): _NOT_ALLOWED,
        (Operation.UPDATE, _DOWNLOADING): _NOT_ALLOWED,
        (Operation.UPDATE, _DOWNLOADED): _UPDATED,
        (Operation.UPDATE, _UPDATING): _NOT_ALLOWED,
        (Operation.CANCEL, _IDLE): _NOT_ALLOWED,
        (Operation.CANCEL, _DOWNLOADING): _CANCELLED,
        (Operation.CANCEL, _DOWNLOADED): _CANCELLED,
        (Operation.CANCEL, _UPDATING): _NOT_ALLOWED,
    }
)
"""Lawful reactions to every operation in every state; each tuple lists alternatives."""


def _except(*results: int) -> frozenset[UpdateResult]:
    return frozenset(UpdateResult) - {UpdateResult(result) for result in results}


def _only(*results: int) -> frozenset[UpdateResult]:
    return frozenset(map(UpdateResult, results))


TRANSITIONS: Final[Mapping[tuple[UpdateState, UpdateState], frozenset[UpdateResult]]] = MappingProxyType(
    {
        (_IDLE, _DOWNLOADING): _only(0),
        (_IDLE, _DOWNLOADED): _only(0, 11),
        (_DOWNLOADING, _IDLE): _except(1, 11),
        (_DOWNLOADING, _DOWNLOADED): _only(0, 11),
        (_DOWNLOADED, _IDLE): _only(0, 10),
        (_DOWNLOADED, _DOWNLOADED): _only(11),
        (_DOWNLOADED, _UPDATING): _only(0),
        (_UPDATING, _IDLE): _except(10, 11, 12),
        (_UPDATING, _DOWNLOADED): _only(8, 11, 13),
    }
)
"""Results with which a device may go from one state to another. What is missing is illegal."""

STARTS: Final[Mapping[UpdateState, frozenset[UpdateResult]]] = MappingProxyType(
    {
        _IDLE: _only(0, 1, 5, 8, 13),
        _DOWNLOADING: _only(0),
        _DOWNLOADED: _only(0),
        _UPDATING: _only(0),
    }
)
"""Results with which a device may come out of a reboot, by state."""
