"""The bad link of tests on devices."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from .._boards import BOARD
from .conftest import Runner

TEST = """
    from harness.protocols import LinkConditions
    from harness.protocols.badlink import Direction

    def test_update(hil_rig, hil_images, request):
        hil_rig.install(hil_images.make("app", "1.0.0"), hil_images.make("model", "1.0.0"))
        hil_rig.boot()
        hil_rig.download(hil_images.make("model", "2.0.0"))
        assert hil_rig.bad_links["lwm2m"].report.harmed()
        assert hil_rig.smp.echo("there?") == "there?"

    def test_fixture(hil_rig, hil_images, hil_link):
        hil_rig.install(hil_images.make("app", "1.0.0"), hil_images.make("model", "1.0.0"))
        hil_rig.boot()
        # A question by nobody: the server has to refuse its answer.
        hil_rig.server.device(hil_rig.server.registrations[0]).send_raw(b"\\x41\\x01\\xff\\x01\\xaa\\xb13\\x010\\x013")
        hil_rig.server.rejections.wait("stray answer", deadline=20)
        hil_link.conditions = LinkConditions(loss=0.3, seed=2)
        hil_rig.download(hil_images.make("model", "2.0.0"))
        lost = [hil_link.report.count(way, "lost") for way in Direction]
        assert lost == ["shown"]
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Runner:
    return Runner(pytester)


def test_updates_outlast_a_bad_link_and_reports_tell_of_it(run: Runner, pytester: pytest.Pytester):
    options = (f"--hil-board={BOARD}", "--hil-link=loss=20%,seed=4", "--junit-xml=junit.xml")
    printed = run(TEST, *options, passed=1, failed=1)
    section = printed.partition("bad link")[2]
    assert re.search(r"conditions: loss=0\.3,seed=2\nto device: \d+ messages, \d+ bytes; \d+ lost\n", section)
    assert re.search(r"to (device|server) .*: lost", section)
    assert re.search(r"\d+ stray answer", printed.partition("refused by the LwM2M server")[2])
    properties = {
        (case.get("name"), element.get("name")): element.get("value")
        for case in ElementTree.parse(pytester.path / "junit.xml").iter("testcase")
        for element in case.iter("property")
    }
    assert properties[f"test_update[{BOARD}]", "hil.link"] == "loss=0.2,seed=4"
    assert " lost" in (properties[f"test_update[{BOARD}]", "hil.link.to_device"] or "")
    assert properties[f"test_update[{BOARD}]", "hil.link.smp"] == "loss=0.2,seed=4"
    assert "messages" in (properties[f"test_update[{BOARD}]", "hil.link.smp.to_device"] or "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("loss=2", "loss is a share from 0 to 1"),
        ("speed=3", "'speed' is nothing that a link does"),
        ("move=1s", "a device on a serial line has no address"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Runner, text: str, said: str):
    assert f"--hil-link: {said}" in run.refused(f"--hil-board={BOARD}", f"--hil-link={text}")
