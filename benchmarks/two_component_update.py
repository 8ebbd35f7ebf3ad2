"""How long an update of two components takes on the emulated board, step by step."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from _measure import Figures

from harness.boards import find_board
from harness.devices import open_device
from harness.updates import ImageFactory, UpdateRig, Verdict

REPEAT = 5


def _update(rig: UpdateRig, times: dict[str, list[float]]) -> None:
    """One update from a device as it leaves production to the verdict; adds seconds to ``times``."""
    names = [part.name for part in rig.board.components]
    old, new = ([rig.images.make(name, version) for name in names] for version in ("1.0.0", "2.0.0"))
    began = time.perf_counter()

    def step(name: str, action: Callable[[], object]) -> None:
        start = time.perf_counter()
        action()
        times.setdefault(name, []).append(time.perf_counter() - start)

    step("install the old images", lambda: rig.install(*old))
    step("boot until registered", rig.boot)
    for image in reversed(new):
        step(f"download {image.component}, {len(image.data)} bytes", lambda image=image: rig.download(image))
    step("update, swap, boot until registered", lambda: rig.update(names[0]))
    step(
        "verdict", lambda: rig.expect(dict.fromkeys(new, Verdict.CONFIRMED), why="a good update is confirmed")
    )
    times.setdefault("all", []).append(time.perf_counter() - began)


def main() -> None:
    figures = Figures(f"update of two components, emulated board ({Path(__file__).name})")
    board = find_board("nrf52840dk")
    times: dict[str, list[float]] = {}
    began = time.perf_counter()
    with open_device(board) as device:
        figures.show("open the board", [time.perf_counter() - began], "s")
        images = ImageFactory(board)
        for number in range(REPEAT + 1):
            with UpdateRig(device, images) as rig:
                _update(rig, times if number else {})  # the first one compiles and fills caches
    for name, values in times.items():
        figures.show(name, values, "s")


if __name__ == "__main__":
    main()
