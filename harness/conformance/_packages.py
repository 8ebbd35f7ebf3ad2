"""Packages for clients of several kinds: good ones, and ones that have to be refused."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path as File
from typing import TYPE_CHECKING, Final, Protocol

from .._errors import BoardError, ImageError
from ..protocols import Package, Path

if TYPE_CHECKING:
    from ..updates import ImageFactory

__all__ = ["AnjayPackages", "BoardPackages", "FilePackages", "Packages", "StandInPackages"]

_ADVANCED: Final = 33629
_SIZE: Final = 6000


class Packages(Protocol):
    """Makes packages for a client. ``path`` is the instance that they are for, of object 5 or 33629.

    What a client has no packages for is None, and the tests that need it are skipped.
    """

    def good(self, path: Path, version: str) -> Package | None:
        """One that is taken and can be installed."""
        ...

    def corrupt(self, path: Path) -> bytes | None:
        """One of the right kind that was damaged."""
        ...

    def needing(self, path: Path, other: Path) -> bytes | None:
        """One that cannot be installed before, or without, a package for another instance."""
        ...

    def lingering(self, path: Path) -> bytes | None:
        """One whose installation takes long enough to ask the client something meanwhile."""
        ...


def _damaged(package: bytes) -> bytes:
    """The same with one bit flipped in the middle."""
    changed = bytearray(package)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)


class StandInPackages:
    """For the stand-in of `harness.protocols.testing`."""

    def good(self, path: Path, version: str) -> Package:
        """An image of some 6 KB."""
        from ..protocols.testing import make_image

        return Package(make_image(_instance(path), version, size=_SIZE), version)

    def corrupt(self, path: Path) -> bytes:
        """Its checksum is wrong."""
        return _damaged(self.good(path, "9.0.0").data)

    def needing(self, path: Path, other: Path) -> bytes:
        """The image names the other component."""
        from ..protocols.testing import make_image

        return make_image(_instance(path), "9.0.0", needs=_instance(other))

    def lingering(self, path: Path) -> bytes:
        """All of them do: the plugin makes the stand-in slow."""
        return self.good(path, "9.0.0").data


class BoardPackages:
    """Signed images for a board that runs the reference application, or one like it."""

    def __init__(self, factory: ImageFactory) -> None:
        self._factory = factory
        self._names = {
            part.image if part.lwm2m_instance is None else part.lwm2m_instance: part.name
            for part in factory.board.components
        }

    def _name(self, path: Path) -> str | None:
        return self._names.get(_instance(path))

    def good(self, path: Path, version: str) -> Package | None:
        """A signed image."""
        name = self._name(path)
        return None if name is None else Package(self._factory.make(name, version).data, version)

    def corrupt(self, path: Path) -> bytes | None:
        """Its hash is wrong."""
        package = self.good(path, "9.0.0")
        return None if package is None else _damaged(package.data)

    def needing(self, path: Path, other: Path) -> bytes | None:
        """It depends on a version of the other component that nobody has."""
        from ..mcuboot import Version

        name, wanted = self._name(path), self._name(other)
        if name is None or wanted is None:
            return None
        number = self._factory.board.component(wanted).image
        return self._factory.make(name, "9.0.0", dependencies={number: Version.parse("99.0.0")}).data

    def lingering(self, path: Path) -> bytes | None:
        """The application answers for a moment before it restarts."""
        package = self.good(path, "9.0.0")
        return None if package is None else package.data


class AnjayPackages:
    """For the demo client of Anjay 3: a header, a checksum and a body, which is not looked at.

    Instance 0 and object 5 run their body as a program; ``restart`` is the command line that
    starts the client again.
    """

    _MAGIC: Final = {0: b"AJAY_APP", 1: b"AJAY_TEE", 2: b"AJAYBOOT", 3: b"AJAYMODE"}
    _DELAYED_SUCCESS: Final = 3

    def __init__(self, restart: str, original: File | None) -> None:
        self._program = f"#!/bin/sh\nexec {restart}\n".encode() + b"# nothing\n" * 600
        self._original = original

    def _make(
        self, path: Path, version: str, *, error: int = 0, linked: tuple[int, ...] = ()
    ) -> bytes | None:
        instance = _instance(path)
        runs = path.object_id != _ADVANCED or instance == 0
        if runs:
            body = self._program
        elif self._original is not None:
            body = self._original.read_bytes()
        else:
            return None
        text = version.encode()
        if path.object_id != _ADVANCED:
            # Of versions this one knows only its own.
            head = struct.pack(">8sHHIB", b"ANJAY_FW", 2, error, zlib.crc32(body), 3)
            return head + b"1.0" + body
        if instance not in self._MAGIC:
            return None
        slots = bytes(linked) + b"\xff" * (8 - len(linked))
        head = struct.pack(">8sHHI8sB", self._MAGIC[instance], 3, error, zlib.crc32(body), slots, len(text))
        return head + text + body

    def good(self, path: Path, version: str) -> Package | None:
        """A package whose body starts the client again."""
        if path.instance_id == 0:
            version = f"1.{version}"  # a higher major number than that of instance 1 is a conflict
        data = self._make(path, version)
        return None if data is None else Package(data, version)

    def corrupt(self, path: Path) -> bytes | None:
        """Its checksum is wrong."""
        data = self._make(path, "1.9.0")
        return None if data is None else data[:-1] + bytes((data[-1] ^ 1,))

    def needing(self, path: Path, other: Path) -> bytes | None:
        """It names the other instance as linked."""
        return self._make(path, "1.9.0", linked=(_instance(other),))

    def lingering(self, path: Path) -> bytes | None:
        """It asks for a delayed success."""
        return self._make(path, "1.9.0", error=self._DELAYED_SUCCESS)


class FilePackages:
    """Packages from files, by instance of object 33629 (0 also for object 5), each with its version."""

    def __init__(self, files: Mapping[int, tuple[bytes, str]]) -> None:
        self._files = dict(files)

    @classmethod
    def parse(cls, texts: tuple[str, ...]) -> FilePackages:
        """Read ``INSTANCE=FILE:VERSION``. Raises `BoardError` for other text, `ImageError` for the file."""
        files = {}
        for text in texts:
            number, _, rest = text.partition("=")
            name, _, version = rest.rpartition(":")
            if not (number.isdecimal() and name and version):
                raise BoardError(
                    "a package is not named as it should be", expected="INSTANCE=FILE:VERSION", found=text
                )
            try:
                files[int(number)] = (File(name).read_bytes(), version)
            except OSError as problem:
                raise ImageError("the package cannot be read", where=name, found=str(problem)) from None
        return cls(files)

    def good(self, path: Path, version: str) -> Package | None:  # noqa: ARG002 - a file has its own
        """The file's content."""
        found = self._files.get(_instance(path))
        return None if found is None else Package(*found)

    def corrupt(self, path: Path) -> bytes | None:
        """The file with one bit flipped in the middle."""
        package = self.good(path, "")
        return None if package is None else _damaged(package.data)

    def needing(self, path: Path, other: Path) -> None:
        """Nobody knows how to make one."""

    def lingering(self, path: Path) -> bytes | None:
        """The file's content, which may or may not."""
        package = self.good(path, "")
        return None if package is None else package.data


def _instance(path: Path) -> int:
    assert path.instance_id is not None
    return path.instance_id
