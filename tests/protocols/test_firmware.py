import pytest

from harness._errors import DeadlineExceeded, ProtocolError, RequestError, VerdictError
from harness.protocols import (
    AdvancedFirmwareUpdate,
    DeliveryMethod,
    FirmwareUpdate,
    ObjectLink,
    PullProtocol,
    Retransmission,
    Severity,
    UpdateResult,
    UpdateState,
    UpdateStatus,
    components_of,
    confirm_update,
)
from harness.protocols.testing import make_image

IDLE, DOWNLOADING, DOWNLOADED, UPDATING = UpdateState
INITIAL = UpdateStatus(IDLE, UpdateResult.INITIAL)
READY = UpdateStatus(DOWNLOADED, UpdateResult.INITIAL)


@pytest.fixture
def started(bench):
    stand_in, device = bench.start()
    return bench, stand_in, device


@pytest.fixture(params=[33629, 5])
def component(request, started):
    _, _, device = started
    return FirmwareUpdate(device) if request.param == 5 else components_of(device)[0]


def image_for(component, version="2.0.0", **options):
    return make_image(0, version, **options)


def test_components_are_found_by_registration(started):
    _, _, device = started
    components = components_of(device)
    assert [c.name() for c in components] == ["application", "bootloader"]
    assert [str(c.path) for c in components] == ["/33629/0", "/33629/1"]
    assert [c.version() for c in components] == ["1.0.0", "1.0.0"]
    assert FirmwareUpdate(device).version() == "1.0.0"


@pytest.mark.parametrize(
    ("objects", "found"), [(b"</5/0>,</33629>", [5]), (b"</3/0>", None), (b"</5/0>,</33629/2>", [33629])]
)
def test_object_33629_goes_before_object_5(server, raw, objects, found):
    raw.ask(2, "/rd", uri_query=("ep=raw", "lwm2m=1.1"), payload=objects)
    device = server.device(server.wait_registration("raw", deadline=5))
    if found is None:
        with pytest.raises(ProtocolError, match="no object to update firmware with"):
            components_of(device)
    else:
        assert [c.path.object_id for c in components_of(device)] == found


def test_push_update_and_verdict(started, component):
    bench, stand_in, _ = started
    assert component.status() == INITIAL
    outcome = component.push(image_for(component, size=10_000), block_size=512, deadline=10)
    assert outcome.accepted
    assert (outcome.code, outcome.status, outcome.sent, outcome.blocks) == ("2.04", READY, 10_000, 20)
    assert component.package_version() == "2.0.0"
    assert component.version() == "1.0.0"
    assert component.update() is True
    report = confirm_update(bench.server, {component: "2.0.0"}, after=bench.first, deadline=10)
    assert report.ok
    report.require_ok()
    assert report.components[0].status == UpdateStatus(IDLE, UpdateResult.SUCCESS)
    assert component.package_version() is None
    assert stand_in.flash.version == "2.0.0"


def test_pull_update_and_verdict(started, component):
    bench, _, device = started
    publication = bench.server.publish(image_for(component, size=10_000))
    component.pull(bench.server.uri_for(publication, device))
    assert component.wait_downloaded(deadline=10) == READY
    component.update()
    confirm_update(bench.server, {component: "2.0.0"}, after=bench.first, deadline=10).require_ok()


@pytest.mark.parametrize(
    ("image", "result"),
    [
        (b"no image of ours", UpdateResult.UNSUPPORTED_PACKAGE),
        (make_image(0, "2")[:-1] + b"\xff", UpdateResult.INTEGRITY_CHECK_FAILED),
        (make_image(0, "2", size=5000), UpdateResult.NOT_ENOUGH_FLASH),
    ],
    ids=["type", "checksum", "size"],
)
def test_bad_images_are_answered_well_and_judged_by_the_result(line, image, result):
    stand_in, device = line.start()
    stand_in.components[0].capacity = 4999
    outcome = components_of(device)[0].push(image, deadline=30)
    assert outcome.code == "2.04"
    assert outcome.status == UpdateStatus(IDLE, result)
    assert not outcome.accepted


def test_a_refused_push_is_not_accepted_although_an_image_is_there(component):
    assert component.push(image_for(component), deadline=10).accepted
    outcome = component.push(image_for(component, "3.0.0"), deadline=10)
    assert outcome.code == "4.00"
    assert outcome.status == READY
    assert not outcome.accepted
    assert component.package_version() == "2.0.0"


