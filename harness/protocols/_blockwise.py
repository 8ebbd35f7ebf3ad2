"""Block-wise transfers (RFC 7959) on top of single bounded requests.

aiocoap's own assembly takes a 2.31 without a Block1 option for a finished write,
and copies the whole body once a block. Here every block's answer is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiocoap.message import Message
from aiocoap.numbers.codes import CONTENT, CONTINUE, PUT, REQUEST_ENTITY_TOO_LARGE, Code

from harness._deadline import Deadline
from harness._errors import ProtocolError, RequestError
from harness.protocols._node import Node
from harness.protocols._transport import PeerAddress

__all__ = ["BLOCK_SIZES", "Transfer", "complete", "push", "refused", "size_exponent"]

BLOCK_SIZES: Final = (16, 32, 64, 128, 256, 512, 1024)


def size_exponent(block_size: int) -> int:
    """Return the SZX of a block size. Raises ValueError unless it is one of BLOCK_SIZES."""
    if block_size not in BLOCK_SIZES:
        raise ValueError(f"blocks have {', '.join(map(str, BLOCK_SIZES))} bytes, not {block_size}")
    return BLOCK_SIZES.index(block_size)


@dataclass(slots=True)
class Transfer:
    """How a block-wise write ended. ``code`` is the code of the last answer, ``2.04`` if all went well."""

    code: str
    payload: bytes
    sent: int
    total: int
    blocks: int
    block_size: int


async def push(
    node: Node,
    remote: PeerAddress,
    path: tuple[str, ...],
    body: bytes,
    *,
    label: str,
    deadline: Deadline,
    block_size: int,
    content_format: int,
    progress: Callable[[int, int], None] | None = None,
) -> Transfer:
    """Write ``body`` in blocks and return how it ended, also when the device refused.

    A device may ask for smaller blocks, in its first answer or with a 4.13; larger
    ones than ``block_size`` are never sent. ``progress`` is called with the bytes
    acknowledged and their total. Raises RequestError when the answers break RFC
    7959, and all that :meth:`Node.exchange` raises.
    """
    exponent = size_exponent(block_size)
    while (release := node.reserve(remote)) is None:
        await node.idle(remote, deadline, label)
    try:
        transfer = Transfer("", b"", 0, len(body), 0, block_size)
        while True:
            number, chunk = transfer.sent >> (exponent + 4), body[transfer.sent :][: 16 << exponent]
            more = transfer.sent + len(chunk) < len(body)
            message = Message(code=PUT, payload=chunk)
            message.opt.uri_path = path
            message.opt.content_format = content_format
            if more or number:
                message.opt.block1 = (number, more, exponent)
            if more and number == 0:
                message.opt.size1 = len(body)
            answer = await node.exchange(message, remote, deadline, label, exclusive=True, patient=True)
            transfer.blocks += 1
            transfer.code, transfer.payload = answer.code.dotted, answer.payload
            transfer.block_size = 16 << exponent
            if number == 0 and (smaller := _smaller(answer, exponent)) is not None:
                exponent = smaller
                if answer.code == REQUEST_ENTITY_TOO_LARGE:
                    continue
            if not answer.code.is_successful():
                return transfer
            _check(answer, number, more=more, label=label)
            transfer.sent += len(chunk)
            if progress is not None:
                progress(transfer.sent, transfer.total)
            if not more:
                return transfer
    finally:
        release()


def _smaller(answer: Message, exponent: int) -> int | None:
    """Return the size exponent that the device asks for, if it is smaller than ours."""
    block = answer.opt.block1
    if answer.code not in (CONTINUE, REQUEST_ENTITY_TOO_LARGE) or block is None:
        return None
    return block.size_exponent if block.size_exponent < exponent else None


def _check(answer: Message, number: int, *, more: bool, label: str) -> None:
    """Refuse answers that neither continue nor end the transfer at this block."""
    block = answer.opt.block1
    if (answer.code == CONTINUE) != more:
        what = (
            "asked for more after the last block" if not more else "ended the transfer before the last block"
        )
    elif more and block is None:
        what = "continued without saying which block it took (no Block1 option)"
    elif block is not None and block.block_number != number:
        what = f"answered for block {block.block_number}"
    else:
        return
    raise RequestError(
        f"the device {what}",
        code=answer.code.dotted,
        where=f"{label}, block {number}",
        remedy="RFC 7959 section 2.9 has the codes of block-wise writes",
    )


async def complete(
    node: Node, remote: PeerAddress, request: Message, first: Message, *, label: str, deadline: Deadline
) -> Message:
    """Fetch what follows the first block of an answer and return the whole of it.

    Raises RequestError when a later block is refused, ProtocolError when blocks do
    not fit together or the resource changed in between.
    """
    block = first.opt.block2
    if block is None or not block.more:
        return first
    parts = [first.payload]
    have = len(first.payload)
    while block.more:
        message = Message(code=request.code, payload=request.payload)
        message.opt.content_format = request.opt.content_format
        message.opt.uri_path = request.opt.uri_path
        message.opt.uri_query = request.opt.uri_query
        message.opt.accept = request.opt.accept
        message.opt.block2 = (have >> (block.size_exponent + 4), False, block.size_exponent)
        answer = await node.exchange(message, remote, deadline, label)
        if answer.code != CONTENT:
            raise refused(answer.code.dotted, answer.payload, f"{label}, from byte {have} on")
        block = answer.opt.block2
        if block is None or block.start != have or not (answer.payload or not block.more):
            raise ProtocolError(
                "blocks of an answer do not fit together",
                where=label,
                expected=f"a block that starts at byte {have}",
                found=f"one at {block.start}" if block is not None else "no Block2 option",
            )
        if answer.opt.etag != first.opt.etag:
            raise ProtocolError("the resource changed while it was read", where=label)
        parts.append(answer.payload)
        have += len(answer.payload)
    whole: Message = first.copy(payload=b"".join(parts))
    return whole


def refused(code: str, payload: bytes, label: str) -> RequestError:
    """Build the error for an answer with an unwanted code."""
    family, _, detail = code.partition(".")
    name = Code(int(family) << 5 | int(detail)).name.replace("_", " ").capitalize()
    said = payload[:200].decode(errors="replace") if family != "2" else ""
    return RequestError(f"the device answered {name}" + (f": {said}" if said else ""), code=code, where=label)
