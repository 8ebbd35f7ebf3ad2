"""Without a board the plugin adds options, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness import pytest_plugin
from harness._pytest import _fixtures

HEAVY = ("aiocoap", "cryptography", "pydantic", "pyocd", "rich", "serial", "smpclient", "unicorn", "yaml")


def test_nothing_but_the_plugin_is_loaded(pytester: pytest.Pytester):
    pytester.makepyfile(
        f"""
        import sys

        def test_modules():
            ours = {{name for name in sys.modules if name.split(".")[0] == "harness"}}
            assert ours == {{"harness", "harness._errors", "harness.pytest_plugin"}}
            heavy = {{name.split(".")[0] for name in sys.modules}} & set({HEAVY!r})
            assert not heavy
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_nothing_runs_for_a_test(pytester: pytest.Pytester):
    pytester.makeconftest(
        """
        def pytest_collection_finish(session):
            plugin = session.config.pluginmanager.get_plugin("mcuboot-harness")
            hooks = {call.name for call in session.config.pluginmanager.get_hookcallers(plugin)}
            assert hooks == {"pytest_addoption", "pytest_configure"}, hooks
            for item in session.items:
                assert not [name for name in item.fixturenames if "hil" in name]
        """
    )
    pytester.makepyfile("def test_nothing(): pass")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_marker_is_known_without_a_board(pytester: pytest.Pytester):
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.hil_requires("revert")
        def test_nothing(): pass
        """
    )
    pytester.runpytest_subprocess("--strict-markers", "-W", "error").assert_outcomes(passed=1)


def test_each_fixture_without_a_board_says_what_to_do(pytester: pytest.Pytester):
    pytester.makepyfile(
        "\n".join(f"def test_{name}({name}): pass" for name in pytest_plugin.FIXTURES)
        + "\nimport pytest"
        + "\n@pytest.fixture(scope='session')\ndef wide(hil_images): pass"
        + "\ndef test_wide(wide): pass"
    )
    result = pytester.runpytest_subprocess("-rN")  # a CI machine would have the summary say it all again
    count = len(pytest_plugin.FIXTURES) + 1
    result.assert_outcomes(errors=count)
    text = result.stdout.str()
    assert text.count("needs a board, and none is named: use --hil-board") == count
    assert text.count("hil_board in the ini file") == count


def test_the_stand_ins_are_the_fixtures_with_a_board():
    real = {name for name in vars(_fixtures) if name.startswith("hil_")}
    assert real == set(pytest_plugin.FIXTURES)


def test_options_without_a_board_are_refused(pytester: pytest.Pytester):
    result = pytester.runpytest_subprocess("--hil-backend", "hardware")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--hil-backend was given, but no board: add --hil-board BOARD"])


def test_plugin_is_found_by_its_entry_point():
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--help"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    for name in pytest_plugin.OPTION_NAMES:
        assert f"--hil-{name}" in listed
