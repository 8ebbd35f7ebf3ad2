"""Everything this package raises on purpose.

* HarnessError
  x BoardError                 a board definition is refused
  x ImageError                 an image cannot be read, built or signed
    + SigningError
  x BuildError                 firmware does not compile or a toolchain part is missing
  x SweepError                 a power-cut sweep cannot be made of what was given
  x BenchError                 the bench is broken; a test that meets one is an error, never a skip
    + ProbeError               debug probe or target answers wrongly
      - ProbeMissingError      the probe is not there, or was unplugged
      - ProbeFirmwareError     the probe itself reports a failure
      - TargetLockedError      debug access is switched off in the chip
    + WrongDeviceError         another part or device is behind the probe; nothing was written
    + FlashError               programming or reading flash failed
    + PortError                a serial port cannot be opened, or vanished
      - PortMissingError       there is no such port
      - PortBusyError          another program holds it
      - LineNoiseError         what arrives is no text: wrong speed, or a bad line
    + PowerError               power could not be switched
    + EmulatorError            the emulated board refused a request or died
    + DeviceBusyError          somebody else has locked the device
    + QuarantineError          the device stopped answering earlier and was not recovered
  x ProtocolError              the device's protocol side
    + CodecError               bytes that are no legal message of their format
    + RequestError             the device answered a request with an error code
    + RegistrationError        the device did not register, or left
  x DeadlineExceeded           a wait ended without what it waited for (also a TimeoutError)
  x CapabilityMissing          the board lacks something by definition; tests skip with its name
* VerdictError (AssertionError) the state of a device is not what was asked for
  x DisagreementError          what the device says, over one protocol or another, is not what flash holds

A message says what happened, where, what was expected and what to do: the
parts are keyword arguments, so that no raise site can forget how to lay them out.
"""

from __future__ import annotations

__all__ = [
    "BenchError",
    "BoardError",
    "BuildError",
    "CapabilityMissing",
    "CodecError",
    "DeadlineExceeded",
    "DeviceBusyError",
    "DisagreementError",
    "EmulatorError",
    "FlashError",
    "HarnessError",
    "ImageError",
    "LineNoiseError",
    "PortBusyError",
    "PortError",
    "PortMissingError",
    "PowerError",
    "ProbeError",
    "ProbeFirmwareError",
    "ProbeMissingError",
    "ProtocolError",
    "QuarantineError",
    "RegistrationError",
    "RequestError",
    "SigningError",
    "SweepError",
    "TargetLockedError",
    "VerdictError",
    "WrongDeviceError",
]


class HarnessError(Exception):
    """Base of all errors. ``str()`` is the laid-out message; the parts stay readable as attributes.

    ``where`` is a place a person can go to: ``file:line``, an address, a slot, a
    resource path. ``expected`` and ``found`` are values. ``remedy`` is an imperative.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.expected = expected
        self.found = found
        self.remedy = remedy
        super().__init__(what)

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        lines += [
            f"  {label}: {text}"
            for label, text in (("expected", self.expected), ("found", self.found), ("to do", self.remedy))
            if text
        ]
        return "\n".join(lines)


class BoardError(HarnessError):
    """A board definition is refused; ``where`` names file, line and field."""


class ImageError(HarnessError):
    """Bytes that were to be an MCUboot image are none, or an image cannot be made."""


class SigningError(ImageError):
    """imgtool refused to sign; ``found`` carries its own words."""


class BuildError(HarnessError):
    """The firmware could not be built; ``found`` carries the compiler's output."""


class SweepError(HarnessError):
    """A scenario cannot be recorded or a recording not be used; no statement about the firmware's safety."""


class BenchError(HarnessError):
    """Probe, port, power or emulator do not do their work."""


class ProbeError(BenchError):
    """The debug probe, or the target behind it, answers wrongly or not at all."""


class ProbeMissingError(ProbeError):
    """There is no such probe, or it was unplugged while in use."""


class ProbeFirmwareError(ProbeError):
    """The probe answers its own commands with a failure; the target may be well."""


class TargetLockedError(ProbeError):
    """The chip refuses debug access (APPROTECT, RDP); only an erase of everything opens it."""


class WrongDeviceError(BenchError):
    """The chip behind the probe is not the one that was named. Nothing has been written."""


class FlashError(BenchError):
    """Flash could not be erased, programmed or read back as written."""


class PortError(BenchError):
    """A serial port cannot be opened, is taken, or vanished while in use."""


class PortMissingError(PortError):
    """No port of that name is there."""


class PortBusyError(PortError):
    """Another program holds the port."""


class LineNoiseError(PortError):
    """Bytes arrive that are neither text nor frames."""


class DeviceBusyError(BenchError):
    """A device is locked by somebody else; ``found`` says by whom and since when."""


class QuarantineError(BenchError):
    """A device stopped answering earlier; ``found`` is the evidence."""


class PowerError(BenchError):
    """The board's power could not be switched."""


class EmulatorError(BenchError):
    """The emulated board refused a request, or its process is gone."""


class ProtocolError(HarnessError):
    """Something between harness and device firmware went against its protocol."""


class CodecError(ProtocolError):
    """Bytes that are no legal message; ``where`` is the offset in them."""


class RequestError(ProtocolError):
    """The device answered a request with an error.

    ``code`` is the answer as ``class.detail`` text, for example ``4.05``.
    """

    def __init__(self, what: str, *, code: str, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what, where=where, found=code, remedy=remedy)
        self.code = code


class RegistrationError(ProtocolError):
    """The device did not register, registered unusably, or its registration ended."""


class DeadlineExceeded(HarnessError, TimeoutError):  # noqa: N818 - says what happened, as trio names it
    """A wait ran out. ``expected`` is what was waited for, ``found`` what came instead."""


class CapabilityMissing(HarnessError):  # noqa: N818 - a property of the board, not a fault
    """The board has no such part. ``capability`` is the name that a skip shows."""

    def __init__(self, capability: str, *, board: str) -> None:
        super().__init__(f"board {board} has no {capability}")
        self.capability = capability


class VerdictError(AssertionError):
    """The state found on a device contradicts what was asked for.

    An ``AssertionError``, so that test runners report a failure and not a broken bench.
    """


class DisagreementError(VerdictError):
    """What the device says contradicts its flash, or what it says over another protocol."""
