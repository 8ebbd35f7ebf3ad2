"""Slot trailers: decoding, and building them to the byte.

Source: ``boot_read_swap_state``, ``boot_write_magic``, ``boot_write_trailer`` and
``boot_write_swap_info`` in bootutil's ``bootutil_public.c`` (MCUboot 2.4.0).
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from harness._errors import ImageError

from ._layout import MAGIC_SIZE, TrailerLayout, magic_alignment
from ._status import SwapStatus

FLAG_SET: Final = 0x01
"""Byte that sets a flag; padded with erased bytes to the write unit."""


class MagicState(enum.StrEnum):
    """What MCUboot reads from the magic."""

    GOOD = "good"
    UNSET = "unset"
    BAD = "bad"
    """Neither good nor erased; also the magic of a build with another maximum alignment."""


class FlagState(enum.StrEnum):
    """What MCUboot reads from ``image_ok`` and ``copy_done``."""

    UNSET = "unset"
    SET = "set"
    BAD = "bad"


class SwapType(enum.IntEnum):
    """``BOOT_SWAP_TYPE_*``; also the low nibble of ``swap_info``."""

    NONE = 1
    TEST = 2
    PERMANENT = 3
    REVERT = 4
    FAIL = 5

    @property
    def changes_image(self) -> bool:
        """Test, permanent and revert: another image comes into the primary."""
        return self in (SwapType.TEST, SwapType.PERMANENT, SwapType.REVERT)


@dataclass(frozen=True, slots=True)
class SwapInfo:
    """The byte ``swap_info``: swap type in the low nibble, image number in the high one."""

    raw: int
    erased: bool = False

    @classmethod
    def build(cls, type_: int, image: int = 0) -> Self:
        """The byte for a type and an image number."""
        return cls((image << 4) | type_)

    @property
    def low(self) -> int:
        """The low nibble as stored; 1 (none) if the byte is erased."""
        return SwapType.NONE if self.erased else self.raw & 0x0F

    @property
    def type(self) -> SwapType:
        """Erased, or a low nibble that is 0 or above 4, counts as none."""
        return SwapType(self.low) if SwapType.NONE <= self.low <= SwapType.REVERT else SwapType.NONE

    @property
    def image(self) -> int:
        """Erased, or a low nibble above 4, counts as image 0."""
        return 0 if self.erased or self.low > SwapType.REVERT else self.raw >> 4

    def __str__(self) -> str:
        if self.erased:
            return "erased"
        if not SwapType.NONE <= self.low <= SwapType.FAIL:
            return f"{self.raw:#04x}: no swap type"
        return f"{self.raw:#04x}: {SwapType(self.low).name.lower()}, image {self.raw >> 4}"


@dataclass(frozen=True, slots=True)
class TrailerState:
    """The three fields that decide what the next boot does."""

    magic: MagicState = MagicState.UNSET
    image_ok: FlagState = FlagState.UNSET
    copy_done: FlagState = FlagState.UNSET

    def __str__(self) -> str:
        return f"magic {self.magic}, image_ok {self.image_ok}, copy_done {self.copy_done}"


@dataclass(frozen=True, slots=True)
class TrailerField:
    """One field as it lies in flash. ``offset`` counts from the start of the slot."""

    name: str
    offset: int
    raw: bytes
    meaning: str


Reader = Callable[[int, int], bytes]
"""``reader(offset, size)`` gives bytes of a slot."""


@dataclass(frozen=True, slots=True)
class Trailer:
    """A trailer as read: ``raw`` is all of it, from the first status entry to the slot's end."""

    layout: TrailerLayout
    raw: bytes = field(repr=False)

    @classmethod
    def parse(cls, slot: bytes | Reader, layout: TrailerLayout) -> Self:
        """Take the trailer out of a slot, given whole or as a function that reads parts of it.

        Any content is legal; see the fields for what MCUboot makes of it.

        Raises:
            ImageError: the bytes are not exactly as many as the layout says.
        """
        if callable(slot):
            raw, wanted = slot(layout.status, layout.size), layout.size
        else:
            raw, wanted = slot, layout.slot_size
        if len(raw) != wanted:
            raise ImageError(
                "trailer is not all there", expected=f"{wanted} bytes", found=f"{len(raw)} bytes"
            )
        return cls(layout, bytes(raw[-layout.size :]))

    def at(self, offset: int, size: int) -> bytes:
        """Bytes at an offset in the slot that lies in the trailer."""
        start = offset - self.layout.status
        return self.raw[start : start + size]

    def _erased(self, data: bytes) -> bool:
        return data == bytes([self.layout.erased_value]) * len(data)

    @property
    def magic(self) -> MagicState:
        """Good, unset or bad."""
        data = self.at(self.layout.magic, MAGIC_SIZE)
        if self._erased(data):
            return MagicState.UNSET
        return MagicState.GOOD if data == self.layout.magic_bytes else MagicState.BAD

    def _flag(self, offset: int) -> FlagState:
        data = self.at(offset, 1)
        if self._erased(data):
            return FlagState.UNSET
        return FlagState.SET if data[0] == FLAG_SET else FlagState.BAD

    @property
    def image_ok(self) -> FlagState:
        """Confirmed."""
        return self._flag(self.layout.image_ok)

    @property
    def copy_done(self) -> FlagState:
        """Swap finished; in the selecting modes: has been booted."""
        return self._flag(self.layout.copy_done)

    @property
    def state(self) -> TrailerState:
        """Magic and both flags."""
        return TrailerState(self.magic, self.image_ok, self.copy_done)

    @property
    def swap_info(self) -> SwapInfo:
        """Swap type and image number."""
        data = self.at(self.layout.swap_info, 1)
        return SwapInfo(data[0], self._erased(data))

    @property
    def swap_size(self) -> int | None:
        """Bytes that are or were swapped: the larger image with its TLVs; ``None`` if erased."""
        data = self.at(self.layout.swap_size, 4)
        return None if self._erased(data) else int.from_bytes(data, "little")

    @property
    def tlv_sizes(self) -> tuple[int, int] | None:
        """Sizes of the ordinary TLV areas of the images that were in primary and secondary.

        Swap-offset only; ``None`` in other modes or if erased.
        """
        if self.layout.tlv_sizes is None:
            return None
        data = self.at(self.layout.tlv_sizes, 4)
        primary, secondary = struct.unpack("<HH", data)
        return None if self._erased(data) else (primary, secondary)

    @property
    def status(self) -> SwapStatus:
        """The swap status entries."""
        layout = self.layout
        end = layout.status_entries * layout.write_align
        values = self.raw[:end][:: layout.write_align]
        return SwapStatus(layout.mode, values, layout.erased_value, layout.max_sectors)

    def fields(self) -> Iterator[TrailerField]:
        """All fields but the status area, from the end of the slot downwards."""
        for name, offset, size in self.layout.fields():
            data = self.at(offset, size)
            yield TrailerField(name, offset, data, self._meaning(name, data))

    def _meaning(self, name: str, data: bytes) -> str:
        match name:
            case "magic":
                align = magic_alignment(data)
                if self.magic is MagicState.BAD and align:
                    return f"bad: the magic of a build with max-align {align}"
                return str(self.magic)
            case "image_ok" | "copy_done":
                state = self._flag(self.layout.image_ok if name == "image_ok" else self.layout.copy_done)
                return f"bad ({data[0]:#04x})" if state is FlagState.BAD else str(state)
            case "swap_info":
                return str(self.swap_info)
            case "tlv_sizes":
                sizes = self.tlv_sizes
                return "erased" if sizes is None else f"primary {sizes[0]}, secondary {sizes[1]} bytes"
            case "swap_size":
                return "erased" if self.swap_size is None else f"{self.swap_size} bytes"
            case _:
                return "erased" if self._erased(data) else f"{len(data)} bytes"


