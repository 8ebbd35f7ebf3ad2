"""Read-Composite, Write-Composite, Observe-Composite, Write-Attributes and Send."""

import contextlib

import pytest

from harness._errors import CodecError, DeadlineExceeded, RequestError
from harness.protocols import ContentFormat, Path

POST, GET = 2, 1


@pytest.fixture
def started(bench):
    stand_in, device = bench.start()
    return bench, stand_in, device


def test_several_objects_are_read_at_once(started):
    _, stand_in, device = started
    found = device.read_composite(["/3/0/3", "/33629/0/3", "/33629/1/15", "/1/1", "/9/9/9"])
    assert found[Path.of("/3/0/3")] == "1.0.0"
    assert found[Path.of("/33629/0/3")] == 0
    assert found[Path.of("/33629/1/15")] == "1.0.0"
    assert found[Path.of("/1/1/1")] == 300
    assert not any(path.object_id == 9 for path in found)
    assert [r for r in stand_in.requests if r[0] == "FETCH"] == [("FETCH", "/")]


def test_long_answers_come_in_blocks(started):
    _, stand_in, device = started
    stand_in.set_value("/3/0/1", "x" * 3000)
    assert device.read_composite(["/3/0"])[Path.of("/3/0/1")] == "x" * 3000
    assert len([r for r in stand_in.requests if r[0] == "FETCH"]) > 2


@pytest.mark.parametrize("refused", [set(), {112}, {112, 110}])
def test_formats_are_tried_until_one_is_taken(started, refused):
    _, stand_in, device = started
    stand_in.faults.refused_formats |= refused
    expected = pytest.raises(RequestError) if refused == {112, 110} else contextlib.nullcontext()
    with expected:
        assert device.read_composite(["/3/0/3"]) == {Path.of("/3/0/3"): "1.0.0"}
    stand_in.faults.refused_formats -= {110}
    assert device.read_composite(["/3/0/3"]) == {Path.of("/3/0/3"): "1.0.0"}


def test_writing_is_all_or_nothing(started):
    _, _, device = started
    device.write_composite({"/33629/0/11": 2, Path.of("/1/1/1"): 500})
    assert device.read("/33629/0/11") == 2
    assert device.read("/1/1/1") == 500
    with pytest.raises(RequestError, match=r"4\.05"):
        device.write_composite({"/33629/0/11": 0, "/3/0/3": "9"})
    assert device.read("/33629/0/11") == 2


def test_observing_several_paths(started):
    _, stand_in, device = started
    with device.observe_composite(["/3/0/13", "/33629/0/11"]) as observation:
        severity, time = Path.of("/33629/0/11"), Path.of("/3/0/13")
        assert observation.next(5)[severity] == 1
        device.write("/33629/0/11", 2)
        assert observation.next(5)[severity] == 2
        stand_in.set_value("/3/0/13", 77)
        assert observation.next(5) == {severity: 2, time: 77}
    assert observation.ended == "it was closed"


def test_paths_are_needed(started):
    with pytest.raises(ValueError, match="at least one path"):
        started[2].read_composite([])


def test_attributes_are_set_and_taken_away(started):
    _, _, device = started
    device.write_attributes("/33629/0/3", {"pmin": 1, "pmax": 60.5})
    links = {link.target: link.attributes for link in device.discover("/33629/0")}
    assert links["/33629/0/3"] == {"pmin": "1", "pmax": "60.5"}
    device.write_attributes("/33629/0/3", {"pmin": None})
    links = {link.target: link.attributes for link in device.discover("/33629/0")}
    assert links["/33629/0/3"] == {"pmax": "60.5"}
    with pytest.raises(RequestError, match=r"4\.00"):
        device.write_attributes("/33629/0/3", {"nonsense": 1})
    with pytest.raises(ValueError, match="no attribute"):
        device.write_attributes("/33629/0/3", {"p=min": 1})


@pytest.mark.parametrize(
    "content_format", [ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON, ContentFormat.LWM2M_CBOR]
)
def test_what_a_device_sends_by_itself(started, content_format):
    bench, stand_in, _ = started
    assert stand_in.send("/33629/0", "/3/0/3", content_format=content_format) == "2.04"
    first = bench.server.wait_send("stand-in", deadline=5)
    assert first.values[Path.of("/3/0/3")] == "1.0.0"
    assert first.values[Path.of("/33629/0/3")] == 0
    assert (first.sequence, first.endpoint) == (1, "stand-in")
    stand_in.send("/3/0/3")
    assert bench.server.wait_send(after=first, deadline=5).sequence == 2
    with pytest.raises(DeadlineExceeded, match="2 so far, the last from 'stand-in'"):
        bench.server.wait_send("stand-in", after=2, deadline=0)
    with pytest.raises(DeadlineExceeded, match="a Send of 'nobody'"):
        bench.server.wait_send("nobody", deadline=0)


def test_long_sends_come_in_blocks(started):
    bench, stand_in, _ = started
    stand_in.set_value("/3/0/1", "y" * 900)
    stand_in.set_value("/3/0/2", "z" * 900)
    assert stand_in.send("/3/0") == "2.04"
    assert bench.server.wait_send(deadline=5).values[Path.of("/3/0/2")] == "z" * 900


def test_sends_that_make_no_sense_are_refused(server, raw):
    good = b'[{"n":"/3/0/3","vs":"1"}]'
    assert raw.ask(POST, "/dp", mid=1, payload=good, content_format=110).code.dotted == "4.04"
    raw.ask(POST, "/rd", mid=2, uri_query=("ep=raw", "lwm2m=1.1"), payload=b"</3/0>")
    server.wait_registration("raw", deadline=5)
    assert raw.ask(POST, "/dp", mid=3, payload=good, content_format=110).code.dotted == "2.04"
    assert raw.ask(POST, "/dp", mid=4, payload=b"[{]", content_format=110).code.dotted == "4.00"
    assert raw.ask(POST, "/dp", mid=5, payload=good, content_format=0).code.dotted == "4.15"
    assert raw.ask(POST, "/dp", mid=6, payload=good).code.dotted == "4.15"
    assert raw.ask(GET, "/dp", mid=7).code.dotted == "4.05"
    assert server.wait_send("raw", deadline=5).values == {Path.of("/3/0/3"): "1"}
    with pytest.raises(DeadlineExceeded):
        server.wait_send(after=1, deadline=0)


def test_a_composite_answer_without_a_format_cannot_be_read(started):
    _, stand_in, device = started
    slice_ = stand_in._resources._slice

    def bare(request, payload, content_format):
        answer = slice_(request, payload, content_format)
        answer.opt.content_format = None
        return answer

    stand_in._resources._slice = bare
    with pytest.raises(CodecError, match="without a content format"):
        device.read_composite(["/3/0/3"])
