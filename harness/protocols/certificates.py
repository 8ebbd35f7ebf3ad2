"""X.509 identities of servers: self-signed ones made on the spot, or somebody's own."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness._errors import CodecError

__all__ = ["ServerCertificate"]


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A certificate chain with its private key, both PEM."""

    chain: bytes
    key: bytes = field(repr=False)

    @classmethod
    def self_signed(cls, *names: str, days: int = 30) -> ServerCertificate:
        """Make one for host names and addresses; devices trust ``chain`` to accept it.

        ``days`` of validity start a day ago, against clocks that differ; a negative
        number makes one that has expired. Raises ValueError without names.
        """
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        if not names:
            raise ValueError("a certificate needs at least one name")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
        now = datetime.datetime.now(datetime.UTC)
        start = now - datetime.timedelta(days=1 if days >= 0 else 1 - days)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName(map(_name, names)), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )

    def context(self, *, alpn: str | None = None) -> ssl.SSLContext:
        """Return a context for servers. Raises CodecError for a chain and key that do not fit."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # The ssl module loads from files only.
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "identity.pem"
            file.touch(mode=0o600)
            file.write_bytes(self.chain + b"\n" + self.key)
            try:
                context.load_cert_chain(file)
            except (ssl.SSLError, ValueError) as problem:
                raise CodecError(f"certificate and key cannot be used: {problem}") from problem
        if alpn is not None:
            context.set_alpn_protocols([alpn])
        return context


def _name(name: str) -> Any:
    from cryptography.x509 import DNSName, IPAddress

    try:
        return IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return DNSName(name)