def build_trailer(
    layout: TrailerLayout,
    *,
    magic: bool | bytes = False,
    image_ok: bool | int = False,
    copy_done: bool | int = False,
    swap_info: int | SwapInfo | None = None,
    swap_size: int | None = None,
    tlv_sizes: tuple[int, int] | None = None,
    status: Sequence[int | None] = (),
) -> bytes:
    """A trailer exactly as MCUboot would have written these fields into erased flash.

    Flags: ``True`` is the byte 0x01, ``False`` is erased, an integer is that
    byte. ``status`` gives first bytes of entries from 0 on; ``None`` is erased.

    Returns:
        ``layout.size`` bytes, to be put at ``layout.status``.

    Raises:
        ImageError: the layout has no such field, or a value does not fit.
    """
    if len(status) > layout.status_entries:
        raise ImageError(
            "too many status entries", expected=f"<= {layout.status_entries}", found=f"{len(status)} entries"
        )
    if tlv_sizes is not None and layout.tlv_sizes is None:
        raise ImageError("only swap-offset has TLV sizes", found=str(layout.mode))
    writes: list[tuple[int, bytes]] = []
    if magic is not False:
        writes.append((layout.magic, layout.magic_bytes if magic is True else magic))
    for offset, flag in ((layout.image_ok, image_ok), (layout.copy_done, copy_done)):
        if flag is not False:
            writes.append((offset, _packed("<B", int(flag))))
    if swap_info is not None:
        byte = swap_info.raw if isinstance(swap_info, SwapInfo) else swap_info
        writes.append((layout.swap_info, _packed("<B", byte)))
    if tlv_sizes is not None and layout.tlv_sizes is not None:
        writes.append((layout.tlv_sizes, _packed("<HH", *tlv_sizes)))
    if swap_size is not None:
        writes.append((layout.swap_size, _packed("<I", swap_size)))
    for index, value in enumerate(status):
        if value is not None:
            writes.append((layout.status_entry(index), _packed("<B", value)))
    trailer = bytearray([layout.erased_value]) * layout.size
    for offset, data in writes:
        start = offset - layout.status
        trailer[start : start + len(data)] = data
    return bytes(trailer)


def _packed(form: str, *values: int) -> bytes:
    try:
        return struct.pack(form, *values)
    except struct.error as error:
        raise ImageError("trailer value does not fit its field", found=str(values)) from error
