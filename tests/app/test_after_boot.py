"""What a device says after the reset that an update ends in, and after power cuts on the way there."""

from __future__ import annotations

import pytest

from harness.emulator import OperationKind
from harness.firmware import Behaviour

from .bench import STORAGE, Bench, Setup, app_image, model_image

GOOD = bytes.fromhex("77c295f360d2ef7f3552500f2cb67980")


def image_ok(device: Bench, component: int) -> int:
    slot = device.slot(component)
    return device.flash(slot.address + slot.size - 24, 1)[0]


def handed_over(device: Bench, components: tuple[int, ...] = (0, 1), setup: Setup | None = None) -> None:
    """Push, execute Update, and lose power before the device restarts."""
    packages = {0: (setup or device.setup).app("2.0.0"), 1: model_image("2.0.0")}
    for component in components:
        assert device.push(component, packages[component]) == "2.04"
        assert device.status(component) == (2, 0)
    assert device.execute(f"/33629/{components[0]}/2") == "2.04"
    assert device.status(components[0]) == (3, 0)
    device.machine.power_off()


def verdicts(device: Bench) -> list[tuple[int, int, str]]:
    return [(*device.status(n), device.read(f"/33629/{n}/15")) for n in (0, 1)]


@pytest.mark.parametrize("components", [(0,), (1,), (0, 1), (1, 0)])
def test_success(device: Bench, components: tuple[int, ...]):
    handed_over(device, components)
    device.swap(*components)
    device.boot()
    done, untouched = (0, 1, "2.0.0"), (0, 0, "1.0.0")
    assert verdicts(device) == [done if n in components else untouched for n in (0, 1)]
    assert [image_ok(device, n) for n in (0, 1)] == [1 if n in components else 0xFF for n in (0, 1)]
    if 0 in components:
        assert device.read("/3/0/3") == "2.0.0"
        assert device.status("5") == (0, 1)
    device.reset()
    assert verdicts(device) == [done if n in components else untouched for n in (0, 1)]
    assert device.push(1, model_image("3.0.0")[:64]) == "2.04"
    device.reset()
    assert device.status(1) == (0, 0)  # the success was the last update's


def test_refused_by_the_boot_loader(device: Bench):
    handed_over(device)
    for component in (0, 1):
        slot = device.slot(component, secondary=True)
        device.machine.program(slot.address, b"\xff" * slot.size)
    device.boot()
    assert verdicts(device) == [(0, 8, "1.0.0")] * 2
    device.reset()
    assert verdicts(device) == [(0, 8, "1.0.0")] * 2
    handed_over(device)
    device.swap(0, 1)
    device.boot()
    assert verdicts(device) == [(0, 1, "2.0.0")] * 2


def test_request_that_was_not_carried_out_is_taken_back(device: Bench):
    """The boot loader keeps requests that it holds back for a dependency; nothing may come of them later."""
    handed_over(device)
    device.boot()
    assert verdicts(device) == [(0, 8, "1.0.0")] * 2
    for component in (0, 1):
        slot = device.slot(component, secondary=True)
        assert device.flash(slot.address + slot.size - 48, 48) == b"\xff" * 48


@pytest.mark.parametrize("by", ["reset", "bad uri", "bad package"])
def test_result_of_the_last_update_does_not_come_back(device: Bench, by: str):
    handed_over(device, (1,))
    device.swap(1)
    device.boot()
    assert device.status(1) == (0, 1)
    if by == "reset":
        assert device.write("/33629/1/1", "") == "2.04"
    elif by == "bad uri":
        assert device.write("/33629/1/1", "http://h/") == "4.00"
    else:
        assert device.push(1, b"no image") == "2.04"
    device.reset()
    assert device.status(1) == (0, 0)


def test_one_of_two_is_refused(device: Bench):
    handed_over(device)
    device.swap(0)
    slot = device.slot(1, secondary=True)
    device.machine.program(slot.address, b"\xff" * slot.size)
    device.boot()
    assert verdicts(device) == [(0, 1, "2.0.0"), (0, 8, "1.0.0")]


def test_rolled_back(device: Bench):
    """The new image never confirmed itself: the boot loader has put the old one back."""
    handed_over(device)
    device.swap(0, 1)
    device.swap(0, 1)
    device.boot()
    assert verdicts(device) == [(0, 8, "1.0.0")] * 2


def test_same_version_with_other_content_is_no_success(device: Bench):
    package = app_image("1.0.0", 700)
    device.push(0, package)
    assert device.execute("/33629/0/2") == "2.04"
    device.machine.power_off()
    slot = device.slot(0, secondary=True)
    device.machine.program(slot.address, b"\xff" * slot.size)
    device.boot()
    assert verdicts(device)[0] == (0, 8, "1.0.0")


