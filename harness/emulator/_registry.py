"""Which emulated boards run on this machine: one small file each, readable by their user alone."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import platformdirs

__all__ = ["Entry", "announce", "running_boards", "withdraw"]


@dataclass(frozen=True, slots=True)
class Entry:
    """Where an emulated board answers. ``serial`` maps line names to pyserial URLs."""

    uid: str
    board: str
    soc: str
    target: str
    port: int
    token: str
    serial: dict[str, str] = field(default_factory=dict)
    pid: int = field(default_factory=os.getpid)


def _folder() -> Path:
    root = os.environ.get("HARNESS_STATE_DIR")
    base = Path(root) if root else platformdirs.user_state_path("mcuboot-harness", appauthor=False)
    folder = base / "boards"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _path(entry: Entry) -> Path:
    return _folder() / f"{entry.uid}-{entry.pid}.json"


def announce(entry: Entry) -> None:
    """Let other processes find this board."""
    path = _path(entry)
    part = path.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(asdict(entry)), encoding="utf-8")
    part.replace(path)


def withdraw(entry: Entry) -> None:
    """The board is no more."""
    _path(entry).unlink(missing_ok=True)


def running_boards() -> Iterator[Entry]:
    """Boards that answer now. Entries of processes that died without withdrawing are removed."""
    for path in sorted(_folder().glob("*.json")):
        try:
            entry = Entry(**json.loads(path.read_text(encoding="utf-8")))
            socket.create_connection(("127.0.0.1", entry.port), 1.0).close()
        except FileNotFoundError:
            continue
        except (OSError, ValueError, TypeError):
            path.unlink(missing_ok=True)
            continue
        yield entry