def test_reset_and_cancel(component):
    component.push(image_for(component), deadline=10)
    component.reset()
    assert component.status() == INITIAL
    component.push(image_for(component), deadline=10)
    component.reset(by_uri=True)
    assert component.status() == INITIAL
    component.push(image_for(component), deadline=10)
    component.cancel()
    assert component.status() == UpdateStatus(IDLE, UpdateResult.CANCELLED)
    with pytest.raises(RequestError, match=r"4\.05"):
        component.cancel()
    with pytest.raises(RequestError, match=r"4\.05"):
        component.update()


def test_an_unsupported_scheme_is_refused_and_leaves_result_9(component):
    with pytest.raises(RequestError, match=r"4\.00"):
        component.pull("gopher://x/y")
    assert component.status() == UpdateStatus(IDLE, UpdateResult.UNSUPPORTED_PROTOCOL)


def test_links_conflicts_and_the_sets_to_update(started):
    bench, stand_in, device = started
    main, boot = components_of(device)
    main.push(make_image(0, "2.0.0", needs=1), deadline=10)
    assert main.linked() == (ObjectLink(33629, 1),)
    assert main.conflicting() == (ObjectLink(33629, 1),)
    main.update()
    assert main.status() == UpdateStatus(DOWNLOADED, UpdateResult.DEPENDENCY_ERROR)
    boot.push(make_image(1, "1.5.0"), deadline=10)
    assert main.conflicting() == ()
    main.update(())
    assert main.status() == UpdateStatus(DOWNLOADED, UpdateResult.DEPENDENCY_ERROR)
    main.update([1])
    assert ("POST", "/33629/0/2") in stand_in.requests or stand_in.flash.boots
    report = confirm_update(bench.server, {main: "2.0.0", boot: "1.5.0"}, after=bench.first, deadline=10)
    report.require_ok()
    assert [c.name for c in report.components] == ["application", "bootloader"]


def test_a_plain_update_takes_the_linked_components_along(started):
    bench, _, device = started
    main, boot = components_of(device)
    boot.push(make_image(1, "1.5.0"), deadline=10)
    main.push(make_image(0, "2.0.0", needs=1), deadline=10)
    main.update()
    confirm_update(bench.server, {main: "2.0.0", boot: "1.5.0"}, after=bench.first, deadline=10).require_ok()


def test_one_component_alone_leaves_the_other_downloaded(started):
    bench, _, device = started
    main, boot = components_of(device)
    boot.push(make_image(1, "1.5.0"), deadline=10)
    main.push(make_image(0, "2.0.0"), deadline=10)
    main.update(())
    confirm_update(bench.server, {main: "2.0.0"}, after=bench.first, deadline=10).require_ok()
    assert boot.status() == READY


@pytest.mark.parametrize("instances", [[0], [7], [1, 1]])
def test_sets_that_make_no_sense_are_refused(started, instances):
    _, _, device = started
    for component, number in zip(components_of(device), range(2), strict=True):
        component.push(make_image(number, "2.0.0"), deadline=10)
    with pytest.raises(RequestError, match=r"4\.00"):
        components_of(device)[0].update(instances)


def test_object_5_has_no_sets(started):
    with pytest.raises(ValueError, match="no instances"):
        FirmwareUpdate(started[2]).update([1])


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("keeps_old_version", "version '1.0.0' instead of '2.0.0'"),
        ("stale_result", "version '1.0.0' instead of '2.0.0'"),
        ("rolls_back", "status 0/8"),
    ],
)
def test_updates_that_only_look_successful_are_found_out(started, fault, problem):
    bench, stand_in, device = started
    setattr(stand_in.faults, fault, True)
    main = components_of(device)[0]
    assert main.push(make_image(0, "2.0.0"), deadline=10).accepted
    main.update()
    report = confirm_update(bench.server, {main: "2.0.0"}, after=bench.first, deadline=10)
    assert not report.ok
    with pytest.raises(VerdictError, match="did not succeed") as info:
        report.require_ok()
    assert problem in str(info.value)
    assert "/33629/0 application" in str(info.value)


