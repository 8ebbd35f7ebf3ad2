"""Proving that a device is well: the only way out of quarantine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from .._errors import BenchError
from ..boards import Board
from ..devices import DebugPort, SerialPort, check_identity
from ._file import BenchDevice
from ._locks import DeviceLock
from ._placed import placed
from ._quarantine import end_quarantine

__all__ = ["recover"]

_PROBED: Final = 4096


def recover(device: BenchDevice, *, erase: bool, say: Callable[[str], None]) -> None:
    """Power-cycle, open, identify, reset, and look at everything once; then end the quarantine.

    ``erase`` opens a chip that is locked, and erases everything on it. ``say`` is told each step.

    Raises:
        HarnessError: the first thing that is not well; the quarantine stays.
    """
    board = device.load()
    with DeviceLock(device.key), ExitStack() as stack:
        key, device = device.key, placed(device, board, stack)
        assert device.probe is not None  # the file says one, or the place has brought it
        if device.power is not None:
            switch = device.power.switch(stack)
            switch.off()
            switch.on()
            say("power: off and on")
        debug = stack.enter_context(DebugPort(device.probe, target=board.debug.target, unlock=erase))
        say(f"probe: {device.probe} reaches a {board.debug.target}")
        found = check_identity(debug, board=board.name, device_id=device.device_id)
        say(f"part: {found.part or 'not known how to ask'}, device id {found.device_id or 'unknown'}")
        if erase:
            debug.erase_chip()
            say("flash: erased")
        _flash_answers(debug, board)
        say("flash: reads the same twice")
        for serial in board.serial:
            url = device.ports.get(serial.role)
            if url is not None:
                stack.enter_context(SerialPort(url, baud=serial.baud, name=serial.role))
                say(f"port: {serial.role} opens ({url})")
        debug.reset()
        debug.check()
        say("core: answers after a reset")
        end_quarantine(key)


def _flash_answers(debug: DebugPort, board: Board) -> None:
    size = min(_PROBED, board.flash.size)
    for address in (board.flash.base, board.flash.base + board.flash.size - size):
        if debug.read(address, size) != debug.read(address, size):
            raise BenchError(
                "flash reads differently each time",
                where=f"{address:#010x}",
                remedy="check wires, ground and supply; lower debug.frequency in the board file",
            )
