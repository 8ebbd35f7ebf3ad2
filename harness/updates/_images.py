"""Images to update with: built from the reference firmware, signed for the board, kept for the session."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .._errors import ImageError
from ..boards import Board, Component
from ..boards.zephyr import read_package
from ..firmware import (
    Behaviour,
    Elf,
    application_program,
    bootloader_layout,
    bootloader_program,
    compile_program,
    firmware_layout,
    model_payload,
)
from ..mcuboot import FlashView, Image, Version, sign

__all__ = ["ImageFactory", "SignedImage"]

_MODEL_SIZE: Final = 6000


@dataclass(frozen=True, slots=True)
class SignedImage:
    """A signed image for one component. ``label`` is what messages call it."""

    component: str
    version: Version
    data: bytes = field(repr=False)
    label: str

    @property
    def digest(self) -> str:
        """SHA-256 of the whole image, for reports."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def image_hash(self) -> bytes:
        """The SHA-256 in its TLVs, by which SMP names it; empty if there is none."""
        found = Image.parse(self.data).stored_digest
        return bytes(found.data) if found is not None else b""

    def lies_at(self, flash: FlashView, address: int) -> bool:
        """Whether flash holds exactly this image there."""
        return flash.read(address, len(self.data)) == self.data

    def __str__(self) -> str:
        return self.label


class ImageFactory:
    """Makes the bootloader and images of a board. ``options`` are C defines for all builds, such as
    ``DEFECT_name``; ``key`` signs instead of the board's key.
    """

    def __init__(self, board: Board, *, options: Mapping[str, int] | None = None) -> None:
        self.board = board
        self._options = dict(options or {})
        self._payloads: dict[tuple[Any, ...], bytes] = {}
        self._bootloader: dict[int, bytes] | None = None

    def bootloader(self) -> dict[int, bytes]:
        """The bootloader by address: the reference one, or the file that the board names."""
        if self._bootloader is None:
            base = self.board.partition(self.board.mcuboot.partition).address
            self._bootloader = _content(self.bootloader_file(), base)
        return dict(self._bootloader)

    def bootloader_file(self) -> Path:
        """The file that the bootloader comes from; the reference one is compiled if need be."""
        if self.board.bootloader is not None:
            return self.board.bootloader
        return compile_program(bootloader_program(bootloader_layout(self.board), options=self._options))

    @property
    def bootloader_digest(self) -> str | None:
        """SHA-256 over address (4 bytes, little endian) and bytes of each part of the bootloader;
        None as long as nobody has asked for the bootloader.
        """
        if self._bootloader is None:
            return None
        digest = hashlib.sha256()
        for address, data in sorted(self._bootloader.items()):
            digest.update(address.to_bytes(4, "little") + data)
        return digest.hexdigest()

    def make(
        self,
        component: str | int | Component,
        version: str,
        *,
        behaviour: Behaviour = Behaviour.GOOD,
        size: int = _MODEL_SIZE,
        seed: int | None = None,
        exactly: int | None = None,
        secondary: bool = False,
        **signing: Any,
    ) -> SignedImage:
        """A signed image.

        Component 0 is the application, built to behave as asked; the others carry data of
        ``size`` bytes that depend on ``seed`` (by default on the version). With ``secondary`` the
        application is linked to run from the secondary slot. ``signing`` are
        fields of `harness.mcuboot.SigningOptions`, for example ``dependencies``. With
        ``exactly`` the payload is filled up until the image takes that many bytes, whether or
        not the slot has room for them.
        """
        chosen = self.board.component(component)
        if chosen.image == 0:
            payload = self._application(behaviour, secondary)
            label = f"{chosen.name} {version}" + ("" if behaviour is Behaviour.GOOD else f" ({behaviour})")
        else:
            payload = self._data(version, size, seed)
            label = f"{chosen.name} {version}"
        if exactly is not None:
            signing.setdefault("slot_size", 2 * exactly)
        options = self.board.signing_options(chosen, version=version, **signing)
        data = sign(payload, options)
        if exactly is not None:
            if exactly < len(data):
                raise ImageError(
                    f"{label} cannot be made of {exactly} bytes", expected=f"at least {len(data)} bytes"
                )
            data = sign(payload + b"\xa5" * (exactly - len(data)), options)
        return SignedImage(chosen.name, options.version, data, label)

    def packaged(self, package: Path | str) -> tuple[SignedImage, ...]:
        """The images of an update package (dfu_application.zip), signed as they are.

        Raises:
            ImageError: no such package, an image without header, or for none of the board's components.
        """
        images = []
        for entry in read_package(package):
            version = Image.parse(entry.data).version
            component = next((part for part in self.board.components if part.image == entry.image), None)
            if version is None or component is None:
                raise ImageError(
                    "no image for this board",
                    where=f"{package}: {entry.name}",
                    expected=", ".join(f"{part.image} ({part.name})" for part in self.board.components),
                    found=f"image {entry.image}" if component is None else "no image header",
                )
            images.append(SignedImage(component.name, version, entry.data, f"{component.name} {version}"))
        return tuple(images)

    def _application(self, behaviour: Behaviour, secondary: bool) -> bytes:
        key = behaviour, secondary
        if key not in self._payloads:
            layout = firmware_layout(self.board)
            program = application_program(layout, behaviour, secondary=secondary, options=self._options)
            self._payloads[key] = Elf.read(compile_program(program)).binary()[1]
        return self._payloads[key]

    def _data(self, version: str, size: int, seed: int | None) -> bytes:
        key = (version, size, seed)
        if key not in self._payloads:
            chosen = int.from_bytes(hashlib.sha256(version.encode()).digest()[:4]) if seed is None else seed
            self._payloads[key] = model_payload(version, size, chosen)
        return self._payloads[key]


def _content(file: Path, base: int) -> dict[int, bytes]:
    """What an ELF, .hex or binary file puts where; a binary one starts at ``base``."""
    try:
        data = file.read_bytes()
        if file.suffix.lower() == ".elf" or data.startswith(b"\x7fELF"):
            return {segment.address: segment.data for segment in Elf.read(file).segments}
        return dict(FlashView.from_hex(data).regions) if file.suffix.lower() == ".hex" else {base: data}
    except OSError as error:
        raise ImageError("cannot be read", where=str(file), found=error.strerror or str(error)) from None
    except ImageError as error:
        error.where = str(file)
        raise


def describe(image: SignedImage) -> dict[str, str]:
    """Facts for reports: version, size, digest of the file and of the image."""
    parsed = Image.parse(image.data)
    return {
        "component": image.component,
        "version": str(image.version),
        "size": str(len(image.data)),
        "sha256": image.digest,
        "findings": "; ".join(str(finding) for finding in parsed.findings),
    }
