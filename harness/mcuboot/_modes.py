"""Update strategies a boot loader can be built with."""

from __future__ import annotations

import enum


class SwapMode(enum.StrEnum):
    """One strategy per build (MCUboot's design document, "Boot swap types" and following)."""

    SCRATCH = "scratch"
    MOVE = "move"
    OFFSET = "offset"
    OVERWRITE_ONLY = "overwrite-only"
    OVERWRITE_ONLY_FAST = "overwrite-only-fast"
    """Overwrite-only that copies just the sectors of the image."""
    DIRECT_XIP = "direct-xip"
    DIRECT_XIP_REVERT = "direct-xip-revert"
    RAM_LOAD = "ram-load"
    RAM_LOAD_REVERT = "ram-load-revert"
    SINGLE = "single"
    """One slot per image, nothing is updated by the boot loader."""

    @property
    def swaps(self) -> bool:
        """Images change places, and the old one can come back."""
        return self in (SwapMode.SCRATCH, SwapMode.MOVE, SwapMode.OFFSET)

    @property
    def overwrites(self) -> bool:
        """The secondary is copied over the primary; nothing comes back."""
        return self in (SwapMode.OVERWRITE_ONLY, SwapMode.OVERWRITE_ONLY_FAST)

    @property
    def selects(self) -> bool:
        """Images stay where they are; the boot loader picks a slot by version."""
        return self.executes_in_place or self.loads_to_ram

    @property
    def executes_in_place(self) -> bool:
        """Direct-xip, with or without revert."""
        return self in (SwapMode.DIRECT_XIP, SwapMode.DIRECT_XIP_REVERT)

    @property
    def loads_to_ram(self) -> bool:
        """RAM load, with or without revert."""
        return self in (SwapMode.RAM_LOAD, SwapMode.RAM_LOAD_REVERT)

    @property
    def needs_confirmation(self) -> bool:
        """A selecting mode that erases a slot which was booted and not confirmed."""
        return self in (SwapMode.DIRECT_XIP_REVERT, SwapMode.RAM_LOAD_REVERT)

    @property
    def entries_per_sector(self) -> int:
        """Swap status entries per sector in the trailer (``BOOT_STATUS_STATE_COUNT``).

        The area exists in modes that never use it, except with single slots.
        """
        if self is SwapMode.SINGLE:
            return 0
        return 2 if self is SwapMode.OFFSET else 3
