"""Requests to a registered device: the LwM2M operations, blocking and bounded.

Source: OMA-TS-LightweightM2M_Core-V1_1, section 6.3, and section 6.4.3 of the transport
specification for the codes. Only the one code that means success counts as success.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from aiocoap.message import Message
from aiocoap.numbers.codes import (
    CONTENT,
    GET,
    NOT_ACCEPTABLE,
    POST,
    PUT,
    UNSUPPORTED_CONTENT_FORMAT,
    Code,
)

from harness._deadline import Deadline
from harness._errors import ProtocolError
from harness.protocols._blockwise import Transfer, complete, push, refused, size_exponent
from harness.protocols._observation import Observation
from harness.protocols._portal import LoopThread
from harness.protocols._registry import Book, Entry, Registration
from harness.protocols.content import ContentFormat, Link, Path, Value, decode, decode_links, encode
from harness.protocols.content import ResourceType as Type
from harness.protocols.objects import ObjectDefinition, definition_of, types_of

__all__ = ["Answer", "Device"]

Composite = Mapping[int, Value]

_MANY: Final = (ContentFormat.SENML_CBOR, ContentFormat.TLV, ContentFormat.SENML_JSON)


@dataclass(frozen=True, slots=True)
class Answer:
    """A device's answer to a raw request; ``code`` is text such as ``4.05``."""

    code: str
    payload: bytes
    content_format: int | None


