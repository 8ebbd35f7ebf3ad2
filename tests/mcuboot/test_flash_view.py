from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import ImageError
from harness.mcuboot import FlashView


def test_pieces_that_touch_become_one_and_gaps_stay_unknown() -> None:
    view = FlashView.build([(0x110, b"b" * 16), (0x100, b"a" * 16), (0x200, b"c" * 4), (0x300, b"")])
    assert [(address, len(data)) for address, data in view.regions] == [(0x100, 32), (0x200, 4)]
    assert view.size == 36
    assert view.read(0x10E, 4) == b"aabb"
    assert view.read(0x11E, 4) is None
    assert view.read(0x0, 1) is None
    assert view.read(0x1FF, 2) is None
    assert view.read_known(0x118, 100) == b"b" * 8
    assert view.read_known(0x10E, 4) == b"aabb"
    assert view.read_known(0x120, 100) == b""


def test_overlaps_and_negative_addresses_are_refused() -> None:
    with pytest.raises(ImageError, match="overlap"):
        FlashView.build([(0, b"ab"), (1, b"c")])
    with pytest.raises(ImageError, match="negative"):
        FlashView.from_bytes(b"a", -1)


@given(st.lists(st.tuples(st.integers(0, 60), st.binary(min_size=1, max_size=20)), max_size=8))
def test_writing_over_is_like_writing_into_a_dictionary(writes: list[tuple[int, bytes]]) -> None:
    view, model = FlashView(), {}
    for address, data in writes:
        view = view.with_bytes(address, data)
        model |= {address + index: byte for index, byte in enumerate(data)}
    for address in range(90):
        byte = model.get(address)
        assert view.read(address, 1) == (None if byte is None else bytes([byte]))
    assert view.size == len(model)


def test_filling_unknown_places() -> None:
    view = FlashView.from_bytes(b"ab", 4).filled(0, 8)
    assert view.read(0, 8) == b"\xff\xff\xff\xffab\xff\xff"
    assert FlashView.from_bytes(b"ab", 0).filled(1, 2, 0).read(0, 3) == b"ab\0"


def hex_text(pieces: dict[int, bytes]) -> str:
    from intelhex import IntelHex

    dump, text = IntelHex(), io.StringIO()
    for address, data in pieces.items():
        dump.puts(address, data)
    dump.write_hex_file(text)
    return text.getvalue()


def test_intel_hex_keeps_addresses_and_gaps() -> None:
    text = hex_text({0xC000: b"image" * 10, 0x1002_0000: b"far"})
    for view in (
        FlashView.from_hex(text),
        FlashView.load(text.encode()),
        FlashView.load(b"\r\n" + text.encode()),
    ):
        assert view.regions == ((0xC000, b"image" * 10), (0x1002_0000, b"far"))


def test_raw_files_start_at_the_base_address() -> None:
    assert FlashView.load(b"\x3d\xb8\xf3\x96", 0xC000).read(0xC000, 4) == b"\x3d\xb8\xf3\x96"
    assert FlashView.load(b"").regions == ()


@pytest.mark.parametrize(
    "text", [":", ":00", ":0000000100\n", ":10000000zz\n", ":02000004\xff", b":\xff\xfe"]
)
def test_bad_intel_hex(text: str | bytes) -> None:
    with pytest.raises(ImageError, match="Intel HEX"):
        FlashView.from_hex(text)


@given(st.text(alphabet=":0123456789ABCDEFabcdef\n\r xyz", max_size=120) | st.binary(max_size=80))
def test_any_text_is_hex_or_refused(text: str | bytes) -> None:
    with contextlib.suppress(ImageError):
        FlashView.from_hex(text)
    with contextlib.suppress(ImageError):
        FlashView.load(b":" + (text.encode() if isinstance(text, str) else text))
