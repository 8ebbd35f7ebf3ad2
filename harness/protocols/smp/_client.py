"""A client for the Simple Management Protocol: `smpclient` behind calls that block, with deadlines."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from harness._deadline import Deadline
from harness._errors import DeadlineExceeded, PortError, ProtocolError, RequestError
from harness.protocols._portal import LoopThread
from harness.protocols.links import FrameLink
from harness.protocols.smp._transports import PATIENCE, Datagrams, Patient, SharedLine, Transport

if TYPE_CHECKING:
    from smpclient import SMPClient
    from smpclient.requests.image_management import ImageStatesRead, ImageStatesWrite

__all__ = ["ImageSlot", "Parameters", "SmpClient"]

_ANSWER_SECONDS: Final = 20.0
_ERASE_SECONDS: Final = 60.0
_UPLOAD_SECONDS: Final = 120.0
_STANDSTILL: Final = 3
_RESTARTS: Final = 8
_SHOWN: Final = 300
_UDP_PORT: Final = 1337

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a device says of its buffers: bytes of one, and how many there are."""

    buffer_size: int
    buffer_count: int


@dataclass(frozen=True, slots=True)
class ImageSlot:
    """What a device says of one slot: image and slot number, version, SHA-256 of the image, and flags.

    ``confirmed`` and ``active`` tell what runs and stays, ``pending`` what the next boot
    installs; ``permanent`` that this is without a trial.
    """

    image: int
    slot: int
    version: str
    hash: bytes | None
    bootable: bool
    pending: bool
    confirmed: bool
    active: bool
    permanent: bool

    def __str__(self) -> str:
        flags = [name for name in ("active", "confirmed", "pending", "permanent") if getattr(self, name)]
        return f"image {self.image} slot {self.slot}: {self.version} {' '.join(flags) or 'no flags'}"