class Device:
    """Operations on one device, addressed by its endpoint name.

    Every request goes to the registration that is current at its start. All methods
    take a ``deadline``, in seconds or running already, and raise

    * RequestError when the device answers with an error code,
    * DeadlineExceeded when it does not answer in time,
    * RegistrationError when it is not registered, or registers anew meanwhile,
    * CodecError when the answer cannot be read, ProtocolError when it makes no sense.
    """

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

    # -- reading

    def read(self, path: str | Path, *, deadline: float | Deadline | None = None) -> Any:
        """Read a resource or a resource instance.

        The value has the Python type of the resource's definition; a resource with
        several instances comes as a dict by instance id.
        """
        at = Path.of(path)
        if at.resource_id is None:
            raise ValueError(f"{at} is no resource: use read_instance or read_all")
        return self._shape(at, self._loop.run(self._read, at, self._until(deadline)))

    def read_instance(
        self, path: str | Path, *, deadline: float | Deadline | None = None
    ) -> dict[int, Value | dict[int, Value]]:
        """Read all resources of an object instance, by resource id."""
        at = Path.of(path)
        if at.instance_id is None or at.resource_id is not None:
            raise ValueError(f"{at} is no object instance")
        values = self._loop.run(self._read, at, self._until(deadline))
        found: dict[int, Value | dict[int, Value]] = {}
        for where, value in values.items():
            assert where.resource_id is not None
            if where.resource_instance_id is None:
                found[where.resource_id] = value
            else:
                instances = cast("dict[int, Value]", found.setdefault(where.resource_id, {}))
                instances[where.resource_instance_id] = value
        return found

    def read_all(self, path: str | Path, *, deadline: float | Deadline | None = None) -> dict[Path, Value]:
        """Read whatever lies at or below a path, keyed by full paths."""
        return self._loop.run(self._read, Path.of(path), self._until(deadline))

    async def _read(self, path: Path, deadline: Deadline) -> dict[Path, Value]:
        entry = self._book.current(self.endpoint)
        label = entry.label("GET", path)
        formats = self._formats(path, entry)
        for number, accept in enumerate(formats, 1):
            message = self._message(GET, entry, path)
            message.opt.accept = int(accept)
            first = await entry.node.exchange(message, entry.remote, deadline, label)
            unacceptable = first.code in (NOT_ACCEPTABLE, UNSUPPORTED_CONTENT_FORMAT)
            if unacceptable and number < len(formats):
                entry.refused_formats.add(int(accept))
                continue
            if first.code != CONTENT:
                raise refused(first.code.dotted, first.payload, label)
            whole = await complete(entry.node, entry.remote, message, first, label=label, deadline=deadline)
            return self._decode(path, int(accept), whole)
        raise AssertionError("a read without a content format")

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
        order: list[ContentFormat] = list(_MANY)
        if path.resource_instance_id is not None or (definition is not None and not definition.multiple):
            opaque = definition is not None and definition.type is Type.OPAQUE
            order.insert(0, ContentFormat.OPAQUE if opaque else ContentFormat.TEXT)
        elif definition is None and path.resource_id is not None:
            order.append(ContentFormat.TEXT)
        offered, worse = entry.registration.formats, entry.refused_formats
        many = [f for f in order if f in _MANY]
        ranked = iter(sorted(many, key=lambda f: f not in offered) if offered else many)
        order = [next(ranked) if f in _MANY else f for f in order]
        return sorted(order, key=lambda f: f in worse)

    # -- writing

    def write(
        self,
        path: str | Path,
        value: Value | Composite,
        *,
        content_format: int | None = None,
        block_size: int = 1024,
        deadline: float | Deadline | None = None,
    ) -> None:
        """Write a resource; a dict writes a resource with several instances.

        Bodies beyond ``block_size`` bytes go block by block. ``content_format`` overrides
        the choice: opaque for bytes, text for other single values, SenML CBOR or TLV
        for dicts.
        """
        at = Path.of(path)
        if at.resource_id is None:
            raise ValueError(f"{at} is no resource: use write_instance")
        values = {at.child(i): v for i, v in value.items()} if isinstance(value, Mapping) else {at: value}
        if content_format is not None:
            formats = [content_format]
        elif isinstance(value, Mapping):
            formats = self._formats(at, self._book.current(self.endpoint))
        else:
            formats = [ContentFormat.OPAQUE if isinstance(value, bytes) else ContentFormat.TEXT]
        self._loop.run(self._write, PUT, at, values, formats, block_size, self._until(deadline))

    def write_instance(
        self,
        path: str | Path,
        values: Mapping[int, Value | Composite],
        *,
        replace: bool = False,
        content_format: int | None = None,
        deadline: float | Deadline | None = None,
    ) -> None:
        """Write several resources of an instance; ``replace`` also removes the others (PUT, not POST)."""
        at = Path.of(path)
        if at.instance_id is None or at.resource_id is not None:
            raise ValueError(f"{at} is no object instance")
        flat: dict[Path, Value] = {}
        for rid, value in values.items():
            if isinstance(value, Mapping):
                flat |= {at.child(rid, riid): v for riid, v in value.items()}
            else:
                flat[at.child(rid)] = value
        entry = self._book.current(self.endpoint)
        formats = [content_format] if content_format is not None else self._formats(at, entry)
        method = PUT if replace else POST
        self._loop.run(self._write, method, at, flat, formats, 1024, self._until(deadline))

    async def _write(
        self,
        method: Code,
        path: Path,
        values: Mapping[Path, Value],
        formats: list[int],
        block_size: int,
        deadline: Deadline,
    ) -> None:
        for number, content_format in enumerate(formats, 1):
            body = encode(values, content_format, path, self._types)
            entry = self._book.current(self.endpoint)
            label = entry.label(method.name, path)
            if method == PUT and len(body) > block_size:
                transfer = await self._push(path, body, block_size, content_format, None, deadline)
                code, payload = transfer.code, transfer.payload
            else:
                message = self._message(method, entry, path, body)
                message.opt.content_format = int(content_format)
                raw = await entry.node.exchange(message, entry.remote, deadline, label)
                code, payload = raw.code.dotted, raw.payload
            if code == "4.15" and number < len(formats):
                entry.refused_formats.add(int(content_format))
                continue
            if code != "2.04":
                raise refused(code, payload, label)
            return

    def push(
        self,
        path: str | Path,
        body: bytes,
        *,
        block_size: int = 1024,
        content_format: int = ContentFormat.OPAQUE,
        progress: Callable[[int, int], None] | None = None,
        deadline: float | Deadline,
    ) -> Transfer:
        """Write a large opaque body block by block and return how the device took it.

        An error code is returned, not raised: for firmware it is the state afterwards
        that counts. Other requests to the device wait until the push is over, because
        devices refuse them. ``progress`` gets bytes sent and their total, in the
        server's thread. ``block_size`` is a power of two from 16 to 1024.
        """
        size_exponent(block_size)
        until = self._until(deadline)
        return self._loop.run(self._push, Path.of(path), body, block_size, content_format, progress, until)

    async def _push(
        self,
        path: Path,
        body: bytes,
        block_size: int,
        content_format: int,
        progress: Callable[[int, int], None] | None,
        deadline: Deadline,
    ) -> Transfer:
        entry = self._book.current(self.endpoint)
        return await push(
            entry.node,
            entry.remote,
            (*entry.registration.root, *path.segments),
            body,
            label=entry.label("PUT", path),
            deadline=deadline,
            block_size=block_size,
            content_format=int(content_format),
            progress=progress,
        )

    # -- the other operations

    def execute(
        self, path: str | Path, arguments: str = "", *, deadline: float | Deadline | None = None
    ) -> None:
        """Execute a resource. ``arguments`` is the text of section 6.3.6, such as ``0='x',1``."""
        answer = self.request(
            "POST",
            path,
            payload=arguments.encode(),
            content_format=ContentFormat.TEXT if arguments else None,
            deadline=deadline,
        )
        if answer.code != "2.04":
            raise refused(answer.code, answer.payload, f"POST {path} on {self.endpoint!r}")

    def discover(self, path: str | Path, *, deadline: float | Deadline | None = None) -> tuple[Link, ...]:
        """List what there is at and below an object, an instance or a resource, with attributes."""
        answer = self.request("GET", path, accept=ContentFormat.LINK, deadline=deadline)
        if answer.code != "2.05":
            raise refused(answer.code, answer.payload, f"GET {path} on {self.endpoint!r}")
        return decode_links(answer.payload)

    def observe(self, path: str | Path, *, deadline: float | Deadline | None = None) -> Observation:
        """Observe a resource, or an instance; the present value is the first in the queue.

        Resources give values as :meth:`read` does, instances a dict by full path.
        """
        at = Path.of(path)
        return self._loop.run(self._observe, at, self._until(deadline))

    async def _observe(self, path: Path, deadline: Deadline) -> Observation:
        entry = self._book.current(self.endpoint)
        accept = self._formats(path, entry)[0]

        def value(message: Message) -> Any:
            values = self._decode(path, accept, message)
            return self._shape(path, values) if path.resource_id is not None else values

        request = self._message(GET, entry, path)
        request.opt.accept = int(accept)
        request.opt.observe = 0
        observation = Observation(self._loop, str(path), value)
        await observation.open(entry, request, entry.label("observe", path), deadline)
        return observation

    def request(
        self,
        method: str,
        path: str | Path,
        *,
        payload: bytes = b"",
        content_format: int | None = None,
        accept: int | None = None,
        query: tuple[str, ...] = (),
        deadline: float | Deadline | None = None,
    ) -> Answer:
        """Send any request and return the answer, whatever its code: for conformance tests."""
        return self._loop.run(
            self._request, Code[method], Path.of(path), payload, content_format, accept, query,
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
        deadline: Deadline,
    ) -> Answer:
        entry = self._book.current(self.endpoint)
        label = entry.label(method.name, path)
        message = self._message(method, entry, path, payload)
        message.opt.content_format = None if content_format is None else int(content_format)
        message.opt.accept = None if accept is None else int(accept)
        message.opt.uri_query = query
        first = await entry.node.exchange(message, entry.remote, deadline, label)
        whole = first
        if method == GET and first.code == CONTENT:
            whole = await complete(entry.node, entry.remote, message, first, label=label, deadline=deadline)
        given = whole.opt.content_format
        return Answer(whole.code.dotted, whole.payload, None if given is None else int(given))

    # -- common parts

    def _message(self, method: Code, entry: Entry, path: Path, payload: bytes = b"") -> Message:
        message = Message(code=method, payload=payload)
        message.opt.uri_path = (*entry.registration.root, *path.segments)
        return message

    def _until(self, deadline: float | Deadline | None) -> Deadline:
        return Deadline.of(self._timeout if deadline is None else deadline)
