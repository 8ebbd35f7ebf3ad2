"""Boot loader, application and model together: whole updates, through LwM2M."""

from __future__ import annotations

import pytest

from harness.firmware import Behaviour

from .bench import OTHER_KEY, Bench, app_image, model_image, program

MODES = ("scratch", "move", "offset", "overwrite-only")


@pytest.fixture(params=MODES)
def device(request: pytest.FixtureRequest, make) -> Bench:
    return make(mode=request.param, boot_loader=True)


def new_app(device: Bench, behaviour: Behaviour = Behaviour.GOOD) -> bytes:
    return program(device.layout, behaviour, (), "2.0.0")


def update(device: Bench, app: bytes, model: bytes | None = None, *, milliseconds: float = 30000) -> None:
    """Push, Update, and wait for the next registration."""
    assert device.push(0, app) == "2.04"
    assert device.status(0) == (2, 0)
    if model is not None:
        assert device.push(1, model) == "2.04"
        assert device.status(1) == (2, 0)
    before = len(device.registrations)
    assert device.execute("/33629/0/2") == "2.04"
    device._frames.reset()
    device.until(lambda: len(device.registrations) > before, milliseconds)
    device.run(5)


def verdicts(device: Bench) -> list[tuple[int, int, str]]:
    return [(*device.status(n), device.read(f"/33629/{n}/15")) for n in (0, 1)]


def test_update_of_both(device: Bench):
    update(device, new_app(device), model_image("2.0.0", dependencies={0: "2.0.0"}))
    assert verdicts(device) == [(0, 1, "2.0.0")] * 2
    assert device.read("/3/0/3") == "2.0.0"
    device.reset()  # confirmed, so it stays
    assert verdicts(device) == [(0, 1, "2.0.0")] * 2
    assert device.push(0, device.setup.app("1.5.0")) == "2.04"
    assert device.status() == (2, 0)


def test_wrong_signature(device: Bench):
    update(device, app_image("2.0.0", 900, key=OTHER_KEY))
    assert verdicts(device)[0] == (0, 8, "1.0.0")


def test_dependency_that_only_the_boot_loader_saw(make):
    """The request is held back; the download stays, and the application finds the same."""
    device = make(mode="scratch", boot_loader=True)
    assert device.push(1, model_image("2.0.0", dependencies={0: "9.0.0"})) == "2.04"
    assert device.command("pending model") == ("", "ok")  # past the application's own check
    device.reset()
    assert verdicts(device) == [(0, 0, "1.0.0"), (2, 0, "1.0.0")]
    assert device.execute("/33629/1/2") == "2.04"
    assert device.status(1) == (2, 13)


@pytest.mark.parametrize(
    ("mode", "behaviour"),
    [("scratch", Behaviour.HANGS), ("move", Behaviour.CRASHES), ("offset", Behaviour.SELF_TEST_FAILS)],
)
def test_bad_application_is_rolled_back(make, mode: str, behaviour: Behaviour):
    device = make(mode=mode, boot_loader=True)
    update(device, new_app(device, behaviour), model_image("2.0.0"))
    assert verdicts(device) == [(0, 8, "1.0.0")] * 2
    update(device, new_app(device), model_image("2.0.0"))
    assert verdicts(device) == [(0, 1, "2.0.0")] * 2


@pytest.mark.parametrize("mode", MODES[:3])
def test_application_that_never_confirms(make, mode: str):
    device = make(mode=mode, boot_loader=True)
    update(device, new_app(device, Behaviour.NEVER_CONFIRMS))
    assert verdicts(device)[0] == (3, 0, "2.0.0")
    device.reset()
    assert verdicts(device)[0] == (0, 8, "1.0.0")
