"""The application on an emulated chip, on a line to this project's own server."""

from __future__ import annotations

import contextlib
import queue
import re
import threading
from collections.abc import Callable, Iterator

from harness._deadline import Deadline
from harness.emulator import Machine
from harness.protocols.slipmux import CoapFrame, Decoder, FrameError, Text

from .bench import MS, Bench, Setup
from .wire import text_frame

SECONDS = 20.0


class Wire:
    """Runs a machine and is the line between it and a server (a FrameLink).

    A machine that sleeps runs ``speed`` times as fast as the clock.
    """

    def __init__(self, machine: Machine, name: str, *, speed: int = 1) -> None:
        self.machine, self._name, self._speed = machine, name, speed
        self.text = ""
        self.errors: list[FrameError] = []
        self._decoder = Decoder()
        self._waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._received: Callable[[bytes], None] = lambda message: None
        machine.uarts[0].sink = self._sink
        self._thread = threading.Thread(target=self._run, name="wire", daemon=True)

    @property
    def name(self) -> str:
        return self._name

    def send(self, frame: bytes, /) -> None:
        self._waiting.put(frame)

    def subscribe(
        self, received: Callable[[bytes], None], closed: Callable[[Exception | None], None], /
    ) -> Callable[[], None]:
        self._received = received
        return lambda: None

    def ask(self, line: str, pattern: str) -> dict[str, str]:
        """Send a line to the device's console and return the groups of the first answer that fits."""
        before, deadline = len(self.text), Deadline(SECONDS)
        self.send(text_frame(line + "\n"))
        while (found := re.compile(pattern).search(self.text, before)) is None:
            assert not deadline.expired, f"no answer to {line!r}: {self.text[before:]!r}"
            deadline.pause(0.005)
        return found.groupdict()

    def _sink(self, data: bytes) -> None:
        for event in self._decoder.feed(data):
            if isinstance(event, CoapFrame):
                self._received(event.message)
            elif isinstance(event, Text):
                self.text += event.data.decode()
            else:
                self.errors.append(event)

    def _run(self) -> None:
        self.machine.power_on()
        while True:
            self.machine.run(self._speed * MS)
            try:
                frame = self._waiting.get(timeout=0.001)
            except queue.Empty:
                continue
            if frame is None:
                return
            self.machine.uarts[0].feed(frame)

    def __enter__(self) -> Wire:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._waiting.put(None)
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()


@contextlib.contextmanager
def wired(setup: Setup, *, speed: int = 1) -> Iterator[Bench]:
    """A running board whose resets bring in what is pending, as a boot loader would; ``wire`` is its line."""
    bench = Bench(setup)
    original = bench.machine.reset

    def reset(kind) -> None:
        if kind.name == "SOFT":
            slots = {n: bench.slot(n, secondary=True) for n in (0, 1)}
            ends = {n: bench.flash(slot.address + slot.size - 16, 4) for n, slot in slots.items()}
            bench.swap(*(n for n, magic in ends.items() if magic == bytes.fromhex("77c295f3")))
        original(kind)

    bench.machine.reset = reset  # type: ignore[method-assign]
    with Wire(bench.machine, "uart0", speed=speed) as wire:
        bench.wire = wire
        yield bench
    assert [str(d) for d in bench.machine.diagnostics] == []
