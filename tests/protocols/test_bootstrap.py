"""The bootstrap interface: keys given to devices that ask, and to devices that do not."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from harness._errors import DeadlineExceeded, HarnessError, PortError, RegistrationError
from harness.protocols import DtlsSettings, Lwm2mServer, Path, Psk
from harness.protocols.bootstrap import Account, BootstrapServer
from harness.protocols.content import ContentFormat, Link, encode_links
from harness.protocols.testing import Faults, StandIn

KEY, OTHER, BOOT = b"0123456789abcdef", b"another 16 bytes", b"the bootstrap key"


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("harness.protocols.testing._device._REQUEST_SECONDS", 0.5)


@pytest.fixture
def servers():
    """An LwM2M server that lets nobody in without a key, and a bootstrap server that has them."""
    keys = {"first": Psk(KEY, "stand-in"), "second": Psk(OTHER, "stand-in")}
    with Lwm2mServer(dtls=DtlsSettings(keys)) as server:
        account = Account(server.secure_uri, "first", KEY, lifetime=77)
        dtls = DtlsSettings({"boot": Psk(BOOT)})
        with BootstrapServer({"stand-in": account}, dtls=dtls) as bootstrap:
            yield server, bootstrap


def test_a_device_asks_and_gets_its_key(servers):
    server, bootstrap = servers
    with StandIn(bootstrap=bootstrap.uri):
        done = bootstrap.wait("stand-in", deadline=10)
        assert done.ok
        assert done.steps == (
            "DELETE /: 2.02",
            "GET /: 2.05",
            "PUT /0/1: 2.04",
            "PUT /1/1: 2.04",
            "POST /bs: 2.04",
        )
        registration = server.wait_registration(deadline=10)
        assert registration.address.startswith("coaps://")
        assert registration.lifetime == 77
        assert server.device(registration).read("/3/0/3") == "1.0.0"
    assert bootstrap.rejections.last == ()


def test_over_dtls_with_a_key_of_its_own(servers, impatient):
    server, bootstrap = servers
    with pytest.raises(HarnessError):
        StandIn(bootstrap=bootstrap.secure_uri, psk=("boot", b"not that key"))
    assert bootstrap.rejections.wait("wrong key", deadline=5)
    with StandIn(bootstrap=bootstrap.secure_uri, psk=("boot", BOOT)):
        assert server.wait_registration(deadline=10).endpoint == "stand-in"


def test_the_lwm2m_server_triggers_another_bootstrap(servers):
    server, bootstrap = servers
    with StandIn(bootstrap=bootstrap.uri):
        before = server.wait_registration(deadline=10)
        done = bootstrap.wait(deadline=10)
        bootstrap.accounts["stand-in"] = Account(server.secure_uri, "second", OTHER)
        server.device(before).execute("/1/1/9")
        assert bootstrap.wait("stand-in", after=done, deadline=10).ok
        after = server.wait_registration(after=before, deadline=10)
        assert server._book.current(after.endpoint).remote.identity == "second"


def test_the_bootstrap_server_begins_by_itself(servers):
    server, bootstrap = servers
    with StandIn(bootstrap=bootstrap.uri) as device:
        before = server.wait_registration(deadline=10)
        done = bootstrap.wait(deadline=10)
        bootstrap.accounts["stand-in"] = Account(server.secure_uri, "second", OTHER, more={Path(1, 1, 2): 5})
        bootstrap.start("stand-in")
        done = bootstrap.wait("stand-in", after=done, deadline=10)
        assert done.ok
        assert "PUT /1/1/2: 2.04" in done.steps
        assert device.accounts.values[Path(1, 1, 2)] == 5
        after = server.wait_registration(after=before, deadline=10)
        assert server._book.current(after.endpoint).remote.identity == "second"
        with pytest.raises(RegistrationError, match="was never heard"):
            bootstrap.start("nobody")


def test_a_device_without_an_account_is_refused_and_counted(servers):
    _, bootstrap = servers
    with pytest.raises(RegistrationError, match="refused"):
        StandIn("stranger", bootstrap=bootstrap.uri)
    assert bootstrap.rejections.counts == {"bootstrap 4.00": 1}
    with pytest.raises(DeadlineExceeded, match="there is no account for 'stranger'"):
        bootstrap.wait("stranger", deadline=0.05)


def test_one_account_for_all_others(server):
    with BootstrapServer({"*": Account(server.uri)}) as bootstrap, ExitStack() as stack:
        for name in ("one", "two"):
            stack.enter_context(StandIn(name, bootstrap=bootstrap.uri))
            assert server.wait_registration(name, deadline=10)
        with pytest.raises(PortError, match="without DTLS"):
            _ = bootstrap.secure_uri


def test_a_write_that_the_device_refuses_is_the_problem(server, impatient):
    faults = Faults(refused_accounts={"/0/1"})
    with BootstrapServer({"*": Account(server.uri)}) as bootstrap:
        with pytest.raises(HarnessError):
            StandIn(bootstrap=bootstrap.uri, faults=faults)
        done = bootstrap.wait(deadline=10)
        assert not done.ok
        assert "Bad request" in done.problem
        assert "PUT /0/1" in done.problem
        assert done.steps[-1] == "PUT /0/1: 4.00"


@pytest.mark.parametrize(
    ("method", "path", "query", "kind", "said"),
    [
        (2, "bs", ("pct=112",), "bootstrap 4.00", "no endpoint name"),
        (2, "bs", ("ep=x", "pct=9999"), "bootstrap 4.00", "content format 9999 is not supported"),
        (2, "bs", ("ep=x", "pct=x"), "bootstrap 4.00", "content format x is not"),
        (1, "bs", ("ep=x",), "bootstrap 4.05", "method"),
        (2, "rd", ("ep=x",), "registration 4.04", "not found"),
        (2, "bspack", ("ep=x",), "request 4.04", "not found"),
    ],
)
def test_what_makes_no_sense_is_refused(server, raw_to, method, path, query, kind, said):
    with BootstrapServer({"*": Account(server.uri)}) as bootstrap:
        peer = raw_to(bootstrap.uri)
        answer = peer.ask(method, path, uri_query=query)
        assert answer.code.dotted in kind
        rejection = bootstrap.rejections.wait(kind, deadline=5)
        assert said in rejection.reason
        assert bootstrap.rejections.counts == {kind: 1}


def test_noise_is_counted(server, raw_to):
    with BootstrapServer({"*": Account(server.uri)}) as bootstrap:
        peer = raw_to(bootstrap.uri)
        peer.send(b"\xff\xff")
        assert "2 bytes" in bootstrap.rejections.wait("malformed", deadline=5).reason


@pytest.mark.parametrize(
    ("links", "instance"),
    [
        ([Link("/", {"lwm2m": "1.1"}), Link("/0/0"), Link("/1")], 1),
        ([Link("/0/1")], 2),
        ([Link("/0/1"), Link("/0/2")], 3),
        (None, 1),
        (b"<<<", 1),
        ([Link("/x")], 1),
    ],
)
def test_the_bootstrap_servers_own_account_is_left_alone(server, raw_to, links, instance):
    """Its instance is found by Discover; devices that know none get instance 1."""
    from aiocoap.message import Message

    with BootstrapServer({"*": Account(server.uri)}) as bootstrap:
        peer = raw_to(bootstrap.uri)
        assert peer.ask(2, "bs", uri_query=("ep=x",)).code.dotted == "2.04"
        seen = []
        while len(seen) < 5:
            request = peer.receive()
            seen.append(request)
            answer = Message(_mtype=2, _mid=request.mid, _token=request.token, code=68)
            if request.code == 1:
                answer.code = 132 if links is None else 69
                answer.payload = (
                    b"" if links is None else links if isinstance(links, bytes) else encode_links(links)
                )
                answer.opt.content_format = int(ContentFormat.LINK)
            peer.send(answer.encode())
        assert bootstrap.wait("x", deadline=5).ok
        assert seen[2].opt.uri_path == ("0", str(instance))
