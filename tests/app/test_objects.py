"""What can be read, written and executed, in every content format."""

from __future__ import annotations

import re
from collections.abc import Iterator

import cbor2
import pytest

from .bench import Bench, app_image, model_image
from .wire import DELETE, GET, LINK, OPAQUE, POST, PUT, SENML, TEXT, TLV

READABLE = {
    "/1/0": {0: int, 1: int, 6: bool, 7: str},
    "/3/0": {0: str, 1: str, 2: str, 3: str, 11: {0: int}, 16: str},
    "/4/0": {0: int, 1: {0: int}, 2: int, 4: {}},
    "/5/0": {1: str, 3: int, 5: int, 8: {0: int}, 9: int, 11: int, 12: int, 13: int},
    "/33629/0": {
        1: str,
        3: int,
        5: int,
        8: {0: int},
        9: int,
        11: int,
        12: int,
        13: int,
        14: str,
        15: str,
        16: {},
        17: {},
    },
}
EXECUTABLE = {"/1/0": [8], "/3/0": [4, 12], "/5/0": [2, 10], "/33629/0": [2, 10]}
WRITE_ONLY = {"/5/0": [0], "/33629/0": [0]}


def senml(device: Bench, path: str) -> dict[str, object]:
    answer = device.request(GET, path, accept=SENML)
    assert (answer.dotted, answer.format) == ("2.05", SENML)
    found, base = {}, ""
    for record in cbor2.loads(answer.payload):
        base = record.pop(-2, base)
        name = base + record.pop(0)
        ((_, found[name]),) = record.items()
    return found


