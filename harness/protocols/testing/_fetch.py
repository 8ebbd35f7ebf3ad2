"""How a stand-in fetches images: over CoAP, HTTP, and CoAP in TCP."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import ssl
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from aiocoap import error
from aiocoap.credentials import TLSCert
from aiocoap.message import Message
from aiocoap.numbers.codes import CONTENT, GET
from aiocoap.protocol import Context

from harness.protocols.testing._machine import Component
from harness.protocols.update_rules import UpdateResult, UpdateState

__all__ = ["fetch_coap", "fetch_http", "fetch_tcp", "get_tcp"]

_SECONDS: Final = 5.0
_CHUNK: Final = 4096
_BLOCK_EXPONENT: Final = 6
_FRUITLESS_MAX: Final = 3


async def fetch_coap(
    component: Component, exchange: Callable[[Message], Awaitable[Message]], stall_after: int | None
) -> UpdateResult | None:
    """Fetch an image over CoAP, asking for no more after ``stall_after`` blocks; None if it is there."""
    path = tuple(filter(None, urlsplit(component.uri).path.split("/")))
    exponent = _BLOCK_EXPONENT
    for number in itertools.count():
        if number == stall_after:
            await asyncio.Future()
        message = Message(code=GET)
        message.opt.uri_path = path
        message.opt.block2 = (len(component.fetched) >> (exponent + 4), False, exponent)
        answer = await exchange(message)
        if component.state is not UpdateState.DOWNLOADING:
            break
        if answer.code != CONTENT:
            return UpdateResult.INVALID_URI
        if component.etag not in (None, answer.opt.etag):
            component.fetched.clear()
            component.etag = None
            continue
        component.etag = answer.opt.etag
        component.fetched += answer.payload
        block = answer.opt.block2
        if block is None or not block.more:
            break
        exponent = block.size_exponent
    return None


async def fetch_http(component: Component, trusted: bytes | None) -> UpdateResult | None:
    """Fetch an image, going on after every interruption as long as something comes; None if all is well.

    ``trusted`` is the certificate to trust, PEM. Without one, https is not supported.
    """
    context = None
    if urlsplit(component.uri).scheme == "https":
        if trusted is None:
            return UpdateResult.UNSUPPORTED_PROTOCOL
        context = ssl.create_default_context(cadata=trusted.decode())
    fruitless = 0
    while fruitless < _FRUITLESS_MAX and component.state is UpdateState.DOWNLOADING:
        before = len(component.fetched)
        done, result = await asyncio.to_thread(_ask, component, context)
        if done:
            return result
        fruitless = 0 if len(component.fetched) > before else fruitless + 1
    return UpdateResult.CONNECTION_LOST


def _ask(component: Component, context: ssl.SSLContext | None) -> tuple[bool, UpdateResult | None]:
    """Ask once; return whether that was the end, and the result if it was a bad one."""
    parts = urlsplit(component.uri)
    connection: http.client.HTTPConnection
    if context is None:
        connection = http.client.HTTPConnection(parts.netloc, timeout=_SECONDS)
    else:
        connection = http.client.HTTPSConnection(parts.netloc, timeout=_SECONDS, context=context)
    headers = {}
    if component.fetched and component.etag is not None:
        headers = {"Range": f"bytes={len(component.fetched)}-", "If-Match": component.etag.decode()}
    else:
        component.fetched.clear()
    try:
        connection.request("GET", parts.path, headers=headers)
        answer = connection.getresponse()
        if answer.status == http.HTTPStatus.PRECONDITION_FAILED:
            component.fetched.clear()
            component.etag = None
            return False, None
        if answer.status not in (http.HTTPStatus.OK, http.HTTPStatus.PARTIAL_CONTENT):
            gone = 400 <= answer.status < 500
            return True, UpdateResult.INVALID_URI if gone else UpdateResult.CONNECTION_LOST
        if answer.status == http.HTTPStatus.OK:
            component.fetched.clear()
        tag = answer.getheader("ETag")
        component.etag = None if tag is None or tag.startswith("W/") else tag.encode()
        missing = int(answer.getheader("Content-Length") or 0)
        while missing and component.state is UpdateState.DOWNLOADING:
            chunk = answer.read(min(_CHUNK, missing))
            if not chunk:
                return False, None
            component.fetched += chunk
            missing -= len(chunk)
        return True, None
    except ssl.SSLError:
        return True, UpdateResult.CONNECTION_LOST
    except (OSError, http.client.HTTPException):
        return False, None
    finally:
        connection.close()


async def fetch_tcp(component: Component) -> UpdateResult | None:
    """Fetch an image over CoAP in TCP; None if all is well."""
    try:
        answer = await get_tcp(component.uri)
    except (error.Error, OSError, TimeoutError):
        return UpdateResult.CONNECTION_LOST
    if answer.code != CONTENT:
        return UpdateResult.INVALID_URI
    component.fetched[:] = answer.payload
    return None


async def get_tcp(uri: str, *, trusted_file: str | None = None) -> Message:
    """Send a GET over CoAP in TCP, or in TLS with a file of certificates to trust, and return the answer.

    Raises aiocoap's errors, OSError and TimeoutError.
    """
    secure = trusted_file is not None
    context = await Context.create_client_context(transports=["tlsclient" if secure else "tcpclient"])
    if secure:
        context.client_credentials[f"coaps+tcp://{urlsplit(uri).netloc}/*"] = TLSCert(trusted_file)
    try:
        request = context.request(Message(code=GET, uri=uri))
        async with asyncio.timeout(_SECONDS):
            return await request.response
    finally:
        (tokens,) = context.request_interfaces
        connections = tuple(tokens.token_interface._pool.values())
        await context.shutdown()
        for connection in connections:
            # aiocoap says good-bye, and leaves the rest to the other side.
            if connection._transport is not None:
                connection._transport.abort()
        await asyncio.sleep(0)
