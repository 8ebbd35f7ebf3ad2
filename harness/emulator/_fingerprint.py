"""Whether two machines would do the same from here on, without comparing them byte by byte."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

from ._memory import Ram
from ._peripheral import Peripheral

__all__ = ["digest_of"]

_CHUNK: Final = 4096
_NOTHING: Final = bytes(_CHUNK)


def digest_of(ram: Ram, registers: bytes, devices: Iterable[Peripheral], rest: Sequence[Any]) -> bytes:
    """Digest of RAM, core registers, device state and ``rest``, which is told apart by its ``repr``.

    Counters of running clocks are left out. Most of the RAM is zero and costs next to nothing.
    """
    digest = hashlib.sha256(registers)
    content = bytes(ram.view)
    for start in range(0, ram.size, _CHUNK):
        chunk = content[start : start + _CHUNK]
        if chunk != _NOTHING:
            digest.update(start.to_bytes(4, "little"))
            digest.update(chunk)
    states = []
    for device in devices:
        digest.update(device.changed_words())
        states.append((device.clocked, device.timeless()))
    parts = [_sorted(part) for part in rest]
    digest.update(repr((states, parts)).encode())
    return digest.digest()


def _sorted(value: Any) -> Any:
    """Sets in an order of their own."""
    if isinstance(value, tuple | list):
        return [_sorted(part) for part in value]
    return sorted(value) if isinstance(value, frozenset | set) else value
