"""Updates over LwM2M: object 33629, pushes and pulls, registrations as signs of life."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .._deadline import Deadline
from .._errors import VerdictError
from ..devices import Device
from ..protocols import (
    AdvancedFirmwareUpdate,
    BadFrameLink,
    FrameLink,
    LinkConditions,
    Lwm2mServer,
    Registration,
    Retransmission,
    UpdatableComponent,
    UpdateState,
)
from ._delivery import Transfer, broken_off
from ._images import SignedImage
from ._told import Told

__all__ = ["Lwm2mDelivery"]

_SETTLED: Final = (UpdateState.IDLE, UpdateState.DOWNLOADING, UpdateState.DOWNLOADED)
_BLOCK: Final = 1024


class Lwm2mDelivery:
    """A `Delivery`. With ``conditions`` there is a bad link between server and device."""

    name = "lwm2m"

    def __init__(self, device: Device, conditions: LinkConditions | None) -> None:
        self._device, self._conditions = device, conditions
        self.bad_link: BadFrameLink | None = None
        self._server: Lwm2mServer | None = None
        self.registration: Registration | None = None
        self._heard: Registration | None = None  # the latest one, also of what was installed before

    @property
    def server(self) -> Lwm2mServer:
        """On the device's serial line."""
        if self._server is None:
            bad, line = self._conditions is not None, self._line
            retransmission = Retransmission(ack_timeout=0.15 if bad else 1.0, patient=bad)
            self._server = Lwm2mServer(host=None, retransmission=retransmission)
            self._server.attach(line)
        return self._server

    @property
    def link(self) -> BadFrameLink:
        """See `UpdateRig.link`."""
        if self.bad_link is None:
            if self._server is not None:
                raise ValueError("ask for the link before the server is used")
            self._conditions = self._conditions or LinkConditions()
            self.bad_link = BadFrameLink(self._device.link, self._conditions)
        return self.bad_link

    @property
    def refused(self) -> str:
        """See `UpdateRig.refused`."""
        return self._server.rejections.summary(20) if self._server is not None else ""

    @property
    def _line(self) -> FrameLink:
        return self._device.link if self._conditions is None else self.link

    def close(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self.bad_link is not None:
            self.bad_link.close()  # and is kept, for its report

    def forget(self) -> None:
        """The device has got other content, and is off."""
        self.registration = None

    def start(self) -> None:
        """Listen: power is about to come."""
        if self._heard is not None:
            self.server.device_was_reset(self._line)
        else:
            _ = self.server  # has to hear the first words

    def watch(self, *, by_firmware: bool) -> None:  # noqa: ARG002 - each boot registers, whoever reset it
        """The device is about to be reset."""
        if self.registration is not None:
            self.server.device_was_reset(self._line)

    def wait_up(self, limit: Deadline) -> None:
        """Wait for the registration after the one that was seen last."""
        self._heard = self.server.wait_registration(after=self._heard, deadline=limit)
        self.registration = self._heard

    def component(self, which: str) -> UpdatableComponent:
        """The object instance that stands for a component."""
        assert self.registration is not None
        instance = self._instance(which)
        return AdvancedFirmwareUpdate(self.server.device(self.registration), instance)

    def _instance(self, which: str) -> int:
        chosen = self._device.board.component(which)
        return chosen.image if chosen.lwm2m_instance is None else chosen.lwm2m_instance

    def download(self, image: SignedImage, transfer: Transfer, limit: Deadline) -> None:
        """Push or pull, until the state is Downloaded."""
        component = self.component(image.component)
        if transfer.pull:
            publication = self.server.publish(image.data, max_block_size=transfer.block_size)
            component.pull(self.server.uri_for(publication, component.device), deadline=limit)
            status = component.wait_downloaded(deadline=limit)
        else:
            outcome = component.push(
                image.data, block_size=transfer.block_size, progress=transfer.progress, deadline=limit
            )
            status = outcome.status
        if status.state is not UpdateState.DOWNLOADED:
            raise VerdictError(f"{image} was not downloaded: the device says {status} for {component.path}")

    def break_off(self, image: SignedImage, size: int, limit: Deadline) -> None:
        """Push some blocks, as a server does that dies."""
        with broken_off(size) as stop:
            self.component(image.component).push(image.data, block_size=_BLOCK, progress=stop, deadline=limit)

    def discard(self, component: str, limit: Deadline) -> None:
        """Cancel."""
        self.component(component).cancel(deadline=limit)

    def install(self, first: str, others: Sequence[str] | None, limit: Deadline) -> None:
        """Execute Update."""
        along = None if others is None else [self._instance(name) for name in others]
        self.component(first).update(along, deadline=limit)

    def told(self, component: str, *, settled: bool, limit: Deadline) -> Told:
        """State, result and version."""
        found = self.component(component)
        status = found.wait_state(*_SETTLED, deadline=limit) if settled else found.status()
        return Told(status, found.version())
