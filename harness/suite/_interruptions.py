"""Downloads that are broken off on purpose."""

from __future__ import annotations

from ..protocols import UpdatableComponent

__all__ = ["break_off_push"]

BLOCK = 1024


class _Enough(Exception):  # noqa: N818  a way out, not an error
    pass


def break_off_push(component: UpdatableComponent, image: bytes, *, blocks: int = 3) -> None:
    """Push this many blocks of an image and leave it at that, as a server does that dies."""

    def stop(sent: int, total: int) -> None:
        assert blocks * BLOCK < total, "the image is too small to be broken off there"
        if sent >= blocks * BLOCK:
            raise _Enough

    try:
        component.push(image, block_size=BLOCK, progress=stop, deadline=30)
    except _Enough:
        return
    raise AssertionError("the push was not broken off")
