"""The resources of the LwM2M server: /rd, /rd/<location> and published files.

One object answers everything, because aiocoap's Site cannot serve /rd and what
lies below it from one resource, and its block cache hands out only transfers that
began with block 0 within the last 93 seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiocoap.blockwise import Block1Spool
from aiocoap.message import Message
from aiocoap.numbers.codes import (
    BAD_REQUEST,
    CHANGED,
    CONTENT,
    CREATED,
    DELETE,
    DELETED,
    GET,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    POST,
    UNSUPPORTED_CONTENT_FORMAT,
    VALID,
    Code,
)

from harness.protocols._node import Node
from harness.protocols._publication import Publication
from harness.protocols._registry import Book, Entry, RegistrationRefused
from harness.protocols.content import ContentFormat

__all__ = ["Site"]


class Site:
    """Answers the requests of devices on one node; ``node`` is set once that exists."""

    def __init__(
        self,
        book: Book,
        publications: dict[tuple[str, ...], Publication],
        on_alive: Callable[[Entry], None],
    ) -> None:
        self.node: Node | None = None
        self._book = book
        self._publications = publications
        self._on_alive = on_alive
        self._uploads = Block1Spool()

    async def render_to_pipe(self, pipe: Any) -> None:
        """Answer one request; called by aiocoap."""
        request = pipe.request
        path = tuple(request.opt.uri_path)
        try:
            if path[:1] == ("rd",) and len(path) <= 2:
                self._registration_interface(request, path, pipe)
            else:
                pipe.add_response(self._file(request, path), is_last=True)
        except RegistrationRefused as refusal:
            family, detail = refusal.code.split(".")
            code = Code(int(family) << 5 | int(detail))
            pipe.add_response(Message(code=code, payload=str(refusal).encode()), is_last=True)

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
        # The answer goes first: a device may refuse a server that it does not know to have accepted it.
        pipe.add_response(answer, is_last=True)
        if len(path) == 1:
            self._book.publish(entry)
        self._on_alive(entry)

    def _file(self, request: Message, path: tuple[str, ...]) -> Message:
        publication = self._publications.get(path)
        if publication is None or publication.closed:
            return Message(code=NOT_FOUND)
        if request.code != GET:
            return Message(code=METHOD_NOT_ALLOWED)
        wanted = request.opt.block2
        largest = publication.max_block_size.bit_length() - 5
        exponent = min(wanted.size_exponent, largest) if wanted is not None else largest
        offset = wanted.start if wanted is not None else 0
        if offset == 0 and publication.etag in request.opt.etags:
            answer = Message(code=VALID)
            answer.opt.etag = publication.etag
            return answer
        block = publication.take(offset, 16 << exponent)
        if block is None:
            return Message(code=BAD_REQUEST, payload=b"no such block")
        answer = Message(code=CONTENT, payload=block.data)
        answer.opt.content_format = ContentFormat.OPAQUE
        answer.opt.etag = block.etag
        if wanted is not None or block.more:
            answer.opt.block2 = (offset >> (exponent + 4), block.more, exponent)
        if offset == 0:
            answer.opt.size2 = block.total
        return answer
