"""Image versions as MCUboot stores and compares them."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final, Self

from harness._errors import ImageError

_FORMAT: Final = struct.Struct("<BBHI")
_LIMITS: Final = {"major": 0xFF, "minor": 0xFF, "revision": 0xFFFF, "build": 0xFFFF_FFFF}
_TEXT: Final = re.compile(r"(\d{1,3})(?:\.(\d{1,3})(?:\.(\d{1,5})(?:\+(\d{1,10}))?)?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Version:
    """``major.minor.revision+build``: 8, 8, 16 and 32 bits (``struct image_version`` of bootutil).

    ``<``, ``<=``, ``>`` and ``>=`` compare as MCUboot does by default: the build
    number does not count. ``==`` compares all four parts, so two versions can be
    different although neither is older; see :meth:`compare`.

    Raises:
        ImageError: a part does not fit its field.
    """

    major: int = 0
    minor: int = 0
    revision: int = 0
    build: int = 0

    def __post_init__(self) -> None:
        for name, limit in _LIMITS.items():
            value = getattr(self, name)
            if not 0 <= value <= limit:
                raise ImageError(
                    f"version part {name} does not fit", expected=f"0..{limit}", found=str(value)
                )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``1``, ``1.2``, ``1.2.3`` or ``1.2.3+4``; missing parts are 0 (imgtool's rule).

        Raises:
            ImageError: the text is no version, or a part does not fit its field.
        """
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise ImageError("not an image version", expected="major.minor.revision+build", found=repr(text))
        return cls(*(int(part or 0) for part in match.groups()))

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read the 8 bytes of ``ih_ver`` or of a dependency's minimum version."""
        return cls(*_FORMAT.unpack(data))

    def pack(self) -> bytes:
        """The 8 bytes as stored in flash."""
        return _FORMAT.pack(self.major, self.minor, self.revision, self.build)

    def compare(self, other: Version, *, with_build: bool = False) -> int:
        """Negative, 0 or positive, like bootutil's ``boot_compare_version``.

        ``with_build`` stands for a boot loader built with the build-number
        option (``MCUBOOT_VERSION_CMP_USE_BUILD_NUMBER``).
        """
        ours, theirs = self._order(with_build), other._order(with_build)
        return (ours > theirs) - (ours < theirs)

    def _order(self, with_build: bool) -> tuple[int, ...]:
        return (self.major, self.minor, self.revision, self.build if with_build else 0)

    def __lt__(self, other: Version) -> bool:
        return self.compare(other) < 0

    def __le__(self, other: Version) -> bool:
        return self.compare(other) <= 0

    def __gt__(self, other: Version) -> bool:
        return self.compare(other) > 0

    def __ge__(self, other: Version) -> bool:
        return self.compare(other) >= 0

    def __str__(self) -> str:
        text = f"{self.major}.{self.minor}.{self.revision}"
        return f"{text}+{self.build}" if self.build else text
