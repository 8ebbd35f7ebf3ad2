import contextlib
import json
import math

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness._errors import CodecError
from harness.protocols import ContentFormat, Link, ObjectLink, Path, ResourceType
from harness.protocols.content import (
    TlvEntry,
    TlvKind,
    decode,
    decode_links,
    decode_text,
    decode_tlv,
    encode,
    encode_links,
    encode_text,
    encode_tlv,
)
from harness.protocols.objects import OBJECTS, types_of

TYPES = types_of(OBJECTS.values())
MANY = (ContentFormat.TLV, ContentFormat.SENML_JSON, ContentFormat.SENML_CBOR, ContentFormat.LWM2M_CBOR)

ids = st.integers(0, 65535)
plain_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES = {
    ResourceType.STRING: plain_text,
    ResourceType.INTEGER: st.integers(-(2**63), 2**63 - 1),
    ResourceType.UNSIGNED: st.integers(0, 2**64 - 1),
    ResourceType.TIME: st.integers(0, 2**40),
    ResourceType.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    ResourceType.BOOLEAN: st.booleans(),
    ResourceType.OPAQUE: st.binary(max_size=40),
    ResourceType.OBJLNK: st.builds(ObjectLink, ids, ids),
}

# An object made up to have a resource of every type, single (id) and multiple (id + 100).
MADE_UP = {(9, i): kind for i, kind in enumerate(VALUES)} | {(9, i + 100): k for i, k in enumerate(VALUES)}


@st.composite
def instances(draw):
    values = {}
    for number, kind in enumerate(VALUES):
        if draw(st.booleans()):
            values[Path(9, 3, number)] = draw(VALUES[kind])
        for instance in draw(st.lists(ids, max_size=3, unique=True)):
            values[Path(9, 3, number + 100, instance)] = draw(VALUES[kind])
    return values


@pytest.mark.parametrize("content_format", MANY)
@given(values=instances())
@settings(max_examples=40)
def test_values_of_an_instance_round_trip(content_format, values):
    body = encode(values, content_format, Path(9, 3), MADE_UP)
    assert decode(body, content_format, Path(9, 3), MADE_UP) == values


@pytest.mark.parametrize("content_format", MANY)
@given(data=st.data())
def test_a_single_resource_of_every_type_round_trips(content_format, data):
    number, kind = data.draw(st.sampled_from(list(enumerate(VALUES))))
    path = Path(9, 3, number)
    values = {path: data.draw(VALUES[kind])}
    assert decode(encode(values, content_format, path, MADE_UP), content_format, path, MADE_UP) == values


@pytest.mark.parametrize("content_format", MANY)
@given(values=instances(), more=instances())
@settings(max_examples=40)
def test_values_of_a_whole_object_round_trip(content_format, values, more):
    whole = values | {Path(9, 7, *path.ids[2:]): value for path, value in more.items()}
    body = encode(whole, content_format, Path(9), MADE_UP)
    assert decode(body, content_format, Path(9), MADE_UP) == whole


@given(st.data())
def test_text_round_trips_for_every_type(data):
    kind = data.draw(st.sampled_from(list(VALUES)))
    value = data.draw(VALUES[kind])
    assert decode_text(encode_text(value), kind) == value


@given(
    st.sampled_from([0, 40, 42, *MANY, 60]),
    st.sampled_from(["/9", "/9/3", "/9/3/2", "/9/3/101", "/9/3/101/4"]),
    st.binary(max_size=60),
)
@settings(max_examples=400)
def test_arbitrary_bytes_are_read_or_refused(content_format, path, payload):
    with contextlib.suppress(CodecError):
        decode(payload, content_format, Path.of(path), MADE_UP)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
@settings(max_examples=40)
def test_json_that_is_no_senml_is_refused(value):
    if value != []:
        with pytest.raises(CodecError):
            decode(json.dumps(value).encode(), 110, Path(9), MADE_UP)


