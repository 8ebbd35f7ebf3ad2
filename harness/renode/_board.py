"""A board in Renode as a process of its own."""

from __future__ import annotations

import secrets

from ..emulator.control import BoardProcess
from ._find import find_renode
from ._process import START_SECONDS

__all__ = ["RenodeBoard"]


class RenodeBoard(BoardProcess):
    """A board in Renode, and the owner of all processes that belong to it.

    ``platform`` is a name of `platform_names`, ``board`` a name for people, ``target`` the pyOCD target type.
    Raises `RenodeMissingError` if there is no Renode, `EmulatorError` if it does not set up the board.
    """

    def __init__(self, platform: str, *, board: str = "", target: str = "", seed: int = 1) -> None:
        find_renode()  # before a process is started that would only say the same
        settings = {
            "platform": platform,
            "uid": f"renode-{secrets.token_hex(4)}",
            "board": board,
            "target": target,
            "seed": seed,
        }
        super().__init__("harness.renode", settings, seconds=START_SECONDS + 30)
