"""Update (resource 2): who is installed together, arguments, and dependencies."""

from __future__ import annotations

import pytest

from .bench import Bench, app_image, model_image

GOOD = bytes.fromhex("77c295f360d2ef7f3552500f2cb67980")


def push_both(
    device: Bench, *, app: dict[int, str] | None = None, model: dict[int, str] | None = None
) -> None:
    assert device.push(0, app_image("2.0.0", 700, dependencies=app)) == "2.04"
    assert device.push(1, model_image("2.0.0", dependencies=model)) == "2.04"
    assert device.status(0) == device.status(1) == (2, 0)


def pending(device: Bench) -> set[int]:
    """Components whose update the boot loader is asked for."""
    slots = {n: device.slot(n, secondary=True) for n in (0, 1)}
    return {n for n, slot in slots.items() if device.flash(slot.address + slot.size - 16, 16) == GOOD}


def test_downloaded_components_are_linked(device: Bench):
    assert device.links("/33629/0/16") == set()
    device.push(0, app_image("2.0.0", 700))
    assert device.links("/33629/0/16") == device.links("/33629/1/16") == set()
    device.push(1, model_image("2.0.0"))
    assert device.links("/33629/0/16") == {1}
    assert device.links("/33629/1/16") == {0}
    assert device.read("/33629/0/16/1") == "33629:1"
    device.execute("/33629/1/10")
    assert device.links("/33629/0/16") == device.links("/33629/1/16") == set()


@pytest.mark.parametrize("asked", [0, 1])
@pytest.mark.parametrize(
    ("arguments", "installed"),
    [("", {0, 1}), ("0", "asked"), ("0=''", "asked"), ("0='</33629/other>'", {0, 1})],
)
def test_arguments(device: Bench, asked: int, arguments: str, installed):
    push_both(device)
    wanted = {asked} if installed == "asked" else installed
    assert device.execute(f"/33629/{asked}/2", arguments.replace("other", str(1 - asked))) == "2.04"
    assert pending(device) == wanted
    assert {n for n in (0, 1) if device.status(n) == (3, 0)} == wanted


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("1", "4.00"),
        ("00", "4.00"),
        ("0,1", "4.00"),
        ("0='</33629/1>',1", "4.00"),
        ("0=", "4.00"),
        ("0='", "4.00"),
        ("0='</33629/0>'", "4.00"),  # itself
        ("0='</33629/1>,</33629/1>'", "4.00"),
        ("0='</33629/2>'", "4.00"),
        ("0='</5/1>'", "4.00"),
        ("0='</33629/1>,'", "4.00"),
        ("0='</33629/1'", "4.00"),
        ("0='</33629/>'", "4.00"),
        ("0='</33629/1> '", "4.00"),
        ("0=</33629/1>", "4.00"),
        ("nonsense", "4.00"),
    ],
)
def test_arguments_that_are_none(device: Bench, arguments: str, code: str):
    push_both(device)
    assert device.execute("/33629/0/2", arguments) == code
    assert pending(device) == set()
    assert device.status(0) == device.status(1) == (2, 0)


def test_listed_component_is_not_downloaded(device: Bench):
    device.push(0, app_image("2.0.0", 700))
    assert device.execute("/33629/0/2", "0='</33629/1>'") == "4.05"
    assert device.status(0) == (2, 0)
    assert pending(device) == set()


def test_object_5_installs_component_0_alone(device: Bench):
    push_both(device)
    assert device.execute("/5/0/2", "0") == "4.00"
    assert device.execute("/5/0/2") == "2.04"
    assert pending(device) == {0}
    assert (device.status("5"), device.status(1)) == ((3, 0), (2, 0))


def test_device_restarts_after_the_answer(device: Bench):
    push_both(device)
    before = len(device.registrations)
    device.execute("/33629/0/2")
    device.run(80)
    assert len(device.registrations) == before
    device.until(lambda: len(device.registrations) > before, 500)


# -- dependencies. Installed are app 1.0.0 and model 1.0.0.


@pytest.mark.parametrize("needed", ["0.9.0", "1.0.0", "1.0.0+7"])
def test_dependency_on_what_is_installed(device: Bench, needed: str):
    device.push(0, app_image("2.0.0", 700, dependencies={1: needed}))
    assert device.links("/33629/0/17") == set()
    assert device.execute("/33629/0/2") == "2.04"
    assert pending(device) == {0}


@pytest.mark.parametrize("needed", ["1.0.1", "1.1.0", "2.0.0"])
def test_unmet_dependency(device: Bench, needed: str):
    device.push(0, app_image("2.0.0", 700, dependencies={1: needed}))
    assert device.links("/33629/0/17") == {1}  # a warning
    assert device.execute("/33629/0/2") == "2.04"
    assert device.status(0) == (2, 13)
    assert device.links("/33629/0/17") == {1}
    assert pending(device) == set()
    assert device.status(1) == (0, 0)
    device.push(1, model_image("2.0.0"))
    assert device.links("/33629/0/17") == set()
    assert device.execute("/33629/0/2") == "2.04"
    assert pending(device) == {0, 1}


def test_object_5_has_no_result_13(device: Bench):
    device.push("5", app_image("2.0.0", 700, dependencies={1: "2.0.0"}))
    assert device.execute("/5/0/2") == "2.04"
    assert device.status("5") == (2, 8)
    assert device.status(0) == (2, 13)


def test_needed_component_is_downloaded_but_not_asked_for(device: Bench):
    push_both(device, app={1: "2.0.0"})
    assert device.links("/33629/0/17") == set()
    assert device.execute("/33629/0/2", "0") == "2.04"
    assert device.status(0) == (2, 13)
    assert device.status(1) == (2, 0)
    assert device.links("/33629/0/17") == {1}
    assert device.execute("/33629/0/2") == "2.04"
    assert device.status(0) == device.status(1) == (3, 0)
    assert device.links("/33629/0/17") == set()


def test_dependency_of_a_linked_component(device: Bench):
    push_both(device, model={0: "3.0.0"})
    assert device.execute("/33629/0/2") == "2.04"
    assert device.status(0) == device.status(1) == (2, 13)
    assert device.links("/33629/0/17") == {1}
    assert device.links("/33629/1/17") == {0}
    assert pending(device) == set()


def test_installed_component_needs_the_present_version(device: Bench):
    """The boot loader asks images that stay as well."""
    device.machine.program(device.slot(1).address, model_image("1.0.0", 900, 7, dependencies={0: "1.0.0"}))
    device.reset()
    device.push(0, app_image("0.9.0", 700))
    assert device.execute("/33629/0/2") == "2.04"
    assert device.status(0) == (2, 13)
    assert device.links("/33629/0/17") == {1}


def test_dependency_on_a_component_that_does_not_exist(device: Bench):
    device.push(0, app_image("2.0.0", 700, dependencies={5: "0.0.0"}))
    assert device.execute("/33629/0/2") == "2.04"
    assert device.status(0) == (2, 13)
    assert device.links("/33629/0/17") == {0}


def test_conflict_goes_with_the_package(device: Bench):
    device.push(0, app_image("2.0.0", 700, dependencies={1: "2.0.0"}))
    device.execute("/33629/0/2")
    assert device.execute("/33629/0/10") == "2.04"
    assert device.status(0) == (0, 10)
    assert device.links("/33629/0/17") == set()
