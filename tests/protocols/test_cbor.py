"""LwM2M CBOR, and the paths of composite reads."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness._errors import CodecError
from harness.protocols import ContentFormat, ObjectLink, Path
from harness.protocols.content import decode, decode_paths, encode, encode_paths
from harness.protocols.objects import OBJECTS, types_of

CBOR = ContentFormat.LWM2M_CBOR
TYPES = types_of(OBJECTS.values())
ids = st.integers(0, 65535)


@pytest.mark.parametrize(
    "payload",
    [
        # The same value with its path cut in every way, with definite and indefinite lengths.
        "A1 84 19 835D 00 10 01 67 33333632393A31",
        "A1 19 835D A1 00 A1 10 A1 01 67 33333632393A31",
        "A1 82 19 835D 00 A1 82 10 01 67 33333632393A31",
        "BF 9F 19 835D FF BF 9F 00 FF BF 9F 10 01 FF 67 33333632393A31 FF FF FF",
        "A1 81 19 835D A1 83 00 10 01 67 33333632393A31",
    ],
)
def test_keys_are_parts_of_the_path(payload):
    found = decode(bytes.fromhex(payload), CBOR, Path(33629, 0, 16), TYPES)
    assert found == {Path(33629, 0, 16, 1): ObjectLink(33629, 1)}


def test_types_are_those_of_the_definition():
    payload = cbor2.dumps(
        {
            (3, 0): {13: cbor2.CBORTag(1, 1367491215), 6: {0: 1.0, 7: 5}, 3: "1.0"},
            (33629, 0, 3): 2,
            (9, 9, 9): cbor2.CBORTag(4, [-1, 45]),
        }
    )
    assert decode(payload, CBOR, Path(), TYPES) == {
        Path(3, 0, 13): 1367491215,
        Path(3, 0, 6, 0): 1,
        Path(3, 0, 6, 7): 5,
        Path(3, 0, 3): "1.0",
        Path(33629, 0, 3): 2,
        Path(9, 9, 9): 4.5,
    }


def test_what_is_written():
    values = {Path(3, 0, 3): "1.0", Path(33629, 1, 17, 0): ObjectLink(33629, 0)}
    assert cbor2.loads(encode(values, CBOR, Path(), TYPES)) == {
        (3, 0, 3): "1.0",
        (33629, 1, 17, 0): "33629:0",
    }


@pytest.mark.parametrize(
    ("root", "what"),
    [
        ([1], "is a map"),
        ({3: 1}, "no resource's"),
        ({(3, 0): 1}, "no resource's"),
        ({(3, 0, 1, 2, 3): 1}, "too long"),
        ({(3, 0): {(1, 2, 3): 4}}, "too long"),
        ({"3": {}}, "no part of a path"),
        ({(): 1}, "no part of a path"),
        ({True: {0: {1: "x"}}}, "no part of a path"),
        ({-1: {0: {1: "x"}}}, "no part of a path"),
        ({65536: {0: {1: "x"}}}, "no part of a path"),
        ({(3, 0, 3): "x", 3: {0: {3: "y"}}}, "given twice"),
        ({(3, 0, 3): 5}, "does not fit"),
        ({(3, 0, 3): None}, "does not fit"),
        ({(9, 9, 9): [1]}, "does not fit"),
    ],
)
def test_what_makes_no_sense_is_refused(root, what):
    with pytest.raises(CodecError, match=what):
        decode(cbor2.dumps(root), CBOR, Path(), TYPES)


@pytest.mark.parametrize("payload", [b"", b"\xa1", b"\xa0\x00", b"\xff", b"\xc1\xff", b"\x81" * 5000])
def test_broken_cbor_is_refused(payload):
    with pytest.raises(CodecError):
        decode(payload, CBOR, Path(), TYPES)


keys = ids | st.lists(st.integers(-2, 70000), max_size=5).map(tuple) | st.booleans() | st.text(max_size=3)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.binary(max_size=4)


@given(st.recursive(leaves, lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=8))
def test_maps_of_any_shape_are_read_or_refused(root):
    try:
        found = decode(cbor2.dumps(root), CBOR, Path(), TYPES)
    except CodecError as problem:
        assert str(problem)  # noqa: PT017
    else:
        assert all(path.resource_id is not None for path in found)


paths = st.lists(ids, max_size=4).map(lambda parts: Path(*parts))


@pytest.mark.parametrize("content_format", [ContentFormat.SENML_JSON, ContentFormat.SENML_CBOR])
@given(asked=st.lists(paths, max_size=4).map(tuple))
def test_paths_round_trip_in_senml(content_format, asked):
    assert decode_paths(encode_paths(asked, content_format), content_format) == asked


def test_paths_in_cbor_have_no_values():
    assert cbor2.loads(encode_paths([Path(3, 0, 3), Path(5)], CBOR)) == {(3, 0, 3): None, (5,): None}


@pytest.mark.parametrize(
    ("payload", "content_format"),
    [
        (b'[{"n":5}]', ContentFormat.SENML_JSON),
        (b'[{"bn":"/3/","n":"x"}]', ContentFormat.SENML_JSON),
        (b"{}", ContentFormat.SENML_JSON),
        (b"\xff", ContentFormat.SENML_CBOR),
        (b"/3/0/3", ContentFormat.TEXT),
    ],
)
def test_paths_that_make_no_sense_are_refused(payload, content_format):
    with pytest.raises(CodecError):
        decode_paths(payload, content_format)


def test_paths_have_no_other_format():
    with pytest.raises(CodecError):
        encode_paths([Path(3)], ContentFormat.TLV)
