from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

from harness._deadline import Deadline
from harness.protocols import Lwm2mServer, Retransmission, UpdatableComponent, components_of
from harness.protocols.badlink import BadFrameLink, LinkConditions, UdpBadLink
from harness.protocols.testing import StandIn, link_pair

# No time limit per example: a busy machine is no reason to fail.
settings.register_profile("badlink", deadline=None)
settings.load_profile("badlink")

#: repetitions after a few milliseconds, so that a bad link costs little time
QUICK = Retransmission(ack_timeout=0.005, random_factor=1.5, max_retransmit=4)


class Rig:
    """A server and a stand-in with a bad link between them."""

    def __init__(self, transport: str, stack: contextlib.ExitStack) -> None:
        self.transport = transport
        self.stack = stack
        self.server = stack.enter_context(Lwm2mServer(retransmission=QUICK))
        self.link: Any
        where: dict[str, Any]
        if transport == "udp":
            self.link = stack.enter_context(UdpBadLink(self.server.uri))
            where = {"server": self.link.uri}
        else:
            self.line, device = link_pair()
            self.link = stack.enter_context(BadFrameLink(self.line))
            self.server.attach(self.link)
            where = {"link": device}
        self.stand_in = stack.enter_context(StandIn(retransmission=QUICK, renew=0.1, **where))
        self.stand_in.faults.upload_seconds = 0.2
        self.server.wait_registration(deadline=10)

    @property
    def main(self) -> UpdatableComponent:
        return components_of(self.server.device("stand-in"))[0]

    def behave(self, **conditions: Any) -> None:
        self.link.conditions = LinkConditions(**conditions)

    def restart_server(self) -> None:
        """End the server and put another one in its place, which knows nothing."""
        self.server.close()
        self.server = self.stack.enter_context(Lwm2mServer(retransmission=QUICK))
        if self.transport == "udp":
            self.link.server_restarted(self.server.uri)
        else:
            self.server.attach(self.link)


@pytest.fixture(params=["udp", "slipmux"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with contextlib.ExitStack() as stack:
        yield Rig(request.param, stack)


@pytest.fixture
def udp() -> Iterator[Rig]:
    with contextlib.ExitStack() as stack:
        yield Rig("udp", stack)


@pytest.fixture
def line() -> Iterator[Rig]:
    with contextlib.ExitStack() as stack:
        yield Rig("slipmux", stack)


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Wait for something that happens in another thread."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = Deadline(10)
        while not condition():
            assert not deadline.expired, "it did not happen"
            deadline.pause(0.002)

    return wait