_keys = st.sampled_from(["n", "bn", "v", "vs", "vb", "vd", "vlo", "bt", "u", "bv", "x_"])
_scalars = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.just("/9/3/1") | st.binary(max_size=3)
)
_records = st.dictionaries(_keys | st.integers(-8, 9), _scalars, max_size=4)


@given(st.lists(_records, max_size=3))
def test_cbor_records_of_any_shape_are_read_or_refused(records):
    with contextlib.suppress(CodecError):
        decode(cbor2.dumps(records), 112, Path(9), MADE_UP)


# -- OMA TLV


def test_tlv_of_the_device_object_in_the_specification():
    # OMA-TS-LightweightM2M_Core-V1_1, section 7.4.5.3, the example "single object instance".
    payload = bytes.fromhex(
        "C80014 4F70656E204D6F62696C6520416C6C69616E6365"
        "C80116 4C69676874776569676874204D324D20436C69656E74"
        "C80209 333435303030313233 C303 312E30"
        "8606 4100 01 4101 05 8807 08 4200 0ED8 4201 1388"
        "8708 4100 7D 4201 0384 C109 64 C10A 0F 830B 4100 00"
        "C40D 5182428F C60E 2B30323A3030 C110 55"
    )
    values = decode(payload, ContentFormat.TLV, Path(3, 0), TYPES)
    at = Path(3, 0).child
    assert values == {
        at(0): "Open Mobile Alliance",
        at(1): "Lightweight M2M Client",
        at(2): "345000123",
        at(3): "1.0",
        at(6, 0): 1,
        at(6, 1): 5,
        at(7, 0): 0x0ED8,
        at(7, 1): 0x1388,
        at(8, 0): 0x7D,
        at(8, 1): 0x384,
        at(9): 0x64,
        at(10): 15,
        at(11, 0): 0,
        at(13): 1367491215,
        at(14): "+02:00",
        at(16): "U",
    }
    assert encode(values, ContentFormat.TLV, Path(3, 0), TYPES) == payload


_leaf = st.builds(TlvEntry, st.just(TlvKind.RESOURCE), ids, st.binary(max_size=300))
_part = st.builds(TlvEntry, st.just(TlvKind.RESOURCE_INSTANCE), ids, st.binary(max_size=20))


def _group(kind, members):
    return st.builds(TlvEntry, st.just(kind), ids, st.lists(members, max_size=3).map(tuple))


@given(st.lists(_group(TlvKind.INSTANCE, _leaf | _group(TlvKind.MULTIPLE, _part))))
@settings(max_examples=40)
def test_tlv_entries_round_trip(items):
    assert list(decode_tlv(encode_tlv(items))) == items


@pytest.mark.parametrize("length", [7, 8, 255, 256, 65535, 65536])
def test_tlv_lengths_use_the_shortest_form(length):
    body = encode_tlv([TlvEntry(TlvKind.RESOURCE, 1, bytes(length))])
    assert len(body) - length == 2 + (length > 7) + (length > 255) + (length > 65535)
    assert decode_tlv(body)[0].value == bytes(length)


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        ("C3 01 41", "longer than what is left"),
        ("C8 01", "cut off"),
        ("E1 01", "cut off"),
        ("83 01 C1 01 41", "wrong place"),
        ("C1 01 41 00 00", "wrong place"),
    ],
)
def test_broken_tlv_is_refused_with_the_offset(payload, what):
    with pytest.raises(CodecError, match=what) as info:
        decode_tlv(bytes.fromhex(payload))
    assert "offset" in str(info.value)


def test_deeply_nested_tlv_is_no_way_to_exhaust_the_stack():
    payload = b""
    for _ in range(5000):
        payload = encode_tlv([TlvEntry(TlvKind.INSTANCE, 1, payload)])
    with pytest.raises(CodecError, match="wrong place"):
        decode_tlv(payload)


def test_tlv_may_repeat_the_resource_it_was_asked_for_but_no_other():
    assert decode(bytes.fromhex("C103 02"), ContentFormat.TLV, Path(5, 0, 3), TYPES) == {Path(5, 0, 3): 2}
    with pytest.raises(CodecError, match="does not belong"):
        decode(bytes.fromhex("C105 02"), ContentFormat.TLV, Path(5, 0, 3), TYPES)


