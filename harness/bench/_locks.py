"""Who has a device: locks of processes that run, and reservations of people and jobs.

A process holds a lock of the operating system, which ends with it however it dies. A
reservation is a record with an end, for those who come back: it lets its owner's processes in.
"""

from __future__ import annotations

import getpass
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from .._deadline import Deadline
from .._errors import DeviceBusyError
from ._state import Record, file_name, state_folder

__all__ = ["DeviceLock", "Holder", "holder", "owner", "release", "reserve"]

_LOOK: Final = 0.2  # seconds between two tries
_GRACE: Final = 1.0  # seconds for a holder to write its record, or for one who only looks to let go
_SHOWN: Final = 80


def owner() -> str:
    """Who this process belongs to: ``HIL_OWNER``, or else the user and machine."""
    named = os.environ.get("HIL_OWNER")
    if named:
        return named
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # no such user, in a container for example
        user = str(getattr(os, "getuid", lambda: "somebody")())
    return f"{user}@{platform.node()}"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a device. Times are seconds since 1970; ``until`` is 0 for a process, which has no end set."""

    owner: str
    pid: int
    doing: str
    since: float
    until: float = 0.0

    @property
    def reserved(self) -> bool:
        """A reservation, not a process."""
        return self.until > 0

    def __str__(self) -> str:
        stamp = _stamp(self.since)
        if self.reserved:
            return f"reserved by {self.owner} since {stamp} until {_stamp(self.until)}: {self.doing}"
        return f"in use by {self.owner}, process {self.pid} since {stamp}: {self.doing}"


def _stamp(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _holder(record: Record) -> Holder | None:
    content = record.read()
    if content is None:
        return None
    try:
        return Holder(
            str(content["owner"]),
            int(content["pid"]),
            str(content["doing"]),
            float(content["since"]),
            float(content.get("until", 0.0)),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def holder(key: str) -> Holder | None:
    """Who has the device with this probe id now; ``None`` if it is free."""
    reservation = _reservation(key)
    lock = _os_lock(key)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return _holder(Record(key, "holder")) or Holder("unknown", 0, "has just started", time.time())
    lock.release()
    return reservation


def _reservation(key: str) -> Holder | None:
    """The reservation, unless it is over."""
    found = _holder(Record(key, "reserved"))
    return found if found is not None and found.until > time.time() else None


def _os_lock(key: str) -> FileLock:
    return FileLock(state_folder() / f"{file_name(key)}.lock", mode=0o666, thread_local=False)


class DeviceLock:
    """A device for this process. Made by holding it; `release`, or the end of the process, gives it back.

    ``key`` is the probe's id, ``wait`` how long to wait for others, in seconds.

    Raises:
        DeviceBusyError: says who has it.
    """

    def __init__(self, key: str, *, doing: str | None = None, wait: float | Deadline = 0.0) -> None:
        self.key = key
        self.taken_over: Holder | None = None
        """Who held it last and died without giving it back."""
        self._lock = _os_lock(key)
        self._record = Record(key, "holder")
        self._acquire(Deadline.of(wait))
        self.taken_over = _holder(self._record)
        try:
            text = doing or " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:_SHOWN]
            self._record.write(asdict(Holder(owner(), os.getpid(), text, time.time())))
        except BaseException:
            self._lock.release()
            raise

    def _acquire(self, limit: Deadline) -> None:
        grace = Deadline(_GRACE)
        while True:
            reservation = _reservation(self.key)
            if reservation is None or reservation.owner == owner():
                try:
                    self._lock.acquire(blocking=False)
                except Timeout:
                    busy = _holder(self._record)
                else:
                    return
            else:
                busy = reservation
            if limit.expired and (busy is not None or grace.expired):
                raise DeviceBusyError(
                    "the device is taken",
                    where=self.key,
                    found=str(busy) if busy else "in use by a process that has just started",
                    remedy="wait (--hil-wait SECONDS) or take another; 'harness bench release' frees yours",
                )
            (grace if limit.expired else limit).pause(_LOOK)

    def release(self) -> None:
        """Give the device back."""
        if self._lock.is_locked:
            self._record.remove()
            self._lock.release()

    def __enter__(self) -> DeviceLock:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.release()


def reserve(key: str, seconds: float, reason: str) -> Holder:
    """Reserve a device for processes of this owner; renews a reservation of the same owner.

    Raises:
        DeviceBusyError: somebody else has reserved it, or uses it.
    """
    with FileLock(state_folder() / "reservations.lock", mode=0o666):
        present = holder(key)
        if present is not None and present.owner != owner():
            raise DeviceBusyError(
                "the device is taken", where=key, found=str(present), remedy="wait, or ask the owner"
            )
        now = time.time()
        made = Holder(owner(), os.getpid(), reason, now, now + seconds)
        Record(key, "reserved").write(asdict(made))
    return made


def release(key: str, *, force: bool = False) -> Holder | None:
    """End the reservation; what was there. ``force`` ends that of somebody else.

    Raises:
        DeviceBusyError: it is somebody else's, or a process uses the device, which only its end frees.
    """
    present = holder(key)
    if present is not None and not present.reserved:
        raise DeviceBusyError(
            "a process uses the device",
            where=key,
            found=str(present),
            remedy=f"end process {present.pid}; its lock goes with it",
        )
    if present is not None and present.owner != owner() and not force:
        raise DeviceBusyError(
            "reserved by somebody else", where=key, found=str(present), remedy="ask the owner, or add --force"
        )
    Record(key, "reserved").remove()
    return present
