"""Every fault that can be planted in the application shows, and nothing shows without it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from harness.firmware import Behaviour, sources_folder

from .bench import Bench, Setup, app_image, model_image
from .wire import BLOCK1, OPAQUE, PUT, block

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
