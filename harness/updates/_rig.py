"""A device with its protocol server and images: everything that one update test needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from .._deadline import Deadline
from .._errors import VerdictError
from ..devices import Device
from ..mcuboot import FlashReport, FlashView, Trailer, diff_reports, set_pending
from ..protocols import (
    AdvancedFirmwareUpdate,
    Lwm2mServer,
    Registration,
    Retransmission,
    UpdatableComponent,
    UpdateState,
)
from ._images import ImageFactory, SignedImage
from ._verdict import ComponentVerdict, Told, Verdict, judge, meaning

__all__ = ["UpdateRig"]

BOOT_SECONDS: Final = 30.0
_CONSOLE_LINES: Final = 14
_SETTLED: Final = (UpdateState.IDLE, UpdateState.DOWNLOADING, UpdateState.DOWNLOADED)


class UpdateRig:
    """Installs, boots, transfers, updates and judges one device. Closes the server, not the device.

    ``installed`` are the images that `install` put into the primary slots, by component.
    """

    def __init__(self, device: Device, images: ImageFactory) -> None:
        self.device, self.images, self.board = device, images, device.board
        self.installed: dict[str, SignedImage] = {}
        self._server: Lwm2mServer | None = None
        self._registration: Registration | None = None
        self._before: FlashReport | None = None

    def __enter__(self) -> UpdateRig:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the protocol server."""
        if self._server is not None:
            self._server.close()
            self._server = None

    @property
    def server(self) -> Lwm2mServer:
        """The LwM2M server on the device's serial line. Raises `CapabilityMissing`."""
        if self._server is None:
            self.device.require("lwm2m")
            self._server = Lwm2mServer(host=None, retransmission=Retransmission(ack_timeout=1.0))
            self._server.attach(self.device.link)
        return self._server

    # flash content

    def install(self, *images: SignedImage, staged: Mapping[int, bytes] | None = None) -> None:
        """Boot loader and these images in their primary slots, nothing else, and power off.

        ``staged`` is further content by address, as `stage` makes it.
        """
        content = self.images.bootloader()
        self.installed = {image.component: image for image in images}
        for image in images:
            component = self.board.component(image.component)
            content[self.board.partition(component.primary).address] = image.data
        self.device.install({**content, **(staged or {})})
        self._registration = None

    def adopt(self, *images: SignedImage) -> None:
        """From now on these are what ran before an update: a confirmed update is the next one's past."""
        self.installed |= {image.component: image for image in images}

    def stage(self, image: SignedImage, *, permanent: bool = False) -> dict[int, bytes]:
        """What an update waiting in the secondary slot looks like in flash, by address: the image, and the
        request as the application writes it (`boot_set_pending`).
        """
        component = self.board.component(image.component)
        assert component.secondary is not None, "a component without secondary slot cannot be updated"
        area = self.board.partition(component.secondary)
        layout = self.board.boot_settings().layout(area)
        erased = Trailer.parse(bytes([layout.erased_value]) * area.size, layout)
        content = {area.address + self.board.upload_offset(component): image.data}
        for write in set_pending(erased, permanent=permanent, image=component.image).writes:
            content[area.address + write.offset] = write.data
        return content

    # boots

    def boot(self, *, deadline: float | Deadline = BOOT_SECONDS) -> Registration:
        """Switch on, and wait until the application has registered."""
        _ = self.server
        if self._registration is not None:
            self.server.device_was_reset(self.device.link)
        self.device.power.on()
        return self.wait_boot(deadline=deadline)

    def reset(self, *, deadline: float | Deadline = BOOT_SECONDS) -> Registration:
        """Reset by pin, and wait until the application has registered again."""
        self.server.device_was_reset(self.device.link)
        self.device.debug.reset()
        return self.wait_boot(deadline=deadline)

    def wait_boot(self, *, deadline: float | Deadline = BOOT_SECONDS) -> Registration:
        """Wait for the registration after the one that was seen last."""
        self._registration = self.server.wait_registration(after=self._registration, deadline=deadline)
        return self._registration

    def component(self, which: str) -> UpdatableComponent:
        """The object instance that stands for a component."""
        chosen = self.board.component(which)
        self.device.require("lwm2m")
        if self._registration is None:
            self.boot()
        assert self._registration is not None
        instance = chosen.image if chosen.lwm2m_instance is None else chosen.lwm2m_instance
        return AdvancedFirmwareUpdate(self.server.device(self._registration), instance)

    # updates over LwM2M

    def download(
        self,
        image: SignedImage,
        *,
        pull: bool = False,
        block_size: int = 1024,
        progress: Callable[[int, int], None] | None = None,
        deadline: float | Deadline = 60.0,
    ) -> None:
        """Bring an image into its secondary slot, and wait until the device says that it is downloaded.

        ``progress`` gets bytes sent and their total (push only).
        """
        component = self.component(image.component)
        limit = Deadline.of(deadline)
        if pull:
            publication = self.server.publish(image.data, max_block_size=block_size)
            component.pull(self.server.uri_for(publication, component.device), deadline=limit)
            status = component.wait_downloaded(deadline=limit)
        else:
            outcome = component.push(image.data, block_size=block_size, progress=progress, deadline=limit)
            status = outcome.status
        if status.state is not UpdateState.DOWNLOADED:
            raise VerdictError(
                f"{image} was not downloaded: the device says {status} for {component.path}\n"
                + self.evidence()
            )

    def update(
        self, first: str, *, instances: Sequence[int] | None = None, deadline: float | Deadline = BOOT_SECONDS
    ) -> Registration:
        """Execute Update on a component and wait until the device is back.

        ``instances`` names the instances to update along; None leaves it to what the device linked.
        """
        with self.changing():
            self.component(first).update(instances, deadline=deadline)
            return self.wait_boot(deadline=deadline)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Remember the flash before, so that a failed `expect` can show what changed."""
        self._before = self.device.report()
        yield

    # judging

    def told(self, *components: str, settled: bool = True) -> dict[str, Told]:
        """What the device says of components; ``settled`` waits until no update is under way."""
        found = {}
        for name in components:
            component = self.component(name)
            status = component.wait_state(*_SETTLED, deadline=BOOT_SECONDS) if settled else component.status()
            found[name] = Told(status, component.version())
        return found

    def verdicts(self, *new: SignedImage, settled: bool = True) -> dict[str, ComponentVerdict]:
        """What became of these updates, from flash and, where it can be asked, from the device."""
        images = {image.component: image for image in new}
        told = self.told(*images, settled=settled) if "lwm2m" in self.device.capabilities else None
        return judge(self.board, self.device.flash(), self.installed, images, told)

    def expect(self, expected: Mapping[SignedImage, Verdict], *, why: str) -> None:
        """Raise `VerdictError` unless these verdicts hold and the device's own words agree with flash.

        ``why`` says in a sentence what rule demands them.
        """
        # A device may say that it updates until somebody has confirmed.
        found = self.verdicts(*expected, settled=Verdict.SWAPPED not in expected.values())
        problems = []
        for image, wanted in expected.items():
            verdict = found[image.component]
            if verdict.lie:
                problems.append(f"{image.component}: {verdict.lie}")
            if verdict.verdict is not wanted:
                hint = meaning(wanted, verdict.verdict)
                problems.append(
                    f"{image.component}: expected {wanted}, found {verdict.verdict} ({verdict.because})"
                    + (f"\n    {hint}" if hint else "")
                )
        if problems:
            raise VerdictError(
                "\n".join([*problems, f"rule: {why}", "", self.evidence(verdicts=found.values())])
            )

    def expect_installed(self, *images: SignedImage, why: str) -> None:
        """Raise `VerdictError` unless exactly these images are in the primary slots of their components."""
        flash = self.device.flash()
        wrong = [
            image
            for image in images
            if not image.lies_at(
                flash, self.board.partition(self.board.component(image.component).primary).address
            )
        ]
        if wrong:
            names = ", ".join(map(str, wrong))
            raise VerdictError(f"not in the primary slot: {names}\nrule: {why}\n\n{self.evidence(flash)}")

    def evidence(self, flash: FlashView | None = None, *, verdicts: Iterable[ComponentVerdict] = ()) -> str:
        """Slots, what changed, and the console's last lines, for a message."""
        report = (
            self.device.report() if flash is None else FlashReport.build(flash, self.board.boot_settings())
        )
        parts = [f"device: {self.device.name}"]
        parts += [f"  {verdict}" for verdict in verdicts]
        if self._before is not None:
            changes = diff_reports(self._before, report)
            parts += ["", "changed since the update was started:", str(changes)]
        parts += ["", str(report)]
        if "console" in self.device.capabilities:
            parts += ["", "console (last lines, as evidence only):", self.device.console.tail(_CONSOLE_LINES)]
        return "\n".join(parts)