def test_the_main_component_has_to_agree_with_the_device_object(started):
    bench, stand_in, device = started
    main = components_of(device)[0]
    main.push(make_image(0, "2.0.0"), deadline=10)
    main.update()
    after = bench.server.wait_registration("stand-in", after=bench.first, deadline=5)
    values = stand_in._resources.values
    resource = type(main.path).of("/3/0/3")
    stand_in._resources.values = lambda: values() | {resource: "1.0.0"}
    report = confirm_update(bench.server, {main: "2.0.0"}, after=None, deadline=10)
    assert report.components[0].problems == ("/3/0/3 says '1.0.0', the component '2.0.0'",)
    assert after.sequence == 2


def test_an_update_without_an_answer_is_judged_after_the_reboot(started):
    bench, stand_in, device = started
    stand_in.faults.silent_update = True
    main = components_of(device)[0]
    main.push(make_image(0, "2.0.0"), deadline=10)
    assert main.update(deadline=10) is False
    confirm_update(bench.server, {main: "2.0.0"}, after=bench.first, deadline=10).require_ok()


def test_a_repetition_that_meets_the_device_after_its_restart_does_not_say_that_nothing_began(line):
    patient = Retransmission(ack_timeout=0.02, patient=True)
    stand_in, device = line.start(server={"retransmission": patient})
    stand_in.faults.silent_update = True
    main = components_of(device)[0]
    main.push(make_image(0, "2.0.0"), deadline=10)
    # It answers before it has registered, because its registrations are lost.
    line.device_link.damage = lambda frame: b"" if b"\xb2rd" in frame else frame
    assert main.update(deadline=10) is False
    assert main.wait_state(IDLE, results=[UpdateResult.SUCCESS], deadline=10)
    with pytest.raises(RequestError, match=r"4\.05"):
        main.update(deadline=10)
    line.device_link.damage = None


def test_a_device_that_never_returns_is_named(started):
    bench, stand_in, device = started
    stand_in.faults.never_returns = True
    main = components_of(device)[0]
    main.push(make_image(0, "2.0.0"), deadline=10)
    main.update()
    with pytest.raises(DeadlineExceeded, match="a registration of 'stand-in' later than #1"):
        confirm_update(bench.server, {main: "2.0.0"}, after=bench.first, deadline=0.2)


@pytest.mark.parametrize("kind", [FirmwareUpdate, lambda device: AdvancedFirmwareUpdate(device, 1)])
def test_waiting_for_a_state_tells_all_that_was_seen(line, kind):
    _, device = line.start()
    component = kind(device)
    with pytest.raises(DeadlineExceeded) as info:
        component.wait_state(UPDATING, results=[UpdateResult.INITIAL], deadline=0.5)
    assert info.value.expected == "state updating with result 0 within 0.5 s"
    assert info.value.found.startswith("0/0 (idle")
    assert str(component.path) in info.value.where


def test_waiting_for_a_state_goes_on_through_a_reboot(started):
    bench, stand_in, device = started
    main = components_of(device)[0]
    main.push(make_image(0, "2.0.0"), deadline=10)
    main.update()
    status = main.wait_state(IDLE, results=[UpdateResult.SUCCESS], deadline=10)
    assert status == UpdateStatus(IDLE, UpdateResult.SUCCESS)
    assert stand_in.flash.boots == 1
    assert bench.server.registration("stand-in").sequence == 2


def test_waiting_on_a_silent_device_tells_what_came_before(started):
    _, stand_in, device = started
    main = components_of(device)[0]
    stand_in.faults.hang.add("/33629/0/5")
    with pytest.raises(DeadlineExceeded, match="empty acknowledgement"):
        main.wait_state(UPDATING, deadline=0.4)


def test_states_that_do_not_exist_are_errors(started):
    _, stand_in, device = started
    values = stand_in._resources.values
    main = components_of(device)[0]
    stand_in._resources.values = lambda: values() | {main.path.child(3): 4}
    with pytest.raises(ProtocolError, match="does not exist"):
        main.status()


def test_state_and_result_are_read_as_a_pair(started):
    """A state that changes between the reads must not be paired with the result of another."""
    _, stand_in, device = started
    main = components_of(device)[0]
    values = stand_in._resources.values
    pairs = iter([(1, 0), (0, 5)])
    now = [next(pairs)]

    def changing():
        state, result = now[0]
        if stand_in.requests[-1] == ("GET", "/33629/0/3"):
            now[0] = next(pairs, now[0])
        return values() | {main.path.child(3): state, main.path.child(5): result}

    stand_in._resources.values = changing
    assert main.status() == UpdateStatus(IDLE, UpdateResult.INTEGRITY_CHECK_FAILED)


