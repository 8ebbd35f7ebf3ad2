"""How fast flash is programmed and read through pyOCD, and how fast a known content is brought back."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

from _measure import Figures, seconds

from harness.boards import find_board
from harness.devices import Device, open_device
from harness.updates import ImageFactory

SIZE = 256 * 1024
START = 0xC000
LIMIT_S = 2
BASELINE_LIMIT_MS = 50
REPEAT = 5


def programming(figures: Figures, device: Device) -> None:
    contents = [random.Random(seed).randbytes(SIZE) for seed in range(2)]  # noqa: S311  content, no secret
    turn = iter(range(1000))

    def program() -> None:
        device.debug.program({START: contents[next(turn) % 2]})

    def erase() -> None:
        device.debug.erase(START, SIZE)

    size = f"{SIZE // 1024} KiB"
    limit = f"limit {LIMIT_S}"
    figures.show(f"program {size} over other content, verified", seconds(program), "s", beside=limit)
    erasing, blank = [], []
    for _ in range(REPEAT):
        erasing += seconds(erase, repeat=1)
        blank.append(_once(program))
    figures.show(f"program {size} of erased flash, verified", blank, "s", beside=limit)
    figures.show(f"erase {size} by sectors", erasing, "s")
    last = contents[(next(turn) - 1) % 2]
    same = seconds(lambda: device.debug.program({START: last}))
    figures.show(f"program {size} that are there already", same, "s")
    figures.show(f"read {size}", [t * 1e3 for t in seconds(lambda: device.debug.read(START, SIZE))], "ms")


def _once(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def baselines(figures: Figures, device: Device) -> None:
    images = ImageFactory(device.board)
    content = images.bootloader()
    for part in device.board.components:
        content[device.board.partition(part.primary).address] = images.make(part, "1.0.0").data
    versions = iter(range(1000))

    def fresh() -> None:
        device.install({**content, 0xF0000: next(versions).to_bytes(4, "little")})

    device.install(content)

    def again() -> None:
        device.power.on()
        device.install(content)

    figures.show("install bootloader and images", seconds(fresh), "s")
    times = [t * 1e3 for t in seconds(again, repeat=30)]
    device.power.on()
    figures.show("bring a known content back", times, "ms", beside=f"limit {BASELINE_LIMIT_MS}")
    figures.show("read and explain all slots", [t * 1e3 for t in seconds(device.report, repeat=30)], "ms")


def main() -> None:
    figures = Figures(f"flash through pyOCD, emulated board ({Path(__file__).name})")
    with open_device(find_board("nrf52840dk")) as device:
        programming(figures, device)
        baselines(figures, device)


if __name__ == "__main__":
    main()
