from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import ImageError
from harness.mcuboot import Version

versions = st.builds(
    Version,
    st.integers(0, 0xFF),
    st.integers(0, 0xFF),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF_FFFF),
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1", (1, 0, 0, 0)),
        ("1.2", (1, 2, 0, 0)),
        ("1.2.3", (1, 2, 3, 0)),
        ("1.2.3+4", (1, 2, 3, 4)),
        ("255.255.65535+4294967295", (255, 255, 65535, 4294967295)),
        (" 1.2.3 ", (1, 2, 3, 0)),
    ],
)
def test_parse(text: str, parts: tuple[int, ...]) -> None:
    assert Version.parse(text) == Version(*parts)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "1.",
        "1.2.3.4",
        "1.2+3",
        "-1",
        "256",
        "1.256",
        "1.2.65536",
        "1.2.3+4294967296",
        "\u0661.\u0662.\u0663",  # digits, but not ours
        "1.2.3\n4",
    ],
)
def test_parse_refuses(text: str) -> None:
    with pytest.raises(ImageError):
        Version.parse(text)


@given(versions)
def test_text_and_bytes_round_trip(version: Version) -> None:
    assert Version.parse(str(version)) == version
    assert Version.unpack(version.pack()) == version


def test_order_is_major_minor_revision_and_ignores_the_build_number() -> None:
    ordered = ["0.9.9", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0"]
    parsed = [Version.parse(text) for text in ordered]
    assert sorted(parsed, key=lambda version: (version.major, version.minor, version.revision)) == parsed
    assert all(
        low < high and high > low and low <= high and high >= low for low, high in itertools.pairwise(parsed)
    )
    low, high = Version.parse("2.0.0+1"), Version.parse("2.0.0+5")
    assert not low < high
    assert not high < low
    assert low <= high <= low
    assert low != high


def test_build_number_counts_when_asked_for() -> None:
    low, high = Version.parse("2.0.0+1"), Version.parse("2.0.0+5")
    assert low.compare(high) == 0
    assert low.compare(high, with_build=True) < 0
    assert high.compare(low, with_build=True) > 0


@given(st.text())
def test_parse_raises_nothing_else(text: str) -> None:
    with contextlib.suppress(ImageError):
        Version.parse(text)
