import gc

import pytest

from harness._errors import CodecError, DeadlineExceeded, RegistrationError, RequestError
from harness.protocols import Path


def test_the_present_value_comes_first_and_then_every_change(bench):
    stand_in, device = bench.start()
    with device.observe("/3/0/13") as observation:
        assert observation.next(5) == 1367491215
        for time in (1, 2, 3):
            stand_in.set_value("/3/0/13", time)
            assert observation.next(5) == time


def test_no_notification_is_dropped_while_nobody_looks(bench, until):
    stand_in, device = bench.start()
    with device.observe("/3/0/13") as observation:
        for time in range(40):
            stand_in.set_value("/3/0/13", time)
            # The stand-in itself sends only what changed since it last looked.
            until(lambda seen=time + 2: observation._received == seen)
        assert observation.taken() == [1367491215, *range(40)]
        assert observation.taken() == []


def test_observed_instances_give_values_by_path(bench):
    stand_in, device = bench.start()
    with device.observe("/33629/1") as observation:
        assert observation.next(5)[Path(33629, 1, 3)] == 0
        stand_in.components[1].severity = 2
        stand_in.set_value("/3/0/14", "x")
        assert observation.next(5)[Path(33629, 1, 11)] == 2


def test_large_notifications_are_fetched_whole(bench):
    stand_in, device = bench.start()
    with device.observe("/3/0/0") as observation:
        observation.next(5)
        stand_in.set_value("/3/0/0", "long " * 600)
        assert observation.next(5) == "long " * 600


def test_observations_do_not_depend_on_who_holds_their_parts(bench):
    stand_in, device = bench.start()
    observation = device.observe("/3/0/13")
    del device
    gc.collect()
    observation.next(5)
    stand_in.set_value("/3/0/13", 7)
    gc.collect()
    assert observation.next(5) == 7
    observation.close()


def test_a_registration_from_a_reboot_ends_observations_with_the_reason(bench, until):
    stand_in, device = bench.start()
    with device.observe("/3/0/13") as observation:
        observation.next(5)
        assert observation.ended is None
        stand_in.set_value("/3/0/13", 5)
        until(lambda: observation._received == 2)
        stand_in.reboot()
        bench.server.wait_registration("stand-in", after=bench.first, deadline=5)
        assert observation.ended == "the device registered anew, as #2"
        # What came before the reboot is not lost.
        assert observation.next(5) == 5
        with pytest.raises(RegistrationError, match="observation has ended: the device registered anew"):
            observation.next(5)
    with device.observe("/3/0/13") as again:
        assert again.next(5) == 5


def test_observations_survive_the_failure_of_another_request(line, quick):
    stand_in, device = line.start(server=quick)
    with device.observe("/3/0/13") as observation:
        observation.next(5)
        line.link.damage = lambda frame: b""
        with pytest.raises(DeadlineExceeded):
            device.read("/3/0/0", deadline=5)
        line.link.damage = None
        stand_in.set_value("/3/0/13", 9)
        assert observation.next(5) == 9
        assert observation.ended is None


def test_closing_tells_the_device(bench, until):
    stand_in, device = bench.start()
    observation = device.observe("/3/0/13")
    assert len(stand_in._resources._observers) == 1
    observation.close()
    until(lambda: not stand_in._resources._observers)
    assert observation.ended == "it was closed"
    assert device.read("/3/0/13") == 1367491215


def test_closing_does_not_need_the_device(bench):
    stand_in, device = bench.start()
    observation = device.observe("/3/0/13")
    stand_in.reboot()
    bench.server.wait_registration("stand-in", after=bench.first, deadline=5)
    observation.close()
    assert observation.ended == "the device registered anew, as #2"


def test_closing_the_server_ends_observations(bench):
    _, device = bench.start()
    observation = device.observe("/3/0/13")
    bench.server.close()
    assert observation.ended == "the server was closed"
    observation.close()


def test_waiting_for_a_notification_is_bounded(bench):
    _, device = bench.start()
    with device.observe("/3/0/13") as observation:
        observation.next(5)
        with pytest.raises(DeadlineExceeded, match="1 notifications before that"):
            observation.next(0.01)


def test_what_cannot_be_observed_is_an_error(bench):
    stand_in, device = bench.start()
    with pytest.raises(RequestError) as info:
        device.observe("/3/0/99")
    assert info.value.code == "4.04"
    resources = stand_in._resources

    async def answer(pipe, request, path):
        pipe.add_response(resources._get(request, path), is_last=True)

    resources._notify = answer
    with pytest.raises(RequestError, match="not observable"):
        device.observe("/3/0/13")
    stand_in.faults.hang.add("/3/0/13")
    with pytest.raises(DeadlineExceeded, match="observe /3/0/13 on 'stand-in'"):
        device.observe("/3/0/13", deadline=0.2)


def test_the_device_may_end_an_observation(bench):
    stand_in, device = bench.start()
    resources = stand_in._resources
    with device.observe("/3/0/13") as observation:
        observation.next(5)
        del stand_in.settings[Path(3, 0, 13)]
        stand_in._loop.run(wake, resources)
        with pytest.raises(RegistrationError, match=r"the device ended it with 4\.04"):
            observation.next(5)


async def wake(resources) -> None:
    resources.changed()


def test_notifications_that_cannot_be_read_are_errors_in_their_place(bench, until):
    stand_in, device = bench.start()
    resources = stand_in._resources
    with device.observe("/3/0/13") as observation:
        observation.next(5)
        get = resources._get
        resources._get = lambda request, path: resources._slice(request, b"noon", 0)
        stand_in.set_value("/3/0/13", 1)
        until(lambda: observation._received == 2)
        resources._get = get
        stand_in.set_value("/3/0/13", 2)
        with pytest.raises(CodecError, match="time"):
            observation.next(5)
        assert observation.next(5) == 2


def test_attributes_of_one_observation(server, raw):
    """LwM2M 1.2; it is observed and cancelled as any other, with the same attributes."""
    import threading

    query = ("ep=raw", "lt=300", "lwm2m=1.2")
    raw.ask(2, "/rd", uri_query=query, payload=b"</3/0>")
    server.wait_registration("raw", deadline=5)
    found = []

    def observe():
        with server.device("raw").observe("/3/0/13", attributes={"pmin": 1, "con": None}) as observation:
            found.append(observation.next(deadline=5))

    thread = threading.Thread(target=observe)
    thread.start()
    for number in (0, 1):
        request = raw.receive()
        assert request.opt.uri_query == ("pmin=1", "con")
        assert request.opt.observe == number
        head = bytes((0x60 | len(request.token), 0x45)) + request.mid.to_bytes(2) + request.token
        raw.send(head + (b"\x61\x07" if number == 0 else b"") + b"\xff1500000000")
    thread.join()
    assert found == [1500000000]
    with pytest.raises(ValueError, match="no attribute"):
        server.device("raw").observe("/3/0/13", attributes={"p min": 1})
