"""Serial ports before and after their use: what is there, how to open one, and why one is gone."""

from __future__ import annotations

import errno
import socket
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from .._errors import PortBusyError, PortError, PortMissingError
from ..boards import SerialPort as PortOfBoard

__all__ = ["abort_write", "close_port", "find_port", "open_port", "present_ports", "usb_serial", "vanished"]

_BUSY: Final = (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK)
_GONE: Final = (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ECONNREFUSED)


def present_ports() -> list[Any]:
    """pyserial's description of each port of this machine."""
    from serial.tools import list_ports

    return list(list_ports.comports())


def usb_serial(url: str) -> str | None:
    """USB serial number of what is behind a port, if it is known."""
    return next((port.serial_number for port in present_ports() if port.device == url), None)


def open_port(url: str, baud: int) -> Any:
    """An open pyserial port, for this process alone.

    Raises:
        PortError: and its kinds; says what is there instead.
    """
    import serial

    try:
        port = serial.serial_for_url(url, baudrate=baud, timeout=0, do_not_open=True)
        if "://" not in url:
            with suppress(AttributeError, ValueError):
                port.exclusive = True  # a second opener would steal bytes
        # pyserial 3.5 starts the thread of rfc2217:// in a way that Python wants changed.
        warnings.filterwarnings("ignore", r"set(Daemon|Name)\(\)", DeprecationWarning, r"serial\.rfc2217")
        port.open()
    except (OSError, ValueError) as error:  # SerialException is an OSError
        raise _refused(url, error) from None
    return port


def _refused(url: str, error: Exception) -> PortError:
    chain = list(_causes(error))
    numbers = {one.errno for one in chain if isinstance(one, OSError)}
    present = ", ".join(found.device for found in present_ports()) or "none"
    found = f"{error}; ports present: {present}"
    if numbers & {errno.EACCES, errno.EPERM}:
        return PortError(
            "no permission for the serial port",
            where=url,
            found=found,
            remedy="add yourself to the group that owns it (dialout or uucp) and log in again",
        )
    if numbers & set(_BUSY) or "exclusively lock" in str(error):
        return PortBusyError(
            "another program holds the serial port",
            where=url,
            found=found,
            remedy=f"close terminals and other tests on it (fuser -v {url})",
        )
    if numbers & set(_GONE) or isinstance(error, FileNotFoundError) or "No socket" in str(error):
        return PortMissingError(
            "there is no such serial port",
            where=url,
            found=found,
            remedy="check the cable and the name; a name may change after a reset, by USB serial number it"
            " does not: hwgrep://SER=NUMBER",
        )
    return PortError(
        "the serial port cannot be opened",
        where=url,
        found=found,
        remedy="check the name, the cable, your permissions, and that no other program holds the port",
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def vanished(url: str, number: str | None, error: Exception) -> PortError:
    """The error for a port that went away while in use; ``number`` is the USB serial number it had."""
    now = next((port.device for port in present_ports() if number and port.serial_number == number), None)
    if now is not None and now != url:
        return PortMissingError(
            "the serial port came back under another name",
            where=url,
            expected=url,
            found=f"{now}, with the same USB serial number {number}",
            remedy=f"name it by what stays: hwgrep://SER={number}; then run again",
        )
    return PortMissingError(
        "the serial port vanished while in use",
        where=url,
        found=str(error),
        remedy="check cable and power; the same port opened twice, or the board's process ended",
    )


def abort_write(serial: Any) -> None:
    """End a write that waits for a peer which takes nothing: it has no deadline in pyserial."""
    stream = getattr(serial, "_socket", None)
    with suppress(AttributeError, OSError):
        if stream is None:
            serial.cancel_write()
        else:
            stream.shutdown(socket.SHUT_RDWR)


def close_port(serial: Any) -> None:
    """Close without pyserial's pauses."""
    stream = getattr(serial, "_socket", None)
    if stream is None or hasattr(serial, "_thread"):  # rfc2217 has a thread that its own close ends
        serial.close()
    if stream is not None:  # pyserial's own close of socket:// sleeps for 0.3 s, rfc2217's may leave it open
        stream.close()
        serial.is_open = False


def find_port(serial: PortOfBoard) -> str:
    """The one port with the USB identity that the board file gives. Raises `PortError`."""
    if serial.usb is None:
        raise PortError(
            f"no port was named for {serial.role!r}, and the board file gives no USB identity to find it by",
            remedy=f"say which one: --hil-port {serial.role}=/dev/ttyACM0",
        )
    found = [
        port.device for port in present_ports() if (port.vid, port.pid) == (serial.usb.vid, serial.usb.pid)
    ]
    if len(found) != 1:
        kind = PortError if found else PortMissingError
        raise kind(
            f"{len(found)} ports could be {serial.role!r}",
            expected=f"one with USB identity {serial.usb.vid:04x}:{serial.usb.pid:04x}",
            found=", ".join(found) or "none",
            remedy=f"connect the board, or say which one: --hil-port {serial.role}=PORT",
        )
    return str(found[0])
