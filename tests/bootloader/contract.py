"""What MCUboot leaves in flash, worked out in Python from its documented format.

Written from the format, not from the C sources under test: trailers to the byte, and both slots and the
scratch area after a complete update.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.firmware import Region
from harness.mcuboot import SwapMode

from .rig import SECTOR, Board, Flash, Image

MAGIC_8 = bytes.fromhex("77C295F360D2EF7F3552500F2CB67980")
MAGIC_REST = bytes.fromhex("2DE15D29410B8D77679C110F1F8A")
TEST, PERMANENT, REVERT = 2, 3, 4


def magic(max_align: int) -> bytes:
    return MAGIC_8 if max_align == 8 else max_align.to_bytes(2, "little") + MAGIC_REST


@dataclass(frozen=True)
class Offsets:
    """Where the fields of a trailer are in an area of ``size`` bytes."""

    size: int
    align: int
    max_align: int
    entries: int
    has_tlv_sizes: bool

    @classmethod
    def of(cls, board: Board, size: int, *, scratch: bool = False) -> Offsets:
        offset = board.mode is SwapMode.OFFSET
        states = 2 if offset else 3
        entries = states * (1 if scratch else board.max_sectors)
        return cls(size, board.align, board.max_align, entries, offset)

    @property
    def magic(self) -> int:
        return self.size - 16

    @property
    def image_ok(self) -> int:
        return (self.magic - self.max_align) // self.max_align * self.max_align

    @property
    def copy_done(self) -> int:
        return self.image_ok - self.max_align

    @property
    def swap_info(self) -> int:
        return self.copy_done - self.max_align

    @property
    def tlv_sizes(self) -> int:
        return self.swap_info - self.max_align

    @property
    def swap_size(self) -> int:
        return (self.tlv_sizes if self.has_tlv_sizes else self.swap_info) - self.max_align

    @property
    def start(self) -> int:
        return self.swap_size - self.entries * self.align

    @property
    def first_sector(self) -> int:
        return self.start // SECTOR * SECTOR


def trailer(
    board: Board,
    size: int,
    *,
    magic_bytes: bytes | None = None,
    image_ok: int | None = None,
    copy_done: int | None = None,
    info: int | None = None,
    swap_size: int | None = None,
    tlv_sizes: tuple[int, int] | None = None,
    entries: Mapping[int, int] | None = None,
    good: bool = True,
    scratch: bool = False,
) -> tuple[int, bytes]:
    """Offset and content of a trailer; fields that are not named are erased."""
    at = Offsets.of(board, size, scratch=scratch)
    data = bytearray(b"\xff" * (size - at.start))

    def put(offset: int, content: bytes) -> None:
        data[offset - at.start : offset - at.start + len(content)] = content

    if magic_bytes or good:
        put(at.magic, magic_bytes or magic(board.max_align))
    for offset, value in ((at.image_ok, image_ok), (at.copy_done, copy_done), (at.swap_info, info)):
        if value is not None:
            put(offset, bytes([value]))
    if swap_size is not None:
        put(at.swap_size, swap_size.to_bytes(4, "little"))
    if tlv_sizes is not None:
        put(at.tlv_sizes, tlv_sizes[0].to_bytes(2, "little") + tlv_sizes[1].to_bytes(2, "little"))
    for entry, value in (entries or {}).items():
        put(at.start + entry * board.align, bytes([value]))
    return at.start, bytes(data)


def put_trailer(flash: Flash, area: Region, **fields: object) -> Flash:
    start, data = trailer(flash.board, area.size, **fields)  # type: ignore[arg-type]
    address = area.address + start
    there = flash.data[address : address + len(data)]
    return flash.put(address, bytes(old & new for old, new in zip(there, data, strict=True)))


def request(flash: Flash, *, permanent: bool = False, number: int = 0) -> Flash:
    """What the application's call for an update writes."""
    kind = PERMANENT if permanent else TEST
    image_ok = 1 if permanent else None
    return put_trailer(flash, flash.board.areas[number][1], image_ok=image_ok, info=number << 4 | kind)


def confirm(flash: Flash, number: int = 0) -> Flash:
    area = flash.board.areas[number][0]
    return flash.put(area.address + Offsets.of(flash.board, area.size).image_ok, b"\x01")


def image_limit(board: Board, number: int = 0) -> int:
    """Largest image, header to end of TLVs."""
    primary, secondary = board.areas[number]
    at = Offsets.of(board, primary.size)
    whole_sectors = primary.size - at.first_sector
    match board.mode:
        case SwapMode.MOVE:
            return min(primary.size - SECTOR, secondary.size) - whole_sectors
        case SwapMode.OFFSET:
            return min(primary.size, secondary.size - SECTOR) - whole_sectors
        case SwapMode.SCRATCH:
            own = board.scratch * SECTOR - Offsets.of(board, board.scratch * SECTOR, scratch=True).start
            inside = at.first_sector + SECTOR - at.start
            return at.start - max(0, own - inside)
        case _:
            return at.swap_info


