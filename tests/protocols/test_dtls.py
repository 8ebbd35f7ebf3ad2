"""DTLS 1.2: who is let in, who is not and why, and updates through it."""

from __future__ import annotations

import shutil
import socket
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness._deadline import Deadline
from harness._errors import CodecError, DeadlineExceeded, HarnessError, PortError, RegistrationError
from harness.protocols import (
    Delivery,
    DtlsSettings,
    LinkConditions,
    Lwm2mServer,
    Package,
    Psk,
    Retransmission,
    ServerCertificate,
    UdpBadLink,
    UpdateState,
    components_of,
    run_update,
)
from harness.protocols.testing import StandIn, make_image

KEY = bytes(range(16))
SETTINGS = DtlsSettings({"me": Psk(KEY), "bound": Psk(b"another key of 16", endpoint="bound-device")})


@pytest.fixture
def secure():
    with Lwm2mServer(dtls=SETTINGS) as server:
        yield server


def client(server, identity="me", key=KEY, endpoint="stand-in", **options):
    return StandIn(endpoint, server=server.secure_uri, psk=(identity, key), **options)


@pytest.fixture
def impatient(monkeypatch):
    """Stand-ins give up soon."""
    monkeypatch.setattr("harness.protocols.testing._device._REQUEST_SECONDS", 0.5)


@pytest.mark.parametrize("delivery", Delivery)
def test_an_update_over_dtls(secure, delivery):
    with client(secure) as device:
        registration = secure.wait_registration(deadline=10)
        assert registration.address.startswith("coaps://127.0.0.1:")
        handle = secure.device(registration)
        assert handle.read("/3/0/3") == "1.0.0"
        publication = secure.publish(b"x")
        assert secure.uri_for(publication, handle).startswith(secure.secure_uri)
        main = components_of(handle)[0]
        package = Package(make_image(0, "2.0.0", size=65536), "2.0.0")
        run_update(secure, {main: package}, delivery=delivery, deadline=30).require_installed()
        assert device.flash.version == "2.0.0"
    assert secure.rejections.last == ()


def test_a_pull_over_dtls_by_a_device_that_came_without(secure):
    with StandIn(server=secure.uri, schemes=("coap", "coaps"), psk=("me", KEY)) as device:
        handle = secure.device(secure.wait_registration(deadline=10))
        publication = secure.publish(make_image(0, "2.0.0", size=20_000))
        uri = secure.uri_for(publication, handle, scheme="coaps")
        assert uri.startswith(secure.secure_uri)
        main = components_of(handle)[0]
        main.pull(uri)
        assert main.wait_downloaded(deadline=10).state is UpdateState.DOWNLOADED
        assert device.flash.components[0].image_version == "2.0.0"
    with Lwm2mServer() as plain, StandIn(server=plain.uri), pytest.raises(ValueError, match="not served"):
        plain.uri_for(plain.publish(b"x"), "stand-in", scheme="coaps")


def test_an_unknown_identity_is_refused_and_named(secure, impatient):
    with pytest.raises(HarnessError):
        client(secure, identity="nobody")
    rejection = secure.rejections.wait("unknown identity", deadline=5)
    assert "the identity 'nobody' was refused: psk identity not found" in str(rejection)
    assert secure.registrations == ()


def test_a_wrong_key_is_refused_and_named(secure, impatient):
    with pytest.raises(HarnessError):
        client(secure, key=b"not the right key")
    rejection = secure.rejections.wait("wrong key", deadline=5)
    assert "the identity 'me' is known, its key does not fit" in rejection.reason
    assert rejection.address.startswith("coaps://127.0.0.1:")
    assert secure.registrations == ()
    with pytest.raises(DeadlineExceeded, match=r"refused coaps://.*its key does not fit"):
        secure.wait_registration(deadline=0)
    assert secure.rejections.summary().startswith("1 wrong key\ncoaps://")
    with client(secure):
        secure.wait_registration(deadline=10)


