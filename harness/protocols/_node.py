"""One CoAP endpoint: an aiocoap context with one transport, and bounded requests on it.

Requests go through aiocoap's Pipe instead of its Request and BlockwiseRequest
objects. Those wait for ever once an empty acknowledgement came, take 2.31 for
the end of a transfer, and keep observations only as long as somebody holds them.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiocoap import error
from aiocoap.message import Message
from aiocoap.numbers.codes import BAD_OPTION
from aiocoap.numbers.constants import TransportTuning
from aiocoap.pipe import Pipe, error_to_message
from aiocoap.protocol import Context
from aiocoap.tokenmanager import TokenManager

from harness._deadline import Deadline
from harness._errors import DeadlineExceeded, PortError, ProtocolError, RegistrationError
from harness.protocols._messages import MessageIds, Messages
from harness.protocols._transport import Heard, Interface, LinkInterface, PeerAddress, PeerGone, UdpInterface
from harness.protocols.links import FrameLink
from harness.protocols.security import DtlsSettings, Rejections

__all__ = ["AnsweringContext", "Node", "Retransmission", "describe"]

_FOR_EVER: Final = 1_000_000
#: critical options that requests may have: If-Match, Uri-Host, If-None-Match, Uri-Port, Uri-Path,
#: Uri-Query, Accept, Block2, Block1. Others must be refused (RFC 7252 section 5.4.1); so it is with
#: Q-Block1 and Q-Block2 (RFC 9177 section 4.1), whose sender then goes on with Block1 and Block2.
_UNDERSTOOD: Final = frozenset({1, 3, 5, 7, 11, 15, 17, 23, 27})
_INTERFACES: Final = {"rd": "registration", "dp": "send", "bs": "bootstrap"}


@dataclass(frozen=True, slots=True)
class Retransmission:
    """How requests are repeated until they are acknowledged (RFC 7252 section 4.8).

    The first repetition follows after ``ack_timeout`` seconds, times a random factor
    up to ``random_factor``; each further one after twice as long. What must not be given
    up before its deadline, such as a block of an image, is repeated as long as that, at
    pauses of at most four times ``ack_timeout``: a device drops the whole transfer with it.
    ``patient`` does so with all requests, for links that are known to be bad.
    """

    ack_timeout: float = 2.0
    random_factor: float = 1.5
    max_retransmit: int = 4
    patient: bool = False

    def tuning(self, *, patient: bool = False) -> Any:
        """Return the same for aiocoap."""
        patient = patient or self.patient
        tuning = TransportTuning()
        tuning.ACK_TIMEOUT = self.ack_timeout
        tuning.ACK_RANDOM_FACTOR = self.random_factor
        tuning.MAX_RETRANSMIT = _FOR_EVER if patient else self.max_retransmit
        tuning.reliability = True
        if patient:
            tuning.LONGEST_PAUSE = 4 * self.ack_timeout
        return tuning


class AnsweringContext(Context):  # type: ignore[misc]  # aiocoap has no types
    """A context whose handlers may be cancelled before they began.

    aiocoap creates the handler's coroutine outside of its task. When a device uses a
    token twice in quick succession, or the context ends, that one is never awaited.
    """

    #: told of requests that were answered with an error: by whom, kind, reason
    on_reject: Callable[[Any, str, str], object] = staticmethod(lambda *_: None)

    def render_to_pipe(self, pipe: Any) -> None:
        """Let the site answer a request."""
        request = pipe.request

        def note(event: Any) -> bool:
            if event.message is not None and event.message.code.class_ >= 4:
                self._note_refusal(request, event.message)
            return True

        pipe.on_event(note, is_interest=False)
        unknown = [
            int(option.number)
            for option in request.opt.option_list()
            if option.number.is_critical() and option.number not in _UNDERSTOOD
        ]
        if unknown:
            text = f"unknown critical option {', '.join(map(str, unknown))}"
            pipe.add_response(Message(code=BAD_OPTION, payload=text.encode()), is_last=True)
            return
        answers = error_to_message(pipe, self.log)

        async def answer() -> None:
            try:
                await self.serversite.render_to_pipe(answers)
            except Exception as problem:  # whatever it is, the device gets its 5.00
                answers.add_exception(problem)

        task = self.loop.create_task(answer())
        answers.on_interest_end(task.cancel)

    def _note_refusal(self, request: Message, answer: Message) -> None:
        path = request.opt.uri_path
        what = _INTERFACES.get(path[0], "request") if path else "request"
        said = answer.payload.decode(errors="replace") or answer.code.name.replace("_", " ").lower()
        self.on_reject(
            request.remote, f"{what} {answer.code.dotted}", f"{request.code.name} /{'/'.join(path)}: {said}"
        )


@dataclass(slots=True)
class _Sleeper:
    """A peer that listens only for a while after it has sent something."""

    awake_seconds: float
    woke: asyncio.Event = field(default_factory=asyncio.Event)
    ended: str | None = None


class Node:
    """A context with its one transport. Lives in one event loop."""

    def __init__(self, context: Any, retransmission: Retransmission) -> None:
        self._context = context
        self._tuning = retransmission.tuning()
        self._patient_tuning = retransmission.tuning(patient=True)
        self._interface: Interface | None = None
        self._busy: dict[PeerAddress, asyncio.Event] = {}
        self._sleepers: dict[PeerAddress, _Sleeper] = {}
        self.message_ids: defaultdict[PeerAddress, MessageIds] = defaultdict(MessageIds)
        #: the owner is about to close it: what ends now ends for that reason
        self.closing = False

    @classmethod
    async def on_link(
        cls,
        site: object,
        link: FrameLink,
        *,
        retransmission: Retransmission,
        lost: Callable[[Exception | None], None] | None = None,
    ) -> tuple[Node, PeerAddress]:
        """Open a node on a slipmux link; also return the address of its one peer."""

        async def build(manager: Any) -> LinkInterface:
            return LinkInterface(manager, link, lost)

        self = await cls._open(site, build, retransmission)
        assert isinstance(self._interface, LinkInterface)
        return self, self._interface.remote

    @classmethod
    async def on_udp(cls, site: object, host: str, port: int, *, retransmission: Retransmission) -> Node:
        """Open a node on a UDP socket. Raises PortError."""

        async def build(manager: Any) -> UdpInterface:
            return await UdpInterface.bind(manager, host, port)

        return await cls._open(site, build, retransmission)

    @classmethod
    async def on_dtls(
        cls,
        site: object,
        host: str,
        port: int,
        settings: DtlsSettings,
        rejections: Rejections,
        *,
        retransmission: Retransmission,
    ) -> Node:
        """Open a node for devices that come over DTLS. Raises PortError, also without pyOpenSSL."""
        transports = _dtls_transports()

        interface = transports.DtlsServerInterface
        context = interface.context(settings)

        async def build(manager: Any) -> Any:
            return await interface.bind(
                manager, host, port, settings=settings, context=context, rejections=rejections
            )

        return await cls._open(site, build, retransmission)

    @classmethod
    async def on_dtls_client(
        cls, site: object, host: str, context: Any, *, retransmission: Retransmission
    ) -> Node:
        """Open a client's node for DTLS; ``context`` is a ClientContext. Raises PortError."""
        transports = _dtls_transports()

        async def build(manager: Any) -> Any:
            return await transports.DtlsClientInterface.bind(manager, host, 0, context=context)

        return await cls._open(site, build, retransmission)

    @classmethod
    async def _open(cls, site: object, build: Any, retransmission: Retransmission) -> Node:
        context = AnsweringContext(
            loop=asyncio.get_running_loop(), serversite=site, loggername="harness.protocols.coap"
        )
        self = cls(context, retransmission)

        async def remember(manager: Any) -> Interface:
            self._interface = await build(manager)
            self._interface.on_answer = self.wake
            return self._interface

        # What aiocoap does in _append_tokenmanaged_messagemanaged_transport, with another message layer.
        tokens = TokenManager(context)
        tokens.token_interface = messages = Messages(tokens)
        messages.message_interface = await remember(messages)
        context.request_interfaces.append(tokens)
        return self

    def tell_rejections(self, told: Callable[[PeerAddress, str, str], object]) -> None:
        """Have all that is not let in told to somebody: by whom, a few words for counting, why."""
        self.interface.on_reject = self._context.on_reject = told

    @property
    def interface(self) -> Interface:
        """The transport."""
        assert self._interface is not None
        return self._interface

    @property
    def udp_address(self) -> tuple[str, int]:
        """Host and port of the UDP socket."""
        assert isinstance(self._interface, UdpInterface)
        return self._interface.address

    async def close(self) -> None:
        """End all requests and the transport."""
        await self._context.shutdown()

    def start(
        self, message: Message, on_event: Callable[[Any], bool], *, token: bytes | None = None
    ) -> Callable[[], None]:
        """Send a request and pass its events on; return what ends the interest in them.

        With ``token`` the request takes over that token, as the end of an observation
        must (RFC 7641 section 3.6).
        """
        pipe = Pipe(message, self._context.log)
        stop: Callable[[], None] = pipe.on_event(on_event)
        if self.interface.closed:
            pipe.add_exception(PeerGone("the transport is closed"))
            return stop
        (tokens,) = self._context.request_interfaces
        if token is None:
            tokens.request(pipe)
        else:
            message.token = token
            tokens.outgoing_requests[token, message.remote] = pipe
            pipe.on_interest_end(lambda: tokens.outgoing_requests.pop((token, message.remote), None))
            tokens.token_interface.send_message(message, lambda: pipe.add_exception(error.MessageError()))
        return stop

    def keep(self, message: Message, on_event: Callable[[Any], bool]) -> Callable[[], None]:
        """Go on receiving notifications for an observation whose pipe an error has ended."""
        pipe = Pipe(message, self._context.log)
        stop: Callable[[], None] = pipe.on_event(on_event)
        (tokens,) = self._context.request_interfaces
        key = (message.token, message.remote)
        tokens.outgoing_requests[key] = pipe
        pipe.on_interest_end(lambda: tokens.outgoing_requests.pop(key, None))
        return stop

    def prepare(self, message: Message, remote: PeerAddress, *, patient: bool = False) -> Message:
        """Address a request and give it the node's tuning."""
        message.remote = remote
        message.transport_tuning = self._patient_tuning if patient else self._tuning
        return message

    async def exchange(
        self,
        message: Message,
        remote: PeerAddress,
        deadline: Deadline,
        label: str,
        *,
        token: bytes | None = None,
        exclusive: bool = False,
        patient: bool = False,
    ) -> Message:
        """Send a request and return its answer, whatever the code.

        ``label`` names request and device in errors; a ``patient`` request is repeated up
        to its deadline. Raises DeadlineExceeded without
        an answer in time, RegistrationError when the device registered anew meanwhile,
        PortError when the link is gone, ProtocolError when the device answered with a
        reset.
        """
        self.prepare(message, remote, patient=patient)
        await self.admit(message, deadline, label, exclusive=exclusive)
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

        def on_event(event: Any) -> bool:
            if answer.done():
                pass
            elif event.exception is not None:
                answer.set_exception(event.exception)
            elif event.message is not None:
                answer.set_result(event.message)
            return False

        began = time.monotonic()
        stop = self.start(message, on_event, token=token)
        try:
            async with asyncio.timeout(deadline.remaining):
                return await answer
        except TimeoutError as problem:
            raise self.unanswered(message, deadline, label, began) from problem
        except error.Error as problem:
            raise self.translate(problem, message, deadline, label, began) from problem
        finally:
            stop()
            # Also after an answer: one that came in a message of its own, because the
            # acknowledgement was lost, does not end the repetitions.
            self.interface.withdraw(message)

    def unanswered(self, message: Message, deadline: Deadline, label: str, began: float) -> DeadlineExceeded:
        """Build the error for a request that nobody answered, with all that is known about it."""
        return self._give_up(message, deadline, label, began, self.interface.progress(message))

    def _give_up(
        self, message: Message, deadline: Deadline, label: str, began: float, progress: str
    ) -> DeadlineExceeded:
        last = self.interface.sent.get(message.remote)
        heard = self.interface.heard.get(message.remote, Heard())
        took = time.monotonic() - began
        sent = describe(last) if last is not None else "nothing"
        return deadline.exceeded(
            f"an answer to {label}",
            where=label,
            seen=f"{progress}, given up after {took:.1f} s; last sent: {sent}; {heard}",
        )

    def translate(
        self, problem: Exception, message: Message, deadline: Deadline, label: str, began: float
    ) -> Exception:
        """Say an aiocoap error in terms of this project."""
        if isinstance(problem, PeerGone):
            kind = PortError if self.closing or self.interface.closed else RegistrationError
            return kind(f"the request ended without an answer: {problem}", where=label)
        if isinstance(problem, error.MessageError):
            return ProtocolError(
                "the device answered with a reset", where=label, remedy="see whether it knows this server"
            )
        if isinstance(problem, error.LibraryShutdown):
            return PortError("the server was closed while it waited for an answer", where=label)
        return self._give_up(message, deadline, label, began, f"no acknowledgement ({problem})")

    def queue_mode(self, remote: PeerAddress, awake_seconds: float | None) -> None:
        """Send to a peer only within so many seconds after it was heard; None: at any time."""
        if awake_seconds is not None:
            self._sleepers.setdefault(remote, _Sleeper(awake_seconds)).awake_seconds = awake_seconds
        elif (sleeper := self._sleepers.pop(remote, None)) is not None:
            sleeper.woke.set()

    def end_waits(self, remote: PeerAddress, reason: str) -> None:
        """End what waits for a peer to wake up: it is registered no more."""
        sleeper = self._sleepers.pop(remote, None)
        if sleeper is not None:
            sleeper.ended = reason
            sleeper.woke.set()

    def wake(self, remote: PeerAddress) -> None:
        """Let go what waits for a sign of life; after a request this is called when it is answered."""
        sleeper = self._sleepers.get(remote)
        if sleeper is not None:
            sleeper.woke.set()

    async def _awake(self, remote: PeerAddress, deadline: Deadline, label: str) -> None:
        """Wait until a device in queue mode is heard; whatever others do at once."""
        while (sleeper := self._sleepers.get(remote)) is not None:
            heard = self.interface.heard.get(remote, Heard())
            if time.monotonic() - heard.at < sleeper.awake_seconds:
                return
            sleeper.woke.clear()
            try:
                async with asyncio.timeout(deadline.remaining):
                    await sleeper.woke.wait()
            except TimeoutError as problem:
                raise deadline.exceeded(
                    f"a sign of life, so that {label} can be sent",
                    where=label,
                    seen=f"the device sleeps (queue mode); {heard}",
                    remedy="wait for longer than the pause between its registration updates",
                ) from problem
            if sleeper.ended is not None:
                raise RegistrationError(
                    f"the request was not sent, because the device slept: {sleeper.ended}", where=label
                )

    async def admit(
        self, message: Message, deadline: Deadline, label: str, *, exclusive: bool = False
    ) -> None:
        """Wait until a request may be sent: the device is awake, ids are free, no push is under way."""
        if not exclusive:
            await self.idle(message.remote, deadline, label)
        await self._awake(message.remote, deadline, label)
        ids, messages = self.message_ids[message.remote], self.interface.manager
        while wait := ids.wait_needed(messages.next_id(message.remote), time.monotonic()):
            if wait > deadline.remaining:
                raise deadline.exceeded(
                    "a free CoAP message id",
                    where=label,
                    seen=f"{ids.capacity} ids used within {ids.lifetime:g} s",
                    remedy="use larger blocks, poll less often",
                )
            await asyncio.sleep(wait)
        if deadline.expired:
            raise deadline.exceeded(
                f"an answer to {label}", where=label, seen="the deadline had passed before anything was sent"
            )

    async def idle(self, remote: PeerAddress, deadline: Deadline, label: str) -> None:
        """Wait until no block-wise write to a device is under way."""
        while (busy := self._busy.get(remote)) is not None:
            try:
                async with asyncio.timeout(deadline.remaining):
                    await busy.wait()
            except TimeoutError as problem:
                raise deadline.exceeded(
                    "the end of a block-wise write to the same device", where=label, seen="it still goes on"
                ) from problem

    def reserve(self, remote: PeerAddress) -> Callable[[], None] | None:
        """Keep other requests off a device during a block-wise write; None when it is taken already.

        Devices answer 5.03 to everything else until the last block has come. Calling
        the result lets the other requests go.
        """
        if remote in self._busy:
            return None
        event = self._busy[remote] = asyncio.Event()

        def release() -> None:
            self._busy.pop(remote, None)
            event.set()

        return release


def _dtls_transports() -> Any:
    try:
        return importlib.import_module("harness.protocols._dtls")
    except ImportError as problem:
        raise PortError(
            "there is no DTLS without pyOpenSSL",
            found=str(problem),
            remedy="pip install 'mcuboot-harness[dtls]'",
        ) from problem


def describe(message: Message) -> str:
    """Name a message in an error: type, code, path, block and message id."""
    block = message.opt.block1 or message.opt.block2
    parts = [
        message.mtype.name if message.mtype is not None else "",
        message.code.name if message.code.is_request() else message.code.dotted,
        "/" + "/".join(message.opt.uri_path),
        f"block {block.block_number} of {block.size} bytes" if block is not None else "",
        f"mid {message.mid:#06x}" if message.mid is not None else "",
    ]
    return " ".join(filter(None, parts))
