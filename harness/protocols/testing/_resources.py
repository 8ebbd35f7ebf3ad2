"""The CoAP server inside a stand-in: what it answers to an LwM2M server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from aiocoap.message import Message
from aiocoap.numbers.codes import CONTENT, CONTINUE, DELETE, FETCH, GET, POST, PUT, Code, iPATCH

from harness._deadline import Deadline
from harness._errors import CodecError
from harness.protocols.content import (
    ContentFormat,
    Link,
    Path,
    Value,
    decode,
    decode_paths,
    encode,
    encode_links,
)
from harness.protocols.objects import OBJECTS, definition_of, types_of
from harness.protocols.testing._machine import Component, Flash, Refused
from harness.protocols.update_rules import UpdateResult, UpdateState

__all__ = ["Faults", "Resources"]

_TYPES: Final = types_of(OBJECTS.values())
_FORMATS: Final = tuple(ContentFormat)
_ATTRIBUTES: Final = frozenset({"pmin", "pmax", "gt", "lt", "st", "epmin", "epmax", "edge", "con", "hqmax"})


@dataclass(slots=True)
class Faults:
    """How a stand-in misbehaves; all of it can be changed at any time.

    In general: ``hang`` names paths whose requests get an empty acknowledgement and
    nothing more, ``delay`` is the seconds it thinks before every answer,
    ``refused_formats`` are content formats it does not speak, ``max_block_size`` is the
    block size it asks for, ``refused_accounts`` are instances that a bootstrap server cannot write.

    In a pull: ``stall_pull_after`` stops asking after that many blocks since the boot. With ``stalls_queue``
    those that wait for a pull that fails wait for ever, and so do further ones.

    In a push: ``continue_at_end`` answers 2.31 to the last block,
    ``continue_without_block1`` leaves that option out, ``abandon_after`` hangs at the
    block of that number. A push that does not go on is given up after ``upload_seconds``;
    until then all other requests are refused.

    In an update: ``silent_update`` restarts before it answers, ``never_returns`` does
    not register again, ``keeps_old_version`` reports success without a new version,
    ``stale_result`` restarts without having done anything and still shows the success
    of an earlier update, ``rolls_back`` reports failure, ``defers`` puts it off.
    """

    hang: set[str] = field(default_factory=set)
    delay: float = 0.0
    refused_formats: set[int] = field(default_factory=set)
    max_block_size: int = 1024
    refused_accounts: set[str] = field(default_factory=set)
    stall_pull_after: int | None = None
    stalls_queue: bool = False
    continue_at_end: bool = False
    continue_without_block1: bool = False
    abandon_after: int | None = None
    upload_seconds: float = 300.0
    silent_update: bool = False
    never_returns: bool = False
    keeps_old_version: bool = False
    stale_result: bool = False
    rolls_back: bool = False
    defers: bool = False


@dataclass(slots=True)
class _Upload:
    path: Path
    data: bytearray
    ends: Deadline


class Resources:
    """Answers requests from flash, settings and faults; ``log`` keeps what was asked."""

    def __init__(
        self,
        flash: Flash,
        settings: dict[Path, Value],
        faults: Faults,
        on_update: Callable[[list[Component]], bool],
        on_pull: Callable[[Component], None],
        on_reboot: Callable[[], None],
        on_bootstrap: Callable[[], None] | None,
    ) -> None:
        self.log: list[tuple[str, str]] = []
        self._flash = flash
        self._settings = settings
        self._faults = faults
        self._on_update = on_update
        self._on_pull = on_pull
        self._on_reboot = on_reboot
        self._on_bootstrap = on_bootstrap
        self._upload: _Upload | None = None
        self._attributes: dict[Path, dict[str, str | None]] = {}
        self._observers: set[asyncio.Event] = set()

    def changed(self) -> None:
        """Let observers look again."""
        for event in self._observers:
            event.set()

    async def render_to_pipe(self, pipe: Any) -> None:
        """Answer one request; called by aiocoap."""
        request = pipe.request
        try:
            path = Path.of("/".join(request.opt.uri_path))
            self.log.append((request.code.name, str(path)))
            if str(path) in self._faults.hang:
                await asyncio.Future()
            if self._faults.delay:
                await asyncio.sleep(self._faults.delay)
            if request.code in (GET, FETCH) and request.opt.observe == 0:
                await self._notify(pipe, request, path)
                return
            answer = await self._answer(request, path)
        except Refused as refusal:
            answer = Message(code=_code(refusal.code))
        except (CodecError, ValueError):
            answer = Message(code=_code("4.00"))
        pipe.add_response(answer, is_last=True)
        self.changed()

    async def _notify(self, pipe: Any, request: Message, path: Path) -> None:
        look = asyncio.Event()
        self._observers.add(look)
        number = 0
        last = None
        try:
            while True:
                answer = self._read(request, path)
                if answer.payload != last:
                    last = answer.payload
                    answer.opt.observe = number
                    number += 1
                    pipe.add_response(answer, is_last=False)
                await look.wait()
                look.clear()
        finally:
            self._observers.discard(look)

    async def _answer(self, request: Message, path: Path) -> Message:
        self._end_abandoned_upload()
        if self._upload is not None and (request.code != PUT or path != self._upload.path):
            raise Refused("5.03")
        if request.code in (GET, FETCH):
            return self._read(request, path)
        if request.code == iPATCH and path == Path():
            self._set_all(decode(request.payload, int(request.opt.content_format or 0), path, _TYPES))
            return Message(code=_code("2.04"))
        if request.code == PUT and request.opt.uri_query:
            self._set_attributes(path, request.opt.uri_query)
            return Message(code=_code("2.04"))
        if request.code == PUT and path.resource_id is not None:
            return await self._put(request, path)
        if request.code == POST and path.resource_id is not None:
            return await self._execute(request, path)
        if request.code in (PUT, POST) and path.instance_id is not None:
            self._set(decode(request.payload, int(request.opt.content_format), path, _TYPES))
            return Message(code=_code("2.04"))
        raise Refused("4.05" if request.code in (DELETE, POST) else "4.04")

    # -- reading

    def values(self) -> dict[Path, Value]:
        """Return every readable resource."""
        values = dict(self._settings)
        for component in (self._flash.single, *self._flash.components):
            values |= self._flash.values(component)
        values[Path(3, 0, 3)] = self._flash.version
        return values

    def _read(self, request: Message, path: Path) -> Message:
        if request.code == GET:
            return self._get(request, path)
        given, wanted = request.opt.content_format, request.opt.accept
        if path != Path() or wanted is None or wanted in self._faults.refused_formats:
            raise Refused("4.06")
        if given not in (ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON):
            raise Refused("4.15")
        asked = decode_paths(request.payload, int(given))
        found = {at: v for at, v in self.values().items() if any(at in path for path in asked)}
        return self._slice(request, encode(found, int(wanted), Path(), _TYPES), int(wanted))

    def _get(self, request: Message, path: Path) -> Message:
        accept = request.opt.accept
        wanted = int(accept) if accept is not None else ContentFormat.TEXT
        if path.object_id is None or path.object_id == 0:
            raise Refused("4.01")
        found = {at: value for at, value in self.values().items() if at in path}
        definition = definition_of(path)
        multiple = definition is not None and definition.multiple
        if not found and not (multiple and path.object_id == 33629):
            raise Refused("4.05" if definition is not None and not definition.operations.read else "4.04")
        if wanted == ContentFormat.LINK:
            targets = sorted({path, *(Path(*at.ids[:3]) for at in found), *self._doers(path)}, key=_ids)
            payload = encode_links(Link(str(at), self._attributes.get(at, {})) for at in targets)
        elif wanted not in _FORMATS or wanted in self._faults.refused_formats:
            raise Refused("4.06")
        else:
            if wanted in (ContentFormat.TEXT, ContentFormat.OPAQUE) and path not in found:
                raise Refused("4.06")
            payload = encode(found, wanted, path, _TYPES)
        return self._slice(request, payload, wanted)

    def _doers(self, path: Path) -> Iterator[Path]:
        """Resources of update objects that have no value: Package, Update, Cancel."""
        for component in (self._flash.single, *self._flash.components):
            yield from (at for at in map(component.path.child, (0, 2, 10)) if at in path)

    def _slice(self, request: Message, payload: bytes, content_format: int) -> Message:
        block = request.opt.block2
        exponent = 6 if block is None else block.size_exponent
        offset = 0 if block is None else block.start
        size = 16 << exponent
        answer = Message(code=CONTENT, payload=payload[offset : offset + size])
        answer.opt.content_format = int(content_format)
        if offset or len(payload) > size:
            answer.opt.block2 = (offset // size, offset + size < len(payload), exponent)
        return answer

    # -- writing

    def _set_attributes(self, path: Path, queries: Iterable[str]) -> None:
        attributes = self._attributes.setdefault(path, {})
        for query in queries:
            name, equals, value = query.partition("=")
            if name not in _ATTRIBUTES or (equals and not re.fullmatch(r"-?\d+(\.\d+)?", value)):
                raise Refused("4.00")
            if equals:
                attributes[name] = value
            else:
                attributes.pop(name, None)

    def _set_all(self, values: dict[Path, Value]) -> None:
        """Write all or nothing: what cannot be written is found out first."""
        for at in values:
            definition = definition_of(at)
            if definition is None or not definition.operations.write:
                raise Refused("4.04" if definition is None else "4.05")
        self._set(values)

    def _set(self, values: dict[Path, Value]) -> None:
        for at, value in values.items():
            definition = definition_of(at)
            if definition is None:
                raise Refused("4.04")
            if not definition.operations.write:
                raise Refused("4.05")
            component = self._flash.at(at)
            if component is None:
                self._settings[at] = value
            elif at.resource_id == 11 and value in (0, 1, 2):
                component.severity = int(value)
            elif at.resource_id == 13 and isinstance(value, int) and value >= 0:
                component.defer_period = value
            elif at == Path(5, 0, 14) and isinstance(value, bool):
                component.automatic = value
            else:
                raise Refused("4.00")

    async def _put(self, request: Message, path: Path) -> Message:
        component = self._flash.at(path)
        if component is not None and path.resource_id == 0:
            return await self._package(request, path, component)
        given = request.opt.content_format
        content_format = ContentFormat.TEXT if given is None else int(given)
        if content_format in self._faults.refused_formats:
            raise Refused("4.15")
        values = decode(request.payload, content_format, path, _TYPES)
        if component is not None and path.resource_id == 1:
            uri = str(values[path])
            if uri:
                component.start_pull(uri, [protocol.scheme for protocol in self._flash.protocols])
                self._on_pull(component)
            else:
                component.reset()
        else:
            self._set(values)
        return Message(code=_code("2.04"))

    async def _package(self, request: Message, path: Path, component: Component) -> Message:
        block = request.opt.block1
        if block is None and self._upload is not None:
            raise Refused("5.03")
        if request.opt.content_format not in (None, ContentFormat.OPAQUE):
            raise Refused("4.15")
        if block is None or (block.block_number == 0 and not block.more):
            if request.payload == b"\x00":
                component.reset()
            else:
                self._check_push(component)
                component.take(request.payload)
            return Message(code=_code("2.04"))
        if block.block_number == 0 and self._upload is None:
            self._check_push(component)
            self._upload = _Upload(path, bytearray(), Deadline(self._faults.upload_seconds))
            component.become(UpdateState.DOWNLOADING, UpdateResult.INITIAL)
        upload = self._upload
        if upload is None or block.start != len(upload.data):
            raise Refused("4.08" if upload is None else "5.03")
        exponent = min(block.size_exponent, self._faults.max_block_size.bit_length() - 5)
        upload.data += request.payload
        upload.ends = Deadline(self._faults.upload_seconds)
        if self._faults.abandon_after is not None and block.block_number >= self._faults.abandon_after:
            await asyncio.Future()
        last = not block.more
        if last:
            self._upload = None
            component.take(bytes(upload.data))
            if component.automatic and component.state is UpdateState.DOWNLOADED:
                self._on_update(self._flash.start_update(component, ""))
        answer = Message(code=CONTINUE if not last or self._faults.continue_at_end else _code("2.04"))
        if not self._faults.continue_without_block1:
            answer.opt.block1 = (block.block_number, block.more, exponent)
        return answer

    def _end_abandoned_upload(self) -> None:
        if self._upload is not None and self._upload.ends.expired:
            component = self._flash.at(self._upload.path)
            assert component is not None
            component.become(UpdateState.IDLE, UpdateResult.CONNECTION_LOST)
            self._upload = None

    def _check_push(self, component: Component) -> None:
        component.check_push()
        if self._flash.pulling():
            raise Refused("4.05")

    # -- executing

    async def _execute(self, request: Message, path: Path) -> Message:
        component = self._flash.at(path)
        if path == Path(3, 0, 4):
            self._on_reboot()
        elif path == Path(1, 1, 9) and self._on_bootstrap is not None:
            self._on_bootstrap()
        elif component is not None and path.resource_id == 10:
            component.cancel()
        elif component is not None and path.resource_id == 2:
            arguments = request.payload.decode()
            chosen = self._flash.start_update(component, arguments, defers=self._faults.defers)
            if chosen and not self._on_update(chosen):
                await asyncio.Future()
        else:
            definition = definition_of(path)
            raise Refused("4.04" if definition is None else "4.05")
        return Message(code=_code("2.04"))

    @property
    def updating(self) -> bool:
        """True while any component updates."""
        return any(c.state is UpdateState.UPDATING for c in self._flash.components)


def _ids(path: Path) -> tuple[int, ...]:
    return path.ids


def _code(text: str) -> Code:
    family, _, detail = text.partition(".")
    return Code(int(family) << 5 | int(detail))
