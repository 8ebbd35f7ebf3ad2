"""Single values: text/plain and application/octet-stream.

Source: OMA-TS-LightweightM2M_Core-V1_1, sections 7.4.1 and 7.4.2. Opaque values in
text are base64.
"""

from __future__ import annotations

import base64

from harness._errors import CodecError
from harness.protocols.content._values import ObjectLink, ResourceType, Value, conform

__all__ = ["decode_text", "encode_text"]


def encode_text(value: Value) -> bytes:
    """Return the text form of a value."""
    if isinstance(value, bool):
        return b"1" if value else b"0"
    if isinstance(value, bytes):
        return base64.b64encode(value)
    return (repr(value) if isinstance(value, float) else str(value)).encode()


def decode_text(payload: bytes, kind: ResourceType | None) -> Value:
    """Read a value of the type ``kind`` from its text; without a type it stays a string.

    Raises CodecError.
    """
    try:
        text = payload.decode()
        match kind:
            case None | ResourceType.STRING:
                return text
            case ResourceType.BOOLEAN:
                return {"0": False, "1": True}[text]
            case ResourceType.FLOAT:
                return float(text)
            case ResourceType.OPAQUE:
                return base64.b64decode(text, validate=True)
            case ResourceType.OBJLNK:
                return ObjectLink.parse(text)
            case _:
                return conform(int(text), kind)
    except (ValueError, KeyError) as error:
        raise CodecError(
            f"the text is no {kind.value if kind else 'UTF-8'}",
            found=repr(payload) if len(payload) <= 40 else f"{len(payload)} bytes",
        ) from error
