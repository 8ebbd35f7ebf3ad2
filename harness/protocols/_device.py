"""Requests to a registered device: the LwM2M operations, blocking and bounded.

Source: OMA-TS-LightweightM2M_Core-V1_1, section 6.3, and section 6.4.3 of the transport
specification for the codes. Only the one code that means success counts as success.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

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
from harness.protocols._blockwise import Transfer, complete, push, refused, size_exponent
from harness.protocols._composite import CompositeRequests
from harness.protocols._observation import Observation
from harness.protocols._requests import Answer
from harness.protocols.content import ContentFormat, Link, Path, Value, decode_links, encode

__all__ = ["Answer", "Device"]

Composite = Mapping[int, Value]


class Device(CompositeRequests):
    """Operations on one device, addressed by its endpoint name.

    Every request goes to the registration that is current at its start. All methods
    take a ``deadline``, in seconds or running already, and raise

    * RequestError when the device answers with an error code,
    * DeadlineExceeded when it does not answer in time,
    * RegistrationError when it is not registered, or registers anew meanwhile,
    * CodecError when the answer cannot be read, ProtocolError when it makes no sense.
    """

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

    def push_block(
        self,
        path: str | Path,
        data: bytes,
        *,
        number: int,
        more: bool,
        block_size: int,
        deadline: float | Deadline | None = None,
    ) -> Answer:
        """Write one block of a body, whatever came before it: for tests of devices."""
        exponent = size_exponent(block_size)
        return self._loop.run(
            self._push_block, Path.of(path), data, (number, more, exponent), self._until(deadline)
        )

    async def _push_block(
        self, path: Path, data: bytes, block: tuple[int, bool, int], deadline: Deadline
    ) -> Answer:
        entry = self._book.current(self.endpoint)
        message = self._message(PUT, entry, path, data)
        message.opt.content_format = int(ContentFormat.OPAQUE)
        message.opt.block1 = block
        label = entry.label("PUT", path)
        answer = await entry.node.exchange(message, entry.remote, deadline, label, patient=True)
        return Answer(answer.code.dotted, answer.payload, None, entry.node.interface.repeated(message))

    def send_raw(self, message: bytes) -> None:
        """Send bytes as one message, whatever they are: for tests of devices. Raises RegistrationError."""
        self._loop.run(self._send_raw, message)

    async def _send_raw(self, message: bytes) -> None:
        entry = self._book.current(self.endpoint)
        entry.node.interface.transmit(message, entry.remote)

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
        answer = self.try_execute(path, arguments, deadline=deadline)
        if answer.code != "2.04":
            raise refused(answer.code, answer.payload, f"POST {path} on {self.endpoint!r}")

    def try_execute(
        self, path: str | Path, arguments: str = "", *, deadline: float | Deadline | None = None
    ) -> Answer:
        """Execute a resource and return the answer, whatever its code."""
        return self.request(
            "POST",
            path,
            payload=arguments.encode(),
            content_format=ContentFormat.TEXT if arguments else None,
            deadline=deadline,
        )

    def discover(self, path: str | Path, *, deadline: float | Deadline | None = None) -> tuple[Link, ...]:
        """List what there is at and below an object, an instance or a resource, with attributes."""
        answer = self.request("GET", path, accept=ContentFormat.LINK, deadline=deadline)
        if answer.code != "2.05":
            raise refused(answer.code, answer.payload, f"GET {path} on {self.endpoint!r}")
        return decode_links(answer.payload)

    def write_attributes(
        self,
        path: str | Path,
        attributes: Mapping[str, float | None],
        *,
        deadline: float | Deadline | None = None,
    ) -> None:
        """Set when the device notifies: ``pmin``, ``pmax`` (seconds), ``gt``, ``lt``, ``st`` and so on.

        None takes an attribute away. ValueError for names that cannot be attributes.
        """
        query = _attributes(attributes)
        answer = self.request("PUT", path, query=query, deadline=deadline)
        if answer.code != "2.04":
            raise refused(answer.code, answer.payload, f"PUT {path}?{'&'.join(query)} on {self.endpoint!r}")

    def observe(
        self,
        path: str | Path,
        *,
        attributes: Mapping[str, float | None] | None = None,
        deadline: float | Deadline | None = None,
    ) -> Observation:
        """Observe a resource, or an instance; the present value is the first in the queue.

        Resources give values as :meth:`read` does, instances a dict by full path. ``attributes`` are
        for this observation only, which LwM2M 1.2 knows; see :meth:`write_attributes`.
        """
        query = _attributes(attributes or {})
        return self._loop.run(self._observe, Path.of(path), query, self._until(deadline))

    async def _observe(self, path: Path, query: tuple[str, ...], deadline: Deadline) -> Observation:
        entry = self._book.current(self.endpoint)
        accept = self._formats(path, entry)[0]

        def value(message: Message) -> Any:
            values = self._decode(path, accept, message)
            return self._shape(path, values) if path.resource_id is not None else values

        request = self._message(GET, entry, path)
        request.opt.accept = int(accept)
        request.opt.observe = 0
        request.opt.uri_query = query
        observation = Observation(self._loop, str(path), value)
        await observation.open(entry, request, entry.label("observe", path), deadline)
        return observation


def _attributes(attributes: Mapping[str, float | None]) -> tuple[str, ...]:
    for name in attributes:
        if not (name.isascii() and name.isalnum()):
            raise ValueError(f"{name!r} is no attribute such as pmin")
    return tuple(name if value is None else f"{name}={value:g}" for name, value in attributes.items())
