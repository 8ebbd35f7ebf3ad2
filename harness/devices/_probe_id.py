"""Ids of debug probes, in the one form that locks and the bench go by.

A probe behind pyOCD's probe server is ``remote:HOST[:PORT]``; every other id is taken as it is.
"""

from __future__ import annotations

import re
from typing import Final

from .._errors import ProbeError

__all__ = ["DEFAULT_PORT", "probe_id", "server_address"]

#: of `pyocd server` (pyOCD 0.46, TCPClientProbe.DEFAULT_PORT)
DEFAULT_PORT: Final = 5555
_REMOTE: Final = "remote:"
_ADDRESS: Final = re.compile(
    r"(?:\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|([^\s:\[\]]+))(?::([0-9]{1,5}))?", re.ASCII
)


def server_address(probe: str) -> tuple[str, int] | None:
    """Host and port of the probe server in a probe's id; ``None`` if the probe is not behind one.

    Raises:
        ProbeError: it begins with ``remote:`` and goes on with something else than an address.
    """
    if probe[: len(_REMOTE)].lower() != _REMOTE:
        return None
    match = _ADDRESS.fullmatch(probe[len(_REMOTE) :])
    port = int(match[3] or DEFAULT_PORT) if match else 0
    if match is None or not 0 < port < 1 << 16:
        raise ProbeError(
            "no address of a probe server",
            where=probe,
            expected="remote:HOST, remote:HOST:PORT or remote:[IPV6]:PORT",
            remedy=f"write host and port of the 'pyocd server'; without a port it is {DEFAULT_PORT}",
        )
    return (match[1] or match[2]).lower(), port


def probe_id(text: str) -> str:
    """The id as locks know it: one spelling for each address of a probe server. Raises `ProbeError`."""
    address = server_address(text)
    if address is None:
        return text
    host, port = address
    return f"{_REMOTE}[{host}]:{port}" if ":" in host else f"{_REMOTE}{host}:{port}"
