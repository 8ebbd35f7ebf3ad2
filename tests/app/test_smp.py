"""SMP on the same line: framing by the `smp` package, bodies by cbor2, neither of them the device's own."""

from __future__ import annotations

import hashlib
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from smp.packet import encode

from harness.firmware import Behaviour

from .bench import Bench, app_image, model_image, program
from .smp_peer import ECHO, ERASE, IMAGES, OS, PARAMETERS, READ, RESET, STATE, UPLOAD, WRITE, Peer, digest

INVALID, NOT_SUPPORTED, BUSY = 3, 8, 10
NOT_FOUND, NO_SLOT, BAD_SLOT, BAD_OFFSET, BAD_LENGTH, BAD_HEADER = 8, 9, 14, 20, 21, 22
BAD_HASH, IS_NEWER, PENDING, TOO_LARGE, OVERRUN, TEST_OF_ACTIVE = 24, 27, 28, 30, 31, 33


def failed(number: int) -> dict[str, Any]:
    return {"err": {"group": IMAGES, "rc": number}}


@pytest.fixture
def peer(device: Bench) -> Peer:
    return Peer(device)


def test_group_os(peer: Peer):
    assert peer.ask(WRITE, OS, ECHO, d="hällo") == {"r": "hällo"}
    assert peer.ask(READ, OS, PARAMETERS) == {"buf_size": 2048, "buf_count": 1}
    assert peer.ask(WRITE, OS, RESET, boot_mode=2) == {"rc": INVALID}
    assert peer.ask(WRITE, OS, RESET, boot_mode=1) == {"rc": NOT_SUPPORTED}, (
        "this boot loader has no recovery"
    )
    assert peer.ask(WRITE, OS, RESET) == {}
    seen = len(peer.device.registrations)
    peer.device.until(lambda: len(peer.device.registrations) > seen, 20_000)


def test_longest_message(peer: Peer):
    text = "x" * (2048 - 4 - 8 - 1 - 2 - 3)
    assert peer.ask(WRITE, OS, ECHO, d=text) == {"r": text}


def test_state_of_images(peer: Peer):
    (app, model) = peer.state().values()
    assert (app["image"], app["slot"], app["version"]) == (0, 0, "1.0.0")
    assert app["hash"] == digest(peer.device.setup.app())
    assert (model["image"], model["slot"], model["version"]) == (1, 0, "1.0.0")
    flags = {"bootable": True, "pending": False, "confirmed": True, "active": True, "permanent": False}
    assert flags.items() <= app.items()
    assert flags.items() <= model.items()


@pytest.mark.parametrize("number", [0, 1])
def test_upload_and_request(peer: Peer, number: int):
    new = (app_image, model_image)[number]("2.0.0")
    device = peer.device
    assert peer.upload(new, number) == {"off": len(new), "match": True}
    assert device.flash(device.slot(number, secondary=True).address, len(new)) == new
    assert device.status(number) == (2, 0)
    states = peer.ask(WRITE, IMAGES, STATE, hash=digest(new), confirm=False)["images"]
    (asked,) = [slot for slot in states if slot["hash"] == digest(new)]
    assert (asked["image"], asked["slot"], asked["pending"], asked["permanent"]) == (number, 1, True, False)
    assert device.status(number) == (3, 0)


def test_permanent_request_stands_in_the_trailer(peer: Peer):
    new = model_image("2.0.0")
    peer.upload(new, 1)
    states = peer.ask(WRITE, IMAGES, STATE, hash=digest(new), confirm=True)["images"]
    assert states[-1]["permanent"] is True
    slot = peer.device.slot(1, secondary=True)
    info = peer.device.flash(slot.address + slot.size - 40, 40)
    assert (info[0], info[16]) == (0x13, 1)  # swap_info: image 1, permanent; image_ok


def test_piece_at_another_offset_is_not_taken(peer: Peer):
    new = model_image("2.0.0")
    peer.upload(new, 1, step=400, stop=400)
    for offset in (1, 399, 401, 1200):
        assert peer.ask(WRITE, IMAGES, UPLOAD, off=offset, data=b"junk" * 100) == {"off": 400}
    assert peer.upload(new, 1) == {"off": len(new), "match": True}


