"""Fuzzing of everything that reads bytes of strangers, guided by coverage (atheris, extra ``fuzz``).

``python tests/protocols/fuzz_codecs.py TARGET [-max_total_time=60 and other options of libFuzzer]``; without
a target it lists them. What is found becomes an example in `test_fuzz_targets.py`, which also sees that this
still runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

if __name__ == "__main__" and len(sys.argv) > 1:
    import atheris

    instrumented = atheris.instrument_imports(include=["harness", "aiocoap"])
else:
    instrumented = nullcontext()

with instrumented:
    from aiocoap import error
    from aiocoap.message import Message

    from harness._errors import CodecError
    from harness.protocols import OBJECTS, ContentFormat, Path
    from harness.protocols._dtls_session import _datagrams, epochs, record_kind
    from harness.protocols._registry import _read_objects
    from harness.protocols.content import (
        decode,
        decode_links,
        decode_paths,
        encode,
        encode_links,
        encode_paths,
    )
    from harness.protocols.objects import types_of
    from harness.protocols.slipmux import CoapFrame, Decoder, encode_coap

TYPES = types_of(OBJECTS.values())
PATHS = [
    Path.of(text)
    for text in ("/", "/3", "/3/0", "/3/0/11", "/3/0/11/0", "/5/0/0", "/33629/1/13", "/33629/0/17")
]


def values(content_format: int, data: bytes) -> None:
    """What was read can be written, and is then read again as it was."""
    path = PATHS[data[0] % len(PATHS)] if data else PATHS[0]
    try:
        found = decode(data[1:], content_format, path, TYPES)
    except CodecError:
        return
    if not found or any(value != value for value in found.values()):  # noqa: PLR0124 - not a number
        return
    again = encode(found, content_format, path, TYPES)
    assert decode(again, content_format, path, TYPES) == found, again


def paths(content_format: int, data: bytes) -> None:
    """Paths of composite requests."""
    try:
        found = decode_paths(data, content_format)
    except CodecError:
        return
    if found:
        assert decode_paths(encode_paths(found, content_format), content_format) == found


def links(data: bytes) -> None:
    """Link format."""
    try:
        found = decode_links(data)
    except CodecError:
        return
    assert decode_links(encode_links(found)) == found


def registration(data: bytes) -> None:
    """The list of objects in a registration."""
    try:
        _read_objects(decode_links(data))
    except (CodecError, ValueError):
        return


def slipmux(data: bytes) -> None:
    """Frames are the same however they are cut; those that hold a message are what would be sent for it."""
    whole = Decoder().feed(data)
    decoder = Decoder()
    parts = [event for n in range(len(data)) for event in decoder.feed(data[n : n + 1])]
    messages = [event.message for event in whole if isinstance(event, CoapFrame)]
    assert messages == [event.message for event in parts if isinstance(event, CoapFrame)]
    for message in messages:
        assert Decoder().feed(encode_coap(message)) == [CoapFrame(message)]


def coap(data: bytes) -> None:
    """A message from the network: nothing but what the transport expects is raised."""
    try:
        message = Message.decode(data)
        message.opt.option_list()
    except (error.UnparsableMessage, ValueError, LookupError, AssertionError):
        return
    _ = message.opt.block1, message.opt.block2, message.opt.uri_path, message.opt.content_format


def dtls(data: bytes) -> None:
    """Heads of DTLS records."""
    record_kind(data)
    epochs(data)
    assert b"".join(_datagrams(data)) == data[: sum(map(len, _datagrams(data)))]


TARGETS: dict[str, Callable[[bytes], None]] = {
    **{
        form.name.lower(): partial(values, int(form))
        for form in ContentFormat
        if form is not ContentFormat.LINK
    },
    "paths_senml_cbor": partial(paths, int(ContentFormat.SENML_CBOR)),
    "paths_senml_json": partial(paths, int(ContentFormat.SENML_JSON)),
    "links": links,
    "registration": registration,
    "slipmux": slipmux,
    "coap": coap,
    "dtls": dtls,
}


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"one of: {', '.join(TARGETS)}")
    atheris.Setup(sys.argv, TARGETS[sys.argv.pop(1)])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