def test_an_identity_is_bound_to_its_endpoint(secure):
    with pytest.raises(RegistrationError):
        client(secure, "bound", b"another key of 16", endpoint="stand-in")
    with pytest.raises(RegistrationError):
        client(secure, endpoint="bound-device")
    with pytest.raises(RegistrationError):
        StandIn("bound-device", server=secure.uri)
    limit = Deadline(5)
    while secure.rejections.counts != {"registration 4.03": 3} and not limit.expired:
        limit.pause(0.01)  # the device may hear of it before it is noted
    assert secure.rejections.counts == {"registration 4.03": 3}
    assert "'me' may not register as 'bound-device'" in str(secure.rejections.last[1])
    with client(secure, "bound", b"another key of 16", endpoint="bound-device"):
        secure.wait_registration("bound-device", deadline=10)


def test_nobody_else_updates_or_ends_a_secure_registration(secure):
    with client(secure) as device:
        secure.wait_registration(deadline=10)
        location = "/".join(device.location)
        with StandIn("stranger", server=secure.uri) as stranger:
            assert stranger.request("POST", location) == "4.03"
            assert stranger.request("DELETE", location) == "4.03"
        with client(secure, "bound", b"another key of 16", endpoint="bound-device") as other:
            assert other.request("DELETE", location) == "4.03"
        assert device.request("POST", location) == "2.04"


def test_a_session_that_expired_is_named_and_a_new_one_begins(impatient):
    short = DtlsSettings(SETTINGS.keys, session_seconds=0.2)
    quick = Retransmission(ack_timeout=0.05)
    with Lwm2mServer(dtls=short, retransmission=quick) as server, client(server) as device:
        registration = server.wait_registration(deadline=10)
        handle = server.device(registration)
        _pause()
        with pytest.raises((RegistrationError, DeadlineExceeded), match="DTLS session"):
            handle.read("/3/0/3")
        with pytest.raises(HarnessError):
            device.update_registration()
        assert "it has expired" in server.rejections.wait("no session", deadline=5).reason
        device.reboot()
        assert server.wait_registration(after=registration, deadline=10)


def _pause():
    from harness._deadline import Deadline

    Deadline(0.3).pause(0.3)


def test_a_device_that_restarts_at_its_address_is_let_in_again(secure):
    """A ClientHello from the address of a session begins a new one, once its cookie came back."""
    with client(secure) as device:
        first = secure.wait_registration(deadline=10)
        device.reboot()
        second = secure.wait_registration(after=first, deadline=10)
        assert secure.device(second).read("/3/0/3") == "1.0.0"


def test_a_bad_network(impatient, monkeypatch):
    monkeypatch.setattr("harness.protocols.testing._device._REQUEST_SECONDS", 10.0)
    quick = Retransmission(ack_timeout=0.02)
    conditions = LinkConditions(loss=0.1, duplication=0.2, reordering=0.2, hold=0.01, seed=3)
    with (
        Lwm2mServer(dtls=SETTINGS, retransmission=quick) as server,
        UdpBadLink(server.secure_uri) as link,
        StandIn(server=link.uri, psk=("me", KEY), retransmission=quick),
    ):
        main = components_of(server.device(server.wait_registration(deadline=10)))[0]
        link.conditions = conditions
        package = Package(make_image(0, "2.0.0", size=20_000), "2.0.0")
        run = run_update(server, {main: package}, deadline=30)
        link.heal()
        assert run.history
        assert "wrong key" not in server.rejections.counts


def test_certificates():
    server_side, device_side = (ServerCertificate.self_signed(name) for name in ("127.0.0.1", "device-7"))
    accepts = DtlsSettings({}, certificate=server_side, trusted=device_side.chain)
    with Lwm2mServer(dtls=accepts) as server:
        options = {"server": server.secure_uri, "trusted": server_side.chain}
        with StandIn(certificate=device_side, **options):
            registration = server.wait_registration(deadline=10)
            assert server._book.current("stand-in").remote.identity == "device-7"
            assert server.device(registration).read("/3/0/3") == "1.0.0"


