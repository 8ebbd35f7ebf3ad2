import pytest

from harness._errors import CodecError, ProtocolError, RegistrationError, RequestError
from harness.protocols import ContentFormat, ObjectLink, Path
from harness.protocols.content import encode
from harness.protocols.testing import make_image


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/3/0/0", "Stand-in"),
        ("/3/0/6", {0: 1, 1: 5}),
        ("/3/0/6/1", 5),
        ("/3/0/13", 1367491215),
        ("/1/1/6", False),
        ("/33629/1/14", "bootloader"),
        ("/33629/0/3", 0),
        ("/33629/0/16", {}),
    ],
)
def test_resources_have_the_type_of_their_definition(bench, path, value):
    _, device = bench.start()
    found = device.read(path)
    assert found == value
    assert type(found) is type(value)


def test_an_instance_and_an_object_are_read_at_once(bench):
    stand_in, device = bench.start()
    instance = device.read_instance("/3/0")
    assert instance[2] == "stand-in"
    assert instance[6] == {0: 1, 1: 5}
    stand_in.components[0].needs = 1
    everything = device.read_all("/33629")
    assert everything[Path(33629, 1, 14)] == "bootloader"
    assert everything[Path(33629, 0, 16, 1)] == ObjectLink(33629, 1)


@pytest.mark.parametrize("refused", [{112}, {112, 110}, {112, 11542}, {0}, {0, 112, 110}])
def test_other_content_formats_are_tried_when_one_is_refused(bench, refused):
    stand_in, device = bench.start()
    stand_in.faults.refused_formats |= refused
    asked = []
    for _ in range(2):
        before = len(stand_in.requests)
        assert device.read("/3/0/6") == {0: 1, 1: 5}
        assert device.read("/3/0/0") == "Stand-in"
        device.write_instance("/1/1", {1: 77})
        asked.append(len(stand_in.requests) - before)
    assert device.read("/1/1/1") == 77
    # What was refused once is not tried a second time.
    assert asked[0] > asked[1] == 3


def test_a_device_that_speaks_nothing_we_know_is_an_error(bench):
    stand_in, device = bench.start()
    stand_in.faults.refused_formats |= set(ContentFormat)
    with pytest.raises(RequestError) as info:
        device.read("/3/0/6")
    assert info.value.code == "4.06"


@pytest.mark.parametrize(("path", "code"), [("/3/0/99", "4.04"), ("/0/0/0", "4.01"), ("/33629/0/0", "4.05")])
def test_errors_carry_code_path_and_device(bench, path, code):
    _, device = bench.start()
    with pytest.raises(RequestError) as info:
        device.read(path)
    assert info.value.code == code
    assert f"GET {path} on 'stand-in' #1 at {bench.first.address}" in str(info.value)


def test_writing_single_values(bench):
    stand_in, device = bench.start()
    device.write("/1/1/1", 60)
    device.write("/3/0/14", "+02:00")
    device.write("/1/1/6", True)
    device.write("/1/1/10", ObjectLink(11, 0))
    assert stand_in.settings[Path(1, 1, 1)] == 60
    assert stand_in.settings[Path(3, 0, 14)] == "+02:00"
    assert stand_in.settings[Path(1, 1, 6)] is True
    assert stand_in.settings[Path(1, 1, 10)] == ObjectLink(11, 0)


@pytest.mark.parametrize("content_format", [0, 110, 112, 11542])
def test_writing_in_a_chosen_format(bench, content_format):
    stand_in, device = bench.start()
    device.write("/1/1/1", 61, content_format=content_format)
    assert stand_in.settings[Path(1, 1, 1)] == 61


@pytest.mark.parametrize("content_format", [110, 112, 11542])
@pytest.mark.parametrize("replace", [False, True])
def test_writing_an_instance(bench, content_format, replace):
    stand_in, device = bench.start()
    device.write_instance("/1/1", {1: 62, 7: "UQ"}, content_format=content_format, replace=replace)
    assert stand_in.settings[Path(1, 1, 1)] == 62
    assert stand_in.settings[Path(1, 1, 7)] == "UQ"
    assert stand_in.requests[-1] == ("PUT" if replace else "POST", "/1/1")


