from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .bench import Bench, Setup


class Benches:
    """One machine for each setup, brought back to where it had just registered."""

    def __init__(self) -> None:
        self._made: dict[Setup, tuple[Bench, Any]] = {}

    def get(self, setup: Setup) -> Bench:
        if setup not in self._made:
            bench = Bench(setup)
            bench.boot()
            self._made[setup] = bench, bench.machine.snapshot()
        bench, snapshot = self._made[setup]
        registrations, text = bench.registrations[:1], ""
        bench.machine.cut_power_at(None)
        bench.machine.restore(snapshot)
        bench.forget()
        bench.registrations, bench.text, bench._accepted = registrations, text, 1
        bench.machine.diagnostics.clear()
        return bench


@pytest.fixture(scope="session")
def benches() -> Benches:
    return Benches()


@pytest.fixture
def make(benches: Benches) -> Iterator[Callable[..., Bench]]:
    """Makes a bench that has just registered; afterwards nothing odd may have happened on its chip."""
    used = []

    def start(**setup: Any) -> Bench:
        bench = benches.get(Setup(**setup))
        used.append(bench)
        return bench

    yield start
    for bench in used:
        assert [str(d) for d in bench.machine.diagnostics] == []


@pytest.fixture
def device(make: Callable[..., Bench]) -> Bench:
    """The usual board: two components, swap by scratch."""
    return make()
