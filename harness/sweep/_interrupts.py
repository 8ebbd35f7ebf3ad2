"""Signals that end a program, kept until native code has returned."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

__all__ = ["kept_back"]

_NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def kept_back() -> Iterator[None]:
    """Handle signals on leaving, not inside.

    An exception in Python code that native code has called gets lost, and so does a Ctrl-C then.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled elsewhere
        return
    seen: list[tuple[int, FrameType | None]] = []

    def keep(number: int, frame: FrameType | None) -> None:
        seen.append((number, frame))

    before = {}
    for name in _NAMES:
        number = getattr(signal, name, None)  # not all are known to Windows
        if number is not None and callable(handler := signal.getsignal(number)):
            before[number] = handler
    for number in before:
        signal.signal(number, keep)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number, frame in seen:
            before[signal.Signals(number)](number, frame)
