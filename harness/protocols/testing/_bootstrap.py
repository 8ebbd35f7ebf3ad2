"""The bootstrap interface of a stand-in: what it lets a bootstrap server do.

Source: OMA-TS-LightweightM2M_Core-V1_1, section 6.1.7, and 6.4.2 of the transport specification.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from aiocoap.message import Message
from aiocoap.numbers.codes import (
    BAD_REQUEST,
    CHANGED,
    CONTENT,
    DELETE,
    DELETED,
    GET,
    METHOD_NOT_ALLOWED,
    NOT_ACCEPTABLE,
    POST,
    PUT,
)

from harness._errors import CodecError
from harness.protocols.content import ContentFormat, Link, Path, Value, decode, encode_links
from harness.protocols.objects import OBJECTS, types_of

__all__ = ["Accounts", "BootstrapSite"]

_TYPES: Final = types_of(OBJECTS.values())
_OWN: Final = Path(0, 0)


class Accounts:
    """Objects 0 and 1, as they are in flash: which servers the stand-in knows.

    Instance /0/0 is the bootstrap server's account; nobody but its owner touches it.
    """

    def __init__(self) -> None:
        self.values: dict[Path, Value] = {}

    @property
    def instances(self) -> list[Path]:
        """Object instances that were written."""
        return sorted({Path(*at.ids[:2]) for at in self.values}, key=lambda path: path.ids)

    def get(self, path: Path, kind: type[Any]) -> Any:
        """Return a value if it is there and of a kind; else an empty one."""
        value = self.values.get(path)
        return value if isinstance(value, kind) else kind()

    def server(self) -> tuple[str, tuple[str, bytes] | None, int] | None:
        """Return URI, identity with key, and lifetime of a server with both of its instances."""
        for security in (path for path in self.instances if path.object_id == 0):
            short_id = self.get(security.child(10), int)
            for server in (path for path in self.instances if path.object_id == 1):
                if self.get(server.child(0), int) != short_id:
                    continue
                uri = self.get(security.child(0), str)
                identity = self.get(security.child(3), bytes).decode(errors="replace")
                psk = (identity, self.get(security.child(5), bytes)) if uri.startswith("coaps") else None
                return uri, psk, self.get(server.child(1), int)
        return None


class BootstrapSite:
    """Answers a bootstrap server's requests; ``finished`` is called when it says that it is through.

    ``refuses`` are paths whose Write is answered 4.00.
    """

    def __init__(self, accounts: Accounts, refuses: set[str], finished: Callable[[], object]) -> None:
        self._accounts = accounts
        self._refuses = refuses
        self._finished = finished

    async def render_to_pipe(self, pipe: Any) -> None:
        """Answer one request; called by aiocoap."""
        pipe.add_response(self._answer(pipe.request), is_last=True)

    def _answer(self, request: Message) -> Message:
        segments = tuple(filter(None, request.opt.uri_path))
        if segments == ("bs",):
            return self._finish() if request.code == POST else Message(code=METHOD_NOT_ALLOWED)
        try:
            path = Path.of("/".join(segments))
            if request.code == PUT and path.instance_id is not None:
                return self._write(path, request)
        except (CodecError, ValueError):
            return Message(code=BAD_REQUEST)
        if request.code == DELETE and path.resource_id is None:
            values = self._accounts.values
            for at in [at for at in values if at in path]:
                del values[at]
            return Message(code=DELETED)
        if request.code == GET and request.opt.accept == ContentFormat.LINK and path.instance_id is None:
            found = [_OWN, *self._accounts.instances]
            links = [Link("/", {"lwm2m": "1.1"}), *(Link(str(at)) for at in found if at in path)]
            answer = Message(code=CONTENT, payload=encode_links(links))
            answer.opt.content_format = int(ContentFormat.LINK)
            return answer
        return Message(code=METHOD_NOT_ALLOWED)

    def _write(self, path: Path, request: Message) -> Message:
        if path in _OWN or str(path) in self._refuses:
            return Message(code=BAD_REQUEST)
        given = request.opt.content_format
        found = decode(request.payload, ContentFormat.TLV if given is None else int(given), path, _TYPES)
        self._accounts.values |= found
        return Message(code=CHANGED)

    def _finish(self) -> Message:
        if self._accounts.server() is None:
            return Message(code=NOT_ACCEPTABLE)
        self._finished()
        return Message(code=CHANGED)
