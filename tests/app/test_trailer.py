"""What pending and confirm write into trailers, byte for byte as MCUboot's library does."""

from __future__ import annotations

import pytest

from harness.mcuboot import SwapMode, Trailer, TrailerLayout, build_trailer, set_confirmed, set_pending

from .bench import Bench, app_image

MODES = (
    "scratch",
    "move",
    "offset",
    "overwrite-only",
    "overwrite-only-fast",
    "direct-xip",
    "direct-xip-revert",
)
ALIGNMENTS = (4, 8, 16)
OTHER_MAGIC = bytes.fromhex("20002de15d29410b8d77679c110f1f8a")

FOUND = {
    "erased": {},
    "magic": {"magic": True},
    "magic and image_ok": {"magic": True, "image_ok": True},
    "on trial": {"magic": True, "copy_done": True, "swap_info": 0x02},
    "confirmed": {"magic": True, "copy_done": True, "image_ok": True, "swap_info": 0x02},
    "bad magic": {"magic": OTHER_MAGIC},
    "bad flag": {"magic": True, "copy_done": True, "image_ok": 0x55},
}


def layout_of(device: Bench, component: int, *, secondary: bool) -> TrailerLayout:
    board = device.layout
    return TrailerLayout(
        device.slot(component, secondary=secondary).size,
        SwapMode(device.setup.mode.replace("_", "-")),
        board.write_alignment,
        board.max_alignment,
        board.max_sectors,
    )


def prepare(device: Bench, component: int, found: str, *, secondary: bool) -> tuple[Trailer, bytearray]:
    """Put a trailer into a slot; returns it, and the slot's content."""
    slot, layout = (
        device.slot(component, secondary=secondary),
        layout_of(device, component, secondary=secondary),
    )
    if secondary:
        device.machine.program(slot.address, app_image("2.0.0", 300, alignment=device.setup.alignment))
    device.machine.program(slot.address + layout.status, build_trailer(layout, **FOUND[found]))
    content = bytearray(device.flash(slot.address, slot.size))
    return Trailer.parse(bytes(content), layout), content


def check(
    device: Bench, component: int, content: bytearray, outcome, answer: str, *, secondary: bool
) -> None:
    """The slot has exactly the writes that were expected."""
    slot = device.slot(component, secondary=secondary)
    for write in outcome.writes:
        content[write.offset : write.offset + len(write.data)] = bytes(
            old & new for old, new in zip(content[write.offset :], write.data, strict=False)
        )
    assert device.flash(slot.address, slot.size) == bytes(content)
    assert answer == ("ok" if outcome.result == 0 else "error: the trailer does not take it")


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("mode", MODES)
def test_pending(make, mode: str, alignment: int):
    device = make(mode=mode, alignment=alignment)
    start = device.machine.snapshot()
    for component in (0, 1):
        for permanent in (False, True):
            for found in FOUND:
                trailer, content = prepare(device, component, found, secondary=True)
                outcome = set_pending(trailer, permanent=permanent, image=component)
                other = device.flash(device.slot(component).address, device.slot(component).size)
                _, answer = device.command(f"pending {component}" + " permanent" * permanent)
                check(device, component, content, outcome, answer, secondary=True)
                assert device.flash(device.slot(component).address, device.slot(component).size) == other
                device.machine.restore(start)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("mode", MODES)
def test_confirm(make, mode: str, alignment: int):
    device = make(mode=mode, alignment=alignment)
    start = device.machine.snapshot()
    for component, name in enumerate(("app", "model")):
        for found in FOUND:
            trailer, content = prepare(device, component, found, secondary=False)
            _, answer = device.command(f"confirm {name}")
            check(device, component, content, set_confirmed(trailer), answer, secondary=False)
            device.machine.restore(start)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("mode", MODES[:3])
def test_update_writes_what_pending_writes(make, mode: str, alignment: int):
    """Both images are pushed; Update leaves test requests in both secondaries and nothing else."""
    from .bench import model_image

    device = make(mode=mode, alignment=alignment)
    packages = [app_image("2.0.0", 700, alignment=alignment), model_image("2.0.0", 700, alignment=alignment)]
    contents = []
    for component, package in enumerate(packages):
        assert device.push(component, package) == "2.04"
        slot = device.slot(component, secondary=True)
        content = bytearray(device.flash(slot.address, slot.size))
        trailer = Trailer.parse(bytes(content), layout_of(device, component, secondary=True))
        for write in set_pending(trailer, permanent=False, image=component).writes:
            content[write.offset : write.offset + len(write.data)] = write.data
        contents.append(bytes(content))
    assert device.execute("/33629/1/2") == "2.04"
    assert (device.status(0), device.status(1)) == ((3, 0), (3, 0))
    for component, content in enumerate(contents):
        slot = device.slot(component, secondary=True)
        assert device.flash(slot.address, slot.size) == content


@pytest.mark.parametrize("found", FOUND)
def test_start_confirms_what_is_on_trial(device: Bench, found: str):
    """Without any record of an update, too: an image may have come through a debugger."""
    for component in (0, 1):
        trailer, content = prepare(device, component, found, secondary=False)
        device.reset()
        check(
            device,
            component,
            content,
            set_confirmed(trailer),
            "ok" if found != "bad magic" else "error: the trailer does not take it",
            secondary=False,
        )
        assert device.status(component) == (0, 0)