# -- SenML


def test_senml_json_of_the_device_object_in_the_specification():
    # OMA-TS-LightweightM2M_Core-V1_1, section 7.4.4, with base name and resource instances.
    payload = b"""[{"bn":"/3/0/","n":"0","vs":"Open Mobile Alliance"},{"n":"3","vs":"1.0"},{"n":"6/0","v":1},
        {"n":"6/1","v":5},{"n":"13","v":1367491215},{"n":"22/0","vlo":"10:7"}]"""
    assert decode(payload, ContentFormat.SENML_JSON, Path(3, 0), TYPES) == {
        Path(3, 0, 0): "Open Mobile Alliance",
        Path(3, 0, 3): "1.0",
        Path(3, 0, 6, 0): 1,
        Path(3, 0, 6, 1): 5,
        Path(3, 0, 13): 1367491215,
        Path(3, 0, 22, 0): ObjectLink(10, 7),
    }


def test_senml_cbor_uses_the_labels_of_rfc_8428():
    values = {Path(33629, 1, 3): 2, Path(33629, 1, 15): "1.2", Path(33629, 1, 16, 0): ObjectLink(33629, 0)}
    body = encode(values, ContentFormat.SENML_CBOR, Path(33629, 1), TYPES)
    assert cbor2.loads(body) == [
        {-2: "/", 0: "33629/1/3", 2: 2},
        {0: "33629/1/15", 3: "1.2"},
        {0: "33629/1/16/0", "vlo": "33629:0"},
    ]
    # By hand: array of one map of three pairs; -2 "/5/0/", 0 "3", 2 2.
    by_hand = bytes.fromhex("81 A3 21 65 2F352F302F 00 61 33 02 02")
    assert decode(by_hand, ContentFormat.SENML_CBOR, Path(5, 0), TYPES) == {Path(5, 0, 3): 2}


def test_opaque_values_in_senml_json_are_base64url_without_padding():
    body = encode({Path(0, 0, 5): b"\xfb\xff"}, ContentFormat.SENML_JSON, Path(0, 0), TYPES)
    assert json.loads(body) == [{"bn": "/", "n": "0/0/5", "vd": "-_8"}]


@pytest.mark.parametrize("number", [b"2", b"2.0", b"20e-1"])
def test_senml_has_one_number_type_and_definitions_decide(number):
    values = decode(b'[{"n":"/5/0/3","v":' + number + b"}]", ContentFormat.SENML_JSON, Path(5, 0), TYPES)
    assert values == {Path(5, 0, 3): 2}
    assert isinstance(values[Path(5, 0, 3)], int)


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        (b"{}", "list of records"),
        (b'[{"n":"/5/0/3","v":2,"vs":"x"}]', "two values"),
        (b'[{"n":"/5/0/3","v":"2"}]', "field v"),
        (b'[{"n":"/5/0/3","v":2.5}]', "no integer"),
        (b'[{"n":"/5/0/13","v":-1}]', "negative"),
        (b'[{"bv":1,"n":"/5/0/3","v":2}]', "does not use"),
        (b'[{"n":"firmware","v":2}]', "no path"),
        (b'[{"n":5,"v":2}]', "not text"),
        (b'[{"n":"/0/0/5","vd":"*"}]', "base64"),
    ],
)
def test_senml_that_makes_no_sense_is_refused(payload, what):
    with pytest.raises(CodecError, match=what):
        decode(payload, ContentFormat.SENML_JSON, Path(5, 0), TYPES)


def test_not_a_number_cannot_be_said_in_json():
    with pytest.raises(CodecError, match="JSON"):
        encode({Path(9, 0, 4): math.nan}, ContentFormat.SENML_JSON, Path(9, 0), MADE_UP)


# -- single values


