"""The console of a device: text with time stamps, waiting for patterns, and a transcript for reports."""

from __future__ import annotations

import re
import threading
from collections import deque
from typing import Final

from .._deadline import Deadline
from .._errors import LineNoiseError
from ..protocols.slipmux import encode_text
from ._serial_port import Chunk, SerialPort

__all__ = ["Console", "is_noise"]

_SHOWN: Final = 600  # characters of output in a message
_GLITCH: Final = 6  # characters that a reset or a cable being plugged in may garble
_KEPT: Final = 4 * 1024 * 1024  # characters kept in all


class Console:
    """Text of one serial port. `expect` looks only at what came after the last match.

    ``framed`` sends input in slipmux text frames, as a line that carries CoAP needs it.
    """

    def __init__(self, port: SerialPort, *, framed: bool) -> None:
        self._port, self._framed = port, framed
        self._arrived = threading.Condition()
        self._chunks: deque[Chunk] = deque()
        self._text = ""
        self._cursor = 0
        self._dropped = 0
        port.listen(self._take)

    def _take(self, chunk: Chunk) -> None:
        with self._arrived:
            self._chunks.append(chunk)
            self._text += chunk.data.decode("utf-8", errors="replace")
            if len(self._text) > _KEPT:
                cut = len(self._text) // 2
                self._text, self._cursor = self._text[cut:], max(self._cursor - cut, 0)
                self._dropped += cut
            self._arrived.notify_all()

    def send(self, text: str) -> None:
        """Send text to the device as it is."""
        self._port.send(encode_text(text) if self._framed else text.encode())

    def expect(self, pattern: str | re.Pattern[str], *, deadline: float | Deadline = 10.0) -> re.Match[str]:
        """Wait until the text since the last match contains ``pattern``, a (multi-line) regular expression.

        Raises `DeadlineExceeded` with what came instead, `PortError` if the port goes.
        """
        limit = Deadline.of(deadline)
        compiled = re.compile(pattern, re.MULTILINE) if isinstance(pattern, str) else pattern
        with self._arrived:
            while True:
                match = compiled.search(self._text, self._cursor)
                if match:
                    self._cursor = match.end()
                    return match
                if self._port.failure is not None:
                    raise self._port.failure
                if limit.expired:
                    came = self._text[self._cursor :]
                    if is_noise(came):
                        raise self._noise(came, compiled.pattern)
                    raise limit.exceeded(
                        f"console text matching {compiled.pattern!r}",
                        seen=_shown(self._text[self._cursor :]),
                        where=self._port.url,
                        remedy="look at the whole transcript; the device may have reset or hang",
                    )
                self._arrived.wait(min(limit.remaining, 0.5))

    def _noise(self, came: str, pattern: str) -> LineNoiseError:
        return LineNoiseError(
            "what arrives on the serial port is no text",
            where=self._port.url,
            expected=f"console text matching {pattern!r} at {self._port.baud} baud",
            found=f"{len(came)} characters, {_odd(came)} of them unreadable",
            remedy="check the speed in the board file (serial[].baud), the ground wire and the cable",
        )

    def command(self, line: str, *, done: str = r"^(ok|error: .*)$", deadline: float | Deadline = 5.0) -> str:
        """Send a line and wait for the line that ends its answer; the text in between."""
        start = self.skip()
        self.send(line + "\n")
        match = self.expect(done, deadline=deadline)
        return self._text[start - self._dropped : match.start()]

    def skip(self) -> int:
        """Ignore what has come so far; the position in the whole text."""
        with self._arrived:
            self._cursor = len(self._text)
            return self._cursor + self._dropped

    @property
    def text(self) -> str:
        """All text so far."""
        return self._text

    def tail(self, lines: int = 12) -> str:
        """The last lines, for messages."""
        return "\n".join(self._text.splitlines()[-lines:])

    def transcript(self, since: float = 0.0) -> str:
        """Lines with the time of their first byte, in seconds after ``since`` (`time.monotonic`)."""
        lines: list[str] = []
        fresh = True
        for chunk in tuple(self._chunks):
            if chunk.at < since:
                continue
            for part in chunk.data.decode("utf-8", errors="replace").splitlines(keepends=True):
                if fresh:
                    lines.append(f"{chunk.at - since:10.4f}  ")
                lines[-1] += part.rstrip("\r\n")
                fresh = part.endswith(("\n", "\r"))
        return "\n".join(lines)


def _odd(text: str) -> int:
    """Characters that no console prints."""
    return sum(not (char.isprintable() or char in "\r\n\t\b\x1b") or char == "\ufffd" for char in text)


def is_noise(text: str) -> bool:
    """Whether text cannot be what a program printed: a quarter of it is unreadable, and not just a glitch."""
    odd = _odd(text)
    return odd >= _GLITCH and 4 * odd >= len(text)


def _shown(text: str) -> str:
    if not text.strip():
        return "no text at all"
    tail = text[-_SHOWN:]
    return ("..." if len(tail) < len(text) else "") + repr(tail)
