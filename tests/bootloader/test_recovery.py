"""Serial recovery: framing by the `smp` package, bodies by cbor2, neither of them the boot loader's own."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from smp.packet import encode

from harness.emulator import Machine, Operation
from harness.firmware import Elf, Region, bootloader_program, compile_program
from harness.mcuboot import Image as Parsed
from harness.mcuboot import SwapMode
from harness.protocols.smp.lines import LineDecoder, SmpMessage

from . import test_write_once as write_once
from .rig import PATIENCE, SECTOR, Board, Flash, Image, board_for, fast_board, make_image, rig

READ, WRITE = 0, 2
OS, IMAGES = 0, 1
ECHO, RESET, PARAMETERS = 0, 5, 6
STATE, UPLOAD, ERASE = 0, 1, 5
INVALID, NOT_SUPPORTED = {"rc": 3}, {"rc": 8}
_STEP, _STEPS = 64_000 * 20, 200  # cycles; how often they may pass without an answer


def failed(number: int) -> dict[str, Any]:
    return {"err": {"group": IMAGES, "rc": number}}


NO_SLOT, BAD_SLOT, BAD_LENGTH, BAD_HASH, TOO_LARGE, OVERRUN = map(failed, (9, 14, 21, 24, 30, 31))


@dataclass
class Session:
    """A boot loader that has been switched on, and the other end of its line."""

    machine: Machine
    areas: Sequence[tuple[Region, Region]]
    started: int | None = None
    console: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(7)
        self._lines = LineDecoder()
        self._answers: list[bytes] = []
        self.machine.uarts[0].sink = self._hear
        self.machine.diagnostics.clear()
        self.machine.power_on()
        self._rest()

    def _rest(self) -> None:
        """Run until nothing more happens, and note the slot whose image runs then."""
        pc = self.machine.run(PATIENCE, sleep_until=0).pc
        slots = [area for pair in self.areas for area in pair]
        self.started = next((each.address for each in slots if 0 <= pc - each.address < each.size), None)

    def _hear(self, data: bytes) -> None:
        for event in self._lines.feed(data):
            if isinstance(event, SmpMessage):
                self._answers.append(event.message)
        self.console += data

    def ask(self, op: int, group: int, command: int, /, **body: Any) -> dict[str, Any]:
        content = cbor2.dumps(body)
        head = bytes(
            [8 | op, 0, *len(content).to_bytes(2, "big"), 0, group, next(self._numbers) & 255, command]
        )
        self.machine.uarts[0].feed(b"".join(encode(head + content)))
        for _ in range(_STEPS):
            if self._answers:
                break
            self.machine.run(_STEP)
        assert self._answers, f"no answer to {op} {group} {command}: {bytes(self.console)!r}"
        answer = self._answers.pop(0)
        assert answer[4:8] == head[4:8]
        found: dict[str, Any] = cbor2.loads(answer[8:])
        return found

    def piece(self, **body: Any) -> dict[str, Any]:
        return self.ask(WRITE, IMAGES, UPLOAD, **body)

    def upload(
        self, data: bytes, image: int = 0, *, step: int = 1000, stop: int | None = None
    ) -> dict[str, Any]:
        """Upload, by the offsets that the boot loader asks for; its last answer."""
        sha = hashlib.sha256(data).digest()
        answer = self.piece(image=image, off=0, len=len(data), sha=sha, data=data[:step])
        while "off" in answer and answer["off"] < (len(data) if stop is None else stop):
            at = answer["off"]
            answer = self.piece(off=at, data=data[at : at + step])
            assert answer.get("off") != at
        return answer

    def slots(self) -> dict[tuple[int, int], dict[str, Any]]:
        return {(each["image"], each["slot"]): each for each in self.ask(READ, IMAGES, STATE)["images"]}

    def reset(self, **body: Any) -> None:
        assert self.ask(WRITE, OS, RESET, **body) == {}
        self._rest()

    def area(self, area: Region) -> bytes:
        return bytes(self.machine.flash.view[area.address : area.address + area.size])

    def expect_recovery(self) -> None:
        assert self.started is None
        assert self.ask(WRITE, OS, ECHO, d="alive") == {"r": "alive"}
        assert not self.machine.diagnostics, [str(each) for each in self.machine.diagnostics]


def with_recovery(board: Board) -> Board:
    return replace(board, recovery=True)


def switch_on(board: Board, flash: Flash | None = None) -> Session:
    """From flash that is erased if nothing else is said."""
    rig().load(board)
    content = flash or Flash(board)
    end = min(area.address for pair in board.areas for area in pair)
    rig().machine.program(end, bytes(content.data[end:]))
    return Session(rig().machine, board.areas)


def filled(image: Image | bytes, area: Region) -> bytes:
    data = image.data if isinstance(image, Image) else image
    return data + b"\xff" * (area.size - len(data))


def written_outside(operations: list[Operation], area: Region) -> list[Operation]:
    end = area.address + area.size
    return [
        each for each in operations if not area.address <= each.address <= each.address + each.size <= end
    ]


ONE = with_recovery(fast_board(SwapMode.SCRATCH))
TWO = with_recovery(fast_board(SwapMode.SCRATCH, 2, align=8))


def test_group_os():
    session = switch_on(ONE)
    session.expect_recovery()
    assert session.ask(WRITE, OS, ECHO, d="hällo") == {"r": "hällo"}
    assert session.ask(READ, OS, PARAMETERS) == {"buf_size": 2048, "buf_count": 1}
    assert session.ask(READ, OS, 2) == NOT_SUPPORTED
    assert session.ask(READ, IMAGES, STATE) == {"images": []}
    assert b"serial recovery: no bootable image" in session.console


@pytest.mark.parametrize("mode", [SwapMode.SCRATCH, SwapMode.OFFSET, SwapMode.DIRECT_XIP])
def test_uploaded_image_runs_after_a_reset(mode: SwapMode):
    board = with_recovery(board_for(mode))
    primary, secondary = board.areas[0]
    junk = Flash(board).put(primary.address, b"junk" * (primary.size // 4)).put(secondary.address, b"other")
    session = switch_on(board, junk)
    new = make_image(primary, "2.0.0", size=9000)
    rig().machine.start_journal()
    assert session.upload(new.data) == {"off": new.size, "match": True}
    assert not written_outside(rig().machine.stop_journal(), primary)
    (listed,) = session.slots().values()
    stored = Parsed.parse(new.data).stored_digest
    assert stored is not None
    assert listed == {"image": 0, "slot": 0, "version": "2.0.0", "bootable": True, "hash": bytes(stored.data)}
    session.reset()
    assert session.started == primary.address
    assert session.area(primary) == filled(new, primary)
    assert not session.machine.diagnostics


def test_both_images_reach_their_slots():
    session = switch_on(TWO)
    images = [make_image(area, f"{number}.0.0", size=3001) for number, (area, _) in enumerate(TWO.areas, 1)]
    for number in (1, 0):
        rig().machine.start_journal()
        assert session.upload(images[number].data, number, step=333)["match"] is True
        assert not written_outside(rig().machine.stop_journal(), TWO.areas[number][0])
        session.reset()
        assert session.started == (None if number else TWO.areas[0][0].address)
    for image, (area, _) in zip(images, TWO.areas, strict=True):
        assert session.area(area) == filled(image, area)


@pytest.mark.parametrize("broken", ["payload", "signer", "half"])
def test_broken_image_is_not_booted(broken: str):
    board = with_recovery(board_for(SwapMode.SCRATCH))
    primary = board.areas[0][0]
    good = make_image(primary, "2.0.0", size=5000)
    data = bytearray(make_image(primary, "2.0.0", size=5000, key=2).data if broken == "signer" else good.data)
    if broken == "payload":
        data[700] ^= 1
    session = switch_on(board)
    assert session.upload(bytes(data[: 3000 if broken == "half" else None]))["match"] is True
    assert not any(slot["bootable"] for slot in session.slots().values())
    session.reset()
    session.expect_recovery()
    session.upload(good.data)
    session.reset()
    assert session.started == primary.address


def test_piece_at_another_offset_is_not_taken():
    session = switch_on(ONE)
    new = make_image(ONE.areas[0][0], size=5000)
    assert session.piece(off=400, data=b"junk" * 100) == {"off": 0}
    session.upload(new.data, step=400, stop=400)
    for offset in (4, 399, 404, 1200):
        assert session.piece(off=offset, data=b"junk" * 100) == {"off": 400}
    while (at := session.piece(off=5040, data=b"")["off"]) < new.size:
        session.piece(off=at, data=new.data[at : at + 400])
    session.reset()
    assert session.area(ONE.areas[0][0]) == filled(new, ONE.areas[0][0])


@pytest.mark.parametrize("step", [8, 13, 2000])
def test_pieces_of_any_size(step: int):
    session = switch_on(TWO)
    new = make_image(TWO.areas[0][0], size=1501)
    assert new.size % 8
    assert session.upload(new.data, step=step) == {"off": new.size, "match": True}
    assert session.area(TWO.areas[0][0]) == filled(new, TWO.areas[0][0])


def test_upload_of_something_else_is_told():
    session = switch_on(ONE)
    data = bytes(1000)
    assert session.piece(off=0, len=1000, data=data, sha=bytes(32)) == {"off": 1000, "match": False}
    assert session.piece(off=0, len=1000, data=data) == {"off": 1000, "match": True}


def test_largest_upload_ends_with_the_slot():
    session = switch_on(TWO)
    for number, (area, _) in enumerate(TWO.areas):
        data = bytes(range(251)) * (area.size // 251 + 1)
        rig().machine.start_journal()
        session.upload(data[: area.size], number, step=1900)
        assert not written_outside(rig().machine.stop_journal(), area)
        assert session.area(area) == data[: area.size]


def test_refusals_leave_flash_alone():
    old = b"old"
    session = switch_on(TWO, Flash(TWO).primary(old, 0).primary(old, 1))
    first = {"off": 0, "len": 1000, "data": bytes(100)}
    size = TWO.areas[1][0].size
    rig().machine.start_journal()
    assert session.piece(**first | {"image": 2}) == NO_SLOT
    assert session.piece(**first | {"image": -1}) == INVALID
    assert session.piece(**first | {"image": 1 << 32}) == INVALID
    assert session.piece(**first | {"len": 0}) == BAD_LENGTH
    assert session.piece(**first | {"image": 1, "len": size + 1}) == TOO_LARGE
    assert session.piece(**first | {"len": 0xFFFFFFFF}) == TOO_LARGE
    assert session.piece(**first | {"len": 1 << 32}) == INVALID
    assert session.piece(**first | {"len": "9"}) == INVALID
    assert session.piece(**first | {"sha": bytes(33)}) == BAD_HASH
    assert session.piece(**first | {"sha": "text"}) == INVALID
    assert session.piece(off=0, data=b"x") == INVALID
    assert session.piece(off=0, len=1000) == INVALID
    assert session.piece(off=1 << 32, data=b"x") == INVALID
    assert session.ask(WRITE, IMAGES, ERASE, slot=4) == BAD_SLOT
    assert session.ask(WRITE, IMAGES, ERASE, slot=-1) == INVALID
    assert session.ask(WRITE, IMAGES, STATE, hash=bytes(32), confirm=True) == NOT_SUPPORTED
    assert session.ask(WRITE, OS, RESET, boot_mode=2) == INVALID
    assert rig().machine.stop_journal() == []
    session.piece(**first)
    assert session.piece(off=96, data=bytes(905)) == OVERRUN
    assert session.piece(off=96, data=bytes(904))["off"] == 1000


def test_erase():
    board = TWO
    whole = Flash(board)
    for number, pair in enumerate(board.areas):
        for area in pair:
            whole.put(area.address, bytes([number]) * area.size)
    session = switch_on(board, whole)
    session.piece(off=0, len=2000, data=bytes(1000))
    areas = [area for pair in board.areas for area in pair]
    for slot in (3, 0):
        rig().machine.start_journal()
        assert session.ask(WRITE, IMAGES, ERASE, slot=slot) == {}
        assert not written_outside(rig().machine.stop_journal(), areas[slot])
        assert set(session.area(areas[slot])) == {0xFF}
    assert session.piece(off=1000, data=bytes(1000)) == {"off": 0}, "what was erased does not go on"
    assert set(session.area(areas[2])) == {1}


def test_power_lost_at_any_time_of_an_upload():
    primary = ONE.areas[0][0]
    old, new = (
        make_image(primary, size=9000, sparse=True),
        make_image(primary, "2.0.0", size=6000, sparse=True),
    )
    damaged = bytearray(old.data)
    damaged[600] ^= 1
    flash = Flash(ONE).primary(bytes(damaged)).put(primary.address + primary.size - 16, bytes(16))
    session = switch_on(ONE, flash)
    rig().machine.start_journal()
    session.upload(new.data)
    total = len(rig().machine.stop_journal()) - 40  # the last words are a signature that nobody checks here
    for operation in range(0, total, max(1, total // 6)):
        session = switch_on(ONE, flash)
        rig().machine.cut_power_at(operation)
        with pytest.raises(AssertionError, match="no answer"):
            session.upload(new.data)
        session = Session(rig().machine, ONE.areas)
        session.expect_recovery()
        session.upload(new.data)
        session.reset()
        assert session.started == primary.address, f"power lost before operation {operation}"
        assert session.area(primary) == filled(new, primary)


def test_reset_that_asks_for_recovery_gets_it_once():
    primary = ONE.areas[0][0]
    session = switch_on(ONE)
    session.upload(make_image(primary).data)
    session.reset(boot_mode=1)
    session.expect_recovery()
    assert b"serial recovery: asked for" in session.console
    session.reset(boot_mode=0)
    assert session.started == primary.address


def test_the_same_on_flash_that_takes_a_double_word_once():
    layout = replace(write_once.layout(SwapMode.SCRATCH), serial_recovery=True)
    pairs = [(part.primary, part.secondary) for part in layout.components]
    primary = pairs[0][0]
    machine = Machine(layout.soc)
    machine.program(*Elf.read(compile_program(bootloader_program(layout))).binary())
    machine.program(primary.address + 4096, b"old" * 8)
    session = Session(machine, pairs)
    session.expect_recovery()
    new = make_image(primary, size=3001)
    assert session.upload(new.data, step=333)["match"] is True
    session.reset(boot_mode=1)
    session.expect_recovery()
    session.reset()
    assert session.started == primary.address
    assert not machine.diagnostics


_NUMBERS = st.one_of(
    st.integers(-2, 5), st.integers(0, 2 * 6 * SECTOR), st.sampled_from([0xFFFFFFFF, 1 << 32, (1 << 64) - 1])
)
_PIECES = st.fixed_dictionaries(
    {"off": _NUMBERS, "data": st.binary(max_size=200)},
    optional={"len": _NUMBERS, "image": _NUMBERS, "sha": st.binary(max_size=40)},
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(_PIECES, max_size=6))
def test_pieces_of_all_kinds_stay_in_primary_slots(pieces: list[dict[str, Any]]):
    session = switch_on(TWO)
    named = None
    for piece in pieces:
        rig().machine.start_journal()
        answer = session.piece(**piece)
        operations = rig().machine.stop_journal()
        assert answer.keys() <= {"off", "match", "rc", "err"}
        if piece["off"] == 0:
            named = piece.get("image", 0)
        assert not operations or (named in (0, 1) and not written_outside(operations, TWO.areas[named][0]))
    session.expect_recovery()