@pytest.mark.parametrize(
    ("payload", "kind", "value"),
    [
        (b"", ResourceType.STRING, ""),
        (b"-17", ResourceType.INTEGER, -17),
        (b"1", ResourceType.BOOLEAN, True),
        (b"-1.5", ResourceType.FLOAT, -1.5),
        (b"33629:1", ResourceType.OBJLNK, ObjectLink(33629, 1)),
        (b"AAE=", ResourceType.OPAQUE, b"\x00\x01"),
        (b"anything", None, "anything"),
    ],
)
def test_text_is_read_by_type(payload, kind, value):
    assert decode_text(payload, kind) == value


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"x", ResourceType.INTEGER),
        (b"-1", ResourceType.UNSIGNED),
        (b"true", ResourceType.BOOLEAN),
        (b"1:65536", ResourceType.OBJLNK),
        (b"A", ResourceType.OPAQUE),
        (b"\xff", ResourceType.STRING),
    ],
)
def test_text_of_another_type_is_refused_by_name(payload, kind):
    with pytest.raises(CodecError, match=kind.value):
        decode_text(payload, kind)


def test_bodies_in_text_hold_one_value_of_their_path():
    with pytest.raises(CodecError, match="one value"):
        encode({Path(3, 0, 1): "a", Path(3, 0, 2): "b"}, ContentFormat.TEXT, Path(3, 0), TYPES)
    with pytest.raises(CodecError, match="bytes"):
        encode({Path(3, 0, 1): "a"}, ContentFormat.OPAQUE, Path(3, 0, 1), TYPES)


# -- link format and paths


def test_registration_payload():
    payload = (
        b'</>;rt="oma.lwm2m";ct="60 110 112 11542",</1/0>,</33629>;ver=1.0,</33629/0>,'
        b' </3/0>;obs;title="a\\"b,c;"'
    )
    assert decode_links(payload) == (
        Link("/", {"rt": "oma.lwm2m", "ct": "60 110 112 11542"}),
        Link("/1/0"),
        Link("/33629", {"ver": "1.0"}),
        Link("/33629/0"),
        Link("/3/0", {"obs": None, "title": 'a"b,c;'}),
    )


_names = st.from_regex(r"[a-z][a-z0-9*-]{0,8}", fullmatch=True)
_targets = st.text(st.characters(codec="utf-8", exclude_characters="<>"), max_size=20)


_attributes = st.dictionaries(_names, st.none() | plain_text.filter(bool), max_size=3)


@given(st.lists(st.builds(Link, _targets, _attributes), max_size=4).map(tuple))
def test_links_round_trip(links):
    assert decode_links(encode_links(links)) == links


@pytest.mark.parametrize("payload", [b"</3/0", b"3/0", b"</3/0>x", b'</3/0>;a="b', b"</3>,,", b"\xff"])
def test_broken_links_are_refused(payload):
    with pytest.raises(CodecError):
        decode_links(payload)


@pytest.mark.parametrize("text", ["/", "/3", "/3/0", "/3/0/1", "/3/0/11/0", "/65535/65535"])
def test_paths_are_read_and_written(text):
    assert str(Path.of(text)) == text


@pytest.mark.parametrize("text", ["/x", "/3/0/1/2/3", "/65536", "/-1", "//3", "/٣"])
def test_what_is_no_path_is_refused(text):
    with pytest.raises(ValueError, match="no LwM2M path"):
        Path.of(text)


def test_containment_of_paths():
    assert Path.of("/3/0/1") in Path.of("/3/0")
    assert Path.of("/3/0") in Path.of("/3/0")
    assert Path.of("/3") not in Path.of("/3/0")
    assert Path.of("/33/0") not in Path.of("/3")


@pytest.mark.parametrize(
    ("content_format", "payload"),
    [
        (ContentFormat.TLV, b"\x40\x03\xc0\x00"),
        (ContentFormat.SENML_JSON, b'[{"n":"/5/0/0","v":1},{"n":"/5/0/0/3","v":1}]'),
    ],
)
def test_a_resource_has_a_value_or_instances(content_format, payload):
    with pytest.raises(CodecError, match="both a value and instances"):
        decode(payload, content_format, Path.of("/5/0/0"), {})
