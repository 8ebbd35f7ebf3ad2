from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import ImageError
from harness.mcuboot import (
    FlagState,
    MagicState,
    SwapInfo,
    SwapMode,
    SwapType,
    Trailer,
    TrailerLayout,
    build_trailer,
    magic_bytes,
)

from ._build import SECTOR
from .test_layout import ALIGNMENTS

S = 12 * SECTOR

layouts = st.builds(
    lambda mode, alignment, sectors, erased: TrailerLayout(S, mode, *alignment, sectors, erased),
    st.sampled_from(SwapMode),
    st.sampled_from(ALIGNMENTS),
    st.integers(1, 64),
    st.sampled_from([0x00, 0xFF]),
)


def read(layout: TrailerLayout, trailer: bytes) -> Trailer:
    return Trailer.parse(bytes([layout.erased_value]) * layout.status + trailer, layout)


@given(layouts, st.data())
def test_round_trip(layout: TrailerLayout, data: st.DataObject) -> None:
    flag = st.booleans()
    fields = {
        "magic": data.draw(flag),
        "image_ok": data.draw(flag),
        "copy_done": data.draw(flag),
        "swap_info": data.draw(st.none() | st.integers(1, 0xFE)),
        "swap_size": data.draw(st.none() | st.integers(1, 1 << 20)),
    }
    if layout.mode is SwapMode.OFFSET:
        fields["tlv_sizes"] = data.draw(st.none() | st.tuples(st.integers(1, 0xFFFE), st.integers(1, 0xFFFE)))
    entries = data.draw(st.integers(0, layout.status_entries))
    found = read(layout, build_trailer(layout, **fields, status=[1] * entries))  # type: ignore[arg-type]
    assert found.magic is (MagicState.GOOD if fields["magic"] else MagicState.UNSET)
    assert found.image_ok is (FlagState.SET if fields["image_ok"] else FlagState.UNSET)
    assert found.copy_done is (FlagState.SET if fields["copy_done"] else FlagState.UNSET)
    assert found.swap_info.erased is (fields["swap_info"] is None)
    assert found.swap_info.erased or found.swap_info.raw == fields["swap_info"]
    assert found.swap_size == fields["swap_size"]
    assert found.tlv_sizes == fields.get("tlv_sizes")
    assert found.status.written == found.status.position == (entries if layout.mode.entries_per_sector else 0)


@given(layouts, st.randoms(use_true_random=False))
def test_any_content_is_a_trailer(layout: TrailerLayout, random: object) -> None:
    found = read(layout, random.randbytes(layout.size))  # type: ignore[attr-defined]
    assert len(list(found.fields())) >= 5
    assert all(field.meaning and field.raw for field in found.fields())
    assert found.state
    assert found.status.describe(found.swap_size, SECTOR, 4 * SECTOR)
    assert found.status.next_step


@given(layouts, st.binary(max_size=64))
def test_a_slot_of_another_size_is_refused(layout: TrailerLayout, data: bytes) -> None:
    with pytest.raises(ImageError, match="not all there"):
        Trailer.parse(data, layout)


def test_a_reader_is_asked_for_the_trailer_only() -> None:
    layout = TrailerLayout(S, SwapMode.SCRATCH, max_sectors=64)
    asked: list[tuple[int, int]] = []

    def reader(offset: int, size: int) -> bytes:
        asked.append((offset, size))
        return b"\xff" * size

    assert Trailer.parse(reader, layout).magic is MagicState.UNSET
    assert asked == [(S - 816, 816)]


@pytest.mark.parametrize(("write", "most"), ALIGNMENTS)
@pytest.mark.parametrize("erased", [0xFF, 0x00])
def test_bytes_as_written(write: int, most: int, erased: int) -> None:
    layout = TrailerLayout(S, SwapMode.OFFSET, write, most, 8, erased)
    data = build_trailer(
        layout,
        magic=True,
        image_ok=True,
        copy_done=True,
        swap_info=SwapInfo.build(SwapType.PERMANENT, 1),
        swap_size=0x12345,
        tlv_sizes=(0x150, 0x160),
        status=[1, 2, None, 1],
    )
    expected = bytearray([erased]) * layout.size
    for offset, content in (
        (layout.magic, magic_bytes(most)),
        (layout.image_ok, b"\x01"),
        (layout.copy_done, b"\x01"),
        (layout.swap_info, b"\x13"),
        (layout.tlv_sizes or 0, b"\x50\x01\x60\x01"),
        (layout.swap_size, b"\x45\x23\x01\x00"),
        (layout.status, b"\x01"),
        (layout.status + write, b"\x02"),
        (layout.status + 3 * write, b"\x01"),
    ):
        expected[offset - layout.status : offset - layout.status + len(content)] = content
    assert data == bytes(expected)


def test_flags_and_magic_that_are_bad() -> None:
    layout = TrailerLayout(S, SwapMode.SCRATCH, max_sectors=64)
    found = read(layout, build_trailer(layout, magic=magic_bytes(16), image_ok=0x02, copy_done=0x00))
    assert (found.magic, found.image_ok, found.copy_done) == (MagicState.BAD, FlagState.BAD, FlagState.BAD)
    meanings = {field.name: field.meaning for field in found.fields()}
    assert meanings["magic"] == "bad: the magic of a build with max-align 16"
    assert meanings["image_ok"] == "bad (0x02)"
    assert meanings["copy_done"] == "bad (0x00)"
    zero = TrailerLayout(S, SwapMode.SCRATCH, max_sectors=64, erased_value=0x00)
    assert read(zero, bytes(zero.size)).state.magic is MagicState.UNSET
    assert read(zero, b"\xff" * zero.size).state.magic is MagicState.BAD


@pytest.mark.parametrize(
    ("magic", "found"),
    [(True, MagicState.GOOD), (b"\xff" * 15 + b"\xfe", MagicState.BAD), (b"\0" * 16, MagicState.BAD)],
)
def test_magic_is_good_only_in_all_its_bytes(magic: bool | bytes, found: MagicState) -> None:
    layout = TrailerLayout(S, SwapMode.MOVE, max_sectors=64)
    assert read(layout, build_trailer(layout, magic=magic)).magic is found


def test_swap_info() -> None:
    for image, kind in itertools.product((0, 1), SwapType):
        info = SwapInfo.build(kind, image)
        assert info.raw == image * 16 + kind
        if kind is SwapType.FAIL:
            assert (info.type, info.image) == (SwapType.NONE, 0)
        else:
            assert (info.type, info.image) == (kind, image)
    assert SwapInfo.build(SwapType.TEST).raw == 2
    assert [SwapInfo(raw).type for raw in (0x15, 0x1F)] == [SwapType.NONE] * 2
    assert (SwapInfo(0xFF, erased=True).type, SwapInfo(0xFF, erased=True).image) == (SwapType.NONE, 0)
    assert str(SwapInfo(0x12)) == "0x12: test, image 1"
    assert str(SwapInfo(0x07)) == "0x07: no swap type"
    assert str(SwapInfo(0xFF, erased=True)) == "erased"


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"status": [1] * 193}, "too many status entries"),
        ({"tlv_sizes": (1, 2)}, "only swap-offset"),
        ({"swap_size": 1 << 32}, "does not fit"),
        ({"image_ok": 256}, "does not fit"),
    ],
)
def test_trailers_that_cannot_be_built(fields: dict[str, object], what: str) -> None:
    layout = TrailerLayout(S, SwapMode.SCRATCH, max_sectors=64)
    with pytest.raises(ImageError, match=what):
        build_trailer(layout, **fields)  # type: ignore[arg-type]