def test_certificates_of_strangers(impatient):
    server_side = ServerCertificate.self_signed("127.0.0.1")
    device_side, stranger = (ServerCertificate.self_signed(name) for name in ("device-7", "stranger"))
    with Lwm2mServer(dtls=DtlsSettings({}, certificate=server_side, trusted=device_side.chain)) as server:
        options = {"server": server.secure_uri, "trusted": server_side.chain}
        for wrong in ({"certificate": stranger}, {}, {"certificate": device_side, "trusted": stranger.chain}):
            with pytest.raises(HarnessError):
                StandIn(**(options | wrong))
        assert server.rejections.wait("certificate", deadline=5)
        assert server.registrations == ()


def test_a_certificate_that_is_none():
    broken = ServerCertificate(b"no certificate", b"no key")
    with pytest.raises(CodecError, match="cannot be used for DTLS"):
        Lwm2mServer(dtls=DtlsSettings({}, certificate=broken))


def raw(server):
    host, _, port = server.secure_uri.removeprefix("coaps://").rpartition(":")
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.connect((host, int(port)))
    return made


@pytest.mark.parametrize(
    ("datagram", "kind"),
    [
        (b"\x40\x01\x12\x34", "not DTLS"),
        (b"", "not DTLS"),
        (b"\x17\xfe\xfd\x00\x01" + bytes(6) + b"\x00\x03abc", "no session"),
        (b"\x16\xfe\xfd\x00\x01" + bytes(6) + b"\x00\x03abc", "no session"),
        (b"\x15\xfe\xfd\x00\x00" + bytes(6) + b"\x00\x02\x02\x28", "no session"),
        (b"\x16\xfe\xfd\x00\x00" + bytes(6) + b"\x00\x03abc", None),
    ],
)
def test_what_is_no_greeting_is_counted(secure, datagram, kind):
    with raw(secure) as stranger:
        stranger.send(datagram)
        if kind is not None:
            assert secure.rejections.wait(kind, deadline=5).address.startswith("coaps://127.0.0.1:")
    with client(secure):
        secure.wait_registration(deadline=10)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.binary(max_size=120) | st.binary(max_size=60).map(lambda d: b"\x16\xfe\xfd" + bytes(8) + d),
        max_size=5,
    )
)
def test_noise_does_no_harm(secure, datagrams):
    with raw(secure) as stranger:
        for datagram in datagrams:
            stranger.send(datagram)
    assert secure.secure_uri


def test_after_noise_devices_are_let_in(secure):
    with raw(secure) as stranger:
        for n in range(200):
            stranger.send(bytes((0x16, 0xFE, 0xFD, *bytes(8), 0, n, *bytes(n))))
    with client(secure):
        secure.wait_registration(deadline=10)


def test_plain_messages_on_the_plain_socket_are_counted_too(secure):
    host, port = secure.address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"\xff\xff\xff\xff", (host, port))
        rejection = secure.rejections.wait("malformed", deadline=5)
    assert "4 bytes that are no CoAP message" in rejection.reason


def test_a_server_without_dtls(monkeypatch):
    with Lwm2mServer() as server, pytest.raises(PortError, match="started without DTLS"):
        _ = server.secure_uri
    monkeypatch.setitem(__import__("sys").modules, "harness.protocols._dtls", None)
    with pytest.raises(PortError, match="no DTLS without pyOpenSSL"):
        Lwm2mServer(dtls=SETTINGS)


def test_keys_do_not_show():
    assert "key" not in repr(SETTINGS).replace("keys", "")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not there")
@pytest.mark.parametrize(
    ("identity", "key", "reason", "said"),
    [
        ("me", KEY, None, "Cipher is PSK-AES128-GCM-SHA256"),
        ("me", b"x", "wrong key", "alert bad record mac"),
        ("x", KEY, "unknown identity", "alert unknown psk identity"),
    ],
)
def test_another_program_shakes_hands(secure, identity, key, reason, said):
    target = secure.secure_uri.removeprefix("coaps://")
    command = [
        "openssl",
        "s_client",
        "-dtls1_2",
        "-connect",
        target,
        "-psk",
        key.hex(),
        "-psk_identity",
        identity,
    ]
    result = subprocess.run(
        [*command, "-cipher", "PSK-AES128-GCM-SHA256"],
        input=b"",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert said in (result.stdout + result.stderr).decode(errors="replace")
    if reason is not None:
        assert secure.rejections.wait(reason, deadline=5)
