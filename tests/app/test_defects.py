"""Every fault that can be planted in the application shows, and nothing shows without it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from harness.emulator import OperationKind
from harness.firmware import Behaviour, sources_folder

from .bench import Bench, Setup, app_image, image, model_image
from .smp_peer import IMAGES, STATE, UPLOAD, WRITE, Peer
from .wire import ACK, BLOCK1, BLOCK2, ETAG, OPAQUE, PUT, Message, block, text_frame

PACKAGE = app_image("2.0.0", 2000)


def update(device: Bench, *, refused: bool = False, behaviour: Behaviour = Behaviour.GOOD) -> None:
    """An update of the application, up to the first start after it."""
    setup = Setup(defines=device.setup.defines, behaviour=behaviour)
    device.push(0, setup.app("2.0.0"))
    device.execute("/33629/0/2")
    device.machine.power_off()
    slot = device.slot(0, secondary=True)
    if refused:
        device.machine.program(slot.address, b"\xff" * slot.size)
    else:
        device.swap(0)


def update_request(device: Bench, component: int) -> None:
    """A download, and the request to install it."""
    device.push(component, PACKAGE if component == 0 else model_image("2.0.0"))
    device.execute(f"/33629/{component}/2", "0")


def false_success(device: Bench) -> bool:
    update(device, refused=True)
    device.boot()
    return device.status() == (0, 8)


def confirms_before_self_test(device: Bench) -> bool:
    update(device, behaviour=Behaviour.SELF_TEST_FAILS)
    device.machine.power_on()
    device.run(30)
    slot = device.slot(0)
    return device.flash(slot.address + slot.size - 24, 1) == b"\xff"


def wrong_image_ok_offset(device: Bench) -> bool:
    update(device)
    device.boot()
    slot = device.slot(0)
    return device.flash(slot.address + slot.size - 32, 16) == b"\x01" + b"\xff" * 7 + b"\x01" + b"\xff" * 7


def forgets_record(device: Bench) -> bool:
    update(device)
    device.boot()
    return device.status() == (0, 1)


def stale_result(device: Bench) -> bool:
    device.push(0, b"no image")
    device.push(0, PACKAGE)
    return device.status() == (2, 0)


def update_in_idle(device: Bench) -> bool:
    return device.execute("/33629/0/2") == "4.05"


def ignores_integrity(device: Bench) -> bool:
    device.push(0, PACKAGE[:1000] + b"!" + PACKAGE[1001:])
    return device.status() == (0, 5)


def reset_keeps_state(device: Bench) -> bool:
    device.push(0, PACKAGE)
    device.push(0, b"\x00")
    return device.status() == (0, 0)


def takes_any_block(device: Bench) -> bool:
    device.exchange(device.block_request(0, PACKAGE, 0, 256))
    more = [(BLOCK1, block(3, True, 256))]
    return device.request(PUT, "/33629/0/0", PACKAGE[:256], content_format=OPAQUE, more=more).dotted == "4.08"


def no_deduplication(device: Bench) -> bool:
    request = device.block_request(0, PACKAGE, 0, 256)
    return device.exchange(request).dotted == device.exchange(request).dotted == "2.31"


def keeps_old_trailer(device: Bench) -> bool:
    slot = device.slot(1, secondary=True)
    device.machine.program(slot.address + slot.size - 64, bytes(64))
    device.push(1, model_image("2.0.0"))
    return device.flash(slot.address + slot.size - 64, 64) == b"\xff" * 64


def unfinished_counts_as_downloaded(device: Bench) -> bool:
    device.exchange(device.block_request(0, PACKAGE, 0, 1024))
    device.reset()
    return device.status() == (0, 0)


def cancel_not_recorded(device: Bench) -> bool:
    device.push(0, PACKAGE)
    device.execute("/33629/0/10")
    device.reset()
    return device.status() == (0, 0)


def success_before_confirm(device: Bench) -> bool:
    update(device, behaviour=Behaviour.NEVER_CONFIRMS)
    device.boot()
    return device.status() == (3, 0)


def first_component_settled_only(device: Bench) -> bool:
    device.push(1, model_image("2.0.0"))
    device.execute("/33629/1/2", "0")
    device.machine.power_off()
    device.swap(1)
    device.boot()
    return device.status(1) == (0, 1)


def _records(device: Bench) -> int:
    """How many records the application has written to its storage."""
    return int(re.search(r"records (\d+)", device.command("stats")[0])[1])  # type: ignore[index]


def record_at_each_start(device: Bench) -> bool:
    before = _records(device)
    device.reset()
    return _records(device) == before


def record_with_each_block(device: Bench) -> bool:
    device.push(0, PACKAGE, 1024)
    few = _records(device)
    device.execute("/33629/0/10")
    device.push(0, PACKAGE, 64)
    return _records(device) - few <= few + 1


def crash_undoes_update(device: Bench) -> bool:
    device.machine.uarts[0].feed(text_frame("fault hang\n"))
    device.run(3000)
    slot = device.slot(0, secondary=True)
    return device.flash(slot.address + slot.size - 16, 16) == b"\xff" * 16


def asks_for_good(device: Bench) -> bool:
    update_request(device, 0)
    slot = device.slot(0, secondary=True)
    return device.flash(slot.address + slot.size - 24, 1) == b"\xff"


def ignores_instances(device: Bench) -> bool:
    device.push(0, PACKAGE)
    update_request(device, 1)
    return device.status(0) == (2, 0)


def slot_size_ignored(device: Bench) -> bool:
    device.push(1, model_image("2.0.0", device.slot(1, secondary=True).size))
    return device.status(1) == (0, 2)


def rest_of_package_ignored(device: Bench) -> bool:
    device.push(0, PACKAGE + b"rest")
    return device.status() == (0, 5)


def download_while_updating(device: Bench) -> bool:
    update(device, behaviour=Behaviour.NEVER_CONFIRMS)
    device.boot()
    return device.push(0, PACKAGE) == "4.05"


def _erases(device: Bench, package: bytes) -> int:
    device.machine.start_journal()
    device.push(0, package)
    return sum(operation.kind is OperationKind.ERASE_PAGE for operation in device.machine.stop_journal())


def erases_blank_sectors(device: Bench) -> bool:
    return _erases(device, PACKAGE) == 0


def old_sectors_kept(device: Bench) -> bool:
    device.push(0, app_image("1.5.0", 2000, seed=9))
    device.execute("/33629/0/10")
    device.push(0, PACKAGE)
    return device.status() == (2, 0)


def _pull_with_reset(device: Bench) -> list[int]:
    """Offsets that are asked for after a reset in the middle of a pull through object 5."""
    asked: list[int] = []
    body = app_image("2.0.0", 30_000)

    def serve(request: Message) -> Message | None:
        number, _, size = request.block(BLOCK2)
        asked.append(number * size)
        if len(asked) == 11:
            return None
        answer = Message(ACK, 0x45, request.mid, request.token)
        more = (number + 1) * size < len(body)
        answer.options = [(BLOCK2, block(number, more, size)), (ETAG, b"tag")]
        answer.payload = body[number * size :][:size]
        return answer

    device.files["/fw/1"] = serve
    device.write("/5/0/1", "coap://bench/fw/1")
    device.until(lambda: len(asked) == 11)
    device.reset()
    device.until(lambda: device.status()[0] != 1)
    return asked[11:]


def torn_sector_trusted(device: Bench) -> bool:
    _pull_with_reset(device)
    return device.status() == (2, 0)


def pull_starts_over(device: Bench) -> bool:
    return _pull_with_reset(device)[0] > 0


def requests_not_repeated(device: Bench) -> bool:
    asked: list[Message] = []
    device.files["/fw/1"] = asked.append  # type: ignore[assignment]  # a server that never answers
    device.write("/33629/0/1", "coap://bench/fw/1")
    device.run(10_000)
    return device.status() == (1, 0) and len({request.mid for request in asked}) < len(asked)


def data_not_tested(device: Bench) -> bool:
    slot = device.slot(1)
    device.machine.power_off()
    device.machine.program(slot.address, b"\xff" * slot.size)
    device.machine.program(slot.address, image(b"MODL" + bytes([4, 0, 0, 0]) + bytes(100), "1.0.0"))
    device.boot()
    return int(device.read("/3/0/11/0")) == 8


def version_of_other_slot(device: Bench) -> bool:
    return device.read("/33629/0/15") == "1.0.0"


def smp_offset_ignored(device: Bench) -> bool:
    new, peer = model_image("2.0.0"), Peer(device)
    peer.upload(new, 1, step=400, stop=400)
    return peer.ask(WRITE, IMAGES, UPLOAD, off=0x100, data=b"junk") == {"off": 400}


def smp_confirm_not_written(device: Bench) -> bool:
    trial = Bench(Setup(boot_loader=True, behaviour=Behaviour.NEVER_CONFIRMS, defines=device.setup.defines))
    trial.boot()
    update_request(trial, 1)
    trial.until(lambda: len(trial.registrations) > 1, 20_000)
    peer = Peer(trial)
    peer.ask(WRITE, IMAGES, STATE, hash=peer.state()[1, 0]["hash"], confirm=True)
    return bool(peer.state()[1, 0]["confirmed"])


def smp_image_number_ignored(device: Bench) -> bool:
    new = model_image("2.0.0")
    Peer(device).upload(new, 1)
    return device.flash(device.slot(1, secondary=True).address, len(new)) == new


SCENARIOS: list[Callable[[Bench], bool]] = [
    false_success,
    confirms_before_self_test,
    wrong_image_ok_offset,
    forgets_record,
    stale_result,
    update_in_idle,
    ignores_integrity,
    reset_keeps_state,
    takes_any_block,
    no_deduplication,
    keeps_old_trailer,
    unfinished_counts_as_downloaded,
    cancel_not_recorded,
    success_before_confirm,
    first_component_settled_only,
    record_at_each_start,
    record_with_each_block,
    crash_undoes_update,
    asks_for_good,
    ignores_instances,
    slot_size_ignored,
    rest_of_package_ignored,
    download_while_updating,
    erases_blank_sectors,
    old_sectors_kept,
    torn_sector_trusted,
    pull_starts_over,
    requests_not_repeated,
    data_not_tested,
    version_of_other_slot,
    smp_offset_ignored,
    smp_confirm_not_written,
    smp_image_number_ignored,
]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_good_application(device: Bench, scenario: Callable[[Bench], bool]):
    assert scenario(device)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_defect_shows(make, scenario: Callable[[Bench], bool]):
    assert not scenario(make(defines=((f"DEFECT_{scenario.__name__}", 1),)))


def test_every_defect_of_the_application_is_in_the_list():
    catalogue = (sources_folder() / "lib" / "defects.h").read_text(encoding="utf-8")
    ours = re.findall(r"/\* application: [^*]*\*/\s*#ifndef DEFECT_(\w+)", catalogue)
    assert sorted(ours) == sorted(scenario.__name__ for scenario in SCENARIOS)


def test_each_is_planted_in_its_place():
    for scenario in SCENARIOS:
        name = f"DEFECT({scenario.__name__},"
        count = sum(path.read_text().count(name) for path in (sources_folder() / "app").glob("*.c"))
        assert 1 <= count <= 2, scenario.__name__
