"""Which port belongs to which probe: suggested from USB, proved by a reset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from .._deadline import Deadline
from .._errors import BenchError, HarnessError, PortError
from ..boards import Board
from ..devices import Chunk, DebugPort, SerialPort, identify, is_noise, present_ports, present_probes
from ._file import BenchDevice
from ._locks import holder

__all__ = ["Proof", "Suggestion", "present", "prove", "suggest"]

_SECONDS: Final = 5.0
_ENOUGH: Final = 4  # characters that are a banner and no glitch


def present(devices: Iterable[BenchDevice]) -> list[str]:
    """Keys of devices whose probes are in use or behind a server that answers, and what pyOCD sees."""
    known = {device.key: device.probe for device in devices}
    used = [key for key in known if (by := holder(key)) is not None and not by.reserved]
    wanted = [probe for key, probe in known.items() if probe is not None and key not in used]
    return list(dict.fromkeys([*used, *present_probes(wanted)]))


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A port that may belong to a probe. ``rank`` is 0 for the best reason."""

    url: str
    rank: int
    why: str


def suggest(
    probe: str, ports: Sequence[Any] | None = None, *, board: Board | None = None
) -> list[Suggestion]:
    """Ports that may be a probe's, best first: same serial number, same USB device, the board's USB identity.

    ``ports`` are pyserial's descriptions; those of this machine if left out.
    """
    present = present_ports() if ports is None else list(ports)
    found = list(_suggestions(probe, present, board))
    best: dict[str, Suggestion] = {}
    for one in sorted(found, key=lambda one: one.rank):
        best.setdefault(one.url, one)
    return list(best.values())


def _suggestions(probe: str, ports: Sequence[Any], board: Board | None) -> Iterator[Suggestion]:
    wanted = probe.lstrip("0").lower()
    same = [port for port in ports if port.serial_number and port.serial_number.lstrip("0").lower() == wanted]
    for port in same:
        yield Suggestion(port.device, 0, f"USB serial number {port.serial_number} is the probe's")
    places = {_place(port) for port in same} - {""}
    for port in ports:
        if _place(port) in places:
            yield Suggestion(port.device, 1, f"on the same USB device as the probe ({_place(port)})")
    for serial in board.serial if board else ():
        for port in ports:
            if serial.usb and (port.vid, port.pid) == (serial.usb.vid, serial.usb.pid):
                yield Suggestion(port.device, 2, "has the USB identity that the board file gives")


def _place(port: Any) -> str:
    """USB device without its interface: ``1-1.2`` of ``1-1.2:1.0``."""
    return str(port.location or "").partition(":")[0]


@dataclass(frozen=True, slots=True)
class Proof:
    """What one reset has shown. ``ports`` maps roles to URLs that spoke, ``heard`` is their text."""

    device_id: str | None
    ports: dict[str, str]
    heard: dict[str, str]


def prove(board: Board, probe: str, urls: Sequence[str], *, seconds: float = _SECONDS) -> Proof:
    """Reset the board and see which of the ports speaks then; only that one is the board's.

    Nothing is written. Ports that cannot be opened are left out.

    Raises:
        BenchError: nothing was heard, or several ports spoke; says what came on each.
    """
    with ExitStack() as stack:
        debug = stack.enter_context(DebugPort(probe, target=board.debug.target))
        unique = identify(debug).device_id
        found: dict[str, str] = {}
        heard: dict[str, str] = {}
        for serial in board.serial:
            texts, refusals = _listen(debug, urls, serial.baud, seconds)
            heard |= {url: text for url, text in texts.items() if text}
            spoke = [url for url, text in texts.items() if len(text) >= _ENOUGH and not is_noise(text)]
            if len(spoke) == 1:
                found[serial.role] = spoke[0]
                continue
            raise BenchError(
                f"no port is proved to be {serial.role!r} of {board.name}"
                if not spoke
                else "several ports spoke",
                where=probe,
                expected=f"text on one port at {serial.baud} baud within {seconds:g} s of a reset",
                found="; ".join([*(f"{url}: {text[-60:]!r}" for url, text in texts.items()), *refusals])
                or "no port",
                remedy="program firmware that prints at its start, or take the port as it is: --no-proof",
            )
        return Proof(unique, found, heard)


def _collect(text: bytearray, chunk: Chunk) -> None:
    text.extend(chunk.data)


def _listen(
    debug: DebugPort, urls: Sequence[str], baud: int, seconds: float
) -> tuple[dict[str, str], list[str]]:
    """What each port says after a reset, and why some could not be opened."""
    texts: dict[str, bytearray] = {}
    refusals = []
    with ExitStack() as stack:
        ports = []
        for url in urls:
            try:
                port = stack.enter_context(SerialPort(url, baud=baud, name=url))
            except PortError as error:
                refusals.append(f"{url}: {error.what}")
                continue
            texts[url] = bytearray()
            port.listen(partial(_collect, texts[url]))
            ports.append(port)
        debug.halt()
        for port in ports:
            port.settle()
        for text in texts.values():
            text.clear()  # what came before the reset proves nothing
        debug.reset()
        limit = Deadline(seconds)
        while ports and not limit.expired and not any(text.count(b"\n") for text in texts.values()):
            limit.pause(0.02)
        for port in ports:
            try:
                port.settle()
            except HarnessError as error:
                refusals.append(f"{port.url}: {error.what}")
    return {url: text.decode("utf-8", errors="replace") for url, text in texts.items()}, refusals