def read_tlv(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind, id and value of each entry (OMA-TS-LightweightM2M_Core-V1_1 section 7.4.5)."""
    at = 0
    while at < len(data):
        first = data[at]
        id_size, length_size = 1 + (first >> 5 & 1), first >> 3 & 3
        identifier = int.from_bytes(data[at + 1 : at + 1 + id_size], "big")
        at += 1 + id_size
        length = int.from_bytes(data[at : at + length_size], "big") if length_size else first & 7
        at += length_size
        assert at + length <= len(data)
        yield first >> 6, identifier, data[at : at + length]
        at += length


def tlv(device: Bench, path: str) -> list[tuple[int, int, bytes]]:
    answer = device.request(GET, path, accept=TLV)
    assert (answer.dotted, answer.format) == ("2.05", TLV)
    return list(read_tlv(answer.payload))


@pytest.mark.parametrize("instance", READABLE)
def test_formats_say_the_same(device: Bench, instance: str):
    """SenML, TLV and text; for the whole instance and for single resources."""
    device.push(0, app_image("2.0.0", 300))
    device.push(1, model_image("2.0.0"))
    whole = senml(device, instance)
    entries = {identifier: (kind, value) for kind, identifier, value in tlv(device, instance)}
    names = {int(name.removeprefix(instance + "/").split("/")[0]) for name in whole}
    assert names == set(entries)
    optional = {6, 7, 16} if instance != "/1/0" else set()
    assert names - optional == {n for n, kind in READABLE[instance].items() if kind != {}} - optional
    for name, value in whole.items():
        resource = int(name.removeprefix(instance + "/").split("/")[0])
        text = device.request(GET, name)
        assert text.format == TEXT
        assert text.payload.decode() == str(int(value) if isinstance(value, bool) else value)
        assert senml(device, name) == {name: value}
        kind, raw = entries[resource]
        if isinstance(READABLE[instance].get(resource), dict):
            assert kind == 2
            ((inner, identifier, raw),) = read_tlv(raw)
            assert (inner, identifier) == (1, int(name.rpartition("/")[2]))
            assert tlv(device, name) == [(1, identifier, raw)]
            assert tlv(device, name.rpartition("/")[0]) == [(kind, resource, entries[resource][1])]
        else:
            assert kind == 3
            assert tlv(device, name) == [(3, resource, raw)]
        if isinstance(value, str) and ":" in value:
            assert raw == b"".join(int(part).to_bytes(2, "big") for part in value.split(":"))
        elif isinstance(value, str):
            assert raw == value.encode()
        else:
            assert int.from_bytes(raw, "big", signed=True) == value


def test_types(device: Bench):
    for instance, resources in READABLE.items():
        whole = senml(device, instance)
        for resource, kind in resources.items():
            values = [
                v
                for n, v in whole.items()
                if n == f"{instance}/{resource}" or n.startswith(f"{instance}/{resource}/")
            ]
            expected = list(kind.values()) if isinstance(kind, dict) else [kind]
            assert [type(value) for value in values] == expected, f"{instance}/{resource}"


def test_objects_with_several_instances(device: Bench):
    whole = senml(device, "/33629")
    for instance in ("/33629/0", "/33629/1"):
        assert senml(device, instance).items() <= whole.items()
    assert len(whole) == len(senml(device, "/33629/0")) + len(senml(device, "/33629/1"))
    outer = tlv(device, "/33629")
    assert [(kind, identifier) for kind, identifier, _ in outer] == [(0, 0), (0, 1)]
    assert [list(read_tlv(value)) for _, _, value in outer] == [
        tlv(device, "/33629/0"),
        tlv(device, "/33629/1"),
    ]


def test_without_a_wish(device: Bench):
    assert device.request(GET, "/3/0/3").format == TEXT
    assert device.request(GET, "/33629/0/8").format == SENML
    assert device.request(GET, "/33629/0/8/0").format == TEXT
    assert device.request(GET, "/33629/0").format == SENML
    assert device.request(GET, "/33629").format == SENML


@pytest.mark.parametrize(
    ("path", "accept", "code"),
    [
        ("/3/0/3", OPAQUE, "4.06"),
        ("/3/0/3", 110, "4.06"),
        ("/3/0/3", 50, "4.06"),
        ("/3/0", TEXT, "4.06"),
        ("/3/0/11", TEXT, "4.06"),
        ("/33629", TEXT, "4.06"),
        ("/33629/0/0", TEXT, "4.05"),
        ("/33629/0/2", TEXT, "4.05"),
        ("/33629/0/4", TEXT, "4.04"),
        ("/33629/0/18", TEXT, "4.04"),
        ("/33629/2", SENML, "4.04"),
        ("/33629/0/8/1", TEXT, "4.04"),
        ("/33629/0/3/0", TEXT, "4.04"),
        ("/5/0/14", TEXT, "4.04"),
        ("/5/0/16", TEXT, "4.04"),
        ("/5/1", SENML, "4.04"),
        ("/2", SENML, "4.04"),
        ("/0", SENML, "4.01"),
        ("/0/0/5", TEXT, "4.01"),
        ("/33629/0/6", TEXT, "4.04"),
        ("/33629/0/7", TEXT, "4.04"),
    ],
)
def test_reads_that_are_refused(device: Bench, path: str, accept: int, code: str):
    assert device.request(GET, path, accept=accept).dotted == code


def test_empty_list_of_links(device: Bench):
    assert senml(device, "/33629/0/16") == {}
    assert tlv(device, "/33629/0/17") == []


def test_discover(device: Bench):
    def links(path: str) -> list[str]:
        answer = device.request(GET, path, accept=LINK)
        assert (answer.dotted, answer.format) == ("2.05", LINK)
        return answer.payload.decode().split(",")

    instance = links("/33629/0")
    assert instance[0] == "</33629/0>"
    assert [int(re.fullmatch(r"</33629/0/(\d+)>", link)[1]) for link in instance[1:]] == [
        *(0, 1, 2, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15),
    ]
    assert links("/33629")[0] == "</33629>;ver=1.0"
    assert links("/33629")[1:] == instance + links("/33629/1")
    assert links("/33629/0/3") == ["</33629/0/3>"]
    assert links("/3") == ["</3>", *links("/3/0")]
    assert device.request(GET, "/33629/0/8/0", accept=LINK).dotted == "4.05"


# -- writing and executing


@pytest.mark.parametrize(
    ("path", "good", "bad"),
    [
        ("/33629/0/11", ["0", "1", "2"], ["3", "-1", "", "x", "1.0", " 1", "99999999999"]),
        ("/33629/1/13", ["0", "30", "2147483647"], ["-5", "2147483648", "x", ""]),
        ("/5/0/11", ["0", "2"], ["3"]),
        ("/1/0/1", ["1", "60", "86400"], ["0", "-1", "x"]),
        ("/1/0/6", ["0", "1"], ["2", "", "true"]),
        ("/1/0/7", ["U"], ["", "UQ", "T"]),
    ],
)
def test_values(device: Bench, path: str, good: list[str], bad: list[str]):
    for value in good:
        assert device.write(path, value) == "2.04"
        assert device.read(path) == value
    for value in bad:
        assert device.request(PUT, path, value.encode(), content_format=TEXT).dotted == "4.00", value
        assert device.read(path) == good[-1]


@pytest.mark.parametrize(
    "path", ["/3/0/3", "/33629/0/3", "/33629/0/2", "/33629/0/14", "/33629/0", "/33629", "/3"]
)
def test_what_cannot_be_written(device: Bench, path: str):
    assert device.request(PUT, path, b"1", content_format=TEXT).dotted == "4.05"


@pytest.mark.parametrize("content_format", [OPAQUE, SENML, TLV, 50])
def test_formats_that_cannot_be_written(device: Bench, content_format: int):
    assert device.request(PUT, "/33629/0/11", b"1", content_format=content_format).dotted == "4.15"
    assert device.request(POST, "/33629/0/10", b"1", content_format=content_format).dotted == "4.15"


def test_missing_format_is_text(device: Bench):
    assert device.request(PUT, "/33629/0/11", b"2").dotted == "2.04"
    assert device.read("/33629/0/11") == "2"


def test_attributes_are_refused(device: Bench):
    assert device.request(PUT, "/33629/0/11", more=[(15, b"pmin=10")]).dotted == "4.05"
    assert device.read("/33629/0/11") == "1"


@pytest.mark.parametrize("path", ["/33629/0/3", "/33629/0/0", "/33629/0", "/33629", "/3/0/3"])
def test_what_cannot_be_executed_or_created(device: Bench, path: str):
    assert device.request(POST, path).dotted == "4.05"
    assert device.request(DELETE, path).dotted == "4.05"


def test_instances_are_static(device: Bench):
    assert device.request(DELETE, "/33629/0").dotted == "4.05"
    assert device.request(POST, "/33629", b"", content_format=TLV).dotted == "4.05"
    assert device.request(PUT, "/33629/5/11", b"1").dotted == "4.04"


@pytest.mark.parametrize("resource", [11, 13])
def test_settings_survive_a_reset(device: Bench, resource: int):
    assert device.write(f"/33629/1/{resource}", "2") == "2.04"
    device.reset()
    assert device.read(f"/33629/1/{resource}") == "2"
    assert device.read(f"/33629/0/{resource}") == {11: "1", 13: "0"}[resource]


# -- the device


def test_device(device: Bench):
    assert device.read("/3/0/1") == "bench"
    assert re.fullmatch("[0-9a-f]{16}", device.read("/3/0/2"))
    assert device.read("/3/0/3") == device.read("/33629/0/15") == "1.0.0"
    assert device.read("/33629/1/15") == "1.0.0"
    assert [device.read(f"/33629/{n}/14") for n in (0, 1)] == ["app", "model"]


def test_component_without_an_image(make):
    device = make(model=False)
    assert device.read("/33629/1/15") == "none"
    assert device.read("/33629/0/15") == "1.0.0"


def test_reboot(device: Bench):
    assert device.execute("/3/0/4") == "2.04"
    device.until(lambda: len(device.registrations) == 2)
    assert device.read("/3/0/11/0") == "18"  # 16 + the bit for a reset by software
    assert device.execute("/3/0/12") == "2.04"
    assert senml(device, "/3/0/11") == {"/3/0/11/0": 0}


def test_one_component_only(make):
    device = make(components=1)
    assert (
        device.registrations[0].payload.decode().endswith("</5>;ver=1.1,</5/0>,</33629>;ver=1.0,</33629/0>")
    )
    assert device.request(GET, "/33629/0/16", accept=SENML).dotted == "4.04"
    assert device.request(GET, "/33629/0/17", accept=SENML).dotted == "4.04"
    assert device.push(0, app_image("2.0.0", 300)) == "2.04"
    assert device.execute("/33629/0/2") == "2.04"
    assert device.status() == (3, 0)
