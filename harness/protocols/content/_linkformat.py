"""Link format: what a device registers and what it answers to Discover.

Sources: RFC 6690 section 2; OMA-TS-LightweightM2M_Core-V1_1, sections 6.2.1 and 7.4.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from harness._errors import CodecError

__all__ = ["Link", "decode_links", "encode_links"]

_TARGET: Final = re.compile(r"\s*<([^>]*)>")
_ATTRIBUTE: Final = re.compile(r"\s*;\s*([^\s=;,]+)\s*(?:=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;,\"]*)))?")
_SEPARATOR: Final = re.compile(r"\s*(,|$)")
_BARE: Final = re.compile(r"[!#$%&'()*+\-./:<=>?@\[\]^_`{|}~0-9A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Link:
    """One link. An attribute without a value, such as ``obs``, has None."""

    target: str
    attributes: Mapping[str, str | None] = field(default_factory=dict)


def decode_links(payload: bytes) -> tuple[Link, ...]:
    """Read link format. Raises CodecError."""
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise CodecError("links are not UTF-8", where=f"offset {error.start}") from error
    links = []
    at = 0
    while text[at:].strip():
        target = _TARGET.match(text, at)
        if target is None:
            raise _bad(text, at)
        at = target.end()
        attributes: dict[str, str | None] = {}
        while attribute := _ATTRIBUTE.match(text, at):
            name, quoted, bare = attribute.groups()
            value = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if quoted is not None else bare
            attributes.setdefault(name, value)
            at = attribute.end()
        links.append(Link(target[1], attributes))
        separator = _SEPARATOR.match(text, at)
        if separator is None:
            raise _bad(text, at)
        at = separator.end()
    return tuple(links)


def encode_links(links: Iterable[Link]) -> bytes:
    """Write link format; values are quoted unless they are plain tokens."""
    return ",".join(f"<{link.target}>{_attributes(link)}" for link in links).encode()


def _attributes(link: Link) -> str:
    return "".join(f";{name}{_value(value)}" for name, value in link.attributes.items())


def _value(value: str | None) -> str:
    if value is None:
        return ""
    if _BARE.fullmatch(value):
        return f"={value}"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'="{escaped}"'


def _bad(text: str, at: int) -> CodecError:
    return CodecError("not in link format", where=f"offset {at}", found=repr(text[at : at + 40]))
