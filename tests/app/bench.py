"""The application on an emulated chip, mostly without a boot loader, and a patient CoAP peer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from harness.emulator import Machine, StopCause
from harness.firmware import (
    Behaviour,
    Component,
    Elf,
    FirmwareLayout,
    Region,
    application_program,
    bootloader_program,
    compile_program,
    model_payload,
)
from harness.mcuboot import SigningKey, SigningOptions, SwapMode, Version, sign

from .wire import (
    ACCEPT,
    ACK,
    BLOCK1,
    CON,
    CONTENT_FORMAT,
    LOCATION_PATH,
    OBSERVE,
    OPAQUE,
    POST,
    PUT,
    RST,
    TEXT,
    Frames,
    Message,
    block,
    frame,
    options,
    path_options,
    text_frame,
    uint,
)

MS = 64_000
SECTOR = 0x1000
HEADER = 0x200
KEY = SigningKey.from_pem(
    Ed25519PrivateKey.from_private_bytes(b"app tests' signing key, 32 bytes").private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
)
OTHER_KEY = SigningKey.from_pem(
    Ed25519PrivateKey.from_private_bytes(b"another key that nobody knows   ").private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
)

#: short times for all that is waited for
QUICK = (
    ("ACK_TIMEOUT_MS", 20),
    ("ANSWER_TIMEOUT_MS", 300),
    ("MAX_RETRANSMIT", 2),
    ("PUSH_TIMEOUT_MS", 2000),
    ("PULL_TIMEOUT_MS", 500),
)

SCRATCH = Region(0x80000, 0x4000)
STORAGE = Region(0x84000, 0x2000)


@cache
def layout(
    mode: str = "scratch", alignment: int = 4, components: int = 2, app_slot: int = 0x10000
) -> FirmwareLayout:
    """Slots as the mode wants them: move one sector more in the primary, offset in the secondary."""
    primary, secondary = SECTOR * (mode == "move"), SECTOR * (mode == "offset")
    every = (
        Component("app", 0, Region(0x10000, app_slot + primary), Region(0x30000, app_slot + secondary)),
        Component("model", 1, Region(0x50000, 0x4000 + primary), Region(0x58000, 0x4000 + secondary)),
    )
    return FirmwareLayout(
        board="bench",
        soc="nrf52840",
        ram=Region(0x20000000, 0x40000),
        bootloader=Region(0, 0x10000),
        scratch=SCRATCH,
        storage=STORAGE,
        components=every[:components],
        mode=SwapMode(mode),
        sector_size=SECTOR,
        write_alignment=alignment,
        max_alignment=max(8, alignment),
        max_sectors=32,
        header_size=HEADER,
        public_key=KEY.public.der[-32:],
        key_hash=KEY.public.hash(),
        console_baud=1_000_000,
    )


def image(
    payload: bytes,
    version: str,
    *,
    key: SigningKey = KEY,
    dependencies: Mapping[int, str] | None = None,
    alignment: int = 4,
    **changes: Any,
) -> bytes:
    """A signed image without padding."""
    wanted = SigningOptions(
        version=Version.parse(version),
        slot_size=0x40000,
        header_size=HEADER,
        key=key,
        align=alignment,
        max_align=max(8, alignment),
        max_sectors=32,
        hash_algorithm="sha256",
        dependencies={n: Version.parse(v) for n, v in (dependencies or {}).items()},
    )
    return sign(payload, replace(wanted, **changes))


def app_payload(size: int, seed: int = 1) -> bytes:
    """Something that could be an application, as far as anybody looks: it does not begin with MODL."""
    return model_payload("0", size + 32, seed)[32:]


def app_image(version: str, size: int = 3001, seed: int = 1, **options: Any) -> bytes:
    return image(app_payload(size, seed), version, **options)


def model_image(version: str, size: int = 1500, seed: int = 2, **options: Any) -> bytes:
    return image(model_payload(version, size, seed), version, **options)


@cache
def program(
    of: FirmwareLayout, behaviour: Behaviour, defines: tuple[tuple[str, int], ...], version: str
) -> bytes:
    """The real application, signed."""
    elf = Elf.read(compile_program(application_program(of, behaviour, options=dict(defines))))
    _, code = elf.binary()
    return image(code, version, alignment=of.write_alignment)


def jump(vectors: int) -> bytes:
    """A vector table at 0 whose code starts the image at ``vectors``: VTOR, stack pointer, entry."""
    code = bytes.fromhex("04480549 08600168 81f30888 40680047 00bf00bf")
    numbers = (0x20040000, 9)
    return b"".join(
        [
            *(n.to_bytes(4, "little") for n in numbers),
            code,
            vectors.to_bytes(4, "little"),
            0xE000ED08.to_bytes(4, "little"),
        ]
    )


def rough_jump(vectors: int) -> bytes:
    """The same, as MCUboot may do it: no VTOR, its stack in use, BASEPRI raised, receiver left on."""
    code = bytes.fromhex(
        "0000042009000000202080f311880f4880f30988022080f31488bff36f8f0c480821c0f800150b49c0f83415"
        "0121c0f838151422c0f8042301600748042101600648016881f3088840680047000400200020004000050020"
        "00e100e0"
    )
    return code + vectors.to_bytes(4, "little")


@dataclass(frozen=True)
class Setup:
    """What a bench is made of."""

    mode: str = "scratch"
    alignment: int = 4
    components: int = 2
    behaviour: Behaviour = Behaviour.GOOD
    defines: tuple[tuple[str, int], ...] = ()
    model: bool = True
    boot_loader: bool = False
    start: Callable[[int], bytes] = jump
    app_slot: int = 0x10000

    @property
    def layout(self) -> FirmwareLayout:
        return layout(self.mode, self.alignment, self.components, self.app_slot)

    def app(self, version: str = "1.0.0") -> bytes:
        return program(self.layout, self.behaviour, self.defines, version)


class Bench:
    """A running device and its one peer, which is this object."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.layout = setup.layout
        self.machine = Machine()
        self.machine.uarts[0].sink = self._sink
        if setup.boot_loader:
            self.machine.program(*Elf.read(compile_program(bootloader_program(self.layout))).binary())
        else:
            self.machine.program(0, setup.start(self.slot(0).address + HEADER))
        self.machine.program(self.slot(0).address, setup.app())
        if setup.model and setup.components > 1:
            self.machine.program(
                self.slot(1).address, model_image("1.0.0", 900, 7, alignment=setup.alignment)
            )
        self.forget()

    def forget(self) -> None:
        """Start over on the peer's side."""
        self._frames = Frames(bare=self.setup.boot_loader)
        self._mids = itertools.count(0x1000)
        self._tokens = itertools.count(0xA0000000)
        self._accepted = 0
        self.text = ""
        self.received: list[Message] = []
        self.notifications: list[Message] = []
        self.registrations: list[Message] = []
        self.files: dict[str, Callable[[Message], Message]] = {}
        self.accepts_registrations = True
        self.acknowledges_notifications = True
        self.deaf = False

    def slot(self, component: int, *, secondary: bool = False) -> Region:
        found = self.layout.components[component]
        return found.secondary if secondary else found.primary

    # -- time

    def _sink(self, data: bytes) -> None:
        for kind, body in self._frames.feed(data):
            if kind in ("text", "bare"):
                self.text += body.decode(errors="replace")
            else:
                self.received.append(Message.decode(body))
            self.machine.ask()

    def run(self, milliseconds: float) -> None:
        """Let time pass; the device's requests are answered meanwhile."""
        self.until(lambda: False, milliseconds, must=False)

    def until(self, done: Callable[[], object], milliseconds: float = 5000, *, must: bool = True) -> None:
        """Run until something holds."""
        end = self.machine.now + round(milliseconds * MS)
        while True:
            self._answer_device()
            if done():
                return
            if self.machine.now >= end or not self.machine.powered:
                break
            stop = self.machine.run(end - self.machine.now)
            if stop.cause in (StopCause.POWER_CUT, StopCause.LOCKED_UP):
                break
        assert not must, f"did not happen within {milliseconds} ms; console: {self.text[-300:]!r}"

    def reset(self) -> None:
        """Power off and on, and wait until the device has registered."""
        self.machine.power_off()
        self.boot()

    def boot(self, milliseconds: float = 20000) -> None:
        self._frames.reset()
        seen = len(self.registrations)
        self.machine.power_on()
        self.until(lambda: len(self.registrations) > seen, milliseconds)
        self.run(5)

    # -- the peer's own answers

    def _answer_device(self) -> None:
        """Answer what the device asks for, and keep the rest."""
        kept = []
        for message in self.received:
            if self.deaf or not 1 <= message.code <= 4 or message.type != CON:
                if message.values(OBSERVE) and message.type == CON:
                    self.notifications.append(message)
                    if self.acknowledges_notifications and not self.deaf:
                        self.send(Message(ACK, 0, message.mid))
                else:
                    kept.append(message)
            else:
                answer = self._serve(message)
                if answer is not None:
                    self.send(answer)
        self.received = kept

    def _serve(self, request: Message) -> Message | None:
        answer = Message(ACK, 0x84, request.mid, request.token)
        if request.path == "/rd" and request.code == POST:
            if not self.accepts_registrations:
                return None
            self.registrations.append(request)
            self._accepted += 1
            answer.code = 0x41
            answer.options = [(LOCATION_PATH, b"rd"), (LOCATION_PATH, f"dev-{self._accepted}".encode())]
        elif request.path == f"/rd/dev-{self._accepted}" and request.code == POST:
            self.registrations.append(request)
            answer.code = 0x44
        elif request.path in self.files:
            return self.files[request.path](request)
        return answer

    def send(self, message: Message) -> None:
        self.machine.uarts[0].feed(frame(message.encode()))

    # -- requests

    def build(
        self,
        method: int,
        path: str,
        payload: bytes = b"",
        *,
        more: list[tuple[int, bytes]] | None = None,
        content_format: int | None = None,
        accept: int | None = None,
        type: int = CON,  # noqa: A002 - the field's name in RFC 7252
    ) -> Message:
        """A request with a fresh message id and token."""
        extra = list(more or [])
        if content_format is not None:
            extra.append((CONTENT_FORMAT, uint(content_format)))
        if accept is not None:
            extra.append((ACCEPT, uint(accept)))
        token = next(self._tokens).to_bytes(4, "big")
        return Message(type, method, next(self._mids), token, options(path_options(path), extra), payload)

    def exchange(self, request: Message, milliseconds: float = 5000) -> Message:
        """Send a request and return its answer, which has to be piggybacked or a RST."""
        self.send(request)
        return self.answer_to(request, milliseconds)

    def answer_to(self, request: Message, milliseconds: float = 5000) -> Message:
        found: list[Message] = []

        def arrived() -> bool:
            mine = [m for m in self.received if m.mid == request.mid and m.type in (ACK, RST)]
            found.extend(mine)
            self.received = [m for m in self.received if m not in mine]
            return bool(found)

        self.until(arrived, milliseconds)
        assert found[0].code == 0 or found[0].token == request.token
        return found[0]

    def request(self, method: int, path: str, payload: bytes = b"", **arguments: Any) -> Message:
        return self.exchange(self.build(method, path, payload, **arguments))

    def read(self, path: str) -> str:
        """A resource as text."""
        answer = self.request(1, path)
        assert answer.dotted == "2.05", f"{path}: {answer.dotted}"
        assert answer.format == TEXT
        return answer.payload.decode()

    def write(self, path: str, value: str) -> str:
        """The code that a resource's new value is answered with."""
        return self.request(PUT, path, value.encode(), content_format=TEXT).dotted

    def execute(self, path: str, arguments: str = "") -> str:
        return self.request(POST, path, arguments.encode()).dotted

    def status(self, component: int | str = 0) -> tuple[int, int]:
        """State and result; ``component`` may be "5"."""
        at = "/5/0" if component == "5" else f"/33629/{component}"
        return int(self.read(f"{at}/3")), int(self.read(f"{at}/5"))

    def links(self, path: str) -> set[int]:
        """The instances that a resource with links refers to."""
        import cbor2

        answer = self.request(1, path, accept=112)
        assert answer.dotted == "2.05"
        return {int(record["vlo"].removeprefix("33629:")) for record in cbor2.loads(answer.payload)}

    def block_request(
        self, component: int | str, body: bytes, number: int, size: int, **arguments: Any
    ) -> Message:
        at = "/5/0/0" if component == "5" else f"/33629/{component}/0"
        chunk = body[number * size :][:size]
        rest = number * size + size < len(body)
        return self.build(
            PUT,
            at,
            chunk,
            more=[(BLOCK1, block(number, rest, size))],
            content_format=arguments.pop("content_format", OPAQUE),
            **arguments,
        )

    def push(self, component: int | str, body: bytes, size: int = 1024, **arguments: Any) -> str:
        """Push a package; the last answer's code, or that of the first refusal."""
        count = max(1, -(-len(body) // size))
        for number in range(count):
            answer = self.exchange(self.block_request(component, body, number, size, **arguments))
            if number + 1 < count:
                if answer.dotted != "2.31":
                    return answer.dotted
                assert answer.block(BLOCK1) == (number, True, size)
        return answer.dotted

    def command(self, line: str) -> tuple[str, str]:
        """What the console answers to a line: the text before the last line, and that line."""
        before = len(self.text)
        self.machine.uarts[0].feed(text_frame(line + "\n"))

        def ended() -> bool:
            last = self.text[before:].rstrip("\n").rpartition("\n")[2]
            return last == "ok" or last.startswith("error: ")

        self.until(ended)
        text, _, last = self.text[before:].rstrip("\n").rpartition("\n")
        return text, last

    # -- flash

    def flash(self, address: int, size: int) -> bytes:
        base = self.machine.flash.base
        return bytes(self.machine.flash.view[address - base : address - base + size])

    def swap(self, *wanted: int) -> None:
        """Do by hand what a boot loader does to pending images in scratch mode: trade the slots' contents."""
        for component in wanted:
            first, second = self.slot(component), self.slot(component, secondary=True)
            old, new = self.flash(first.address, first.size), self.flash(second.address, second.size)
            trailer = bytearray(b"\xff" * 48)
            trailer[-16:] = bytes.fromhex("77c295f360d2ef7f3552500f2cb67980")
            trailer[-32] = 1  # copy_done
            trailer[-40] = component << 4 | 2
            body = len(new) - len(trailer)
            self.machine.program(first.address, new[:body] + bytes(trailer))
            self.machine.program(second.address, old[:body] + b"\xff" * len(trailer))
