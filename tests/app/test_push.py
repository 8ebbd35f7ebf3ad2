"""Packages that the server writes, block by block."""

from __future__ import annotations

import base64

import pytest

from harness.mcuboot import BootSettings, FlashArea, ImageAreas, SwapMode, max_image_size

from .bench import HEADER, QUICK, SECTOR, Bench, Setup, app_image, app_payload, image, model_image
from .wire import BLOCK1, OPAQUE, PUT, TEXT, block

ALIGNMENTS = (4, 8, 16)
MODES = (
    "scratch",
    "move",
    "offset",
    "overwrite-only",
    "overwrite-only-fast",
    "direct-xip",
    "direct-xip-revert",
)


def stored(device: Bench, component: int, size: int) -> bytes:
    slot = device.slot(component, secondary=True)
    return device.flash(slot.address + SECTOR * (device.setup.mode == "offset"), size)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize(
    ("size", "blocks"),
    [
        (1, 1024),
        (77, 16),
        (333, 32),
        (1000, 64),
        (3001, 128),
        (3072, 256),
        (5003, 512),
        (9999, 1024),
        (20000, 1024),
    ],
)
def test_image_arrives_byte_for_byte(make, size: int, blocks: int, alignment: int):
    device = make(alignment=alignment)
    package = app_image("2.3.4+5", size, alignment=alignment)
    assert device.push(0, package, blocks) == "2.04"
    assert device.status() == (2, 0)
    assert device.read("/33629/0/7") == "2.3.4+5"
    end = -(-len(package) // alignment) * alignment
    assert stored(device, 0, end) == package.ljust(end, b"\xff")


@pytest.mark.parametrize("mode", MODES)
def test_everything_stays_within_slot_and_storage(make, mode: str):
    device = make(mode=mode)
    slot, storage = device.slot(0, secondary=True), device.layout.storage
    device.machine.program(slot.address, bytes(slot.size))
    device.machine.start_journal()
    assert device.push(0, app_image("2.0.0", 9000)) == "2.04"
    allowed = [range(area.address, area.address + area.size) for area in (slot, storage)]
    assert device.status() == (2, 0)
    assert all(any(o.address in area for area in allowed) for o in device.machine.stop_journal())


@pytest.mark.parametrize("mode", MODES)
def test_trailer_of_the_last_update_is_gone(make, mode: str):
    device = make(mode=mode)
    slot = device.slot(0, secondary=True)
    device.machine.program(slot.address, b"\x3d" * slot.size)
    assert device.push(0, app_image("2.0.0", 900)) == "2.04"
    assert device.status() == (2, 0)
    assert device.flash(slot.address + slot.size - 64, 64) == b"\xff" * 64
    if mode == "offset":  # an image header there would make the boot loader refuse the update
        assert device.flash(slot.address, SECTOR) == b"\xff" * SECTOR


def _settings(setup: Setup) -> BootSettings:
    layout = setup.layout

    def area(region) -> FlashArea:
        return FlashArea(region.address, region.size)

    return BootSettings(
        mode=SwapMode(setup.mode.replace("_", "-")),
        images=tuple(ImageAreas(area(c.primary), area(c.secondary)) for c in layout.components),
        scratch=area(layout.scratch),
        sector_size=layout.sector_size,
        write_align=layout.write_alignment,
        max_align=layout.max_alignment,
        max_sectors=layout.max_sectors,
    )


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("mode", MODES)
def test_largest_image_is_that_of_the_boot_loader(make, mode: str, alignment: int):
    device = make(mode=mode, alignment=alignment)
    limit = max_image_size(_settings(device.setup), 1)
    overhead = len(model_image("2.0.0", 100)) - 100
    assert device.push(1, model_image("2.0.0", limit - overhead)) == "2.04"
    assert device.status(1) == (2, 0)
    assert device.write("/33629/1/1", "") == "2.04"
    assert device.push(1, model_image("2.0.0", limit - overhead + 1)) == "2.04"
    assert device.status(1) == (0, 2)


def _patched(package: bytes, at: int, value: bytes) -> bytes:
    return package[:at] + value + package[at + len(value) :]


GOOD = app_image("2.0.0", 2000)
BAD = {
    "a byte of the payload is wrong": (_patched(GOOD, HEADER + 700, b"!!!"), 5),
    "the digest is wrong": (_patched(GOOD, HEADER + 2000 + 8, b"!!!"), 5),
    "cut off": (GOOD[:-5], 5),
    "cut off in the header": (GOOD[:20], 5),
    "bytes follow it": (GOOD + b"x", 5),
    "padded to the whole slot": (GOOD.ljust(0x10000, b"\xff"), 2),
    "no image": (b"neither header nor anything else, but long enough to have one", 6),
    "old header format": (_patched(GOOD, 0, bytes.fromhex("3cb8f396")), 6),
    "empty": (b"", 6),
    "not larger than a magic": (GOOD[:4], 5),
    "payload larger than the slot": (_patched(GOOD, 12, (0x10000).to_bytes(4, "little")), 2),
    "payload of 4 GiB": (_patched(GOOD, 12, b"\xff\xff\xff\xff"), 2),
    "encrypted": (_patched(GOOD, 16, b"\x04"), 6),
    "compressed": (_patched(GOOD, 17, b"\x04"), 6),
    "not bootable": (image(app_payload(900), "2.0.0", non_bootable=True), 6),
    "for another address": (image(app_payload(900), "2.0.0", rom_fixed=0x10000), 6),
    "for another component": (model_image("2.0.0"), 6),
    "without a digest of the right kind": (image(app_payload(900), "2.0.0", hash_algorithm="sha512"), 5),
    "header smaller than a header": (_patched(GOOD, 8, b"\x10\x00"), 5),
}


@pytest.mark.parametrize(
    ("what", "blocks"),
    [(what, blocks) for what in BAD for blocks in (16, 1024) if blocks == 1024 or len(BAD[what][0]) <= 4000],
)
def test_bad_package_is_told_by_the_result_only(device: Bench, what: str, blocks: int):
    package, result = BAD[what]
    assert device.push(0, package, blocks) == "2.04"
    assert device.status() == (0, result)
    assert device.request(1, "/33629/0/7").dotted == "4.04"
    assert device.push(0, GOOD) == "2.04"
    assert device.status() == (2, 0)


def test_application_is_no_model(device: Bench):
    assert device.push(1, app_image("2.0.0", 900)) == "2.04"
    assert device.status(1) == (0, 6)


def test_image_for_its_own_address_is_taken(device: Bench):
    package = image(app_payload(900), "2.0.0", rom_fixed=device.slot(0, secondary=True).address)
    assert device.push(0, package) == "2.04"
    assert device.status() == (2, 0)


def test_signature_is_the_boot_loaders_business(device: Bench):
    from .bench import OTHER_KEY

    assert device.push(0, app_image("2.0.0", 900, key=OTHER_KEY)) == "2.04"
    assert device.status() == (2, 0)


@pytest.mark.parametrize("blocks", [16, 64, 1024])
def test_text_is_base64(device: Bench, blocks: int):
    text = base64.b64encode(GOOD)
    assert device.push(0, text, blocks, content_format=TEXT) == "2.04"
    assert device.status() == (2, 0)
    assert stored(device, 0, len(GOOD)) == GOOD
    assert device.push(0, b"AA==", content_format=TEXT) == "2.04"
    assert device.status() == (0, 0)


@pytest.mark.parametrize("text", [b"%%%%", b"AAA", b"A===", b"AA==AAAA", b"AA=A", b"="])
def test_text_that_is_no_base64(device: Bench, text: bytes):
    assert device.request(PUT, "/33629/0/0", text, content_format=TEXT).dotted == "4.00"
    assert device.status() == (0, 0)


@pytest.mark.parametrize("content_format", [112, 11542, 110])
def test_packages_have_no_other_format(device: Bench, content_format: int):
    assert device.request(PUT, "/33629/0/0", GOOD[:900], content_format=content_format).dotted == "4.15"
    assert device.status() == (0, 0)


def test_repeated_blocks_are_answered_from_memory(device: Bench):
    """All acknowledgements get lost once, so every block comes twice."""
    for number in range(-(-len(GOOD) // 256)):
        request = device.block_request(0, GOOD, number, 256)
        first = device.exchange(request)
        assert device.exchange(request).encode() == first.encode()
    assert first.dotted == "2.04"
    assert device.status() == (2, 0)
    assert stored(device, 0, len(GOOD)) == GOOD


@pytest.mark.parametrize("wrong", [0, 1, 3, 4, 1000])
def test_block_out_of_order(device: Bench, wrong: int):
    for number in (0, 1):
        device.exchange(device.block_request(0, GOOD, number, 256))
    more = [(BLOCK1, block(wrong, True, 256))]
    answer = device.request(PUT, "/33629/0/0", GOOD[:256], content_format=OPAQUE, more=more)
    assert answer.dotted == ("4.05" if wrong == 0 else "4.08")
    assert device.status() == (1, 0)
    for number in range(2, -(-len(GOOD) // 256)):
        answer = device.exchange(device.block_request(0, GOOD, number, 256))
    assert answer.dotted == "2.04"
    assert device.status() == (2, 0)
    assert stored(device, 0, len(GOOD)) == GOOD


def test_later_block_without_a_first(device: Bench):
    assert device.exchange(device.block_request(0, GOOD, 1, 256)).dotted == "4.08"
    assert device.status() == (0, 0)
    device.exchange(device.block_request(0, GOOD, 0, 256))
    assert device.exchange(device.block_request(1, GOOD, 1, 256)).dotted == "4.08"


@pytest.mark.parametrize("size", [0, 255])
def test_block_of_the_wrong_size(device: Bench, size: int):
    more = [(BLOCK1, block(0, True, 256))]
    assert device.request(PUT, "/33629/0/0", GOOD[:size], content_format=OPAQUE, more=more).dotted == "4.00"
    assert device.status() == (0, 0)


def test_block_size_may_change_on_the_way(device: Bench):
    assert device.exchange(device.block_request(0, GOOD, 0, 1024)).dotted == "2.31"
    for number in range(16, -(-len(GOOD) // 64)):
        answer = device.exchange(device.block_request(0, GOOD, number, 64))
    assert answer.dotted == "2.04"
    assert stored(device, 0, len(GOOD)) == GOOD


def test_unconfirmable_blocks(device: Bench):
    from .wire import NON

    request = device.block_request(0, app_image("2.0.0", 300), 0, 1024, type=NON)
    device.send(request)
    device.until(lambda: any(m.token == request.token for m in device.received))
    assert device.received[0].type == NON
    assert device.received[0].dotted == "2.04"
    assert device.status() == (2, 0)


def test_abandoned_push_is_given_up(make):
    device = make(defines=QUICK)
    device.exchange(device.block_request(0, GOOD, 0, 256))
    device.run(1500)
    device.exchange(device.block_request(0, GOOD, 1, 256))
    device.run(1900)
    assert device.status() == (1, 0)
    device.run(200)
    assert device.status() == (0, 4)
    assert device.exchange(device.block_request(0, GOOD, 2, 256)).dotted == "4.08"
    assert device.push(1, model_image("2.0.0")) == "2.04"
    assert device.push(0, GOOD) == "2.04"
    assert device.status() == (2, 0)


@pytest.mark.parametrize("by", ["package", "uri", "cancel"])
def test_abandoned_push_can_be_reset(device: Bench, by: str):
    device.exchange(device.block_request(0, GOOD, 0, 256))
    assert device.push(0, GOOD) == "4.05"
    if by == "package":
        assert device.push(0, b"\x00") == "2.04"
    elif by == "uri":
        assert device.write("/33629/0/1", "") == "2.04"
    else:
        assert device.execute("/33629/0/10") == "2.04"
    assert device.push(0, GOOD) == "2.04"
    assert device.status() == (2, 0)


def test_one_byte_that_is_not_zero_is_a_package(device: Bench):
    assert device.push(0, b"\x01") == "2.04"
    assert device.status() == (0, 6)


def test_a_package_may_begin_with_a_zero_block(device: Bench):
    """Only a whole body of one byte 00 is a reset."""
    assert device.push(0, bytes(64), 16) == "2.04"
    assert device.status() == (0, 6)


def test_other_requests_are_answered_during_a_push(device: Bench):
    for number in range(-(-len(GOOD) // 512)):
        answer = device.exchange(device.block_request(0, GOOD, number, 512))
        assert device.read("/3/0/3") == "1.0.0"
        assert device.command("echo hello") == ("hello", "ok")
    assert answer.dotted == "2.04"
    assert device.status() == (2, 0)
