"""Where everything lies in a slot trailer.

Source: bootutil's ``bootutil_area.c``, ``bootutil_misc.h`` and ``bootutil_public.h``
(MCUboot 2.4.0); MCUboot's design document, "Image trailer".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Self

from harness._errors import BoardError

from ._modes import SwapMode

MAGIC_SIZE: Final = 16
_MAGIC_ALIGN_8: Final = bytes.fromhex("77c295f360d2ef7f3552500f2cb67980")
_MAGIC_TAIL: Final = bytes.fromhex("2de15d29410b8d77679c110f1f8a")
_SCRATCH_ENTRIES: Final = 3


def magic_bytes(max_align: int) -> bytes:
    """The 16 bytes a boot loader with this maximum alignment takes for a good magic."""
    return _MAGIC_ALIGN_8 if max_align == 8 else max_align.to_bytes(2, "little") + _MAGIC_TAIL


def magic_alignment(magic: bytes) -> int | None:
    """The maximum alignment these 16 bytes are the magic of; ``None`` if they are none."""
    return next((align for align in (8, 16, 32) if magic == magic_bytes(align)), None)


@dataclass(frozen=True, slots=True)
class TrailerLayout:
    """Offsets of one trailer, in bytes from the start of its slot (or of the scratch area).

    Args:
        slot_size: bytes of the flash area the trailer ends.
        mode: what the boot loader is built for.
        write_align: write unit of the flash, 1..32 bytes; distance of status entries.
        max_align: 8, 16 or 32, a build option; distance of the other fields.
        max_sectors: most sectors per slot, a build option; length of the status area.
        erased_value: value of an erased byte.
        encryption_key_size: 0 for builds without encryption; else 16 or 32, or the
            size of the wrapped key for builds that save that.
        scratch: the short trailer at the end of the scratch area.

    Raises:
        BoardError: values no build can have, or the trailer is larger than the slot.
    """

    slot_size: int
    mode: SwapMode
    write_align: int = 4
    max_align: int = 8
    max_sectors: int = 128
    erased_value: int = 0xFF
    encryption_key_size: int = 0
    scratch: bool = False

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            what, expected, found = problem
            raise BoardError(what, where="slot trailer", expected=expected, found=found)

    def _problem(self) -> tuple[str, str, str] | None:
        if self.write_align not in (1, 2, 4, 8, 16, 32):
            return "impossible write alignment", "1, 2, 4, 8, 16 or 32", str(self.write_align)
        if self.max_align not in (8, 16, 32):
            return "impossible maximum alignment", "8, 16 or 32", str(self.max_align)
        if self.write_align > self.max_align:
            return (
                "flash writes units larger than the maximum alignment",
                f"<= {self.max_align}",
                str(self.write_align),
            )
        if self.max_sectors < 1:
            return "impossible number of sectors", ">= 1", str(self.max_sectors)
        if self.erased_value not in (0x00, 0xFF):
            return "impossible erased value", "0x00 or 0xff", f"{self.erased_value:#x}"
        if self.encryption_key_size < 0:
            return "impossible key size", ">= 0", str(self.encryption_key_size)
        if self.slot_size % self.max_align:
            return "slot size is not aligned", f"a multiple of {self.max_align}", f"{self.slot_size} bytes"
        if self.slot_size < self.size:
            return "slot is smaller than its trailer", f">= {self.size} bytes", f"{self.slot_size} bytes"
        return None

    def for_scratch(self, scratch_size: int) -> Self:
        """The layout of the trailer that swap-scratch keeps in a scratch area of this size."""
        return replace(self, slot_size=scratch_size, scratch=True)

    @property
    def magic(self) -> int:
        """Offset of the 16 magic bytes, which end the slot."""
        return self.slot_size - MAGIC_SIZE

    @property
    def image_ok(self) -> int:
        """Offset of the "confirmed" flag."""
        return _down(self.magic - self.max_align, self.max_align)

    @property
    def copy_done(self) -> int:
        """Offset of the "swap finished" flag."""
        return self.image_ok - self.max_align

    @property
    def swap_info(self) -> int:
        """Offset of the byte with swap type and image number."""
        return self.copy_done - self.max_align

    @property
    def tlv_sizes(self) -> int | None:
        """Offset of the two TLV area sizes; swap-offset only."""
        return self.swap_info - self.max_align if self.mode is SwapMode.OFFSET else None

    @property
    def swap_size(self) -> int:
        """Offset of the number of bytes to swap."""
        above = self.swap_info if self.tlv_sizes is None else self.tlv_sizes
        return above - self.max_align

    @property
    def keys(self) -> tuple[int, int] | None:
        """Offsets of the encryption keys of slot 0 and slot 1; only in builds with encryption."""
        if not self.encryption_key_size:
            return None
        return self.swap_size - self._key_room, self.swap_size - 2 * self._key_room

    @property
    def _key_room(self) -> int:
        return _up(self.encryption_key_size, self.max_align)

    @property
    def info_size(self) -> int:
        """Bytes of the trailer without the status area."""
        fields = 5 if self.mode is SwapMode.OFFSET else 4
        return fields * self.max_align + _up(MAGIC_SIZE, self.max_align) + 2 * self._key_room

    @property
    def status_entries(self) -> int:
        """Number of status entries there is room for."""
        return _SCRATCH_ENTRIES if self.scratch else self.max_sectors * self.mode.entries_per_sector

    @property
    def size(self) -> int:
        """Bytes of the whole trailer."""
        return self.status_entries * self.write_align + self.info_size

    @property
    def status(self) -> int:
        """Offset of the first status entry, which is the start of the trailer."""
        return self.slot_size - self.size

    def status_entry(self, index: int) -> int:
        """Offset of a status entry.

        Raises:
            IndexError: there is no such entry.
        """
        if not 0 <= index < self.status_entries:
            raise IndexError(f"status entry {index} of {self.status_entries}")
        return self.status + index * self.write_align

    @property
    def magic_bytes(self) -> bytes:
        """The magic this build writes and knows; that of another maximum alignment counts as bad."""
        return magic_bytes(self.max_align)

    def fields(self) -> Iterator[tuple[str, int, int]]:
        """Name, offset and size in bytes of each field, from the end of the slot downwards."""
        yield "magic", self.magic, MAGIC_SIZE
        yield "image_ok", self.image_ok, 1
        yield "copy_done", self.copy_done, 1
        yield "swap_info", self.swap_info, 1
        if self.tlv_sizes is not None:
            yield "tlv_sizes", self.tlv_sizes, 4
        yield "swap_size", self.swap_size, 4
        for number, offset in enumerate(self.keys or ()):
            yield f"key{number}", offset, self._key_room


def _down(value: int, unit: int) -> int:
    return value - value % unit


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
