"""The resources of the LwM2M server: /rd, /rd/<location> and published files.

One object answers everything, because aiocoap's Site cannot serve /rd and what
lies below it from one resource.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from aiocoap.blockwise import Block1Spool
from aiocoap.message import Message
from aiocoap.numbers.codes import (
    BAD_REQUEST,
    CHANGED,
    CREATED,
    DELETE,
    DELETED,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    POST,
    REQUEST_ENTITY_TOO_LARGE,
    UNSUPPORTED_CONTENT_FORMAT,
    Code,
)

from harness._errors import CodecError
from harness.protocols._files import FileSite
from harness.protocols._node import Node
from harness.protocols._registry import Book, Entry, RegistrationRefused
from harness.protocols._sends import SendLog
from harness.protocols.content import ContentFormat, Path, Types, decode

__all__ = ["Site"]

#: bytes of an object list or of what is sent; nobody needs a tenth of it
_LONGEST_BODY: Final = 65536
_SENDABLE: Final = (ContentFormat.SENML_JSON, ContentFormat.SENML_CBOR, ContentFormat.LWM2M_CBOR)


class Site:
    """Answers the requests of devices on one node; ``node`` is set once that exists."""

    def __init__(
        self,
        book: Book,
        files: FileSite,
        on_alive: Callable[[Entry], None],
        sends: SendLog,
        types: Types,
        awake_seconds: float,
    ) -> None:
        self.node: Node | None = None
        self._book = book
        self._sends = sends
        self._types = types
        self._awake_seconds = awake_seconds
        self._files = files
        self._on_alive = on_alive
        self._uploads = Block1Spool()

    async def render_to_pipe(self, pipe: Any) -> None:
        """Answer one request; called by aiocoap."""
        request = pipe.request
        path = tuple(request.opt.uri_path)
        try:
            if path[:1] == ("rd",) and len(path) <= 2:
                self._registration_interface(request, path, pipe)
            elif path == ("dp",):
                pipe.add_response(self._send(request), is_last=True)
            else:
                pipe.add_response(await self._files.answer(request), is_last=True)
        except RegistrationRefused as refusal:
            family, detail = refusal.code.split(".")
            code = Code(int(family) << 5 | int(detail))
            pipe.add_response(Message(code=code, payload=str(refusal).encode()), is_last=True)
        if self.node is not None:
            self.node.wake(request.remote)

    def _registration_interface(self, request: Message, path: tuple[str, ...], pipe: Any) -> None:
        node = self.node
        assert node is not None
        location = "/" + "/".join(path)
        if request.code == DELETE and len(path) == 2:
            self._book.deregister(location, request.remote)
            pipe.add_response(Message(code=DELETED), is_last=True)
            return
        if request.code != POST:
            pipe.add_response(Message(code=METHOD_NOT_ALLOWED), is_last=True)
            return
        if request.opt.content_format not in (None, ContentFormat.LINK):
            pipe.add_response(Message(code=UNSUPPORTED_CONTENT_FORMAT), is_last=True)
            return
        block = request.opt.block1
        if _too_long(request):
            pipe.add_response(Message(code=REQUEST_ENTITY_TOO_LARGE), is_last=True)
            return
        request = self._uploads.feed_and_take(request)
        queries, payload = request.opt.uri_query, request.payload
        if len(path) == 2:
            entry = self._book.update(location, queries, payload, node, request.remote)
            answer = Message(code=CHANGED)
        else:
            entry = self._book.register(queries, payload, node, request.remote)
            answer = Message(code=CREATED)
            answer.opt.location_path = entry.registration.location.strip("/").split("/")
        answer.opt.block1 = block
        node.queue_mode(entry.remote, self._awake_seconds if entry.registration.queue_mode else None)
        # The answer goes first: a device may refuse a server that it does not know to have accepted it.
        pipe.add_response(answer, is_last=True)
        if len(path) == 1:
            self._book.publish(entry)
        self._on_alive(entry)

    def _send(self, request: Message) -> Message:
        """Take what a device sends by itself (Send)."""
        if request.code != POST:
            return Message(code=METHOD_NOT_ALLOWED)
        entry = self._book.sender(request.remote)
        if entry is None:
            return Message(code=NOT_FOUND, payload=b"not registered")
        block = request.opt.block1
        if _too_long(request):
            return Message(code=REQUEST_ENTITY_TOO_LARGE)
        request = self._uploads.feed_and_take(request)
        given = request.opt.content_format
        if given not in _SENDABLE:
            return Message(code=UNSUPPORTED_CONTENT_FORMAT)
        try:
            values = decode(request.payload, int(given), Path(), self._types)
        except CodecError as problem:
            return Message(code=BAD_REQUEST, payload=str(problem).encode()[:200])
        self._sends.add(entry.registration.endpoint, values)
        answer = Message(code=CHANGED)
        answer.opt.block1 = block
        return answer


def _too_long(request: Message) -> bool:
    block = request.opt.block1
    return (0 if block is None else block.start) + len(request.payload) > _LONGEST_BODY
