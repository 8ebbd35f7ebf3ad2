"""Locks end with their process, however it ends; reservations end with their time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from harness import DeviceBusyError, QuarantineError
from harness._deadline import Deadline
from harness.bench import (
    DeviceLock,
    check_quarantine,
    end_quarantine,
    evidence,
    holder,
    quarantine,
    release,
    reserve,
    state_folder,
)

HOLD = """
import sys
from harness.bench import DeviceLock
with DeviceLock(sys.argv[1], doing="a long test"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(key: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the device until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def test_device_in_use_is_refused_with_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_OWNER", "job 17")
    with another_process("683") as process:
        with pytest.raises(DeviceBusyError) as caught:
            DeviceLock("683")
        text = str(caught.value)
        assert all(word in text for word in ("683", "job 17", f"process {process.pid}", "a long test"))
        found = holder("683")
        assert found is not None
        assert (found.owner, found.pid, found.reserved) == ("job 17", process.pid, False)
        with DeviceLock("another"):
            pass


def test_killed_owner_keeps_nothing() -> None:
    with another_process("683") as process:
        os.kill(process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        process.wait(30)
        with DeviceLock("683") as lock:
            assert lock.taken_over is not None
            assert lock.taken_over.pid == process.pid
    assert holder("683") is None


def test_waits_for_the_one_who_has_it() -> None:
    with another_process("683") as process:
        assert process.stdin is not None
        process.stdin.close()
        with DeviceLock("683", wait=30) as lock:
            assert holder("683") is not None
            assert lock.taken_over is None, "it was given back"
        process.wait(30)
        process.stdin = None


def test_lock_is_held_once_in_a_process_too() -> None:
    with DeviceLock("683"), pytest.raises(DeviceBusyError):
        DeviceLock("683")
    with DeviceLock("683"):
        pass


def test_probe_ids_of_any_form_are_kept_apart() -> None:
    with DeviceLock("a/b:c"), DeviceLock("a_b_c"), DeviceLock("ä" * 300):
        assert all(path.parent == state_folder() for path in state_folder().iterdir())
        assert holder("a/b:c") is not None


def test_reservation_lets_its_owner_in_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_OWNER", "anna")
    reserve("683", 3600, "release tests")
    with DeviceLock("683"):
        pass
    monkeypatch.setenv("HIL_OWNER", "bert")
    with pytest.raises(DeviceBusyError, match="taken") as caught:
        DeviceLock("683")
    assert "reserved by anna" in str(caught.value)
    assert "release tests" in str(caught.value)
    with pytest.raises(DeviceBusyError):
        reserve("683", 1, "me too")
    with pytest.raises(DeviceBusyError, match="somebody else"):
        release("683")
    ended = release("683", force=True)
    assert ended is not None
    assert ended.owner == "anna"
    with DeviceLock("683"):
        pass


def test_reservation_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_OWNER", "anna")
    reserve("683", 0.05, "a moment")
    monkeypatch.setenv("HIL_OWNER", "bert")
    with DeviceLock("683", wait=Deadline(30)):
        pass


def test_process_is_not_released_by_command() -> None:
    with another_process("683") as process:
        with pytest.raises(DeviceBusyError, match="process"):
            release("683", force=True)
        assert process.poll() is None
        with DeviceLock("other"):
            pass


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"[" * 5000, json.dumps({"owner": 1, "until": "x"}).encode(), b"\xff"]
)
def test_damaged_records_are_as_none(content: bytes) -> None:
    folder = state_folder()
    for kind in ("holder", "reserved"):
        (folder / f"683.{kind}.json").write_bytes(content)
    assert holder("683") is None
    with DeviceLock("683"):
        pass


def test_quarantine_holds_until_it_is_ended() -> None:
    check_quarantine("683", name="desk")
    quarantine("683", "no answer", console="boot: x")
    with pytest.raises(QuarantineError) as caught:
        check_quarantine("683", name="desk")
    assert "no answer" in str(caught.value)
    assert "boot: x" in str(caught.value)
    assert "harness bench recover desk" in str(caught.value)
    end_quarantine("683")
    assert evidence("683") is None
