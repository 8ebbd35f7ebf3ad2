"""How an update travels: what `UpdateRig` needs of a protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from .._deadline import Deadline
from ._images import SignedImage
from ._told import Words

__all__ = ["Delivery", "Transfer", "broken_off"]


class _Enough(Exception):  # noqa: N818  a way out, not an error
    pass


@contextmanager
def broken_off(size: int) -> Iterator[Callable[[int, int], None]]:
    """A transfer's ``progress`` that ends it once ``size`` bytes were sent, as when the sender dies."""

    def stop(sent: int, total: int) -> None:
        assert size < total, "the image is too small to be broken off there"
        if sent >= size:
            raise _Enough

    try:
        yield stop
    except _Enough:
        return
    raise AssertionError("the transfer was not broken off")


@dataclass(frozen=True, slots=True)
class Transfer:
    """How an image is to be brought over: by ``pull`` the device fetches it; ``block_size`` in bytes, for
    protocols whose host chooses it; ``progress`` gets bytes sent and their total.
    """

    pull: bool = False
    block_size: int = 1024
    progress: Callable[[int, int], None] | None = None


class Delivery(Protocol):
    """One protocol over which updates travel to one device. Raises `VerdictError` for what it does wrong."""

    @property
    def name(self) -> str:
        """As in a board file's ``protocols``."""

    def close(self) -> None:
        """Leave the line."""

    def forget(self) -> None:
        """The device has got other content, and is off."""

    def start(self) -> None:
        """Listen: power is about to come."""

    def watch(self, *, by_firmware: bool) -> None:
        """The device is about to be reset: by what it was asked for, or else before the next call."""

    def wait_up(self, limit: Deadline) -> None:
        """Wait until the application is up after that. Raises `DeadlineExceeded`."""

    def download(self, image: SignedImage, transfer: Transfer, limit: Deadline) -> None:
        """Bring an image into its secondary slot, and wait until the device says that it is there."""

    def break_off(self, image: SignedImage, size: int, limit: Deadline) -> None:
        """Send at least so many bytes of an image, and leave it at that."""

    def discard(self, component: str, limit: Deadline) -> None:
        """Give up what was downloaded."""

    def install(self, first: str, others: Sequence[str] | None, limit: Deadline) -> None:
        """Ask for downloaded components to be installed, and for the reset that this needs.

        None for ``others`` means all that are downloaded.
        """

    def told(self, component: str, *, settled: bool, limit: Deadline) -> Words:
        """What the device says; ``settled`` waits until no update is under way."""
