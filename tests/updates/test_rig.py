"""The rig on an emulated board: what it says when a device does not do what it should."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import CapabilityMissing, DeadlineExceeded, DisagreementError, RequestError, VerdictError
from harness.boards import find_board
from harness.devices import Device, open_device
from harness.firmware import Behaviour
from harness.protocols.badlink import Direction, LinkConditions
from harness.protocols.links import FrameLink, Unsubscribe
from harness.protocols.smp import SmpClient
from harness.updates import ImageFactory, Restart, SignedImage, UpdateRig, Verdict

from .._boards import BOARD, board_file


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    with open_device(find_board(BOARD)) as opened:
        yield opened


@pytest.fixture
def rig(device: Device) -> Iterator[UpdateRig]:
    with UpdateRig(device, ImageFactory(device.board)) as made:
        yield made


@pytest.fixture
def old(rig: UpdateRig) -> list[SignedImage]:
    return [rig.images.make(part, "1.0.0") for part in rig.board.components]


def test_device_that_does_not_come_back_is_judged_from_flash(rig: UpdateRig, old: list[SignedImage]):
    bad = rig.images.make("app", "2.0.0", behaviour=Behaviour.HANGS)
    rig.install(*old, staged=rig.stage(bad, permanent=True))
    with pytest.raises(VerdictError) as failed:
        rig.boot(deadline=3)
    message = str(failed.value)
    assert message.startswith("the application did not come back\n")
    assert "within 3 s" in message
    assert "app: confirmed (app 2.0.0 (hangs) is in the primary slot, image_ok is set)" in message
    assert re.search(r"version +2\.0\.0 +1\.0\.0", message)
    assert "boot: image 0 starts at 0xc200" in message.partition("console (last lines")[2]


def test_nothing_runs_before_the_device_is_switched_on(rig: UpdateRig, old: list[SignedImage]):
    staged = rig.stage(rig.images.make("model", "2.0.0"))
    rig.install(*old)
    said = rig.device.console.tail(10_000).count("boot:")
    for more in (staged, {}, staged):  # programmed, on top of what is remembered, remembered
        rig.install(*old, staged=more)
        assert rig.device.console.tail(10_000).count("boot:") == said
    rig.boot()
    assert rig.device.console.tail(10_000).count("boot:") > said


def test_bricked_device_is_called_so(rig: UpdateRig, old: list[SignedImage]):
    spoilt = dataclasses.replace(old[1], data=old[1].data[:-100] + b"!" * 100)
    rig.install(old[0], spoilt)
    rig.installed["model"] = old[1]
    rig.offered["model"] = rig.images.make("model", "2.0.0")
    with pytest.raises(VerdictError) as failed:
        rig.boot(deadline=2)
    assert "model: bricked (the primary slot holds neither model 1.0.0 nor model 2.0.0" in str(failed.value)


def test_wrong_image_in_a_primary_slot_is_named(rig: UpdateRig, old: list[SignedImage]):
    rig.install(*old)
    rig.boot()
    other = rig.images.make("model", "1.0.1")
    rig.expect_installed(*old, why="a first boot changes nothing")
    with pytest.raises(VerdictError, match=r"not in the primary slot: model 1\.0\.1\nrule: of this test"):
        rig.expect_installed(old[0], other, why="of this test")


def test_expectation_shows_what_changed_and_what_the_rule_is(rig: UpdateRig, old: list[SignedImage]):
    rig.install(*old)
    rig.boot()
    new = rig.images.make("model", "2.0.0")
    rig.download(new)
    assert rig.offered == {"model": new}
    rig.update("model")
    rig.expect({new: Verdict.CONFIRMED}, why="the self test passes")
    with pytest.raises(VerdictError) as failed:
        rig.expect({new: Verdict.ROLLED_BACK}, why="of this test")
    message = str(failed.value)
    assert message.startswith(
        "model: expected rolled back, found confirmed (model 2.0.0 is in the primary slot"
    )
    assert "somebody confirmed it (image_ok is set)" in message
    assert "rule: of this test" in message
    changes = message.partition("changed since the update was started:")[2]
    assert "image 1 primary version: 1.0.0 -> 2.0.0" in changes


def test_update_over_smp_is_told_over_both(device: Device, old: list[SignedImage]):
    with UpdateRig(device, ImageFactory(device.board), protocol="smp") as rig:
        rig.install(*old)
        rig.boot()
        new = rig.images.make("model", "2.0.0")
        rig.download(new)
        rig.update("model")
        rig.expect({new: Verdict.CONFIRMED}, why="the self test passes")
        said = str(rig.verdicts(new)["model"])
        assert "image 1 slot 0: 2.0.0 active confirmed" in said
        assert "0/1 (idle, updated successfully), version 2.0.0" in said
        with pytest.raises(CapabilityMissing, match="board nrf52840dk over smp has no lwm2m"):
            _ = rig.server


def test_words_that_disagree_are_a_failure_of_their_own(device: Device):
    factory = ImageFactory(device.board, options={"DEFECT_version_of_other_slot": 1})
    with UpdateRig(device, factory, protocol="smp") as rig:
        rig.install(*(factory.make(part, "1.0.0") for part in device.board.components))
        rig.boot()
        new = factory.make("model", "2.0.0")
        rig.download(new)
        with pytest.raises(DisagreementError) as failed:
            rig.expect({new: Verdict.UNCHANGED}, why="of this test")
    message = str(failed.value)
    assert message.startswith("model: the device reports version 2.0.0, but flash holds 1.0.0\nrule: of this")
    assert "image 1 slot 0: 1.0.0 active confirmed" in message, "what SMP says is shown beside it"


def test_component_without_secondary_slot_cannot_be_staged(rig: UpdateRig, old: list[SignedImage]):
    part = rig.board.component("model").model_copy(update={"secondary": None})
    content = rig.board.content.model_copy(update={"components": [rig.board.component("app"), part]})
    rig.board = type(rig.board)(rig.board.file, content, rig.board.public_key, rig.board.signing_key)
    with pytest.raises(CapabilityMissing, match="has no secondary slot for model"):
        rig.stage(rig.images.make("model", "2.0.0"))


def test_smp_over_a_bad_line_ends_in_a_verdict_and_the_device_takes_the_next_upload(device: Device):
    conditions = LinkConditions(loss=0.2, duplication=0.1, corruption=0.05, seed=28)
    with UpdateRig(device, ImageFactory(device.board), protocol="smp", conditions=conditions) as rig:
        rig.install(*(rig.images.make(part, "1.0.0") for part in rig.board.components))
        rig.boot()
        rig.download(rig.images.make("model", "2.0.0", size=12_000))
        report = rig.link.report
        for way in Direction:
            assert report.count(way, "lost") > 0
            assert report.count(way, "corrupted") > 0
        assert any("image upload" in passage.message for passage in report.harmed())
        rig.link.conditions = LinkConditions(loss=1.0)
        with pytest.raises(DeadlineExceeded):
            rig.download(rig.images.make("model", "3.0.0", size=12_000), deadline=0.5)
        rig.link.heal()
        new = rig.images.make("model", "4.0.0")
        rig.download(new)
        rig.update("model")
        rig.expect({new: Verdict.CONFIRMED}, why="the line is good again")


class LosesAnswers:
    """The SMP side of a line on which the next ``lost`` answers never arrive."""

    def __init__(self, inner: FrameLink) -> None:
        self.name, self.send, self._inner, self.lost = inner.name, inner.send, inner, 0

    def subscribe(
        self, received: Callable[[bytes], None], closed: Callable[[Exception | None], None], /
    ) -> Unsubscribe:
        def pass_on(message: bytes) -> None:
            self.lost -= 1
            if self.lost < 0:
                received(message)

        return self._inner.subscribe(pass_on, closed)


@pytest.mark.parametrize("permanent", [False, True])
def test_request_whose_first_answer_is_lost_was_granted(
    rig: UpdateRig, old: list[SignedImage], permanent: bool
):
    rig.install(*old)
    rig.boot()
    new = rig.images.make("model", "2.0.0")
    line = LosesAnswers(rig.device.smp_link)
    with SmpClient.on_line(line, patience=0.2) as client:
        client.upload(new.data, 1)
        line.lost = 1
        found = (client.confirm if permanent else client.test)(new.image_hash)
        assert [(slot.pending, slot.permanent) for slot in found if slot.hash == new.image_hash] == [
            (True, permanent)
        ]
        with pytest.raises(RequestError, match="PENDING"):
            client.test(new.image_hash)  # this one was answered at once
        line.lost = 1
        if not permanent:
            with pytest.raises(RequestError, match="PENDING"):
                client.confirm(new.image_hash)  # what is pending is not what is asked for


def test_frame_that_noise_has_begun_does_not_swallow_smp(rig: UpdateRig, old: list[SignedImage]):
    rig.install(*old)
    rig.boot()
    with SmpClient.on_line(rig.device.smp_link, patience=30) as client:
        rig.device.ports["console"].send(b"\xc0\xa9 noise")
        assert client.echo("heard at once", deadline=20) == "heard at once"


def test_restart_on_a_line_without_slipmux(tmp_path: Path):
    """There the end of a command is the end of its line, and of no frame."""
    serial = "[{ role: console, baud: 1000000, carries: [console, smp] }]"
    board = find_board(str(board_file(tmp_path, BOARD, serial=serial, protocols="[smp]")))
    with open_device(board) as device, UpdateRig(device, ImageFactory(board)) as rig:
        rig.install(*(rig.images.make(part, "1.0.0") for part in board.components))
        rig.boot()
        rig.restart(Restart.SOFT, deadline=10.0)