def test_downloaded_survives_a_reset(device: Bench):
    device.push(0, app_image("2.0.0", 700))
    device.push(1, model_image("2.1.0"))
    device.reset()
    assert device.status(0) == device.status(1) == (2, 0)
    assert device.read("/33629/1/7") == "2.1.0"
    assert device.push(0, app_image("2.0.0", 700)) == "4.00"
    assert device.execute("/33629/0/2") == "2.04"
    assert device.status(1) == (3, 0)


@pytest.mark.parametrize("what", ["damaged", "another"])
def test_downloaded_image_is_checked_again(device: Bench, what: str):
    device.push(0, app_image("2.0.0", 700))
    address = device.slot(0, secondary=True).address
    if what == "damaged":
        device.machine.program(address + 600, b"!")
    else:
        device.machine.program(address, app_image("2.0.0", 700, seed=5))
    device.reset()
    assert device.status(0) == (0, 0)


def test_old_image_in_the_secondary_slot_is_no_download(device: Bench):
    handed_over(device, (0,))
    device.swap(0)
    device.boot()
    assert device.status(0) == (0, 1)
    assert device.flash(device.slot(0, secondary=True).address, 64) == Setup().app("1.0.0")[:64]


@pytest.mark.parametrize("how", ["package", "cancel"])
def test_dropped_download_does_not_come_back(device: Bench, how: str):
    device.push(0, app_image("2.0.0", 700))
    if how == "package":
        device.push(0, b"\x00")
    else:
        device.execute("/33629/0/10")
    device.reset()
    assert device.status(0) == (0, 0)


# -- behaviours


def test_image_that_never_confirms(make):
    device = make()
    setup = Setup(behaviour=Behaviour.NEVER_CONFIRMS)
    handed_over(device, (0, 1), setup)
    device.swap(0, 1)
    device.boot()
    assert verdicts(device) == [(3, 0, "2.0.0")] * 2
    assert [image_ok(device, n) for n in (0, 1)] == [0xFF, 0xFF]
    device.run(500)
    assert len(device.registrations) == 2  # it just runs on
    assert device.push(0, model_image("3.0.0")) == "4.05"
    device.machine.power_off()
    device.swap(0, 1)
    device.boot()
    assert verdicts(device) == [(0, 8, "1.0.0")] * 2


def test_image_that_never_confirms_is_confirmed_by_hand(make):
    device = make()
    handed_over(device, (0, 1), Setup(behaviour=Behaviour.NEVER_CONFIRMS))
    device.swap(0, 1)
    device.boot()
    assert device.command("confirm app") == ("", "ok")
    assert (device.status(0), device.status(1)) == ((0, 1), (3, 0))
    assert (image_ok(device, 0), image_ok(device, 1)) == (1, 0xFF)
    device.reset()
    assert device.status(0) == (0, 1)


