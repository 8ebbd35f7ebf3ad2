"""`dfu_application.zip`: images of an update and a manifest that says what each is.

Format: ``scripts/bootloader/generate_zip.py`` of the nRF Connect SDK. Numbers come as text or as numbers.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from harness._errors import ImageError

from ._facts import Findings

__all__ = ["PACKAGE", "PackagedImage", "check_package", "read_package"]

PACKAGE: Final = "dfu_application.zip"
_MANIFEST: Final = "manifest.json"
_LARGEST: Final = 64 << 20
_MOST: Final = 32
_BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # compression and flags that zipfile does not know
    RuntimeError,  # encrypted
    ValueError,
    OverflowError,
)
_INDEX: Final = re.compile(r"[0-9]{1,2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PackagedImage:
    """One image of a package. ``image`` is MCUboot's number, ``version`` what the manifest calls it."""

    name: str
    image: int
    version: str | None
    board: str | None
    data: bytes = field(repr=False)


def read_package(path: Path | str) -> tuple[PackagedImage, ...]:
    """The images of a package, in the manifest's order.

    Raises:
        ImageError: no zip file, no manifest, or the two do not agree.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest(archive, path)
            return tuple(_image(archive, path, number, entry) for number, entry in enumerate(manifest))
    except OSError as error:
        raise ImageError("cannot be read", where=str(path), found=error.strerror or str(error)) from None
    except _BROKEN as error:
        raise ImageError(
            "not an update package",
            where=str(path),
            found=str(error)[:100],
            expected=f"a zip file with {_MANIFEST}",
        ) from None


def _member(archive: zipfile.ZipFile, path: Path, name: str) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ImageError(
            "a file of the package is missing",
            where=f"{path}: {name}",
            found=", ".join(archive.namelist())[:200] or "nothing",
        ) from None
    with archive.open(info) as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ImageError(
            "larger than any image", where=f"{path}: {name}", expected=f"at most {_LARGEST} bytes"
        )
    return data


def _manifest(archive: zipfile.ZipFile, path: Path) -> list[Any]:
    try:
        content = json.loads(_member(archive, path, _MANIFEST))
    except RecursionError:
        content = None
    files = content.get("files") if isinstance(content, dict) else None
    if not isinstance(files, list) or not 0 < len(files) <= _MOST:
        raise ImageError(
            "the manifest lists no files",
            where=f"{path}: {_MANIFEST}",
            expected=f"files: a list of 1 to {_MOST} entries",
        )
    return files


def _image(archive: zipfile.ZipFile, path: Path, number: int, entry: Any) -> PackagedImage:
    where = f"{path}: {_MANIFEST}: files[{number}]"
    if not isinstance(entry, dict) or not isinstance(entry.get("file"), str):
        raise ImageError("an entry without file name", where=where)
    name = entry["file"]
    data = _member(archive, path, name)
    size = entry.get("size")
    if size is not None and size != len(data):
        raise ImageError(
            "a file of another size than the manifest says",
            where=f"{where} {name}",
            expected=str(size)[:20],
            found=str(len(data)),
        )
    index = str(entry.get("image_index", 0))
    if not _INDEX.fullmatch(index) or int(index) > 15:
        raise ImageError(
            "no image number",
            where=f"{where} {name}: image_index",
            found=repr(index)[:40],
            expected="0 to 15",
        )
    texts = [entry.get("version_MCUBOOT", entry.get("version")), entry.get("board")]
    version, board = (str(text)[:60] if text is not None else None for text in texts)
    return PackagedImage(name, int(index), version, board, data)


def check_package(path: Path, images: int, findings: Findings) -> None:
    """Note a package that does not go with the number of images."""
    try:
        packaged = read_package(path)
    except ImageError as error:
        findings.note(path, error.what, found=error.found or "")
        return
    for image in packaged:
        if image.image >= images:
            findings.refuse(
                path,
                "the package has an image that MCUboot does not update",
                name=f"{image.name}: image_index",
                found=str(image.image),
                expected=f"less than {images}",
                remedy="build again",
            )