class SmpClient:
    """Speaks SMP with one device: groups ``os`` and ``image``. Its thread ends with `close`.

    Each call is repeated until it is answered or its ``deadline`` (seconds) runs out. Raises
    `RequestError` for what the device refuses, ``code`` being the name of the error,
    `ProtocolError` for answers that make no sense, `DeadlineExceeded`, and `PortError` if the
    line is gone. ``patience`` are the seconds before the first repetition; each further wait is twice
    as long, up to four times.
    """

    def __init__(
        self, transport: Transport, *, name: str, address: str = "", patience: float = PATIENCE
    ) -> None:
        self.name: Final = name
        self._line = Patient(transport, patience)
        self._address = address
        self._client: SMPClient | None = None
        self._sized = False
        self._thread = LoopThread()

    @classmethod
    def on_line(cls, link: FrameLink, *, patience: float = PATIENCE) -> Self:
        """For a device on a serial line, which stays its owner's."""
        return cls(SharedLine(link), name=link.name, patience=patience)

    @classmethod
    def at(cls, host: str, port: int = _UDP_PORT, *, patience: float = PATIENCE) -> Self:
        """For a device on UDP; Zephyr listens on port 1337."""
        return cls(Datagrams(port), name=f"udp://{host}:{port}", address=host, patience=patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the line and end the thread."""
        if self._thread.closed:
            return
        if self._client is not None:
            self._thread.run(self._line.disconnect)
        self._thread.close()

    # group os

    def echo(self, text: str, *, deadline: float | Deadline = _ANSWER_SECONDS) -> str:
        """What the device makes of a text: the same."""
        from smpclient.requests.os_management import EchoWrite

        return str(self._ask(EchoWrite(d=text), "an echo", deadline).r)

    def parameters(self, *, deadline: float | Deadline = _ANSWER_SECONDS) -> Parameters:
        """The device's buffers."""
        from smpclient.requests.os_management import MCUMgrParametersRead

        found = self._ask(MCUMgrParametersRead(), "the parameters", deadline)
        return Parameters(found.buf_size, found.buf_count)

    def reset(self, *, recovery: bool = False, deadline: float | Deadline = _ANSWER_SECONDS) -> None:
        """Restart the device, with ``recovery`` into the serial recovery of its boot loader.

        It answers first, and is away soon after.
        """
        from smpclient.requests.os_management import ResetWrite

        self._ask(ResetWrite(boot_mode=1) if recovery else ResetWrite(), "a reset", deadline, empty=True)

    # group image

    def images(self, *, deadline: float | Deadline = _ANSWER_SECONDS) -> tuple[ImageSlot, ...]:
        """All slots that hold an image."""
        from smpclient.requests.image_management import ImageStatesRead

        return self._states(ImageStatesRead(), "the state of its images", deadline)

    def image(self, number: int, *, deadline: float | Deadline = _ANSWER_SECONDS) -> ImageSlot | None:
        """The image of this number that is in use, None if the device names none."""
        found = self.images(deadline=deadline)
        return next((slot for slot in found if slot.image == number and slot.active), None)

    def test(self, digest: bytes, *, deadline: float | Deadline = _ANSWER_SECONDS) -> tuple[ImageSlot, ...]:
        """Ask for the image with this SHA-256 (its TLV) to be tried at the next boot."""
        from smpclient.requests.image_management import ImageStatesWrite

        # MCUboot 2.0 and 2.1 take what was on the stack for a ``confirm`` that is left out.
        request = ImageStatesWrite(hash=digest, confirm=False)
        return self._ask_for(request, "a trial of an image", deadline)

    def confirm(
        self, digest: bytes | None = None, *, deadline: float | Deadline = _ANSWER_SECONDS
    ) -> tuple[ImageSlot, ...]:
        """Keep the image with this SHA-256; one that waits is then installed without a trial.

        None means what runs as image 0.
        """
        from smpclient.requests.image_management import ImageStatesWrite

        request = ImageStatesWrite(hash=digest, confirm=True)
        return self._ask_for(request, "a confirmation", deadline)

    def erase(self, slot: int = 1, *, deadline: float | Deadline = _ERASE_SECONDS) -> None:
        """Erase a slot that is not in use. Slots are numbered through: 2 and 3 are those of image 1."""
        from smpclient.requests.image_management import ImageErase

        self._ask(ImageErase(slot=slot), f"erasing slot {slot}", deadline, empty=True)

    def upload(
        self,
        data: bytes,
        image: int = 0,
        *,
        upgrade: bool = False,
        progress: Callable[[int, int], None] | None = None,
        deadline: float | Deadline = _UPLOAD_SECONDS,
    ) -> None:
        """Bring an image into the slot for updates of an image number. Goes on with what is there of it.

        ``upgrade`` lets the device refuse what is not newer. ``progress`` gets bytes that the
        device has, and their total. An upload that is interrupted can be called again.
        """
        limit = Deadline.of(deadline)
        self._learn_size(limit)
        self._call(
            lambda client: self._upload(client, data, image, upgrade, progress, limit), limit, "an upload"
        )

    def upload_piece(
        self,
        data: bytes,
        offset: int,
        size: int,
        *,
        image: int = 0,
        deadline: float | Deadline = _ANSWER_SECONDS,
    ) -> int:
        """Send one piece of an upload, ``size`` bytes from ``offset``; the offset that the device wants next.

        `upload` does all that is needed; this is for those who want to do it wrong.
        """
        from smpclient.requests.image_management import ImageUploadWrite

        first: dict[str, Any] = {"len": len(data), "image": image, "sha": sha256(data).digest()}
        piece = data[offset : offset + size]
        request = ImageUploadWrite(off=offset, data=piece, **({} if offset else first))
        what = f"a piece of {len(piece)} bytes for offset {offset}"
        answer = self._ask(request, what, deadline)
        if answer.off is None:
            raise self._refused(answer, what)
        return int(answer.off)

    async def _upload(
        self,
        client: SMPClient,
        data: bytes,
        image: int,
        upgrade: bool,
        progress: Callable[[int, int], None] | None,
        limit: Deadline,
    ) -> None:
        for left in reversed(range(_RESTARTS)):
            forgotten = await self._upload_once(client, data, image, upgrade, progress, limit)
            if forgotten is None:
                return
            if not left:
                raise forgotten

    async def _upload_once(
        self,
        client: SMPClient,
        data: bytes,
        image: int,
        upgrade: bool,
        progress: Callable[[int, int], None] | None,
        limit: Deadline,
    ) -> RequestError | None:
        """None once the device has all, or its refusal where an upload from the start tells what it has."""
        from smp.image_management import ImageUploadWriteResponse
        from smpclient.exceptions import SMPUploadError

        at, still = -1, 0
        seconds = limit.remaining
        try:
            async for offset in client.upload(
                data, image, upgrade, first_timeout_s=seconds, subsequent_timeout_s=seconds
            ):
                still = still + 1 if offset <= at else 0
                if offset > len(data) or still > _STANDSTILL:
                    raise ProtocolError(
                        "the device asks for offsets that make no sense",
                        where=self.name,
                        expected=f"an offset from {max(at, 0)} to {len(data)}",
                        found=str(offset),
                        remedy="look at how the device counts what it has of an upload",
                    )
                at = offset
                if progress is not None:
                    progress(offset, len(data))
        except SMPUploadError as error:
            refusal = error.args[0] if error.args else error
            if isinstance(refusal, str):
                last = ImageUploadWriteResponse.loads(self._line.answer)
                if last.off is None:
                    raise self._refused(last, f"an upload of {len(data)} bytes for image {image}") from None
                raise ProtocolError(
                    "the device says that it has received something else",
                    where=self.name,
                    found=f"an upload of {len(data)} bytes ended with match false",
                    remedy="look at how the device puts the pieces together",
                ) from None
            refused = self._refused(refusal, f"an upload of {len(data)} bytes for image {image}")
            # It took the last piece and forgot the upload; its answer was lost, and this one is for
            # the same piece once more.
            if at > 0 and "INVALID_OFFSET" in refused.code:
                return refused
            raise refused from None
        return None

    # the ground

    def _learn_size(self, limit: Deadline) -> None:
        """The size of the device's buffer, once; a device that does not tell gets small messages."""
        if not self._sized:
            with contextlib.suppress(RequestError):
                self._line.initialize(self.parameters(deadline=limit).buffer_size)
            self._sized = True

    def _states(
        self, request: ImageStatesRead | ImageStatesWrite, what: str, deadline: float | Deadline
    ) -> tuple[ImageSlot, ...]:
        return tuple(
            ImageSlot(
                image=found.image or 0,
                slot=found.slot,
                version=_version(found.version),
                hash=bytes(found.hash) if found.hash is not None else None,
                bootable=bool(found.bootable),
                pending=bool(found.pending),
                confirmed=bool(found.confirmed),
                active=bool(found.active),
                permanent=bool(found.permanent),
            )
            for found in self._ask(request, what, deadline).images
        )

    def _ask_for(
        self, request: ImageStatesWrite, what: str, deadline: float | Deadline
    ) -> tuple[ImageSlot, ...]:
        limit = Deadline.of(deadline)
        try:
            return self._states(request, what, limit)
        except RequestError as error:
            if self._line.sent == 1 or "ALREADY_PENDING" not in error.code:
                raise
            found = self.images(deadline=limit)  # asked for twice, because the first answer was lost
            if not any(
                slot.pending and slot.hash == request.hash and slot.permanent >= bool(request.confirm)
                for slot in found
            ):
                raise
            return found

    def _ask(self, request: Any, what: str, deadline: float | Deadline, *, empty: bool = False) -> Any:
        """The answer; ``empty`` for one that has nothing to tell, which MCUboot tells as ``rc`` 0."""
        from smpclient.generics import error

        limit = Deadline.of(deadline)
        answer: Any = self._call(lambda client: client.request(request, limit.remaining), limit, what)
        if error(answer) and not (empty and getattr(answer, "rc", None) == 0):
            raise self._refused(answer, what)
        return answer

    def _refused(self, answer: Any, what: str) -> RequestError:
        from smp.error import MGMT_ERR

        rc = getattr(answer, "err", answer).rc
        if rc in set(MGMT_ERR) and not hasattr(rc, "name"):  # beside an offset that is missing
            rc = MGMT_ERR(rc)
        code = getattr(rc, "name", str(rc))
        return RequestError(
            f"the device refuses {what}",
            code=code,
            where=self.name,
            remedy="see 'SMP Protocol Specification' in Zephyr's documentation for what this code means",
        )

    def _call(self, call: Callable[[SMPClient], Awaitable[T]], limit: Deadline, what: str) -> T:
        from smpclient.exceptions import SMPClientException

        async def run() -> T:
            if self._client is None:
                from smpclient import SMPClient

                await self._line.connect(self._address, limit.remaining)
                self._client = SMPClient(self._line, self._address)  # type: ignore[arg-type]
            async with asyncio.timeout(limit.remaining):
                return await call(self._client)

        try:
            return self._thread.run(run)
        except DeadlineExceeded:
            raise
        except TimeoutError:
            seen = f"nothing, although it was asked {self._line.sent} times"
            if self._line.strays:
                seen = f"{self._line.strays} answers to other requests only"
            raise limit.exceeded(
                f"an answer to {what}",
                seen=seen,
                where=self.name,
                remedy="look at whether the device runs and speaks SMP on this line",
            ) from None
        except SMPClientException as error:
            raise ProtocolError(
                f"the answer to {what} makes no sense", where=self.name, found=_short(error)
            ) from None
        except OSError as error:
            raise PortError("the device cannot be reached", where=self.name, found=str(error)) from None


def _version(text: str) -> str:
    """Zephyr and MCUboot write a build number as a fourth part."""
    parts = text.split(".")
    return "+".join((".".join(parts[:3]), parts[3])) if len(parts) == 4 else text


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) < _SHOWN else text[:_SHOWN] + "..."