@pytest.fixture
def resets(device: Bench, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Kinds of the resets that happen by themselves; the machine is switched off after the third."""
    kinds: list[str] = []
    original = device.machine.reset

    def reset(kind) -> None:
        kinds.append(kind.name)
        device._frames.reset()
        if len(kinds) == 4:
            device.machine.power_off()
        original(kind)

    monkeypatch.setattr(device.machine, "reset", reset)
    return kinds


@pytest.mark.parametrize(
    ("behaviour", "kind", "said"),
    [
        (Behaviour.SELF_TEST_FAILS, "SOFT", "self test: failed\nrestart"),
        (Behaviour.HANGS, "WATCHDOG", ""),
        (Behaviour.CRASHES, "SOFT", ""),
    ],
)
def test_image_on_trial_that_is_bad_resets_itself(
    device: Bench, resets: list[str], behaviour: Behaviour, kind: str, said: str
):
    handed_over(device, (0,), Setup(behaviour=behaviour))
    device.swap(0)
    device.text = ""
    device.machine.power_on()
    device.until(lambda: len(resets) == 4, 8000)
    assert resets == ["POWER_ON", kind, kind, kind]
    assert said in device.text
    assert image_ok(device, 0) == 0xFF
    device.swap(0)
    resets.clear()
    device.boot()
    assert verdicts(device)[0] == (0, 8, "1.0.0")


def test_failed_self_test_without_a_way_back(make):
    """Reachable, not confirmed, and honest about it."""
    device = make(behaviour=Behaviour.SELF_TEST_FAILS)
    assert device.read("/3/0/11/0") == "8"
    assert device.status(0) == (0, 0)
    assert device.push(1, model_image("2.0.0")) == "2.04"


def test_overwritten_image_that_fails_its_self_test_is_no_success(make):
    device = make(mode="overwrite-only")
    setup = Setup(mode="overwrite-only", behaviour=Behaviour.SELF_TEST_FAILS)
    handed_over(device, (0,), setup)
    first, second = device.slot(0), device.slot(0, secondary=True)
    device.machine.program(first.address, device.flash(second.address, second.size))
    device.boot()
    assert verdicts(device)[0] == (0, 8, "2.0.0")
    assert image_ok(device, 0) == 0xFF


def test_damaged_model_fails_the_self_test(device: Bench, resets: list[str]):
    handed_over(device, (1,))
    device.swap(1)
    device.machine.program(device.slot(1).address + 0x300, b"!!!")
    device.machine.power_on()
    device.until(lambda: len(resets) == 3, 3000)
    assert resets == ["POWER_ON", "SOFT", "SOFT"]
    assert "self test: failed" in device.text


# -- power cuts


def operations(device: Bench, action) -> int:
    """How many flash operations something takes."""
    start = device.machine.operations
    action()
    return device.machine.operations - start


class Torn:
    """Half of an operation: some bits of a word, the first part of a sector."""

    def word(self, previous: int, value: int) -> int:
        return previous & (value | 0xFF00FF00)

    def erase(self, previous: bytes) -> bytes:
        return b"\xff" * 100 + previous[100:]


def filled(device: Bench, records: int) -> None:
    for value in range(records):
        assert device.write("/33629/1/13", str(1000 + value)) == "2.04"


def test_cuts_within_the_record(device: Bench):
    """Before and inside of writes and of an erase: the old value or the new one, and storing goes on."""
    resource = "/33629/1/13"
    filled(device, 101)
    start = device.machine.snapshot()
    device.machine.start_journal()
    for value in range(3):
        assert device.write(resource, str(value)) == "2.04"
    kinds = [o.kind for o in device.machine.stop_journal()]
    (erase,) = [n for n, kind in enumerate(kinds) if kind is OperationKind.ERASE_PAGE]
    for number in sorted({*range(0, len(kinds), 5), erase - 1, erase, erase + 1}):
        device.machine.restore(start)
        device._frames.reset()
        device.received.clear()
        device.machine.cut_power_at(device.machine.operations + number, Torn() if number % 2 else None)
        written = 1100
        for value in range(3):
            device.send(device.build(3, resource, str(value).encode(), content_format=0))
            device.run(120)
            if not device.machine.powered:
                break
            written = value
        assert not device.machine.powered
        device.boot()
        assert int(device.read(resource)) in (written, value)
        assert device.write(resource, "77") == "2.04"
        device.reset()
        assert device.read(resource) == "77"


def test_many_records(device: Bench):
    """Both sectors are used again and again, and the newest record counts."""
    device.machine.start_journal()
    for value in range(210):
        assert device.write("/33629/1/13", str(value)) == "2.04"
        if value % 70 == 7:
            device.reset()
            assert device.read("/33629/1/13") == str(value)
    erased = [o.address for o in device.machine.stop_journal() if o.kind is OperationKind.ERASE_PAGE]
    assert erased == [STORAGE.address, STORAGE.address + 0x1000, STORAGE.address]


def test_nothing_new_is_not_written(device: Bench):
    assert device.write("/33629/1/13", "5") == "2.04"
    assert operations(device, lambda: device.write("/33629/1/13", "5")) == 0
    assert operations(device, device.reset) == 0


def asked_for(device: Bench, component: int) -> bool:
    slot = device.slot(component, secondary=True)
    return device.flash(slot.address + slot.size - 16, 16) == GOOD


def test_cuts_while_the_boot_loader_is_asked(device: Bench):
    """Wherever power fails within Update: in the end both or none are installed, and the device knows."""
    device.push(0, device.setup.app("2.0.0"))
    device.push(1, model_image("2.0.0"))
    start = device.machine.snapshot()
    count = operations(device, lambda: device.execute("/33629/0/2"))
    outcomes = set()
    for number in range(0, count, 3):
        device.machine.restore(start)
        device._frames.reset()
        device.received.clear()
        device.machine.cut_power_at(device.machine.operations + number, Torn() if number % 2 else None)
        device.send(device.build(2, "/33629/0/2"))
        device.run(50)
        assert not device.machine.powered
        for _ in range(3):  # the boot loader's part, then the application's, which may reset once more
            wanted = [n for n in (0, 1) if asked_for(device, n)]
            device.swap(*wanted)
            before = len(device.registrations)
            device._frames.reset()
            device.machine.power_on()
            restarted = len(device.text)
            device.until(
                lambda before=before, restarted=restarted: (
                    len(device.registrations) > before or "is completed, restart" in device.text[restarted:]
                ),
                3000,
            )
            if len(device.registrations) > before:
                break
            device.machine.power_off()
        device.run(5)
        seen = verdicts(device)
        outcomes.add((seen[0], seen[1]))
        for state, result, version in seen:
            assert (state, result, version) in {(2, 0, "1.0.0"), (0, 1, "2.0.0"), (0, 8, "1.0.0")}, (
                number,
                seen,
            )
        assert seen[0][2] == seen[1][2] or (0, 8, "1.0.0") in seen, number
    assert ((0, 1, "2.0.0"),) * 2 in outcomes
    assert ((2, 0, "1.0.0"),) * 2 in outcomes
