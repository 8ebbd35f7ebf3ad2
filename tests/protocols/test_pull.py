import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness._errors import DeadlineExceeded
from harness.protocols import (
    FirmwareUpdate,
    Publication,
    UpdateResult,
    UpdateState,
    UpdateStatus,
    components_of,
)
from harness.protocols.testing import make_image

GET, PUT = 1, 3
DOWNLOADED = UpdateStatus(UpdateState.DOWNLOADED, UpdateResult.INITIAL)


@given(st.binary(max_size=3000), st.sampled_from([16, 64, 256, 1024]))
def test_blocks_make_up_the_file(body, size):
    publication = Publication(("fw", "x"), body)
    parts = []
    for number in itertools.count():
        block = publication.take(number * size, size)
        parts.append(block.data)
        if not block.more:
            break
    assert b"".join(parts) == body
    assert publication.take(len(body) + size, size) is None
    assert publication.blocks_served == len(parts)
    assert publication.bytes_served == len(body)


def test_any_block_is_served_at_any_time(server, raw):
    body = bytes(range(256)) * 10
    publication = server.publish(body, name="x")
    later = raw.ask(GET, "/fw/x", mid=1, block2=(5, False, 4))
    assert later.payload == body[5 * 256 : 6 * 256]
    assert later.opt.block2 == (5, True, 4)
    first = raw.ask(GET, "/fw/x", mid=2)
    assert first.payload == body[:1024]
    assert first.opt.block2 == (0, True, 6)
    assert first.opt.size2 == len(body)
    assert first.opt.etag == later.opt.etag == publication.etag
    assert publication.served == {0: 1, 5 * 256: 1}


def test_smaller_blocks_than_asked_for(server, raw):
    body = bytes(range(256)) * 3
    server.publish(body, name="x", max_block_size=64)
    answer = raw.ask(GET, "/fw/x", block2=(0, False, 6))
    assert answer.opt.block2 == (0, True, 2)
    assert answer.payload == body[:64]


def test_small_files_come_without_blocks(server, raw):
    server.publish(b"tiny", name="x")
    answer = raw.ask(GET, "/fw/x")
    assert (answer.payload, answer.opt.block2, answer.opt.content_format) == (b"tiny", None, 42)


def test_what_is_not_there_and_what_is_not_allowed(server, raw):
    publication = server.publish(bytes(100), name="x")
    assert raw.ask(GET, "/fw/y", mid=1).code.dotted == "4.04"
    assert raw.ask(PUT, "/fw/x", mid=2).code.dotted == "4.05"
    assert raw.ask(GET, "/fw/x", mid=3, block2=(7, False, 2)).code.dotted == "4.00"
    assert raw.ask(GET, "/fw/x", mid=4, etags=[publication.etag]).code.dotted == "2.03"
    publication.close()
    assert raw.ask(GET, "/fw/x", mid=5).code.dotted == "4.04"
    assert server.publish(b"new", name="x").path == ("fw", "x")


def test_names_are_given_or_taken(server):
    assert server.publish(b"").path != server.publish(b"").path
    server.publish(b"", name="x")
    with pytest.raises(ValueError, match="published already"):
        server.publish(b"", name="x")


def test_a_device_pulls_over_the_path_it_registered_on(bench):
    _, device = bench.start()
    component = components_of(device)[0]
    publication = bench.server.publish(make_image(0, "2.0.0", size=10_000))
    uri = bench.server.uri_for(publication, device)
    expected = bench.server.uri if bench.transport == "udp" else "coap://memory.dev.alt"
    assert uri.startswith(f"{expected}/fw/")
    component.pull(uri)
    assert component.wait_downloaded(deadline=10) == DOWNLOADED
    assert publication.blocks_served == 10
    assert component.package_version() == "2.0.0"


def test_a_failed_pull_ends_the_wait_with_its_result(bench):
    _, device = bench.start()
    component = components_of(device)[0]
    publication = bench.server.publish(b"no image")
    component.pull(bench.server.uri_for(publication, device))
    assert component.wait_downloaded(deadline=10).result is UpdateResult.UNSUPPORTED_PACKAGE
    component.pull(bench.server.uri_for(publication, device) + "/missing")
    assert component.wait_downloaded(deadline=10).result is UpdateResult.INVALID_URI


def cut_in_the_middle(bench, stand_in, component, publication):
    """Power the device off between two blocks of a download."""
    stand_in.faults.stall_pull_after = 4
    component.pull(bench.server.uri_for(publication, component.device))
    publication.wait_served(4, deadline=10)
    stand_in.power_off()
    assert publication.blocks_served == 4
    stand_in.faults.stall_pull_after = None


def test_object_5_resumes_a_pull_after_a_reboot(bench):
    stand_in, device = bench.start()
    component = FirmwareUpdate(device)
    publication = bench.server.publish(make_image(0, "2.0.0", size=10_000))
    cut_in_the_middle(bench, stand_in, component, publication)
    stand_in.power_on()
    bench.server.wait_registration("stand-in", after=bench.first, deadline=5)
    assert component.wait_downloaded(deadline=20) == DOWNLOADED
    # The last answer before the cut may not have reached the device.
    assert publication.blocks_served in (10, 11)
    assert publication.served[0] == 1


def test_object_5_starts_again_when_the_file_has_changed(bench):
    stand_in, device = bench.start()
    component = FirmwareUpdate(device)
    publication = bench.server.publish(make_image(0, "2.0.0", size=10_000))
    cut_in_the_middle(bench, stand_in, component, publication)
    publication.replace(make_image(0, "3.0.0", size=20_000))
    stand_in.power_on()
    bench.server.wait_registration("stand-in", after=bench.first, deadline=5)
    assert component.wait_downloaded(deadline=20) == DOWNLOADED
    assert component.package_version() == "3.0.0"
    assert publication.served[0] == 2


def test_waiting_for_blocks_says_how_far_it_came(server):
    publication = server.publish(bytes(3000))
    publication.take(0, 1024)
    with pytest.raises(DeadlineExceeded, match="1 blocks, 1024 of 3000 bytes"):
        publication.wait_served(2, deadline=0)
