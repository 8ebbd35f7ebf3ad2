"""What all requests to a device have in common: addressing, deadlines, content formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiocoap.message import Message
from aiocoap.numbers.codes import CONTENT, GET, Code

from harness._deadline import Deadline
from harness._errors import ProtocolError
from harness.protocols._blockwise import complete, size_exponent
from harness.protocols._portal import LoopThread
from harness.protocols._registry import Book, Entry, Registration
from harness.protocols.content import ContentFormat, Path, Value, decode
from harness.protocols.content import ResourceType as Type
from harness.protocols.objects import ObjectDefinition, definition_of, types_of

__all__ = ["MANY", "Answer", "DeviceRequests"]

MANY: Final = (
    ContentFormat.SENML_CBOR,
    ContentFormat.TLV,
    ContentFormat.SENML_JSON,
    ContentFormat.LWM2M_CBOR,
)
"""Content formats that hold several values, in the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A device's answer to a raw request; ``code`` is text such as ``4.05``.

    ``repeated`` is true when the request was sent more than once: a device that restarted
    in between has answered the repetition, and the first one may have had its effect.
    """

    code: str
    payload: bytes
    content_format: int | None
    repeated: bool = False


class DeviceRequests:
    """Sends requests to whatever registration of a device is current."""

    def __init__(
        self,
        endpoint: str,
        book: Book,
        loop: LoopThread,
        objects: Mapping[int, ObjectDefinition],
        timeout: float,
    ) -> None:
        self.endpoint = endpoint
        self._book = book
        self._loop = loop
        self._objects = objects
        self._types = types_of(objects.values())
        self._timeout = timeout

    @property
    def registration(self) -> Registration:
        """The registration that requests go to now. Raises RegistrationError."""
        return self._book.current(self.endpoint).registration

    def request(
        self,
        method: str,
        path: str | Path,
        *,
        payload: bytes = b"",
        content_format: int | None = None,
        accept: int | None = None,
        query: tuple[str, ...] = (),
        block: tuple[int, bool, int] | None = None,
        deadline: float | Deadline | None = None,
    ) -> Answer:
        """Send any request and return the answer, whatever its code: for conformance tests.

        ``block`` makes it one block of a larger body: its number, whether more follow, and the
        size of blocks in bytes.
        """
        return self._loop.run(
            self._request, Code[method], Path.of(path), payload, content_format, accept, query, block,
            self._until(deadline),
        )  # fmt: skip

    async def _request(
        self,
        method: Code,
        path: Path,
        payload: bytes,
        content_format: int | None,
        accept: int | None,
        query: tuple[str, ...],
        block: tuple[int, bool, int] | None,
        deadline: Deadline,
    ) -> Answer:
        entry = self._book.current(self.endpoint)
        label = entry.label(method.name, path)
        message = self._message(method, entry, path, payload)
        message.opt.content_format = None if content_format is None else int(content_format)
        message.opt.accept = None if accept is None else int(accept)
        message.opt.uri_query = query
        if block is not None:
            number, more, size = block
            message.opt.block1 = (number, more, size_exponent(size))
        first = await entry.node.exchange(message, entry.remote, deadline, label)
        repeated = entry.node.interface.repeated(message)
        whole = first
        if method == GET and first.code == CONTENT:
            whole = await complete(entry.node, entry.remote, message, first, label=label, deadline=deadline)
        given = whole.opt.content_format
        return Answer(whole.code.dotted, whole.payload, None if given is None else int(given), repeated)

    # -- common parts

    def _message(self, method: Code, entry: Entry, path: Path, payload: bytes = b"") -> Message:
        message = Message(code=method, payload=payload)
        message.opt.uri_path = (*entry.registration.root, *path.segments)
        return message

    def _until(self, deadline: float | Deadline | None) -> Deadline:
        return Deadline.of(self._timeout if deadline is None else deadline)

    def _decode(self, path: Path, accept: int, answer: Message) -> dict[Path, Value]:
        given = answer.opt.content_format
        values = decode(answer.payload, accept if given is None else int(given), path, self._types)
        stray = [where for where in values if where not in path]
        if stray:
            raise ProtocolError("values that were not asked for", where=str(path), found=str(stray[0]))
        return values

    def _shape(self, path: Path, values: Mapping[Path, Value]) -> Any:
        if path in values:
            return values[path]
        several = {w.resource_instance_id: v for w, v in values.items()}
        definition = definition_of(path, self._objects)
        if path.resource_instance_id is not None or (
            not several and definition is not None and not definition.multiple
        ):
            raise ProtocolError("an answer without a value", where=str(path))
        return several

    def _formats(self, path: Path, entry: Entry) -> list[int]:
        """Order the content formats to ask for: what the device announced first, refused ones last."""
        definition = definition_of(path, self._objects)
        order: list[ContentFormat] = list(MANY)
        if path.resource_instance_id is not None or (definition is not None and not definition.multiple):
            opaque = definition is not None and definition.type is Type.OPAQUE
            order.insert(0, ContentFormat.OPAQUE if opaque else ContentFormat.TEXT)
        elif definition is None and path.resource_id is not None:
            order.append(ContentFormat.TEXT)
        offered, worse = entry.registration.formats, entry.refused_formats
        many = [f for f in order if f in MANY]
        ranked = iter(sorted(many, key=lambda f: f not in offered) if offered else many)
        order = [next(ranked) if f in MANY else f for f in order]
        return sorted(order, key=lambda f: f in worse)
