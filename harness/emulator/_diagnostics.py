"""What the model noticed about the firmware: rules of the part broken, and things that are not modelled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Diagnostic", "DiagnosticKind", "Diagnostics"]


class DiagnosticKind(StrEnum):
    """What happened."""

    UNMODELLED_READ = "read of a register that is not modelled (reads as 0)"
    UNMODELLED_WRITE = "write to a register that is not modelled (ignored)"
    UNMODELLED_FEATURE = "use of a feature that is not modelled"
    NO_CLOCK = "access to a device that has no clock (reads as 0, writes are ignored)"
    NOT_CONNECTED = "serial port that sends without a pin (lost)"
    READ_ONLY_WRITE = "write to memory that cannot be written (ignored)"
    FLASH_NOT_ENABLED = "flash write while the controller does not allow writing (ignored)"
    FLASH_ALIGNMENT = "flash write of a size or at an address that the part does not take (ignored)"
    FLASH_NOT_ERASED = "flash write to a place that is not erased (ignored)"
    FLASH_WORN = "word programmed more often since its erase than the part allows"
    FLASH_CONFLICT = "flash controller used against its rules (ignored)"
    CLOCK_CONFLICT = "clocks set against the part's rules"
    FPU_DISABLED = "floating-point instruction while CPACR does not enable the FPU (executed)"

    @property
    def modelled(self) -> bool:
        """Firmware breaks a rule of the part; else it is the model that lacks something."""
        return self not in (
            DiagnosticKind.UNMODELLED_READ,
            DiagnosticKind.UNMODELLED_WRITE,
            DiagnosticKind.UNMODELLED_FEATURE,
        )


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: the kind, the address touched and the program counter; ``value`` is what was written."""

    kind: DiagnosticKind
    address: int
    pc: int | None
    value: int | None = None
    note: str = ""

    def __str__(self) -> str:
        at = "by the debugger" if self.pc is None else f"at pc {self.pc:#010x}"
        value = "" if self.value is None else f", value {self.value:#x}"
        note = f" - {self.note}" if self.note else ""
        return f"{self.kind.value}: address {self.address:#010x} {at}{value}{note}"


class Diagnostics:
    """A list in which each kind of finding appears once for each address."""

    def __init__(self) -> None:
        self._seen: dict[tuple[DiagnosticKind, int], Diagnostic] = {}

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self._seen.values())

    def __len__(self) -> int:
        return len(self._seen)

    def known(self, kind: DiagnosticKind, address: int) -> bool:
        """Whether this has been reported before."""
        return (kind, address) in self._seen

    def add(self, diagnostic: Diagnostic) -> None:
        """Report; a repetition is dropped."""
        self._seen.setdefault((diagnostic.kind, diagnostic.address), diagnostic)

    def clear(self) -> None:
        """Forget all, so that everything is reported anew."""
        self._seen.clear()
