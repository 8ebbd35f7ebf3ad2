"""Operations on several paths at once: Read-Composite, Write-Composite, Observe-Composite.

Source: OMA-TS-LightweightM2M_Core-V1_1, sections 6.3.8 to 6.3.10 and 6.4.4; FETCH and
iPATCH are those of RFC 8132.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from aiocoap.message import Message
from aiocoap.numbers.codes import (
    CHANGED,
    CONTENT,
    FETCH,
    NOT_ACCEPTABLE,
    UNSUPPORTED_CONTENT_FORMAT,
    iPATCH,
)

from harness._deadline import Deadline
from harness._errors import CodecError
from harness.protocols._blockwise import complete, refused
from harness.protocols._observation import Observation
from harness.protocols._registry import Entry
from harness.protocols._requests import DeviceRequests
from harness.protocols.content import ContentFormat, Path, Value, encode, encode_paths

__all__ = ["CompositeRequests"]

_FORMATS: Final = (ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON, ContentFormat.LWM2M_CBOR)


class CompositeRequests(DeviceRequests):
    """Requests whose body names their paths. All raise what :class:`Device` says."""

    def read_composite(
        self, paths: Iterable[str | Path], *, deadline: float | Deadline | None = None
    ) -> dict[Path, Value]:
        """Read whatever lies at or below several paths, of several objects if need be, at one time.

        What does not exist is missing in the result. ValueError without paths.
        """
        asked = _paths(paths)
        return self._loop.run(self._read_composite, asked, self._until(deadline))

    async def _read_composite(self, paths: tuple[Path, ...], deadline: Deadline) -> dict[Path, Value]:
        entry = self._book.current(self.endpoint)
        label = entry.label("FETCH", _names(paths))

        def request(content_format: int) -> Message:
            return self._fetch(entry, paths, content_format)

        message, answer = await self._first_accepted(entry, request, deadline, label)
        if answer.code != CONTENT:
            raise refused(answer.code.dotted, answer.payload, label)
        whole = await complete(entry.node, entry.remote, message, answer, label=label, deadline=deadline)
        return self._decode_composite(paths, whole)

    def write_composite(
        self, values: Mapping[str | Path, Value], *, deadline: float | Deadline | None = None
    ) -> None:
        """Write resources of any instances together; the device takes all of them or none."""
        self._loop.run(
            self._write_composite, {Path.of(p): v for p, v in values.items()}, self._until(deadline)
        )

    async def _write_composite(self, values: Mapping[Path, Value], deadline: Deadline) -> None:
        entry = self._book.current(self.endpoint)
        label = entry.label("iPATCH", _names(values))

        def request(content_format: int) -> Message:
            body = encode(values, content_format, Path(), self._types)
            message = self._message(iPATCH, entry, Path(), body)
            message.opt.content_format = content_format
            return message

        _, answer = await self._first_accepted(entry, request, deadline, label)
        if answer.code != CHANGED:
            raise refused(answer.code.dotted, answer.payload, label)

    def observe_composite(
        self, paths: Iterable[str | Path], *, deadline: float | Deadline | None = None
    ) -> Observation:
        """Observe several paths together; every value in the queue is a dict by full path."""
        return self._loop.run(self._observe_composite, _paths(paths), self._until(deadline))

    async def _observe_composite(self, paths: tuple[Path, ...], deadline: Deadline) -> Observation:
        entry = self._book.current(self.endpoint)
        message = self._fetch(entry, paths, self._composite_formats(entry)[0])
        message.opt.observe = 0
        observation = Observation(
            self._loop, _names(paths), lambda answer: self._decode_composite(paths, answer)
        )
        await observation.open(entry, message, entry.label("observe", _names(paths)), deadline)
        return observation

    # -- common parts

    def _fetch(self, entry: Entry, paths: tuple[Path, ...], content_format: int) -> Message:
        message = self._message(FETCH, entry, Path(), encode_paths(paths, content_format))
        message.opt.content_format = message.opt.accept = content_format
        return message

    async def _first_accepted(
        self, entry: Entry, request: Callable[[int], Message], deadline: Deadline, label: str
    ) -> tuple[Message, Message]:
        """Try content formats until the device takes one; return the request and its answer."""
        formats = self._composite_formats(entry)
        for content_format in formats:
            message = request(content_format)
            answer = await entry.node.exchange(message, entry.remote, deadline, label)
            unknown = answer.code in (NOT_ACCEPTABLE, UNSUPPORTED_CONTENT_FORMAT)
            if not unknown or content_format == formats[-1]:
                break
            entry.refused_formats.add(content_format)
        return message, answer

    def _composite_formats(self, entry: Entry) -> list[int]:
        offered = entry.registration.formats
        order = sorted(_FORMATS, key=lambda f: (f in entry.refused_formats, f not in offered))
        return [int(f) for f in order]

    def _decode_composite(self, paths: tuple[Path, ...], answer: Message) -> dict[Path, Value]:
        given = answer.opt.content_format
        if given is None:
            raise CodecError("an answer without a content format", where=_names(paths))
        values = self._decode(Path(), int(given), answer)
        return {at: value for at, value in values.items() if any(at in path for path in paths)}


def _paths(paths: Iterable[str | Path]) -> tuple[Path, ...]:
    found = tuple(map(Path.of, paths))
    if not found:
        raise ValueError("at least one path is needed")
    return found


def _names(paths: Iterable[Path]) -> str:
    return " ".join(map(str, paths))