class Expected:
    """Both slots and the scratch area of a board, to be changed as an update changes them."""

    def __init__(self, flash: Flash, number: int = 0) -> None:
        self.board, self.number = flash.board, number
        self.primary_area, self.secondary_area = flash.board.areas[number]
        self.primary = bytearray(flash.area(self.primary_area))
        self.secondary = bytearray(flash.area(self.secondary_area))
        scratch = flash.board.scratch_area
        self.scratch = bytearray(flash.area(scratch)) if scratch else bytearray()

    def update(self, kind: int, old: Image | None, new: Image) -> Expected:
        """Carry out an update of ``kind``; ``new`` is in the secondary, ``old`` in the primary."""
        size = max(old.size if old else 0, new.size)
        info = self.number << 4 | kind
        image_ok = None if kind == TEST else 1
        fields = {"image_ok": image_ok, "copy_done": 1, "info": info, "swap_size": size}
        count = -(-size // SECTOR)
        match self.board.mode:
            case SwapMode.SCRATCH:
                fields["entries"] = self._scratch(count)
            case SwapMode.MOVE:
                fields["entries"] = self._move(count)
            case SwapMode.OFFSET:
                fields["entries"] = self._offset(kind, count, old, new)
                sizes = (old.ordinary_tlvs if old else 0, new.ordinary_tlvs)
                fields["tlv_sizes"] = sizes
            case SwapMode.OVERWRITE_ONLY:
                self.primary[:] = self.secondary
                self._erase(self.secondary, 0, 1)
                self._erase(self.secondary, len(self.secondary) // SECTOR - 1, 1)
                return self
            case SwapMode.OVERWRITE_ONLY_FAST:
                self._overwrite_fast(new)
                return self
        self._clear_trailer(self.primary)
        start, data = trailer(self.board, len(self.primary), **fields)  # type: ignore[arg-type]
        keep = self._image_bytes_in_trailer_sectors
        self.primary[start:] = data
        first = Offsets.of(self.board, len(self.primary)).first_sector
        self.primary[first : first + len(keep)] = keep
        return self

    # parts

    @staticmethod
    def _erase(slot: bytearray, first: int, count: int) -> None:
        slot[first * SECTOR : (first + count) * SECTOR] = b"\xff" * SECTOR * count

    def _clear_trailer(self, slot: bytearray) -> None:
        first = Offsets.of(self.board, len(slot)).first_sector
        slot[first:] = b"\xff" * (len(slot) - first)

    _image_bytes_in_trailer_sectors: bytes = b""

    def _scratch(self, count: int) -> dict[int, int]:
        at = Offsets.of(self.board, len(self.primary))
        room = self.board.scratch
        end = count * SECTOR
        shared = end > at.first_sector
        if shared:
            chunk = (count - min(count, room)) * SECTOR
            own = Offsets.of(self.board, room * SECTOR, scratch=True)
            end = chunk + min(at.start - chunk, own.start)
        old, new = bytes(self.primary[:end]), bytes(self.secondary[:end])
        self._clear_trailer(self.secondary)
        if shared:
            self._clear_trailer(self.primary)
            self._image_bytes_in_trailer_sectors = new[at.first_sector : end]
        self.primary[:end], self.secondary[:end] = new, old
        chunks = -(-count // room)
        last = count - (chunks - 1) * room  # sectors of the last chunk, which begins at 0
        content = new[: last * SECTOR] if chunks > 1 or not shared else b""
        self.scratch[:] = content.ljust(len(self.scratch), b"\xff")
        return {3 * chunk + state: state + 1 for chunk in range(chunks) for state in range(3)}

    def _move(self, count: int) -> dict[int, int]:
        end = count * SECTOR
        old, new = bytes(self.primary[:end]), bytes(self.secondary[:end])
        self._clear_trailer(self.secondary)
        self.primary[SECTOR : end + SECTOR] = old
        self.primary[:end], self.secondary[:end] = new, old
        pairs = {
            self.board.max_sectors + 2 * n + state: state + 1 for n in range(count) for state in range(2)
        }
        return {**dict.fromkeys(range(count), 1), **pairs}

    def _offset(self, kind: int, count: int, old: Image | None, new: Image) -> dict[int, int]:
        out = min(count, -(-old.size // SECTOR) + 1) if old else count
        into = min(count, -(-new.size // SECTOR) + 1)
        primary, secondary = bytes(self.primary), bytes(self.secondary)
        self._clear_trailer(self.secondary)
        shift = SECTOR if kind == REVERT else 0  # where the old image goes to
        self.secondary[shift : shift + out * SECTOR] = primary[: out * SECTOR]
        come = SECTOR - shift
        self.primary[: into * SECTOR] = secondary[come : come + into * SECTOR]
        if kind == REVERT:
            self._erase(self.secondary, 0, 1)
            self._clear_trailer(self.secondary)
        return {2 * n + state: state + 1 for n in range(count) for state in range(2)}

    def _overwrite_fast(self, new: Image) -> None:
        count = -(-new.size // SECTOR)
        self._erase(self.primary, 0, count)
        self._clear_trailer(self.primary)
        # the unit that begins behind the image goes along, if the sector goes on
        align = self.board.align
        copied = new.size // align * align + align if new.size % SECTOR else new.size
        self.primary[:copied] = self.secondary[:copied]
        self.primary[-16:] = magic(self.board.max_align)
        self._erase(self.secondary, 0, 1)
        self._erase(self.secondary, len(self.secondary) // SECTOR - 1, 1)


def differences(flash: Flash, *expected: Expected) -> list[str]:
    """Where flash is not as expected, in words; empty if nowhere."""
    found = []
    for want in expected:
        areas = [
            ("primary", want.primary_area, want.primary),
            ("secondary", want.secondary_area, want.secondary),
        ]
        scratch = flash.board.scratch_area
        if scratch:
            areas.append(("scratch", scratch, want.scratch))
        for name, area, content in areas:
            there = flash.area(area)
            if there == content:
                continue
            wrong = [at for at in range(area.size) if there[at] != content[at]]
            found.append(
                f"image {want.number} {name}: {len(wrong)} bytes, first at {wrong[0]:#x} "
                f"({there[wrong[0] : wrong[0] + 8].hex()} instead of "
                f"{bytes(content[wrong[0] : wrong[0] + 8]).hex()})"
            )
    return found
