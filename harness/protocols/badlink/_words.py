"""Messages in words, for reports: CoAP and SMP."""

from __future__ import annotations

from typing import Final, Literal

__all__ = ["Protocol", "in_words"]

Protocol = Literal["coap", "smp"]
_SMP_HEADER: Final = 8


def in_words(protocol: Protocol, data: bytes) -> str:
    """What a message says, or its size if it is none."""
    try:
        said = _coap(data) if protocol == "coap" else _smp(data)
    except Exception:  # whatever is on the line: decoders of libraries raise errors of many kinds
        return f"{len(data)} bytes that are no {'CoAP' if protocol == 'coap' else 'SMP'} message"
    return f"{said}, {len(data)} bytes"


def _coap(data: bytes) -> str:
    from aiocoap.message import Message

    from harness.protocols._node import describe

    return describe(Message.decode(data))


def _smp(data: bytes) -> str:
    import cbor2
    from smp.header import CommandId, GroupId, Header

    header = Header.loads(data[:_SMP_HEADER])
    body = cbor2.loads(data[_SMP_HEADER:])
    names = {
        GroupId.OS_MANAGEMENT: ("os", CommandId.OSManagement),
        GroupId.IMAGE_MANAGEMENT: ("image", CommandId.ImageManagement),
    }
    if known := names.get(int(header.group_id)):  # type: ignore[call-overload]  # an enum of int
        what = f"{known[0]} {known[1](header.command_id).name.lower()}"
    else:
        what = f"group {int(header.group_id)} command {int(header.command_id)}"
    told = [f"{name} {body[name]}" for name in ("image", "off", "len", "rc", "err") if name in body]
    return ", ".join(
        [f"{header.op.name.lower().replace('_rsp', ' answer')} {what} seq {header.sequence}", *told]
    )
