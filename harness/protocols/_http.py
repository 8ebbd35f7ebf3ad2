"""Published files over HTTP and HTTPS.

Source: RFC 9110 sections 13 (conditional requests) and 14 (ranges): what clients need
to go on with a download that was cut off, and to notice that the file has changed.
"""

from __future__ import annotations

import re
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from harness._errors import PortError
from harness.protocols._publication import HttpRequest, Publication

__all__ = ["HttpFiles"]

_IDLE_SECONDS: Final = 60.0
_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")
_CHUNK: Final = 16384


class HttpFiles:
    """An HTTP/1.1 server for published files, with a thread for each connection.

    ``reject`` is told who was refused: address, a few words for counting, why.
    """

    def __init__(
        self,
        publications: dict[tuple[str, ...], Publication],
        host: str,
        port: int,
        reject: Callable[[str, str, str], object],
        security: ssl.SSLContext | None = None,
    ) -> None:
        try:
            self._server = _Server((host, port), publications, reject, security)
        except OSError as problem:
            raise PortError(
                f"cannot listen for HTTP: {problem}",
                where=f"tcp {host}:{port}",
                remedy="let the system choose: port 0",
            ) from problem
        self.address: tuple[str, int] = self._server.server_address[:2]  # type: ignore[assignment]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="http files")
        self._thread.start()

    def close(self) -> None:
        """End all connections and the threads."""
        self._server.shutdown()
        self._server.end_connections()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        publications: dict[tuple[str, ...], Publication],
        reject: Callable[[str, str, str], object],
        security: ssl.SSLContext | None,
    ) -> None:
        self.publications = publications
        self._reject = reject
        self._security = security
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[Any, Any]:
        """Take a connection; the handshake is for its own thread."""
        connection, address = super().get_request()
        connection.settimeout(_IDLE_SECONDS)
        if self._security is not None:
            connection = self._security.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        with self._guard:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        """Wake all threads that wait for their clients."""
        with self._guard:
            connections = tuple(self._open)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  the base class's name
        """Take a client that went away, or is none, for what it is."""
        self.reject(client_address, "connection", str(sys.exception()))

    def reject(self, address: Any, kind: str, reason: str) -> None:
        """Tell that somebody was refused."""
        scheme = "http" if self._security is None else "https"
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        self._reject(f"{scheme}://{host}:{address[1]}", f"{scheme} {kind}", reason)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "harness"
    sys_version = ""

    def setup(self) -> None:
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        super().setup()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Say nothing: what was asked is kept with the file."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self.server.reject(self.client_address, str(int(code)), message or "")
        super().send_error(code, message, explain)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        path = tuple(filter(None, self.path.partition("?")[0].split("/")))
        publication = self.server.publications.get(path)
        if publication is None or publication.closed:
            self.server.reject(self.client_address, "404", f"{self.command} {self.path}")
            self._status(HTTPStatus.NOT_FOUND)
            return
        get = self.headers.get
        asked = HttpRequest(self.command, get("Range"), get("If-Match"), get("If-None-Match"))
        data, etag, faults = publication.http_asked(asked)
        if faults.status is not None:
            self._status(HTTPStatus(faults.status))
            return
        tag = {"strong": f'"{etag.hex()}"', "weak": f'W/"{etag.hex()}"', "none": None}[faults.etag]
        if asked.if_match is not None and not _matches(asked.if_match, tag, strong=True):
            self._status(HTTPStatus.PRECONDITION_FAILED)
            return
        if asked.if_none_match is not None and _matches(asked.if_none_match, tag, strong=False):
            self._status(HTTPStatus.NOT_MODIFIED, tag)
            return
        if_range = get("If-Range")
        fits = faults.ranges and (if_range is None or _matches(if_range, tag, strong=True))
        wanted = _range(asked.range, len(data)) if fits and asked.range is not None else None
        first, last = wanted or (0, len(data) - 1)
        if wanted is not None and first > last:
            self.send_response(HTTPStatus(416))
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self._end_headers(0, tag)
            return
        part = data[first : last + 1]
        self.send_response(HTTPStatus.OK if wanted is None else HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Type", "application/octet-stream")
        if faults.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if wanted is not None:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self._end_headers(len(part), tag)
        if body:
            self._send(publication, part, first, faults.cut_after)

    def _send(self, publication: Publication, part: bytes, first: int, cut_after: int | None) -> None:
        limit = len(part) if cut_after is None else min(len(part), cut_after)
        for at in range(0, limit, _CHUNK):
            chunk = part[at : min(at + _CHUNK, limit)]
            publication.note_served(first + at, len(chunk))
            self.wfile.write(chunk)
        if limit < len(part):
            self.wfile.flush()
            self.close_connection = True

    def _status(self, status: HTTPStatus, tag: str | None = None) -> None:
        self.send_response(status)
        self._end_headers(0, tag)

    def _end_headers(self, length: int, tag: str | None) -> None:
        if tag is not None:
            self.send_header("ETag", tag)
        self.send_header("Content-Length", str(length))
        self.end_headers()


def _matches(wanted: str, tag: str | None, *, strong: bool) -> bool:
    """Compare entity tags (RFC 9110 section 8.8.3.2): a weak one is never strongly equal to anything."""
    tags = [text.strip() for text in wanted.split(",")]
    if "*" in tags:
        return True
    if tag is None:
        return False
    if strong:
        return not tag.startswith("W/") and tag in tags
    return tag.removeprefix("W/") in {text.removeprefix("W/") for text in tags}


def _range(text: str, size: int) -> tuple[int, int] | None:
    """Return first and last byte of one range, None for what is no single range of bytes."""
    match = _RANGE.fullmatch(text.strip())
    if (
        match is None
        or not (match[1] or match[2])
        or (match[1] and match[2] and int(match[1]) > int(match[2]))
    ):
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size - 1 if int(match[2]) else -1
    return int(match[1]), min(int(match[2]), size - 1) if match[2] else size - 1
