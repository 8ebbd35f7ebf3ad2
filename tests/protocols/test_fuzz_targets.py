"""The fuzz targets take anything; what coverage-guided fuzzing found is an example here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from fuzz_codecs import TARGETS


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=30)
@given(data=st.binary(max_size=80))
@example(data=b"")
def test_targets_take_anything(target, data):
    TARGETS[target](data)


@pytest.mark.parametrize(("target", "data"), [("tlv", b"M@\x03\xc0\x00")])
def test_what_was_found(target, data):
    TARGETS[target](data)


def test_targets_are_listed():
    result = subprocess.run(
        [sys.executable, Path(__file__).with_name("fuzz_codecs.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "slipmux" in result.stderr
