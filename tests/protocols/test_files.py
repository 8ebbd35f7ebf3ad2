"""Published files over HTTP, HTTPS and CoAP in TCP: to clients as such, and to devices that pull."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness._errors import CodecError, PortError
from harness.protocols import (
    FirmwareUpdate,
    HttpFaults,
    Lwm2mServer,
    PullProtocol,
    ServerCertificate,
    UpdateResult,
    UpdateState,
    UpdateStatus,
    components_of,
    confirm_update,
)
from harness.protocols.testing import StandIn, make_image
from harness.protocols.testing._fetch import get_tcp

BODY = bytes(range(256)) * 200
DOWNLOADED = UpdateStatus(UpdateState.DOWNLOADED, UpdateResult.INITIAL)


def ask(uri: str, method: str = "GET", *, context: ssl.SSLContext | None = None, **headers: str):
    """Status, headers and body of one answer."""
    parts = urlsplit(uri)
    if context is not None:
        connection = http.client.HTTPSConnection(parts.netloc, timeout=10, context=context)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, parts.path, headers=named)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


@pytest.fixture
def uri(server: Lwm2mServer) -> str:
    server.serve_files("http")
    return server.uri_for(server.publish(BODY, name="x"), "nobody", scheme="http")


def publication(server: Lwm2mServer):
    return server._publications["fw", "x"]


def test_a_whole_file(server, uri):
    status, headers, body = ask(uri)
    assert (status, body) == (200, BODY)
    assert headers["ETag"] == f'"{publication(server).etag.hex()}"'
    assert headers["Accept-Ranges"] == "bytes"
    assert publication(server).bytes_served == len(BODY)
    assert ask(uri, "HEAD")[2] == b""
    assert ask(uri + "?x=1")[0] == 200


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-0", 206, BODY[:1]),
        ("bytes=100-199", 206, BODY[100:200]),
        ("bytes=51000-", 206, BODY[51000:]),
        ("bytes=0-", 206, BODY),
        ("bytes=-10", 206, BODY[-10:]),
        ("bytes=-99999", 206, BODY),
        ("bytes=51100-99999", 206, BODY[51100:]),
        ("bytes=51200-", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=5-2", 200, BODY),
        ("bytes=0-1,4-5", 200, BODY),
        ("lines=1-2", 200, BODY),
        ("bytes=x-", 200, BODY),
    ],
)
def test_ranges(uri, wanted, status, part):
    found, headers, body = ask(uri, Range=wanted)
    assert (found, body) == (status, part)
    if status == 206:
        start = (
            BODY.index(part) if len(part) > 1000 else int(headers["Content-Range"].split()[1].split("-")[0])
        )
        assert headers["Content-Range"] == f"bytes {start}-{start + len(part) - 1}/{len(BODY)}"
    if status == 416:
        assert headers["Content-Range"] == f"bytes */{len(BODY)}"


def test_conditions(server, uri):
    tag = f'"{publication(server).etag.hex()}"'
    assert ask(uri, If_Match=tag)[0] == ask(uri, If_Match="*")[0] == 200
    assert ask(uri, If_Match=f'"other", {tag}')[0] == 200
    assert ask(uri, If_Match='"other"')[0] == 412
    assert ask(uri, If_Match=f"W/{tag}")[0] == 412
    assert ask(uri, If_None_Match=f"W/{tag}")[0] == 304
    assert ask(uri, If_None_Match='"other"')[0] == 200
    assert ask(uri, If_Range=tag, Range="bytes=0-9")[0] == 206
    assert ask(uri, If_Range='"other"', Range="bytes=0-9")[2] == BODY
    publication(server).replace(b"changed")
    assert ask(uri, If_Match=tag, Range="bytes=0-3")[0] == 412


def test_what_is_not_there_and_what_is_not_allowed(server, uri):
    assert ask(uri + "y")[0] == 404
    assert ask(uri, "PUT")[0] == 501
    assert server.rejections.counts == {"http 404": 1, "http 501": 1}
    assert server.rejections.last[0].reason == f"GET {urlsplit(uri).path}y"
    assert server.rejections.last[0].address.startswith("http://127.0.0.1:")
    publication(server).http = HttpFaults(status=503)
    assert ask(uri)[0] == 503
    publication(server).close()
    assert ask(uri)[0] == 404


def test_bad_manners_on_demand(server, uri):
    publication(server).http = HttpFaults(etag="weak")
    assert ask(uri)[1]["ETag"].startswith('W/"')
    publication(server).http = HttpFaults(etag="none", ranges=False)
    status, headers, body = ask(uri, Range="bytes=1-2")
    assert (status, body, "ETag" in headers, "Accept-Ranges" in headers) == (200, BODY, False, False)
    publication(server).http = HttpFaults(cut_after=20_000)
    with pytest.raises(http.client.IncompleteRead) as info:
        ask(uri)
    assert info.value.partial == BODY[:20_000]
    assert [r.method for r in publication(server).http_requests] == ["GET"] * 3
    assert publication(server).http_requests[1].range == "bytes=1-2"


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.text(alphabet="GETHAD /fwx.1\r\n:=-Range,", max_size=80).map(str.encode))
def test_noise_is_answered_or_cut_off_and_the_next_client_is_served(uri, noise):
    parts = urlsplit(uri)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as raw:
        raw.sendall(noise + b"\r\n\r\n")
        raw.shutdown(socket.SHUT_WR)
        while raw.recv(4096):
            pass
    assert ask(uri, Range="bytes=0-3")[2] == BODY[:4]


def test_closing_ends_idle_clients(server, uri):
    parts = urlsplit(uri)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as idle:
        assert ask(uri)[0] == 200
        server.close()
        assert idle.recv(1) == b""


# TLS


@pytest.fixture(scope="module")
def certificate() -> ServerCertificate:
    return ServerCertificate.self_signed("127.0.0.1", "localhost")


def trusting(certificate: ServerCertificate) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=certificate.chain.decode())


def test_https_is_believed_by_who_trusts_the_certificate(server, certificate):
    base = server.serve_files("https", certificate=certificate)
    uri = server.uri_for(server.publish(BODY), "nobody", scheme="https")
    assert uri.startswith(f"{base}/fw/")
    assert ask(uri, context=trusting(certificate))[2] == BODY
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(uri, context=trusting(ServerCertificate.self_signed("127.0.0.1")))
    # A client that speaks no TLS holds nobody up.
    parts = urlsplit(uri)
    with socket.create_connection((parts.hostname, parts.port), timeout=10):
        assert ask(uri, context=trusting(certificate), Range="bytes=1-2")[2] == BODY[1:3]


@pytest.mark.parametrize(("names", "days"), [(("example.org",), 30), (("127.0.0.1",), -2)])
def test_wrong_names_and_old_certificates_can_be_made(server, names, days):
    wrong = ServerCertificate.self_signed(*names, days=days)
    base = server.serve_files("https", certificate=wrong)
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(base + "/fw/x", context=trusting(wrong))


def test_a_certificate_needs_a_name_and_its_own_key(certificate):
    with pytest.raises(ValueError, match="at least one name"):
        ServerCertificate.self_signed()
    other = ServerCertificate.self_signed("x")
    with pytest.raises(CodecError, match="cannot be used"):
        ServerCertificate(certificate.chain, other.key).context()
    assert "PRIVATE" not in repr(certificate)


# CoAP in TCP


def fetch(uri: str, cafile: str | None = None) -> tuple[str, bytes]:
    answer = asyncio.run(get_tcp(uri, trusted_file=cafile))
    return answer.code.dotted, answer.payload


def test_coap_over_tcp(server):
    base = server.serve_files("coap+tcp")
    uri = server.uri_for(server.publish(BODY, name="x"), "nobody", scheme="coap+tcp")
    assert fetch(uri) == ("2.05", BODY)
    assert fetch(base + "/rd")[0] == "4.04"
    assert server.rejections.wait("registration 4.04", deadline=5).address.startswith("coap+tcp://")


def test_coap_over_tls(server, certificate, tmp_path):
    server.serve_files("coaps+tcp", host="localhost", certificate=certificate)
    file = tmp_path / "ca.pem"
    file.write_bytes(certificate.chain)
    uri = server.uri_for(server.publish(BODY, name="x"), "nobody", scheme="coaps+tcp")
    assert fetch(uri, str(file)) == ("2.05", BODY)


# what is asked for wrongly


def test_schemes_that_make_no_sense(server, certificate):
    publication = server.publish(b"x")
    for scheme, said in (("ftp", "is none of"), ("https", "needs a certificate")):
        with pytest.raises(ValueError, match=said):
            server.serve_files(scheme)
    server.serve_files("http")
    with pytest.raises(ValueError, match="served already"):
        server.serve_files("http")
    with pytest.raises(ValueError, match="coap\\+tcp is not served"):
        server.uri_for(publication, "nobody", scheme="coap+tcp")


@pytest.mark.parametrize("scheme", ["http", "coap+tcp"])
def test_a_taken_port_is_named(server, scheme):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortError, match="cannot listen for"):
        server.serve_files(scheme, port=taken.getsockname()[1])


# devices that pull


@pytest.fixture
def device(server, certificate) -> Iterator[StandIn]:
    for scheme in ("http", "coap+tcp"):
        server.serve_files(scheme)
    server.serve_files("https", certificate=certificate)
    schemes = ("coap", "http", "https", "coap+tcp")
    with StandIn(server=server.uri, schemes=schemes, trusted=certificate.chain) as device:
        server.wait_registration(deadline=10)
        yield device


@pytest.mark.parametrize("kind", [5, 33629])
@pytest.mark.parametrize("scheme", ["coap", "http", "https", "coap+tcp"])
def test_an_update_pulled_over_every_protocol(server, device, scheme, kind):
    handle = server.device(device.endpoint)
    component = FirmwareUpdate(handle) if kind == 5 else components_of(handle)[0]
    assert PullProtocol(["coap", "", "http", "https", "coap+tcp"].index(scheme)) in component.protocols()
    before = handle.registration
    image = server.publish(make_image(0, "2.0.0", size=50_000))
    component.pull(server.uri_for(image, handle, scheme=scheme))
    assert component.wait_downloaded(deadline=10) == DOWNLOADED
    component.update()
    confirm_update(server, {component: "2.0.0"}, after=before, deadline=10).require_ok()


@pytest.mark.parametrize(
    ("faults", "result", "requests"),
    [
        (HttpFaults(cut_after=20_000), DOWNLOADED, 3),
        (
            HttpFaults(cut_after=20_000, etag="none"),
            UpdateStatus(UpdateState.IDLE, UpdateResult.CONNECTION_LOST),
            4,
        ),
        (HttpFaults(status=404), UpdateStatus(UpdateState.IDLE, UpdateResult.INVALID_URI), 1),
        (HttpFaults(status=503), UpdateStatus(UpdateState.IDLE, UpdateResult.CONNECTION_LOST), 1),
        (HttpFaults(etag="weak"), DOWNLOADED, 1),
    ],
)
def test_downloads_that_are_cut_off(server, device, faults, result, requests):
    handle = server.device(device.endpoint)
    component = components_of(handle)[0]
    image = server.publish(make_image(0, "2.0.0", size=50_000))
    image.http = faults
    component.pull(server.uri_for(image, handle, scheme="http"))
    assert component.wait_downloaded(deadline=10) == result
    assert len(image.http_requests) == requests
    if requests == 3:
        tag = f'"{image.etag.hex()}"'
        asked = [(r.range, r.if_match) for r in image.http_requests]
        assert asked == [(None, None), ("bytes=20000-", tag), ("bytes=40000-", tag)]


def test_a_file_that_changes_in_between_is_fetched_anew(server, device):
    handle = server.device(device.endpoint)
    component = components_of(handle)[0]
    image = server.publish(make_image(0, "2.0.0", size=50_000))
    image.http = HttpFaults(cut_after=20_000)
    asked = image.http_asked

    def change(request):
        if len(image.http_requests) == 1:
            image.replace(make_image(0, "3.0.0", size=30_000))
            image.http = HttpFaults()
        return asked(request)

    image.http_asked = change
    component.pull(server.uri_for(image, handle, scheme="http"))
    assert component.wait_downloaded(deadline=10) == DOWNLOADED
    assert component.package_version() == "3.0.0"
    assert [r.if_match is not None for r in image.http_requests] == [False, True, False]


def test_a_device_that_trusts_nobody(server, certificate):
    server.serve_files("https", certificate=certificate)
    with StandIn(server=server.uri, schemes=("https",)) as device:
        server.wait_registration(deadline=10)
        component = components_of(server.device(device.endpoint))[0]
        component.pull(server.uri_for(server.publish(b"x"), device.endpoint, scheme="https"))
        assert component.wait_downloaded(deadline=10).result is UpdateResult.UNSUPPORTED_PROTOCOL


def test_a_device_that_trusts_somebody_else(server, certificate):
    server.serve_files("https", certificate=certificate)
    other = ServerCertificate.self_signed("127.0.0.1")
    with StandIn(server=server.uri, schemes=("https",), trusted=other.chain) as device:
        server.wait_registration(deadline=10)
        component = components_of(server.device(device.endpoint))[0]
        component.pull(server.uri_for(server.publish(b"x"), device.endpoint, scheme="https"))
        assert component.wait_downloaded(deadline=10).result is UpdateResult.CONNECTION_LOST