def test_upload_goes_on_where_it_was(peer: Peer):
    new = app_image("2.0.0", 20_000)
    peer.upload(new, stop=9000)
    first = peer.ask(WRITE, IMAGES, UPLOAD, off=0, len=len(new), sha=hashlib.sha256(new).digest(), data=b"")
    assert first == {"off": 9000}
    peer.device.reset()
    again = peer.ask(WRITE, IMAGES, UPLOAD, off=0, len=len(new), sha=hashlib.sha256(new).digest(), data=b"")
    assert again == {"off": 8192}, "whole sectors outlive a reset"
    assert peer.upload(new) == {"off": len(new), "match": True}
    assert peer.device.flash(peer.device.slot(0, secondary=True).address, len(new)) == new


def test_another_upload_starts_from_the_beginning(peer: Peer):
    peer.upload(app_image("2.0.0", 20_000), stop=9000)
    peer.device.reset()
    new = app_image("3.0.0", 18_000)
    assert peer.ask(
        WRITE, IMAGES, UPLOAD, off=0, len=len(new), sha=hashlib.sha256(new).digest(), data=b""
    ) == {"off": 0}
    assert peer.upload(new) == {"off": len(new), "match": True}


def test_erase(peer: Peer):
    new = model_image("2.0.0")
    peer.upload(new, 1)
    assert peer.ask(WRITE, IMAGES, ERASE, slot=3) == {}
    slot = peer.device.slot(1, secondary=True)
    assert set(peer.device.flash(slot.address, slot.size)) == {0xFF}
    assert peer.device.status(1) == (0, 0)
    assert (1, 1) not in peer.state()


def test_refusals(peer: Peer):
    new = model_image("2.0.0")
    sha = hashlib.sha256(new).digest()
    first = {"image": 1, "off": 0, "len": len(new), "sha": sha, "data": new[:100]}

    def upload(**changes: Any) -> dict[str, Any]:
        return peer.ask(WRITE, IMAGES, UPLOAD, **{**first, **changes})

    assert upload(image=2) == failed(NO_SLOT)
    assert upload(len=0) == failed(BAD_LENGTH)
    assert upload(len=1 << 30) == failed(TOO_LARGE)
    assert upload(sha=bytes(33)) == failed(BAD_HASH)
    assert upload(data=bytes(100)) == failed(BAD_HEADER)
    assert upload(data=model_image("1.0.0")[:100], upgrade=True) == failed(IS_NEWER)
    assert upload(len=50) == failed(OVERRUN)
    assert peer.ask(WRITE, IMAGES, UPLOAD, off=0, data=b"") == {"rc": INVALID}
    assert peer.device.status(1)[0] in (0, 1)
    assert peer.device.write("/33629/1/1", "") == "2.04"
    assert peer.ask(WRITE, IMAGES, UPLOAD, off=100, data=b"x") == failed(BAD_OFFSET)
    assert upload(len=len(new), data=new[:1000])["off"] == 1000
    broken = bytearray(new)
    broken[700] ^= 1
    assert peer.upload(bytes(broken), 1) == failed(BAD_HASH)
    assert peer.device.status(1) == (0, 5)

    def state(**body: Any) -> dict[str, Any]:
        return peer.ask(WRITE, IMAGES, STATE, **body)

    running = peer.state()[0, 0]["hash"]
    assert state(hash=bytes(32)) == failed(NOT_FOUND)
    assert state(hash=bytes(31)) == failed(BAD_HASH)
    assert state(hash=running) == failed(TEST_OF_ACTIVE)
    assert state(hash="text") == {"rc": INVALID}
    assert peer.ask(WRITE, IMAGES, ERASE, slot=0) == failed(BAD_SLOT)
    assert peer.ask(WRITE, IMAGES, ERASE, slot=4) == failed(BAD_SLOT)
    peer.upload(new, 1)
    state(hash=digest(new))
    assert state(hash=digest(new)) == upload() == peer.ask(WRITE, IMAGES, ERASE, slot=3) == failed(PENDING)
    for op, group, command in ((READ, OS, ECHO), (WRITE, OS, 6), (READ, IMAGES, UPLOAD), (READ, 63, 0)):
        assert peer.ask(op, group, command) == {"rc": NOT_SUPPORTED}
    assert peer.raw(WRITE, IMAGES, STATE, cbor2.dumps({"hash": bytes(32)}), version=0) == {"rc": 1}


