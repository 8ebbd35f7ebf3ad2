"""Files that all users of this machine share: locks, reservations, quarantine."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from .._errors import BenchError

__all__ = ["Record", "state_folder"]

_LARGEST: Final = 1 << 20


def state_folder() -> Path:
    """One folder for the whole machine; ``HARNESS_BENCH_DIR`` (or ``HARNESS_STATE_DIR``) names another.

    Raises:
        BenchError: it cannot be made or written.
    """
    own, state = os.environ.get("HARNESS_BENCH_DIR"), os.environ.get("HARNESS_STATE_DIR")
    if own:
        folder = Path(own)
    else:
        folder = Path(state) / "bench" if state else Path(tempfile.gettempdir()) / "mcuboot-harness-bench"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(PermissionError):  # somebody else made it, with the same mode
            folder.chmod(0o1777)
    except OSError as error:
        raise _unusable(folder, error) from None
    return folder


def _unusable(where: Path, error: OSError) -> BenchError:
    return BenchError(
        "the bench's state cannot be kept",
        where=str(where),
        found=error.strerror or str(error),
        remedy="set HARNESS_BENCH_DIR to a folder that all users of the boards can write",
    )


class Record:
    """A small JSON object about one device, replaced as a whole. ``key`` is the probe's id."""

    def __init__(self, key: str, kind: str) -> None:
        self.path = state_folder() / f"{file_name(key)}.{kind}.json"

    def read(self) -> dict[str, Any] | None:
        """What was written last; ``None`` if nothing, or nothing that can be understood."""
        try:
            with self.path.open("rb") as file:
                content = json.loads(file.read(_LARGEST))
        except (OSError, ValueError, RecursionError):
            return None
        return content if isinstance(content, dict) else None

    def write(self, content: dict[str, Any]) -> None:
        """Replace the content."""
        try:
            descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file)
            with suppress(OSError, AttributeError):
                Path(name).chmod(0o644)
            Path(name).replace(self.path)
        except OSError as error:
            raise _unusable(self.path, error) from None

    def remove(self) -> None:
        """Forget it."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise _unusable(self.path, error) from None


def file_name(key: str) -> str:
    """A file name for a probe id, which may hold anything."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", key)[:60]
    return plain if plain == key else f"{plain}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
