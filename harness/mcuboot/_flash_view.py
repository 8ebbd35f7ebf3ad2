"""Flash contents as far as they are known: a dump of everything, or just parts of it."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from harness._errors import ImageError


@dataclass(frozen=True, slots=True)
class FlashView:
    """Known bytes at absolute addresses; everything else is unknown.

    ``regions`` are (address, bytes), sorted, not touching each other.
    """

    regions: tuple[tuple[int, bytes], ...] = field(repr=False, default=())

    @classmethod
    def build(cls, regions: Iterable[tuple[int, bytes]]) -> Self:
        """Put pieces together; pieces that touch become one.

        Raises:
            ImageError: two pieces overlap, or an address is negative.
        """
        joined: list[tuple[int, bytearray]] = []
        for address, data in sorted(regions, key=lambda region: region[0]):
            if address < 0:
                raise ImageError("negative flash address", found=str(address))
            if not data:
                continue
            if joined:
                base, held = joined[-1]
                end = base + len(held)
                if address < end:
                    raise ImageError(
                        "flash contents overlap",
                        where=f"{address:#010x}",
                        found=f"piece before ends at {end:#010x}",
                    )
                if address == end:
                    held += data
                    continue
            joined.append((address, bytearray(data)))
        return cls(tuple((address, bytes(data)) for address, data in joined))

    @classmethod
    def from_bytes(cls, data: bytes, base: int = 0) -> Self:
        """A raw dump that starts at address ``base``."""
        return cls.build([(base, data)])

    @classmethod
    def from_hex(cls, text: str | bytes) -> Self:
        """The content of an Intel HEX file; gaps stay unknown.

        Raises:
            ImageError: no Intel HEX, or a record is wrong.
        """
        from intelhex import IntelHex, IntelHexError  # only dumps in hex pay for it

        try:
            source = text if isinstance(text, str) else text.decode("ascii")
            dump = IntelHex(io.StringIO(source))
            return cls.build(
                (start, dump.tobinstr(start=start, end=end - 1))
                for start, end in dump.segments()
                if end > start
            )
        except (IntelHexError, UnicodeDecodeError, ValueError) as error:
            raise ImageError("not a usable Intel HEX file", found=str(error).splitlines()[0]) from error

    @classmethod
    def load(cls, data: bytes, base: int = 0) -> Self:
        """Either kind of file content: Intel HEX if it starts with ``:``, else raw bytes at ``base``.

        Raises:
            ImageError: it starts like Intel HEX and is none.
        """
        return cls.from_hex(data) if data.lstrip()[:1] == b":" else cls.from_bytes(data, base)

    def read(self, address: int, size: int) -> bytes | None:
        """``size`` bytes from ``address``, or ``None`` if any of them is unknown."""
        for base, data in self.regions:
            if base <= address and address + size <= base + len(data):
                return data[address - base : address - base + size]
        return None if size else b""

    def read_known(self, address: int, size: int) -> bytes:
        """The known bytes from ``address`` on, at most ``size``, up to the first unknown one."""
        for base, data in self.regions:
            if base <= address < base + len(data):
                return data[address - base : address - base + size]
        return b""

    def with_bytes(self, address: int, data: bytes) -> Self:
        """A copy in which ``data`` lies at ``address``, whatever was there before."""
        pieces: list[tuple[int, bytes]] = [(address, data)]
        end = address + len(data)
        for base, held in self.regions:
            pieces.append((base, held[: max(0, address - base)]))
            pieces.append((max(base, end), held[max(0, end - base) :]))
        return self.build(pieces)

    def filled(self, address: int, size: int, value: int = 0xFF) -> Self:
        """A copy in which the unknown bytes of a range read as ``value``, erased flash for example."""
        view = type(self).from_bytes(bytes([value]) * size, address)
        for base, data in self.regions:
            view = view.with_bytes(base, data)
        return view

    @property
    def size(self) -> int:
        """Number of known bytes."""
        return sum(len(data) for _, data in self.regions)
