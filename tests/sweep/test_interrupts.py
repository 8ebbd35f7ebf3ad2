"""A request to end is not lost, whatever the chip is doing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from itertools import count

import pytest
from unicorn import unicorn_const

from harness.sweep._chip import Chip

from .boards import recorded


@pytest.fixture
def asked() -> Iterator[None]:
    """A request to end ends this test only."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_inside_of_a_hook(asked: None) -> None:
    recording = recorded("move", "test", size=16, old_size=16)
    chip = Chip(recording, merging=False)
    reached = count(1)

    def block(*_arguments: object) -> None:
        if next(reached) == 1:
            signal.raise_signal(signal.SIGINT)

    chip.machine.core._engine.hook_add(unicorn_const.UC_HOOK_BLOCK, block)
    with pytest.raises(KeyboardInterrupt):
        chip.run(recording.start)
