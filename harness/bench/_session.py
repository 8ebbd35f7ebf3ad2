"""A device of the bench for one test session: chosen, locked, opened, and judged at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace

from .._deadline import Deadline
from .._errors import (
    BenchError,
    DeviceBusyError,
    HarnessError,
    ProbeError,
    ProbeMissingError,
    QuarantineError,
)
from ..boards import Board
from ..devices import Device, DeviceSettings, open_device, present_probes, probe_id
from ._file import Bench, BenchDevice
from ._locks import DeviceLock
from ._placed import placed
from ._quarantine import check_quarantine, quarantine

__all__ = ["Request", "open_on_bench"]


@dataclass(frozen=True, slots=True)
class Request:
    """Which device to take: by ``settings.probe`` (an id, or a name on the bench), or any of the board.

    ``wait`` is how long to wait for one that is taken, in seconds.
    """

    board: Board
    settings: DeviceSettings
    bench: Bench | None = None
    wait: float = 0.0

    def candidates(self) -> list[BenchDevice]:
        """Devices that would do, those of the bench file with all that it says. Raises `BenchError`."""
        bench = self.bench
        named = None if self.settings.probe is None else probe_id(self.settings.probe)
        listed = bench.devices if bench else []
        if named is not None:
            known = [device for device in listed if named in (device.name, device.probe)]
            return known or [self._plain(named)]
        if bench is None:
            return [self._plain(_only_probe())]
        found = bench.of_board(self.board)
        if not found:
            raise BenchError(
                f"no {self.board.name} on this bench",
                where=str(bench.file),
                found=", ".join(f"{device.name} ({device.board})" for device in listed) or "no device at all",
                remedy="add it with 'harness bench add', or name a probe: --hil-probe ID",
            )
        return found

    def _plain(self, probe: str) -> BenchDevice:
        return BenchDevice(probe, self.board.name, probe)

    def for_device(self, device: BenchDevice) -> DeviceSettings:
        """How to open it: what was asked for goes before what the bench file says."""
        asked = self.settings
        return replace(
            asked,
            probe=device.probe,
            ports={**device.ports, **asked.ports},
            power=asked.power or device.power,
            device_id=asked.device_id or device.device_id,
        )


def _only_probe() -> str:
    probes = present_probes()
    if not probes:
        raise ProbeMissingError(
            "no debug probe is there", found="none", remedy="connect the board; try 'harness doctor'"
        )
    if len(probes) > 1:
        raise ProbeError(
            "more than one debug probe is there",
            found=", ".join(probes),
            remedy="say which one: --hil-probe ID, or write a bench file ('harness bench add')",
        )
    return probes[0]


@dataclass(slots=True)
class Attendance:
    """Which device a session has, and the errors of the bench that it met.

    The last one is the reason to look at the device again. ``key`` names the device for good: the probe's
    id as the bench file has it, or the place that brings it.
    """

    key: str
    errors: list[BenchError] = field(default_factory=list)


@contextmanager
def open_on_bench(request: Request) -> Iterator[tuple[Device, Attendance]]:
    """Lock a device, check that it is the right one, and open it; it is closed and given back at the end.

    Report errors of the bench in the attendance: a device that has stopped answering by the
    end goes into quarantine, unless its probe is gone too, which is a cable.

    Raises:
        DeviceBusyError: all that would do are taken.
        QuarantineError: all that would do are in quarantine.
        BenchError: and its other kinds, from opening it.
    """
    with ExitStack() as held:
        listed, device = _take(request, held)
        settings = request.for_device(device)
        attendance = Attendance(listed.key)
        with open_device(request.board, settings) as opened:
            try:
                yield opened, attendance
            except BenchError as error:
                attendance.errors.append(error)
                raise
            finally:
                if attendance.errors:
                    _look_again(opened, listed, attendance.errors[-1])


def _take(request: Request, held: ExitStack) -> tuple[BenchDevice, BenchDevice]:
    """The first device that is free and well, as listed and as it is reached; ``held`` gives it back."""
    candidates = request.candidates()
    limit = Deadline(request.wait)
    while True:
        refusals: list[BenchError] = []
        for device in candidates:
            try:
                check_quarantine(device.key, name=device.name)
                with ExitStack() as taken:
                    taken.enter_context(DeviceLock(device.key))
                    reached = placed(device, request.board, taken)
                    held.push(taken.pop_all())
                return device, reached
            except (DeviceBusyError, QuarantineError) as error:
                refusals.append(error)
        busy = [error for error in refusals if isinstance(error, DeviceBusyError)]
        if not busy:
            raise refusals[0]
        if limit.expired:
            if len(refusals) == 1:
                raise busy[0]
            raise DeviceBusyError(
                f"no {request.board.name} is free",
                found="\n".join(f"{error.where}: {error.found}" for error in refusals),
                remedy="wait (--hil-wait SECONDS), or free one: harness bench list",
            )
        limit.pause(0.2)


def _look_again(device: Device, listed: BenchDevice, error: BenchError) -> None:
    """Quarantine a device whose target does not answer any more although its probe is there."""
    try:
        device.debug.reset()
        device.debug.check()
    except ProbeMissingError:
        return
    except HarnessError as still:
        with suppress(Exception):  # pyOCD's own discovery may fail where a probe does
            if device.debug.unique_id not in present_probes([device.debug.unique_id]):
                return
        tail = device.console.tail() if "console" in device.capabilities else ""
        quarantine(listed.key, f"{error.what}; after a reset: {still.what} ({still.found})", console=tail)
