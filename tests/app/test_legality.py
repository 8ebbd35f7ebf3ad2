"""Every operation in every state: the code of the answer, and state and result afterwards."""

from __future__ import annotations

import pytest

from .bench import Bench, app_image, model_image
from .wire import BLOCK1, OPAQUE, POST, PUT, TEXT, block

STATES = ("idle", "push runs", "pull runs", "downloaded", "updating")
UNCHANGED = None
TARGETS = {"33629/0": 0, "33629/1": 1, "5/0": 0}

RULES = {
    # operation: (code, (state, result) afterwards) for each of STATES
    "push": [
        ("2.04", (2, 0)),
        ("4.05", UNCHANGED),
        ("4.05", UNCHANGED),
        ("4.00", UNCHANGED),
        ("4.05", UNCHANGED),
    ],
    "push a block": [
        ("2.31", (1, 0)),
        ("4.05", UNCHANGED),
        ("4.05", UNCHANGED),
        ("4.00", UNCHANGED),
        ("4.05", UNCHANGED),
    ],
    "package 00": [("2.04", (0, 0))] * 4 + [("4.05", UNCHANGED)],
    "uri": [("2.04", (1, 0))] + [("4.00", UNCHANGED)] * 4,
    "uri of a scheme that nobody knows": [("4.00", (0, 9))] + [("4.00", UNCHANGED)] * 4,
    "empty uri": [("2.04", (0, 0))] * 4 + [("4.05", UNCHANGED)],
    "update": [("4.05", UNCHANGED)] * 3 + [("2.04", (3, 0)), ("4.05", UNCHANGED)],
    "cancel": [("4.05", UNCHANGED)] + [("2.04", (0, 10))] * 3 + [("4.05", UNCHANGED)],
}


def good_image(component: int) -> bytes:
    return model_image("2.0.0") if component else app_image("2.0.0", 900)


def operate(device: Bench, at: str, operation: str) -> str:
    component = TARGETS[at]
    match operation:
        case "push":
            return device.request(PUT, f"/{at}/0", good_image(component)[:1000], content_format=OPAQUE).dotted
        case "push a block":
            more = [(BLOCK1, block(0, True, 64))]
            return device.request(
                PUT, f"/{at}/0", good_image(component)[:64], content_format=OPAQUE, more=more
            ).dotted
        case "package 00":
            return device.request(PUT, f"/{at}/0", b"\x00", content_format=OPAQUE).dotted
        case "uri":
            return device.write(f"/{at}/1", "coap://host/silent")
        case "uri of a scheme that nobody knows":
            return device.write(f"/{at}/1", "gopher://host/x")
        case "empty uri":
            return device.request(PUT, f"/{at}/1", content_format=TEXT).dotted
        case "update":
            return device.request(POST, f"/{at}/2").dotted
        case _:
            return device.request(POST, f"/{at}/10").dotted


def bring(device: Bench, at: str, state: str) -> None:
    component = TARGETS[at]
    device.files["/silent"] = lambda request: None
    match state:
        case "push runs":
            device.exchange(device.block_request(component, good_image(component), 0, 256))
        case "pull runs":
            assert device.write(f"/{at}/1", "coap://host/silent") == "2.04"
        case "downloaded" | "updating":
            assert device.push(component, good_image(component)) == "2.04"
            if state == "updating":
                assert device.request(POST, f"/{at}/2").dotted == "2.04"
    wanted = {"idle": 0, "push runs": 1, "pull runs": 1, "downloaded": 2, "updating": 3}[state]
    assert status(device, at) == (wanted, 0)


def status(device: Bench, at: str) -> tuple[int, int]:
    return int(device.read(f"/{at}/3")), int(device.read(f"/{at}/5"))


@pytest.mark.parametrize("at", TARGETS)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("operation", RULES)
def test_operation(device: Bench, operation: str, state: str, at: str):
    bring(device, at, state)
    code, after = RULES[operation][STATES.index(state)]
    if operation == "push" and state == "idle" and TARGETS[at]:
        # the model does not fit into one message
        assert device.push(TARGETS[at], good_image(1)) == code
    elif operation == "push" and state == "idle":
        assert device.request(PUT, f"/{at}/0", app_image("2.0.0", 400), content_format=OPAQUE).dotted == code
    else:
        assert operate(device, at, operation) == code
    expected = after or {"idle": (0, 0), "push runs": (1, 0), "pull runs": (1, 0), "downloaded": (2, 0)}.get(
        state, (3, 0)
    )
    assert status(device, at) == expected


@pytest.mark.parametrize("operation", ["push", "push a block"])
@pytest.mark.parametrize(
    ("state", "code"),
    [("push runs", "4.05"), ("pull runs", "4.05"), ("downloaded", "2.04"), ("updating", "2.04")],
)
def test_push_while_the_other_component_is_in_a_state(device: Bench, operation: str, state: str, code: str):
    bring(device, "33629/1", state)
    before = status(device, "33629/1")
    if operation == "push":
        answer = device.request(PUT, "/33629/0/0", app_image("2.0.0", 400), content_format=OPAQUE).dotted
    else:
        answer = operate(device, "33629/0", operation)
        code = code.replace("2.04", "2.31")
    assert answer == code
    assert status(device, "33629/1") == before


@pytest.mark.parametrize("state", STATES[1:4])
def test_resets_do_not_touch_the_other_component(device: Bench, state: str):
    bring(device, "33629/1", state)
    for operation in ("package 00", "empty uri"):
        assert operate(device, "33629/0", operation) == "2.04"
    assert status(device, "33629/1") == ({"downloaded": 2}.get(state, 1), 0)
    assert status(device, "33629/0") == (0, 0)


def test_object_5_shows_component_0(device: Bench):
    assert device.push("5", app_image("2.0.0", 900)) == "2.04"
    assert device.status(0) == device.status("5") == (2, 0)
    assert device.read("/5/0/7") == device.read("/33629/0/7") == "2.0.0"
    assert device.execute("/33629/0/10") == "2.04"
    assert device.status("5") == (0, 10)


def test_a_new_download_clears_the_old_result(device: Bench):
    assert device.push(0, b"this is no image") == "2.04"
    assert device.status() == (0, 6)
    device.exchange(device.block_request(0, app_image("2.0.0"), 0, 256))
    assert device.status() == (1, 0)


def test_last_change_is_counted_in_seconds(device: Bench):
    assert device.read("/33629/0/12") == "0"
    device.run(3000)
    assert device.push(0, app_image("2.0.0", 900)) == "2.04"
    assert device.read("/33629/0/12") == "3"
