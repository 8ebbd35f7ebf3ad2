"""The C source of Monocypher, the small library that checks Ed25519 signatures on the target.

It comes from the source package of `pymonocypher` on the package index, pinned by hash,
once a machine; nothing of that package is built or run.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from filelock import FileLock

from .._errors import BuildError
from ._compile import cache_folder

__all__ = ["monocypher_folder"]

_VERSION: Final = "4.0.3.4"
_ARCHIVE: Final = f"pymonocypher-{_VERSION}.tar.gz"
_ARCHIVE_SHA256: Final = "5e56e3d3eb770a53e0b9f6274146663c11a11f3d0de5cd48e3be0428d1b07a4a"
_FILES: Final = ("monocypher.c", "monocypher.h")
_SECONDS: Final = 180


def monocypher_folder() -> Path:
    """A folder with `monocypher.c` and `monocypher.h`. Raises `BuildError` if they cannot be had."""
    folder = cache_folder(f"monocypher-{_VERSION}")
    if not _complete(folder):
        with FileLock(folder / ".lock", timeout=_SECONDS):
            if not _complete(folder):
                _fetch(folder)
    return folder


def _complete(folder: Path) -> bool:
    return all((folder / name).exists() for name in _FILES)


def _fetch(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as work:
        archive = _download(Path(work))
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != _ARCHIVE_SHA256:
            raise BuildError(
                "the package index gave another file than expected",
                where=_ARCHIVE,
                expected=f"SHA-256 {_ARCHIVE_SHA256}",
                found=f"SHA-256 {found}",
                remedy="check the index that pip is set to use",
            )
        with tarfile.open(archive) as package:
            for name in _FILES:
                member = package.extractfile(f"pymonocypher-{_VERSION}/{name}")
                assert member is not None, "the archive's hash fixes its content"
                part = folder / f"{name}.part"
                part.write_bytes(member.read())
                part.replace(folder / name)


def _download(work: Path) -> Path:
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "pymonocypher"),
        *("--dest", str(work), f"pymonocypher=={_VERSION}"),
    ]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        error = result.stderr.strip()
    except (OSError, subprocess.TimeoutExpired) as failure:
        error = str(failure)
    archive = work / _ARCHIVE
    if not archive.exists():
        raise BuildError(
            "the source of Monocypher cannot be fetched from the package index",
            found=error[-1000:] or "no file",
            remedy=f"make pip and its index reachable; the command was: {' '.join(command)}",
        )
    return archive
