"""A device with its protocol server and images: everything that one update test needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from .._deadline import Deadline
from .._errors import DeadlineExceeded, VerdictError
from ..devices import Device
from ..mcuboot import FlashReport, FlashView, diff_reports
from ..protocols import (
    AdvancedFirmwareUpdate,
    BadFrameLink,
    FrameLink,
    LinkConditions,
    LinkReport,
    Lwm2mServer,
    Registration,
    Retransmission,
    UpdatableComponent,
    UpdateState,
)
from ._boot import Restart, describe_core, wait_application, wait_parked
from ._images import ImageFactory, SignedImage
from ._staging import factory_trailer, staged
from ._verdict import ComponentVerdict, Told, Verdict, judge, meaning

__all__ = ["BOOT_SECONDS", "UpdateRig"]

#: seconds that a boot may take, an update and its way back included, if nobody says otherwise
BOOT_SECONDS: Final = 30.0
_CONSOLE_LINES: Final = 14
_SETTLED: Final = (UpdateState.IDLE, UpdateState.DOWNLOADING, UpdateState.DOWNLOADED)


class UpdateRig:
    """Installs, boots, transfers, updates and judges one device. Closes the server, not the device.

    ``installed`` are the images that `install` put into the primary slots, ``offered`` the
    last ones that were staged or downloaded as updates, both by component. With
    ``conditions`` there is a bad link between server and device. ``boot_seconds`` is what a
    boot may take, an update and its way back included.
    """

    def __init__(
        self,
        device: Device,
        images: ImageFactory,
        *,
        conditions: LinkConditions | None = None,
        boot_seconds: float = BOOT_SECONDS,
    ) -> None:
        self.device, self.images, self.board = device, images, device.board
        self.boot_seconds = boot_seconds
        self._conditions = conditions
        self._link: BadFrameLink | None = None
        self.installed: dict[str, SignedImage] = {}
        self.offered: dict[str, SignedImage] = {}
        self._server: Lwm2mServer | None = None
        self._registration: Registration | None = None
        self._heard: Registration | None = None  # the latest one, also of what was installed before
        self._before: FlashReport | None = None

    def __enter__(self) -> UpdateRig:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the protocol server, and leave the line."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._link is not None:
            self._link.close()  # and is kept, for its report

    @property
    def server(self) -> Lwm2mServer:
        """The LwM2M server on the device's serial line. Raises `CapabilityMissing`."""
        if self._server is None:
            self.device.require("lwm2m")
            bad, line = self._conditions is not None, self._line
            retransmission = Retransmission(ack_timeout=0.15 if bad else 1.0, patient=bad)
            self._server = Lwm2mServer(host=None, retransmission=retransmission)
            self._server.attach(line)
        return self._server

    @property
    def link(self) -> BadFrameLink:
        """The link between server and device, to be made bad; perfect unless conditions were given.

        Raises `CapabilityMissing` for a device without such a line, ValueError when the
        server is in use without it already.
        """
        if self._link is None:
            if self._server is not None:
                raise ValueError("ask for the link before the server is used")
            self._conditions = self._conditions or LinkConditions()
            self._link = BadFrameLink(self.device.link, self._conditions)
        return self._link

    @property
    def link_report(self) -> LinkReport | None:
        """What the bad link has done, if there is one."""
        return self._link.report if self._link is not None else None

    @property
    def refused(self) -> str:
        """What the protocol server did not let in, by kind, and the last of it; may be empty."""
        return self._server.rejections.summary(20) if self._server is not None else ""

    @property
    def _line(self) -> FrameLink:
        return self.device.link if self._conditions is None else self.link

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
            if self.board.mcuboot.swap_mode.needs_confirmation:  # what has no trailer is erased
                content |= factory_trailer(self.board, component, confirmed=True)
        self.device.install(content, staged)
        self._registration = None

    def adopt(self, *images: SignedImage) -> None:
        """From now on these are what ran before an update: a confirmed update is the next one's past."""
        self.installed |= {image.component: image for image in images}

    def stage(self, image: SignedImage, *, permanent: bool = False) -> dict[int, bytes]:
        """What an update waiting in the secondary slot looks like in flash, by address: the image, and the
        request as the application writes it (`boot_set_pending`).
        """
        self.offered[image.component] = image
        return staged(self.board, image, permanent=permanent)

    def offer(
        self, *updates: SignedImage, permanent: bool = False, deadline: float | Deadline | None = None
    ) -> None:
        """Install again what is installed, with these updates waiting in the secondary slots, and boot."""
        content: dict[int, bytes] = {}
        for image in updates:
            content |= self.stage(image, permanent=permanent)
        self.install(*self.installed.values(), staged=content)
        self.boot(deadline=deadline)

    def upload(self, image: SignedImage, *, permanent: bool = False) -> None:
        """Put an update and its request into the secondary slot of a device in use, which is erased first.

        The core is halted afterwards: `restart`.
        """
        content = self.stage(image, permanent=permanent)
        component = self.board.component(image.component)
        slot = self.board.partition(component.secondary or component.primary)
        self.device.debug.erase(slot.address, slot.size)
        self.device.debug.program(content)

    # boots

    def start(self) -> None:
        """Switch on, and wait for nothing."""
        if self._heard is not None:
            self.server.device_was_reset(self._line)
        elif "lwm2m" in self.device.capabilities:
            _ = self.server  # has to hear the first words
        self.device.power.on()

    def boot(self, *, deadline: float | Deadline | None = None) -> None:
        """Switch on, and wait until the application is up: it has registered, or, on a board without
        LwM2M, it has taken over from the boot loader.
        """
        self.start()
        self.wait_boot(deadline=deadline)

    def reset(self, *, deadline: float | Deadline | None = None) -> None:
        """Reset by pin, and wait until the application is up."""
        self.restart(Restart.PIN, deadline=deadline)

    def restart(self, kind: Restart, *, deadline: float | Deadline | None = None) -> None:
        """Restart in one of several ways, and wait until the application is up.

        Soft and watchdog resets need the reference application: its console is asked.
        """
        if kind is Restart.POWER:
            self.device.power.off()
            self.device.settle()
            return self.boot(deadline=deadline)
        if self._registration is not None:
            self.server.device_was_reset(self._line)
        if kind is Restart.PIN:
            self.device.debug.reset()
        else:
            self.device.console.send("reset" if kind is Restart.SOFT else "fault hang")
        return self.wait_boot(deadline=deadline)

    def wait_boot(self, *, deadline: float | Deadline | None = None) -> None:
        """Wait for the registration after the one that was seen last; see `boot`.

        Raises `VerdictError` with what is in flash if it does not come.
        """
        limit = self._boot_limit(deadline)
        try:
            if "lwm2m" in self.device.capabilities:
                self._heard = self.server.wait_registration(after=self._heard, deadline=limit)
                self._registration = self._heard
            else:
                wait_application(self.device, deadline=limit)
        except DeadlineExceeded as error:
            flash = self.device.flash()
            offered = judge(self.board, flash, self.installed, self.offered).values()
            raise VerdictError(
                f"the application did not come back\n{error}\n{self._core()}\n\n"
                f"{self.evidence(flash, verdicts=offered)}"
            ) from None

    def expect_no_boot(self, *, why: str, deadline: float | Deadline | None = None) -> None:
        """Raise `VerdictError` unless the boot loader gives up in good order; ``why`` names the rule."""
        try:
            wait_parked(self.device, deadline=self._boot_limit(deadline))
        except DeadlineExceeded as error:
            raise VerdictError(f"{error}\nrule: {why}\n\n{self.evidence()}") from None

    def _boot_limit(self, deadline: float | Deadline | None) -> Deadline:
        return Deadline.of(self.boot_seconds if deadline is None else deadline)

    def _core(self) -> str:
        return describe_core(self.device, self.device.debug.sample())

    @property
    def registration(self) -> Registration:
        """The device's latest registration; it is booted if there is none."""
        self.device.require("lwm2m")
        if self._registration is None:
            self.boot()
        assert self._registration is not None
        return self._registration

    def command(self, line: str) -> str:
        """A console command of the reference application, for example ``confirm app``; the text it answers.

        Raises `VerdictError` if the application refuses.
        """
        answer = self.device.console.command(line)
        if "error: " in answer:
            raise VerdictError(f"the application refuses {line!r}: {answer.strip()}\n\n{self.evidence()}")
        return answer

    def component(self, which: str) -> UpdatableComponent:
        """The object instance that stands for a component."""
        chosen = self.board.component(which)
        registration = self.registration
        instance = chosen.image if chosen.lwm2m_instance is None else chosen.lwm2m_instance
        return AdvancedFirmwareUpdate(self.server.device(registration), instance)

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
        self.offered[image.component] = image
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
        self, first: str, *, instances: Sequence[int] | None = None, deadline: float | Deadline | None = None
    ) -> None:
        """Execute Update on a component and wait until the device is back.

        ``instances`` names the instances to update along; None leaves it to what the device linked.
        """
        with self.changing():
            limit = self._boot_limit(deadline)
            self.component(first).update(instances, deadline=limit)
            self.wait_boot(deadline=limit)

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
            status = (
                component.wait_state(*_SETTLED, deadline=self.boot_seconds) if settled else component.status()
            )
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