def test_a_refused_write_is_an_error(bench):
    _, device = bench.start()
    with pytest.raises(RequestError) as info:
        device.write("/33629/0/11", 3)
    assert info.value.code == "4.00"
    with pytest.raises(RequestError) as info:
        device.write("/3/0/0", "mine")
    assert info.value.code == "4.05"


def test_large_values_are_written_and_read_block_by_block(bench):
    stand_in, device = bench.start()
    stand_in.set_value("/3/0/0", "long " * 1000)
    assert device.read("/3/0/0") == "long " * 1000
    device.write("/33629/0/0", make_image(0, "2", size=5000))
    assert stand_in.components[0].image_version == "2"


def test_execute_with_and_without_arguments(bench):
    stand_in, device = bench.start()
    with pytest.raises(RequestError) as info:
        device.execute("/33629/0/2")
    assert info.value.code == "4.05"
    device.push("/33629/0/0", make_image(0, "2"), deadline=5)
    with pytest.raises(RequestError) as info:
        device.execute("/33629/0/2", "1='x'")
    assert info.value.code == "4.00"
    device.execute("/33629/0/10")
    assert stand_in.requests[-1] == ("POST", "/33629/0/10")


def test_discover(bench):
    _, device = bench.start()
    targets = [link.target for link in device.discover("/33629/1")]
    assert targets[:4] == ["/33629/1", "/33629/1/0", "/33629/1/1", "/33629/1/2"]
    assert "/33629/1/15" in targets


def test_raw_requests_return_any_code(bench):
    _, device = bench.start()
    answer = device.request("DELETE", "/33629/0")
    assert (answer.code, answer.payload) == ("4.05", b"")
    answer = device.request("GET", "/33629/0/15", accept=ContentFormat.TEXT)
    assert (answer.code, answer.payload, answer.content_format) == ("2.05", b"1.0.0", 0)
    assert device.request("PUT", "/1/1/1", payload=b"x", content_format=0).code == "4.00"


def test_raw_requests_can_be_single_blocks(bench):
    _, device = bench.start()
    codes = [
        device.request(
            "PUT", "/33629/0/0", payload=bytes(64), content_format=42, block=(number, True, 64)
        ).code
        for number in (0, 1)
    ]
    assert codes == ["2.31", "2.31"]
    assert device.request("PUT", "/33629/0/0", payload=b"x", block=(5, False, 64)).code != "2.04"


def test_operations_need_fitting_paths(bench):
    _, device = bench.start()
    for call in (
        lambda: device.read("/3/0"),
        lambda: device.read_instance("/3"),
        lambda: device.write("/3/0", 1),
        lambda: device.write_instance("/3", {}),
        lambda: device.push("/33629/0/0", b"", block_size=1000, deadline=1),
    ):
        with pytest.raises(ValueError, match=r"."):
            call()


def test_an_unknown_device_is_named(server):
    with pytest.raises(RegistrationError, match="'ghost' is not registered"):
        server.device("ghost").read("/3/0/0")


def test_values_that_break_their_format_are_errors(bench):
    stand_in, device = bench.start()
    stand_in.settings[Path(3, 0, 13)] = "tomorrow"
    resources = stand_in._resources
    resources._get = lambda request, path: resources._slice(request, b"tomorrow", 0)
    with pytest.raises(CodecError, match="time"):
        device.read("/3/0/13")
    stray = encode({Path(3, 0, 14): "x"}, ContentFormat.SENML_CBOR, Path(3, 0), {})
    resources._get = lambda request, path: resources._slice(request, stray, 112)
    with pytest.raises(ProtocolError, match="not asked for"):
        device.read("/3/0/13")
    resources._get = lambda request, path: resources._slice(request, b"", 11542)
    with pytest.raises(ProtocolError, match="without a value"):
        device.read("/3/0/13")
