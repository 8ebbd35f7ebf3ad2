"""One DTLS 1.2 association, on OpenSSL by way of pyOpenSSL: datagrams in, datagrams out. No sockets.

pyOpenSSL has no call for pre-shared keys, so two callbacks are set through its C library; that
and the memory BIOs are why its series is pinned.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from typing import Any, Final, cast

from OpenSSL import SSL
from OpenSSL.crypto import X509

from harness._errors import CodecError
from harness.protocols.certificates import ServerCertificate

__all__ = ["ClientContext", "DtlsSession", "ServerContext", "epochs", "reason_of", "record_kind"]

#: the mandatory suites of LwM2M 1.1 first; CCM with short tags counts as weak for OpenSSL
_CIPHERS: Final = (
    b"PSK-AES128-CCM8:PSK-AES128-CBC-SHA256:PSK-AES128-CCM:PSK-AES128-GCM-SHA256:PSK-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-AES128-CCM8:ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:"
    b"ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0"
)
_MTU: Final = 1400
_APPLICATION_DATA: Final = 23
_RECORD: Final = 13

_lib, _ffi = cast("Any", SSL)._lib, cast("Any", SSL)._ffi


def record_kind(datagram: bytes) -> tuple[int, int] | None:
    """Return content type and epoch of the first record; None for what is no DTLS."""
    if len(datagram) < _RECORD or datagram[0] not in range(20, 27) or datagram[1] != 0xFE:
        return None
    return datagram[0], int.from_bytes(datagram[3:5], "big")


def epochs(datagram: bytes) -> list[int]:
    """Return the epochs of all records in a datagram: 0 before encryption, more after it."""
    found, at = [0], 0
    while at + _RECORD <= len(datagram):
        found.append(int.from_bytes(datagram[at + 3 : at + 5], "big"))
        at += _RECORD + int.from_bytes(datagram[at + 11 : at + 13], "big")
    return found


def _context(certificate: ServerCertificate | None, trusted: bytes | None) -> Any:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_options((SSL.OP_NO_QUERY_MTU or 0) | (SSL.OP_COOKIE_EXCHANGE or 0))
    context.set_cipher_list(_CIPHERS)
    try:
        if certificate is not None:
            chain = x509.load_pem_x509_certificates(certificate.chain)
            context.use_certificate(chain[0])
            for further in chain[1:]:
                context.add_extra_chain_cert(further)
            context.use_privatekey(cast("Any", load_pem_private_key(certificate.key, None)))
            context.check_privatekey()
        if trusted is not None:
            store = cast("Any", context.get_cert_store())
            for root in x509.load_pem_x509_certificates(trusted):
                store.add_cert(X509.from_cryptography(root))
    except (ValueError, TypeError, SSL.Error) as problem:
        raise CodecError(f"a certificate cannot be used for DTLS: {problem}") from problem
    return context


class ServerContext:
    """What all sessions of a server share."""

    def __init__(
        self,
        keys: Callable[[str], bytes | None],
        certificate: ServerCertificate | None,
        trusted: bytes | None,
    ) -> None:
        self.ssl = _context(certificate, trusted)
        self._secret = os.urandom(32)
        self.asking: bytes = b""
        self._sessions: dict[int, DtlsSession] = {}
        if certificate is not None:
            mode = SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if trusted is not None else 0)
            self.ssl.set_verify(
                mode if trusted is not None else SSL.VERIFY_NONE, lambda *found: bool(found[4])
            )
        self.ssl.set_cookie_generate_callback(lambda _connection: self._cookie())
        self.ssl.set_cookie_verify_callback(
            lambda _connection, cookie: hmac.compare_digest(cookie, self._cookie())
        )

        @_ffi.callback("unsigned int(SSL *, const char *, unsigned char *, unsigned int)")  # type: ignore[untyped-decorator]
        def find_key(handle: Any, identity: Any, buffer: Any, size: int) -> int:
            name = _ffi.string(identity).decode(errors="replace") if identity != _ffi.NULL else ""
            session = self._sessions.get(int(_ffi.cast("uintptr_t", handle)))
            if session is not None:
                session.identity = name
            key = keys(name)
            if key is None or len(key) > size:
                return 0
            _ffi.memmove(buffer, key, len(key))
            return len(key)

        self._find_key = find_key  # OpenSSL keeps no reference
        _lib.SSL_CTX_set_psk_server_callback(self.ssl._context, find_key)

    def _cookie(self) -> bytes:
        return hmac.new(self._secret, self.asking, hashlib.sha256).digest()[:16]

    def know(self, session: DtlsSession) -> None:
        """Let the key callback find a session."""
        self._sessions[session.handle] = session

    def forget(self, session: DtlsSession) -> None:
        """Forget a session that is over."""
        self._sessions.pop(session.handle, None)


class ClientContext:
    """What a client proves itself with: a pre-shared key, or a certificate."""

    def __init__(
        self,
        psk: tuple[str, bytes] | None,
        certificate: ServerCertificate | None,
        trusted: bytes | None,
    ) -> None:
        self.ssl = _context(certificate, trusted)
        self.ssl.set_verify(
            SSL.VERIFY_PEER if trusted is not None else SSL.VERIFY_NONE, lambda *found: bool(found[4])
        )
        if psk is None:
            return
        name, key = psk

        @_ffi.callback(  # type: ignore[untyped-decorator]
            "unsigned int(SSL *, const char *, char *, unsigned int, unsigned char *, unsigned int)"
        )
        def give_key(_handle: Any, _hint: Any, identity: Any, room: int, buffer: Any, size: int) -> int:
            text = name.encode() + b"\0"
            if len(text) > room or len(key) > size:
                return 0
            _ffi.memmove(identity, text, len(text))
            _ffi.memmove(buffer, key, len(key))
            return len(key)

        self._give_key = give_key
        _lib.SSL_CTX_set_psk_client_callback(self.ssl._context, give_key)


class DtlsSession:
    """One association. ``send`` takes datagrams for the peer, ``take`` what it said.

    ``identity`` is what the peer calls itself, as soon as that is known.
    """

    def __init__(
        self, context: Any, send: Callable[[bytes], object], take: Callable[[bytes], object]
    ) -> None:
        self._connection = SSL.Connection(context, None)
        self._connection.set_ciphertext_mtu(_MTU)
        self._send, self._take = send, take
        self._waiting: list[bytes] = []
        self.identity: str | None = None
        self.established = False
        self.closed = False
        #: messages that the peer sent and that could be read
        self.taken = 0

    @classmethod
    def client(
        cls, context: ClientContext, send: Callable[[bytes], object], take: Callable[[bytes], object]
    ) -> DtlsSession:
        """Begin to shake hands with a server."""
        self = cls(context.ssl, send, take)
        self._connection.set_connect_state()
        self._advance()
        return self

    @property
    def handle(self) -> int:
        """The address of OpenSSL's object."""
        return int(_ffi.cast("uintptr_t", self._connection._ssl))

    @property
    def cipher(self) -> str:
        """Name of the suite that was agreed upon."""
        return str(self._connection.get_cipher_name() or "none")

    @property
    def timeout(self) -> float | None:
        """Seconds until :meth:`repeat` is due; None while nothing is to be repeated."""
        if self.established or self.closed:
            return None
        seconds = self._connection.DTLSv1_get_timeout()
        return None if seconds is None else max(0.0, float(seconds))

    def listen(self, datagram: bytes) -> bool:
        """As a server, take a ClientHello; True if its cookie was right and the handshake goes on."""
        self._connection.set_accept_state()
        self._connection.bio_write(datagram)
        try:
            self._connection.DTLSv1_listen()
        except SSL.WantReadError:
            return False
        finally:
            self._flush()
        return True

    def feed(self, datagram: bytes) -> None:
        """Take a datagram from the peer. Raises `SSL.Error` for what ends the session."""
        self._connection.bio_write(datagram)
        self._advance()

    def advance(self) -> None:
        """Go on with the handshake after :meth:`listen`."""
        self._advance()

    def _advance(self) -> None:
        try:
            if not self.established:
                self._connection.do_handshake()
                self.established = True
                self._flush()
                if self.identity is None:
                    self.identity = self._common_name()
                waiting, self._waiting = self._waiting, []
                for data in waiting:
                    self.write(data)
            while True:
                data = self._connection.recv(65536)
                self._flush()
                self.taken += 1
                self._take(data)
        except SSL.WantReadError:
            self._flush()
        except SSL.ZeroReturnError:
            self.closed = True
        except SSL.Error:
            self._flush()  # an alert says why
            self.closed = True
            raise

    def _common_name(self) -> str | None:
        from cryptography.x509.oid import NameOID

        found = self._connection.get_peer_certificate(as_cryptography=True)
        names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME) if found is not None else []
        return str(names[0].value) if names else None

    def repeat(self) -> None:
        """Repeat a flight of the handshake that was not answered. Raises `SSL.Error` when it gives up."""
        if not self.established and not self.closed:
            self._connection.DTLSv1_handle_timeout()
            self._flush()

    def write(self, data: bytes) -> None:
        """Send data, as soon as the handshake is over."""
        if not self.established:
            self._waiting.append(data)
            return
        self._connection.send(data)
        self._flush()

    def close(self) -> None:
        """Say good-bye."""
        if self.established and not self.closed:
            self.closed = True
            try:
                self._connection.shutdown()
                self._flush()
            except SSL.Error:
                return

    def _flush(self) -> None:
        """Send what OpenSSL has made, a datagram at a time."""
        while True:
            try:
                made = self._connection.bio_read(65536)
            except SSL.WantReadError:
                return
            for datagram in _datagrams(made):
                self._send(datagram)


def _datagrams(made: bytes) -> list[bytes]:
    """Cut a run of records, which a memory BIO joins, into datagrams that fit."""
    found: list[bytes] = []
    at = 0
    while at + _RECORD <= len(made):
        end = at + _RECORD + int.from_bytes(made[at + 11 : at + 13], "big")
        record = made[at:end]
        if found and len(found[-1]) + len(record) <= _MTU and record[0] != _APPLICATION_DATA:
            found[-1] += record
        else:
            found.append(record)
        at = end
    return found


def reason_of(problem: SSL.Error) -> str:
    """Say an OpenSSL error in its own words, without its addresses."""
    parts = problem.args[0] if problem.args and isinstance(problem.args[0], list) else []
    return "; ".join(str(part[-1]) for part in parts) or str(problem) or "no reason"