def test_what_a_component_tells_of_itself(started, component):
    assert component.severity() is Severity.MANDATORY
    component.set_severity(Severity.OPTIONAL)
    assert component.severity() is Severity.OPTIONAL
    assert component.max_defer_period() == 0
    component.set_max_defer_period(3600)
    assert component.max_defer_period() == 3600
    with pytest.raises(RequestError, match=r"4\.00"):
        component.set_max_defer_period(-5)
    assert component.protocols() == {PullProtocol.COAP}
    assert component.delivery_method() is DeliveryMethod.BOTH
    assert component.last_state_change() == 0
    component.push(image_for(component), deadline=10)
    assert component.last_state_change() > 1_000_000_000
    assert {protocol.scheme for protocol in PullProtocol} == {
        "coap", "coaps", "http", "https", "coap+tcp", "coaps+tcp",
    }  # fmt: skip


def test_an_update_that_the_device_puts_off(started, component):
    """Deferral is shown by result 11 in the state Downloaded; later the same package can be installed."""
    bench, stand_in, _ = started
    component.set_max_defer_period(60)
    component.push(image_for(component), deadline=10)
    stand_in.faults.defers = True
    assert component.update() is True
    assert component.status() == UpdateStatus(DOWNLOADED, UpdateResult.DEFERRED)
    stand_in.faults.defers = False
    component.update()
    confirm_update(bench.server, {component: "2.0.0"}, after=bench.first, deadline=10).require_ok()


def test_object_5_of_version_1_2_installs_at_once_if_it_may(started):
    _, _, device = started
    single = FirmwareUpdate(device)
    assert single.automatic_upgrade() is False
    single.set_automatic_upgrade(True)
    assert single.automatic_upgrade() is True
    single.push(make_image(0, "2.0.0"), deadline=10)
    assert single.wait_state(IDLE, results=[UpdateResult.SUCCESS], deadline=10)
    assert single.version() == "2.0.0"


def test_what_a_device_does_not_tell_is_none(started, component):
    _, stand_in, _ = started
    values = stand_in._resources.values
    stand_in._resources.values = lambda: {at: v for at, v in values().items() if at.resource_id < 8}
    assert component.severity() is None
    assert component.max_defer_period() is None
    assert component.last_state_change() is None
    assert component.protocols() == frozenset()
    assert isinstance(component, AdvancedFirmwareUpdate) or component.automatic_upgrade() is None


def test_values_that_do_not_exist_are_errors(started, component):
    _, stand_in, _ = started
    values = stand_in._resources.values
    at = component.path.child
    stand_in._resources.values = lambda: values() | {at(11): 3, at(8, 0): 9, at(9): -1}
    for ask in (component.severity, component.protocols, component.delivery_method):
        with pytest.raises(ProtocolError, match="does not exist"):
            ask()


def test_object_5_knows_no_results_of_33629(started):
    _, stand_in, device = started
    stand_in.flash.single.result = UpdateResult.CONFLICTING_STATE
    stand_in.flash.components[0].result = UpdateResult.CONFLICTING_STATE
    with pytest.raises(ProtocolError, match="result 0 to 11"):
        FirmwareUpdate(device).status()
    assert components_of(device)[0].status().result is UpdateResult.CONFLICTING_STATE


@pytest.mark.parametrize(
    ("links", "version"), [(b"</5/0>", "1.0"), (b"</5>;ver=1.1,</5/0>", "1.1"), (b"", "1.0")]
)
def test_the_version_of_object_5_is_what_was_registered(server, raw, links, version):
    raw.ask(2, "/rd", uri_query=("ep=raw", "lwm2m=1.1"), payload=links or b"</3/0>")
    device = server.device(server.wait_registration("raw", deadline=5))
    assert FirmwareUpdate(device).object_version() == version


def test_components_are_usable_as_keys(started):
    main, boot = components_of(started[2])
    assert {main: 1, boot: 2}[main] == 1
    assert isinstance(main, AdvancedFirmwareUpdate)
    assert repr(boot) == "<AdvancedFirmwareUpdate /33629/1 of 'stand-in'>"
