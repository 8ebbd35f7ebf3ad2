"""Updates over SMP: upload, test by hash, reset."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from .._deadline import Deadline
from .._errors import CapabilityMissing, DeadlineExceeded, PortError, RequestError, VerdictError
from ..devices import Device
from ..protocols import BadFrameLink, LinkConditions, UdpBadLink
from ..protocols.smp import PATIENCE, SmpClient
from ._boot import wait_application
from ._delivery import Transfer, broken_off
from ._images import SignedImage
from ._told import ToldSlots

__all__ = ["SmpDelivery"]

_POLL_SECONDS: Final = 0.01
_SIGN_SECONDS: Final = 0.3
_PATIENCE_ON_BAD_LINK: Final = 0.15


class SmpDelivery:
    """A `Delivery`. A boot is known by the core's own reset flag, the application by its answers.

    With ``conditions`` there is a bad link between client and device.
    """

    name = "smp"

    def __init__(self, device: Device, conditions: LinkConditions | None = None) -> None:
        self._device, self._conditions = device, conditions
        self.bad_link: BadFrameLink | UdpBadLink | None = None
        self._client: SmpClient | None = None
        self._line_client: SmpClient | None = None
        self._reset_expected = False
        self._downloaded: dict[str, SignedImage] = {}

    @property
    def client(self) -> SmpClient:
        """On the device's serial line, or over UDP if the board file names an address."""
        if self._client is None:
            link = self.link if self._conditions is not None else None
            patience = PATIENCE if link is None else _PATIENCE_ON_BAD_LINK
            address = link.address if isinstance(link, UdpBadLink) else self._device.smp_address
            if address is not None:
                self._client = SmpClient.at(*address, patience=patience)
            else:
                line = link if isinstance(link, BadFrameLink) else self._device.smp_link
                self._client = SmpClient.on_line(line, patience=patience)
        return self._client

    @property
    def line_client(self) -> SmpClient:
        """On the serial line: a boot loader has no network."""
        if self._device.smp_address is None:
            return self.client
        if self._line_client is None:
            self._line_client = SmpClient.on_line(self._device.smp_link)
        return self._line_client

    @property
    def link(self) -> BadFrameLink | UdpBadLink:
        """See `UpdateRig.smp_link`."""
        if self.bad_link is None:
            if self._client is not None:
                raise ValueError("ask for the link before the client is used")
            self._conditions = self._conditions or LinkConditions()
            if (address := self._device.smp_address) is not None:
                host, port = address
                uri = f"smp://{f'[{host}]' if ':' in host else host}:{port}"
                self.bad_link = UdpBadLink(uri, self._conditions)
            else:
                self.bad_link = BadFrameLink(self._device.smp_link, self._conditions, protocol="smp")
        return self.bad_link

    @property
    def _sign_seconds(self) -> float:
        """What an answer may take before the next try: there and back, as slow as the link is."""
        its = self.bad_link.conditions if self.bad_link is not None else LinkConditions()
        return _SIGN_SECONDS + 2 * (its.delay + its.jitter + its.hold * (its.reordering > 0))

    def close(self) -> None:
        """End the client."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._line_client is not None:
            self._line_client.close()
            self._line_client = None
        if self.bad_link is not None:
            self.bad_link.close()  # and is kept, for its report

    def forget(self) -> None:
        """The device has got other content, and is off."""
        self._downloaded.clear()
        self._reset_expected = False

    def start(self) -> None:
        """Listen: power is about to come."""
        self._reset_expected = False

    def watch(self, *, by_firmware: bool) -> None:
        """The device is about to be reset. What is asked of firmware may take a while: the flag tells."""
        if by_firmware:
            self._device.debug.was_reset()
        self._reset_expected = by_firmware

    def wait_up(self, limit: Deadline) -> None:
        """Wait until the core was reset, and then for an answer.

        A boot loader with serial recovery may stay there for whoever asks something while it waits
        (CONFIG_BOOT_SERIAL_WAIT_FOR_DFU): nothing is asked before an application runs.
        """
        self._wait_reset(limit)
        if "serial-recovery" in self._device.board.capabilities:
            wait_application(self._device, deadline=limit)
        self._wait_answer(self.client, limit)

    def wait_recovery(self, limit: Deadline) -> None:
        """The same, for the boot loader on its line."""
        self._wait_reset(limit)
        self._wait_answer(self.line_client, limit)

    def _wait_reset(self, limit: Deadline) -> None:
        while self._reset_expected and not self._device.debug.was_reset():
            if limit.expired:
                raise limit.exceeded(
                    "a reset of the core", seen="none, although the device was asked", where=self._device.name
                )
            limit.pause(_POLL_SECONDS)
        self._reset_expected = False

    def _wait_answer(self, client: SmpClient, limit: Deadline) -> None:
        while True:
            try:
                # A refusal is an answer, too. MCUboot has none for an echo if it is built without.
                with suppress(RequestError):
                    client.parameters(deadline=min(self._sign_seconds, limit.remaining))
            except DeadlineExceeded:
                if limit.expired:
                    raise limit.exceeded("an answer over SMP", seen="none", where=self._device.name) from None
            except PortError:  # a host that is up before its application says so
                if self._device.smp_address is None or limit.expired:
                    raise
                limit.pause(_POLL_SECONDS)
            else:
                return

    def download(self, image: SignedImage, transfer: Transfer, limit: Deadline) -> None:
        """Upload, and look for the hash in the component's other slot."""
        if transfer.pull:
            raise CapabilityMissing("lwm2m", board=f"{self._device.board.name} over smp")
        number = self._number(image.component)
        try:
            self.client.upload(image.data, number, progress=transfer.progress, deadline=limit)
        except RequestError as error:
            raise VerdictError(
                f"{image} was not downloaded: the device says {error.code} for image {number}"
            ) from None
        found = self.told(image.component, settled=False, limit=limit)
        if found.other is None or found.other.hash != image.image_hash:
            raise VerdictError(f"{image} was not downloaded: the device says {found} for image {number}")
        self._downloaded[image.component] = image

    def break_off(self, image: SignedImage, size: int, limit: Deadline) -> None:
        """Upload some pieces, as a client does that dies."""
        with broken_off(size) as stop:
            self.client.upload(image.data, self._number(image.component), progress=stop, deadline=limit)

    def discard(self, component: str, limit: Deadline) -> None:  # noqa: ARG002 - there is nothing to ask
        """Nothing to do: the next upload takes its place."""
        self._downloaded.pop(component, None)

    def install(self, first: str, others: Sequence[str] | None, limit: Deadline) -> None:
        """Ask for a trial of each image, and for a reset."""
        along = [name for name in self._downloaded if name != first] if others is None else others
        try:
            for name in (first, *along):
                image = self._downloaded.pop(name)
                self.client.test(image.image_hash, deadline=limit)
            self.watch(by_firmware=True)
            self.client.reset(deadline=limit)
        except RequestError as error:
            raise VerdictError(f"{first} was not updated: {error}") from None

    def told(self, component: str, *, settled: bool, limit: Deadline) -> ToldSlots:  # noqa: ARG002 - always
        """Both slots."""
        number = self._number(component)
        found = [slot for slot in self.client.images(deadline=limit) if slot.image == number]
        active = next((slot for slot in found if slot.active), None)
        return ToldSlots(active, next((slot for slot in found if not slot.active), None))

    def _number(self, component: str) -> int:
        return self._device.board.component(component).image
