"""A device with its protocol server and images: everything that one update test needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from .._deadline import Deadline
from .._errors import CapabilityMissing, DeadlineExceeded, DisagreementError, VerdictError
from ..devices import Device
from ..mcuboot import FlashReport, FlashView, diff_reports
from ..protocols import (
    BadFrameLink,
    LinkConditions,
    Lwm2mServer,
    Registration,
    UdpBadLink,
    UpdatableComponent,
)
from ..protocols.smp import SmpClient
from ._boot import Restart, describe_core, running_slot, wait_application, wait_parked
from ._delivery import Delivery, Transfer
from ._images import ImageFactory, SignedImage
from ._over_lwm2m import Lwm2mDelivery
from ._over_smp import SmpDelivery
from ._staging import factory_trailer, staged
from ._told import Words
from ._verdict import ComponentVerdict, Verdict, judge, meaning

__all__ = ["BOOT_SECONDS", "UpdateRig"]

#: seconds that a boot may take, an update and its way back included, if nobody says otherwise
BOOT_SECONDS: Final = 30.0
_CONSOLE_LINES: Final = 14


class UpdateRig:
    """Installs, boots, transfers, updates and judges one device. Closes its protocols, not the device.

    ``installed`` are the images that `install` put into the primary slots, ``offered`` the
    last ones that were staged or downloaded as updates, both by component. Updates travel over
    ``protocol``, by default the first that the board file names; then the others of the board
    serve as well, else they are only asked what they say. With ``conditions`` there is a bad
    link between LwM2M server and device, and one between SMP client and device. ``boot_seconds``
    is what a boot may take, an update and its way back included.
    """

    def __init__(
        self,
        device: Device,
        images: ImageFactory,
        *,
        protocol: str | None = None,
        conditions: LinkConditions | None = None,
        boot_seconds: float = BOOT_SECONDS,
    ) -> None:
        self.device, self.images, self.board = device, images, device.board
        self.boot_seconds = boot_seconds
        self._only = protocol
        if protocol is not None:
            device.require(protocol)
        self._protocols = sorted(self.board.protocols, key=lambda name: name != protocol)
        self._lwm2m = Lwm2mDelivery(device, conditions)
        self._smp = SmpDelivery(device, conditions if "smp" in device.board.protocols else None)
        self.installed: dict[str, SignedImage] = {}
        self.offered: dict[str, SignedImage] = {}
        self._before: FlashReport | None = None

    def __enter__(self) -> UpdateRig:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End what speaks with the device, and leave the line."""
        self._smp.close()
        self._lwm2m.close()

    def _require(self, protocol: str) -> None:
        """Raise `CapabilityMissing` if the board has no such protocol, or this rig is to use another."""
        self.device.require(protocol)
        if self._only not in {None, protocol}:
            raise CapabilityMissing(protocol, board=f"{self.board.name} over {self._only}")

    @property
    def _deliveries(self) -> list[Delivery]:
        """All protocols of the board; updates travel over the first."""
        known: dict[str, Delivery] = {each.name: each for each in (self._lwm2m, self._smp)}
        return [known[name] for name in self._protocols]

    @property
    def delivery(self) -> Delivery:
        """How updates travel. Raises `CapabilityMissing` for a board without a protocol."""
        self.device.require("updates")
        return self._deliveries[0]

    @property
    def server(self) -> Lwm2mServer:
        """The LwM2M server on the device's serial line. Raises `CapabilityMissing`."""
        self._require("lwm2m")
        return self._lwm2m.server

    @property
    def smp(self) -> SmpClient:
        """The SMP client, on the device's serial line or UDP. Raises `CapabilityMissing`."""
        self._require("smp")
        return self._smp.client

    @property
    def recovery(self) -> SmpClient:
        """The SMP client for the boot loader's serial recovery: uploads go into primary slots.

        Raises `CapabilityMissing`.
        """
        self.device.require("serial-recovery")
        return self._smp.line_client

    @property
    def link(self) -> BadFrameLink | UdpBadLink:
        """The link between LwM2M server and device, to be made bad; perfect unless conditions were given.

        Where updates travel over SMP only it is `smp_link`. Raises `CapabilityMissing` for a device
        without such a line, ValueError when the server is in use without it already.
        """
        if "lwm2m" not in self.board.protocols or self._only == "smp":
            return self.smp_link
        self._require("lwm2m")
        return self._lwm2m.link

    @property
    def smp_link(self) -> BadFrameLink | UdpBadLink:
        """The same between SMP client and device; what it does to messages is counted on its own."""
        self._require("smp")
        return self._smp.link

    @property
    def bad_links(self) -> dict[str, BadFrameLink | UdpBadLink]:
        """The links that messages have met so far, by protocol, also after the end of the rig."""
        links = {self._lwm2m.name: self._lwm2m.bad_link, self._smp.name: self._smp.bad_link}
        return {name: link for name, link in links.items() if link is not None}

    @property
    def refused(self) -> str:
        """What the protocol server did not let in, by kind, and the last of it; may be empty."""
        return self._lwm2m.refused

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
        for each in self._deliveries:
            each.forget()

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
        for each in self._deliveries:
            each.start()
        self.device.power.on()

    def boot(self, *, deadline: float | Deadline | None = None) -> None:
        """Switch on, and wait until the application is up: it has registered, or it answers over
        SMP, or, on a board without protocols, it has taken over from the boot loader.
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
        for each in self._deliveries:
            each.watch(by_firmware=kind is not Restart.PIN)
        if kind is Restart.PIN:
            self.device.debug.reset()
        else:
            request = "reset" if kind is Restart.SOFT else "fault hang"
            self.device.console.send(f"{request}\n")
        return self.wait_boot(deadline=deadline)

    def wait_boot(self, *, deadline: float | Deadline | None = None) -> None:
        """Wait until the application is up after what has restarted it; see `boot`.

        Raises `VerdictError` with what is in flash if it does not come.
        """
        limit = self._boot_limit(deadline)
        try:
            for each in self._awaited:
                each.wait_up(limit)
            if not self._deliveries or "serial-recovery" in self.board.capabilities:  # that answers as well
                wait_application(self.device, deadline=limit)
        except DeadlineExceeded as error:
            flash = self.device.flash()
            offered = judge(self.board, flash, self.installed, self.offered).values()
            raise VerdictError(
                f"the application did not come back\n{error}\n{self._core()}\n\n"
                f"{self.evidence(flash, verdicts=offered)}"
            ) from None

    def wait_recovery(self, *, deadline: float | Deadline | None = None) -> None:
        """Wait until the boot loader's serial recovery answers. Raises `VerdictError` if it does not come."""
        self.device.require("serial-recovery")
        try:
            self._smp.wait_recovery(self._boot_limit(deadline))
        except DeadlineExceeded as error:
            found = f"{error}\n{self._core()}"
        else:
            slot = running_slot(self.device)
            if slot is None:
                return
            found = f"the program in the slot at {slot:#x} runs, and answers"
        raise VerdictError(f"the boot loader's serial recovery did not come\n{found}\n\n{self.evidence()}")

    def leave_recovery(self) -> None:
        """Ask whoever answers over SMP for a reset; then `wait_boot` or `wait_recovery`."""
        self._ask_reset(into_recovery=False)

    def enter_recovery(self) -> None:
        """Ask whoever answers over SMP for a reset into serial recovery, and wait for that."""
        self._ask_reset(into_recovery=True)
        self.wait_recovery()

    def _ask_reset(self, *, into_recovery: bool) -> None:
        for each in {self._smp, *self._deliveries}:
            each.watch(by_firmware=True)
        self.recovery.reset(recovery=into_recovery)

    @property
    def _awaited(self) -> list[Delivery]:
        """Those that have to be heard after a boot: LwM2M's answers need a registration anyway."""
        return self._deliveries[:1] if self._protocols[:1] == ["lwm2m"] else self._deliveries

    def expect_no_boot(self, *, why: str, deadline: float | Deadline | None = None) -> None:
        """Raise `VerdictError` unless the boot loader gives up in good order; ``why`` names the rule."""
        try:
            wait_parked(self.device, deadline=self._boot_limit(deadline))
        except (DeadlineExceeded, VerdictError) as error:
            raise VerdictError(f"{error}\nrule: {why}\n\n{self.evidence()}") from None

    def _boot_limit(self, deadline: float | Deadline | None) -> Deadline:
        return Deadline.of(self.boot_seconds if deadline is None else deadline)

    def _core(self) -> str:
        return describe_core(self.device, self.device.debug.sample())

    @property
    def registration(self) -> Registration:
        """The device's latest registration; it is booted if there is none."""
        self._require("lwm2m")
        self._boot_if_unknown()
        assert self._lwm2m.registration is not None
        return self._lwm2m.registration

    def command(self, line: str) -> str:
        """A console command of the reference application, for example ``confirm app``; the text it answers.

        Raises `VerdictError` if the application refuses.
        """
        answer = self.device.console.command(line)
        if "error: " in answer:
            raise VerdictError(f"the application refuses {line!r}: {answer.strip()}\n\n{self.evidence()}")
        return answer

    def component(self, which: str) -> UpdatableComponent:
        """The LwM2M object instance that stands for a component. Raises `CapabilityMissing`."""
        _ = self.registration
        return self._lwm2m.component(which)

    # updates over the chosen protocol

    def download(
        self,
        image: SignedImage,
        *,
        pull: bool = False,
        block_size: int = 1024,
        progress: Callable[[int, int], None] | None = None,
        deadline: float | Deadline = 60.0,
    ) -> None:
        """Bring an image into its secondary slot, and wait until the device says that it is there.

        ``progress`` gets bytes sent and their total. ``pull``, by which the device fetches it, and
        ``block_size`` are LwM2M's; no progress is told of a pull.
        """
        self.offered[image.component] = image
        self._protected(
            lambda limit: self.delivery.download(image, Transfer(pull, block_size, progress), limit), deadline
        )

    def break_off(self, image: SignedImage, size: int = 3072, *, deadline: float | Deadline = 60.0) -> None:
        """Bring at least ``size`` bytes of an image over, and leave it at that, as a host does that dies."""
        self._protected(lambda limit: self.delivery.break_off(image, size, limit), deadline)

    def discard(self, component: str, *, deadline: float | Deadline = 30.0) -> None:
        """Give up what was downloaded for a component."""
        self._protected(lambda limit: self.delivery.discard(component, limit), deadline)

    def _boot_if_unknown(self) -> None:
        """LwM2M can ask only what has registered."""
        if self._lwm2m in self._deliveries and self._lwm2m.registration is None:
            self.boot()

    def _protected(self, call: Callable[[Deadline], None], deadline: float | Deadline) -> None:
        """Boot if need be, and add evidence to what the device does wrong."""
        self._boot_if_unknown()
        try:
            call(Deadline.of(deadline))
        except VerdictError as error:
            raise VerdictError(f"{error}\n{self.evidence()}") from None

    def ask_for_update(
        self, first: str, *, others: Sequence[str] | None = None, deadline: float | Deadline = 30.0
    ) -> None:
        """Have downloaded components installed, which restarts the device, and wait for nothing.

        ``others`` names components to update along; None means all that are downloaded.
        """
        self._protected(lambda limit: self.delivery.install(first, others, limit), deadline)

    def update(
        self, first: str, *, others: Sequence[str] | None = None, deadline: float | Deadline | None = None
    ) -> None:
        """`ask_for_update`, and wait until the device is back."""
        with self.changing():
            limit = self._boot_limit(deadline)
            self.ask_for_update(first, others=others, deadline=limit)
            self.wait_boot(deadline=limit)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Remember the flash before, so that a failed `expect` can show what changed."""
        self._before = self.device.report()
        yield

    # judging

    def told(self, *components: str, settled: bool = True) -> dict[str, Words]:
        """What the device says of components; ``settled`` waits until no update is under way."""
        self._boot_if_unknown()
        limit = Deadline(self.boot_seconds)
        return {name: self.delivery.told(name, settled=settled, limit=limit) for name in components}

    def verdicts(self, *new: SignedImage, settled: bool = True) -> dict[str, ComponentVerdict]:
        """What became of these updates, from flash and from what the device says over each protocol."""
        images = {image.component: image for image in new}
        self._boot_if_unknown()
        limit = Deadline(self.boot_seconds)
        said = [
            {name: each.told(name, settled=settled, limit=limit) for name in images}
            for each in self._deliveries
        ]
        found = judge(self.board, self.device.flash(), self.installed, images, said[0] if said else None)
        for others in said[1:]:
            for name, words in others.items():
                found[name] = found[name].also(words, self.installed[name], images[name])
        return found

    def expect(self, expected: Mapping[SignedImage, Verdict], *, why: str, settled: bool = True) -> None:
        """Raise `VerdictError` unless these verdicts hold, and `DisagreementError` unless what the device
        says over each of its protocols agrees with flash.

        ``why`` says in a sentence what rule demands them. ``settled`` waits until the device says that
        no update is under way; one that was asked for and waits for the reset is.
        """
        # A device may say that it updates until somebody has confirmed.
        found = self.verdicts(*expected, settled=settled and Verdict.SWAPPED not in expected.values())
        lies = [f"{name}: {verdict.lie}" for name, verdict in found.items() if verdict.lie]
        problems = []
        for image, wanted in expected.items():
            verdict = found[image.component]
            if verdict.verdict is not wanted:
                hint = meaning(wanted, verdict.verdict)
                problems.append(
                    f"{image.component}: expected {wanted}, found {verdict.verdict} ({verdict.because})"
                    + (f"\n    {hint}" if hint else "")
                )
        if lies or problems:
            kind = DisagreementError if lies else VerdictError
            lines = [*lies, *problems, f"rule: {why}", "", self.evidence(verdicts=found.values())]
            raise kind("\n".join(lines))

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
