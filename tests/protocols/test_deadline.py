import math

import pytest

from harness._deadline import Deadline
from harness._errors import DeadlineExceeded


def test_of_keeps_a_running_deadline_and_starts_one_from_seconds():
    running = Deadline(5)
    assert Deadline.of(running) is running
    assert 2 < Deadline.of(3).remaining <= 3


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan])
def test_a_deadline_is_a_finite_time_from_now(seconds):
    with pytest.raises(ValueError, match="finite"):
        Deadline(seconds)


def test_expires_and_then_has_nothing_left():
    deadline = Deadline(0)
    assert deadline.expired
    assert deadline.remaining == 0
    assert not Deadline(60).expired


def test_pause_ends_with_the_deadline():
    deadline = Deadline(0.01)
    deadline.pause(60)
    assert deadline.expired


def test_the_error_says_what_was_waited_for_and_what_was_seen():
    error = Deadline(2.5).exceeded(
        "a registration of 'x'", seen="nothing", where="server", remedy="plug it in"
    )
    assert isinstance(error, DeadlineExceeded)
    assert isinstance(error, TimeoutError)
    assert str(error).splitlines() == [
        "server: time ran out",
        "  expected: a registration of 'x' within 2.5 s",
        "  found: nothing",
        "  to do: plug it in",
    ]
