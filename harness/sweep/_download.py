"""The scenario that needs the whole device: an update downloaded, requested, installed and confirmed."""

from __future__ import annotations

from .._errors import SweepError
from ..boards import Board
from ..devices import open_device
from ..mcuboot import Image
from ..updates import ImageFactory, SignedImage, UpdateRig
from ._chip import Chip
from ._power import Ending, Power
from ._record import Setup, bare_recording, finish
from ._recording import Part, Recording

__all__ = ["record_download"]

_SECONDS = 300.0


def record_download(board: Board, factory: ImageFactory, setup: Setup) -> Recording:
    """What an emulated device writes to flash from its first boot to the confirmed update over LwM2M.

    Raises:
        SweepError: the update does not succeed without a power cut.
        CapabilityMissing: the board has no LwM2M.
    """
    board.require("lwm2m")
    updated = next(part for part in setup.parts if part.new is not None)
    with open_device(board) as device, UpdateRig(device, factory, protocol="lwm2m") as rig:
        rig.install(*(_signed(part, part.old) for part in setup.parts))
        with device.recording() as operations:
            rig.boot(deadline=_SECONDS)
            assert updated.new is not None
            rig.download(_signed(updated, updated.new), deadline=_SECONDS)
            rig.update(updated.name, deadline=_SECONDS)
            rig.told(updated.name)
    bare = bare_recording(setup)
    chip = Chip(bare, merging=False)
    end = bare.start.after_all(operations)
    wanted = tuple("old" if part.new is None else "new" for part in setup.parts)
    if bare.labels(end) != wanted:
        raise SweepError(
            "the update does not succeed even without a power cut",
            where=f"scenario {setup.scenario} on {board.name}",
            found="/".join(bare.labels(end)),
        )
    swap = next(number for number, item in enumerate(operations) if not bare.by_application(item))
    chip.run(bare.start.after_all(operations[:swap]))  # the longest power-on there is
    return finish(bare, chip, operations, Power(end, Ending.STARTED, bare.slots.address))


def _signed(part: Part, data: bytes) -> SignedImage:
    version = Image.parse(data).version
    assert version is not None
    return SignedImage(part.name, version, data, f"{part.name} {version}")
