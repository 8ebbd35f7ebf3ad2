"""What the demonstration does, step by step, apart from how it is shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from .._errors import DeadlineExceeded, ProtocolError, VerdictError
from ..boards import Board, find_board
from ..devices import open_device
from ..firmware import (
    Behaviour,
    Program,
    application_program,
    bootloader_program,
    compile_program,
    firmware_layout,
)
from ..updates import ImageFactory, SignedImage, UpdateRig, Verdict

__all__ = ["Screen", "Step", "StepResult", "run_demo"]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the demonstration does; ``expected`` is empty where nothing is judged."""

    title: str
    expected: str = ""


@dataclass(frozen=True, slots=True)
class StepResult:
    """How a step ended. ``facts`` are lines of evidence, ``problem`` is empty if all held."""

    step: Step
    seconds: float
    facts: tuple[str, ...] = ()
    problem: str = ""


class Screen(Protocol):
    """Where the demonstration shows what it does."""

    def begin(self, step: Step) -> None:
        """A step begins."""

    def progress(self, text: str, done: int, total: int) -> None:
        """How far the step is, in bytes or parts."""

    def end(self, result: StepResult) -> None:
        """The step ended."""


_BUILD = Step("build bootloader, applications and data images")
_START = Step("start an emulated board and flash it through pyOCD")
_FIRST = Step("first boot", "runs 1.0.0")
_DOWNLOAD = Step("download app and model 2.0.0 over CoAP")
_UPDATE = Step("update both components", "both swapped and confirmed")
_BAD = Step("download a bad app 3.0.0 (it hangs) and model 3.0.0")
_ROLLBACK = Step("update to the bad images", "both rolled back")
_HOLDS = Step("reset once more", "2.0.0 stays confirmed")


def run_demo(screen: Screen, board_name: str = "nrf52840dk") -> list[StepResult]:
    """Run all steps and return how they ended; stops at the first whose verdict does not hold.

    Raises `HarnessError` if it cannot be told: the bench is broken, or firmware does not build.
    """
    results: list[StepResult] = []
    with closing(_steps(find_board(board_name), screen)) as steps:
        for step, action in steps:
            screen.begin(step)
            began = time.monotonic()
            try:
                facts, problem = tuple(action()), ""
            except (VerdictError, ProtocolError, DeadlineExceeded) as error:
                facts, problem = (), str(error)
            result = StepResult(step, time.monotonic() - began, facts, problem)
            results.append(result)
            screen.end(result)
            if problem:
                break
    return results


def _steps(board: Board, screen: Screen) -> Generator[tuple[Step, Callable[[], list[str]]]]:
    """The steps in order. What one of them opens is closed when the generator ends."""
    factory = ImageFactory(board)
    yield _BUILD, lambda: _build(board, screen)
    names = [component.name for component in board.components]
    old = [factory.make(name, "1.0.0") for name in names]
    new = [factory.make(name, "2.0.0") for name in names]
    bad = [
        factory.make(names[0], "3.0.0", behaviour=Behaviour.HANGS),
        *(factory.make(n, "3.0.0") for n in names[1:]),
    ]
    opened: list[UpdateRig] = []

    def start() -> list[str]:
        device = open_device(board)
        try:
            rig = UpdateRig(device, factory)
            rig.install(*old)
        except BaseException:
            device.close()
            raise
        opened.append(rig)
        return [f"probe {device.debug.unique_id}, {sum(len(i.data) for i in old)} bytes of images"]

    try:
        yield _START, start
        (rig,) = opened
        yield _FIRST, lambda: _first_boot(rig, old)
        yield _DOWNLOAD, lambda: _download(rig, new, screen)
        yield _UPDATE, lambda: _update(rig, new)
        yield _BAD, lambda: _download(rig, bad, screen)
        yield _ROLLBACK, lambda: _roll_back(rig, new, bad)
        yield _HOLDS, lambda: _holds(rig, new)
    finally:
        for rig in opened:
            rig.close()
            rig.device.close()


def _build(board: Board, screen: Screen) -> list[str]:
    layout = firmware_layout(board)
    builders: dict[str, Callable[[], Program]] = {
        "bootloader": lambda: bootloader_program(layout),
        "app": lambda: application_program(layout),
        "bad app": lambda: application_program(layout, Behaviour.HANGS),
    }
    with ThreadPoolExecutor(len(builders)) as pool:
        jobs = {name: pool.submit(_compile, make) for name, make in builders.items()}
        for done, (name, job) in enumerate(jobs.items()):
            screen.progress(name, done, len(jobs))
            job.result()
    return ["signed with the board's test key by imgtool"]


def _compile(make: Callable[[], Program]) -> None:
    compile_program(make())


def _first_boot(rig: UpdateRig, old: list[SignedImage]) -> list[str]:
    rig.boot()
    rig.expect_installed(*old, why="a first boot changes nothing")
    told = rig.told(*(image.component for image in old))
    return [f"registered as {rig.registration.endpoint}", *(f"{name}: {said}" for name, said in told.items())]


def _download(rig: UpdateRig, images: list[SignedImage], screen: Screen) -> list[str]:
    for image in reversed(images):
        rig.download(image, progress=partial(screen.progress, str(image)))
    return [f"{image}: {len(image.data)} bytes in the secondary slot" for image in images]


def _update(rig: UpdateRig, new: list[SignedImage]) -> list[str]:
    rig.update(new[0].component)
    rig.expect(dict.fromkeys(new, Verdict.CONFIRMED), why="a good update is swapped in and confirmed")
    rig.adopt(*new)
    return _facts(rig, new)


def _roll_back(rig: UpdateRig, good: list[SignedImage], bad: list[SignedImage]) -> list[str]:
    rig.update(bad[0].component)
    rig.expect(
        dict.fromkeys(bad, Verdict.ROLLED_BACK), why="an image that hangs is given up, with its companion"
    )
    rig.expect_installed(*good, why="a rollback brings back what ran before")
    return _facts(rig, bad)


def _holds(rig: UpdateRig, good: list[SignedImage]) -> list[str]:
    rig.reset()
    rig.expect_installed(*good, why="what was confirmed stays")
    return [f"{image} is in its primary slot" for image in good]


def _facts(rig: UpdateRig, images: list[SignedImage]) -> list[str]:
    facts = []
    for state in rig.device.report().state.images:
        trailer = state.primary.trailer
        if trailer is not None:
            facts.append(
                f"image {state.number}: {state.primary.image.version}, {trailer.state}, {trailer.swap_info}"
            )
    facts += [
        f"{name}: the device says {said}" for name, said in rig.told(*(i.component for i in images)).items()
    ]
    return facts
