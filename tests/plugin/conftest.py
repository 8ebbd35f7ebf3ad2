"""Runs of pytest with the plugin, in processes of their own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import harness._pytest  # noqa: F401 - runs in this process would load and unload it each time
from harness.firmware import cache_folder

from .._boards import clean_environment

SECONDS = 180
CACHE = cache_folder(
    "programs"
).parent  # asked for here, because pytester gives each test a home folder of its own


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clean_environment(monkeypatch, tmp_path)
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(CACHE))


@dataclasses.dataclass
class Runner:
    """Runs pytest on a test file, and shows what it printed if it is not what was expected."""

    pytester: pytest.Pytester

    def __call__(self, test: str, *arguments: str, **outcomes: int) -> str:
        """What pytest printed; ``outcomes`` are counts such as ``passed=1``, all others are 0."""
        self.pytester.makepyfile(test)
        result = self.pytester.runpytest_subprocess(*arguments, timeout=SECONDS)
        result.assert_outcomes(**outcomes)
        return result.stdout.str()

    def inside(self, test: str, *arguments: str, **outcomes: int) -> str:
        """The same in this process, for tests that open no device."""
        self.pytester.makepyfile(test)
        result = self.pytester.runpytest_inprocess(*arguments)
        result.assert_outcomes(**outcomes)
        return result.stdout.str()

    def refused(self, *arguments: str) -> str:
        """What pytest says when it refuses its options: no traceback, the exit code for wrong use."""
        self.pytester.makepyfile("def test_nothing(): pass")
        result = self.pytester.runpytest_inprocess(*arguments)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        printed = result.stdout.str() + result.stderr.str()
        assert "Traceback" not in printed
        assert "INTERNALERROR" not in printed
        return printed


@pytest.fixture
def run(pytester: pytest.Pytester) -> Runner:
    return Runner(pytester)