def test_one_download_at_a_time(peer: Peer):
    device, new = peer.device, app_image("2.0.0")
    device.exchange(device.block_request(0, new, 0, 256))
    assert peer.ask(WRITE, IMAGES, UPLOAD, image=1, off=0, len=900, data=b"") == {"rc": BUSY}
    device.write("/33629/0/1", "")
    peer.upload(model_image("2.0.0"), 1, stop=1000)
    assert device.push(0, new) == "4.05"


def test_confirmation_ends_the_update(make):
    device = make(boot_loader=True, behaviour=Behaviour.NEVER_CONFIRMS)
    peer = Peer(device)
    new = program(device.layout, device.setup.behaviour, device.setup.defines, "2.0.0")
    assert peer.upload(new, step=1500)["match"] is True
    peer.ask(WRITE, IMAGES, STATE, hash=digest(new))
    seen = len(device.registrations)
    peer.ask(WRITE, OS, RESET)
    device.until(lambda: len(device.registrations) > seen, 20_000)
    state = peer.state()
    assert (state[0, 0]["hash"], state[0, 0]["confirmed"], state[0, 1]["confirmed"]) == (
        digest(new),
        False,
        True,
    )
    assert device.status(0) == (3, 0)
    peer.ask(WRITE, IMAGES, STATE, confirm=True)
    assert peer.state()[0, 0]["confirmed"] is True
    assert device.status(0) == (0, 1)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_only_whole_maps_are_taken(peer: Peer, data: st.DataObject):
    values = st.recursive(
        st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.text() | st.binary() | st.floats(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )
    more = data.draw(st.dictionaries(st.text(max_size=9), values, max_size=11))
    good = cbor2.dumps({**more, "d": "word"})
    assert peer.raw(WRITE, OS, ECHO, good) == {"r": "word"}
    cut = good[: data.draw(st.integers(0, len(good) - 1))]
    bad = data.draw(
        st.sampled_from(
            [
                cut,
                good + b"\x00",
                b"\xbf\x61d\x61x\xff",  # without a length
                b"\xa1\xc0\x61d",  # a tag
                b"\xa2\x61d\x61x\x61d\x61y",  # a key twice
                b"\xa1\x01\x61x",  # a key that is no text
                b"\x81\x61d",
                b"\xa1\x61d" + b"\x81" * 40 + b"\x00",  # too deep
                cbor2.dumps({str(n): n for n in range(13)}),
            ]
        )
    )
    assert peer.raw(WRITE, OS, ECHO, bad) == {"rc": INVALID}


#: behind the END of a frame 0xA9 starts the next one, which only an END ends
NOISE = st.binary(max_size=60).map(lambda b: b.translate(None, b"\xc0\xdb").lstrip(b"\xa9"))


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(noise=NOISE)
def test_noise_costs_no_more_than_its_line(peer: Peer, noise: bytes):
    peer.device.machine.uarts[0].feed(noise + b"\n")
    peer.device.run(5)
    peer.answers()
    peer.device.text = ""
    assert peer.ask(WRITE, OS, ECHO, d="still there") == {"r": "still there"}
    assert peer.device.command("echo a b")[1] == "ok"


def test_damaged_messages_are_counted_and_not_answered(peer: Peer):
    device = peer.device
    lines = list(encode(peer.message(WRITE, OS, ECHO, cbor2.dumps({"d": "x" * 200}))))
    wrong = bytearray(lines[0])
    wrong[40] = ord("A") if wrong[40] != ord("A") else ord("B")
    for damaged in (
        [bytes(wrong), *lines[1:]],
        lines[1:],
        [lines[0], lines[0].replace(b"A", b"!")],
        [b"\x06\x09" + b"QUJD" * 700 + b"\n"],
    ):
        device.machine.uarts[0].feed(b"".join(damaged))
        device.run(60)
        assert peer.answers() == []
    stats = device.command("stats")[0]
    assert "checksum 1 oversized 1" in stats.split("smp:")[1]
    assert device.command("echo a")[1] == "ok"
