from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from harness.firmware import NativeClient, native_client_program
from harness.protocols import (
    Device,
    LinkConditions,
    Lwm2mServer,
    Registration,
    Retransmission,
    UdpBadLink,
    UpdatableComponent,
    components_of,
)
from tests.app.bench import Setup, app_image, model_image

settings.register_profile("native", deadline=None)
settings.load_profile("native")

SECONDS = 20.0
QUICK = Retransmission(ack_timeout=0.02)
#: waits are short, and the registration is renewed every second of the device's time
SHORT = {"ACK_TIMEOUT_MS": 20, "LIFETIME_S": 2, "REGISTRATION_PAUSE_MS": 50}
LAYOUT = Setup(app_slot=0x20000).layout


@dataclass
class Rig:
    """A native client, its server, and maybe a bad link between them."""

    client: NativeClient
    server: Lwm2mServer
    link: UdpBadLink | None
    registration: Registration

    @property
    def device(self) -> Device:
        return self.server.device(self.registration)

    @property
    def components(self) -> tuple[UpdatableComponent, ...]:
        return components_of(self.device)

    def flash(self, address: int, size: int) -> bytes:
        with self.client.flash.open("rb") as file:
            file.seek(address)
            return file.read(size)

    def holds(self, component: int, data: bytes, *, secondary: bool = False) -> bool:
        found = LAYOUT.components[component]
        slot = found.secondary if secondary else found.primary
        return self.flash(slot.address, len(data)) == data

    def restart(self) -> Registration:
        """Cut the power, and wait until it is back."""
        before = self.server.registration(self.registration.endpoint)
        self.client.stop()
        self.client.start()
        return self.server.wait_registration(self.registration.endpoint, after=before, deadline=SECONDS)


@contextlib.contextmanager
def running(
    folder: Path,
    *,
    options: dict[str, int] | None = None,
    conditions: LinkConditions | None = None,
    speed: int = 1,
    smp_port: int = 0,
) -> Iterator[Rig]:
    program = native_client_program(LAYOUT, options={**SHORT, **(options or {})})
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Lwm2mServer(retransmission=QUICK))
        link = stack.enter_context(UdpBadLink(server.uri, conditions)) if conditions is not None else None
        uri = link.uri if link else server.uri
        client = NativeClient(program, uri, folder / "flash.bin", speed=speed, smp_port=smp_port)
        slots = [component.primary.address for component in LAYOUT.components]
        client.install({slots[0]: app_image("1.0.0"), slots[1]: model_image("1.0.0")})
        stack.enter_context(client)
        yield Rig(client, server, link, server.wait_registration(deadline=SECONDS))
        assert client.running, client.log.read_text()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    with contextlib.ExitStack() as stack:
        count = iter(range(100))

        def make(**options: Any) -> Rig:
            folder = tmp_path / str(next(count))
            folder.mkdir()
            return stack.enter_context(running(folder, **options))

        yield make
