"""Debug access to a device through pyOCD, the same for real and emulated boards."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from .._deadline import Deadline
from .._errors import (
    FlashError,
    HarnessError,
    ProbeError,
    ProbeFirmwareError,
    ProbeMissingError,
    TargetLockedError,
)
from ._probe_id import probe_id, server_address

__all__ = ["CoreSample", "DebugPort", "Reset", "present_probes"]

_BLOCK: Final = 64 * 1024


class Reset(Enum):
    """Ways to reset through the probe. Values are pyOCD's names."""

    PIN = "hardware"
    SYSTEM = "sysresetreq"


@dataclass(frozen=True, slots=True)
class CoreSample:
    """What a core does: address, number of the exception that it handles (0: none), and whether it does
    anything at all - it has locked up, or it is parked: asleep, or in a branch to itself.
    """

    pc: int
    exception: int
    locked_up: bool
    parked: bool


class DebugPort:
    """An open pyOCD session with one target. Raises `ProbeError` and `FlashError`.

    ``unique_id`` is the probe's, ``target`` a pyOCD target type, ``options`` are pyOCD
    session options on top of those that every device of this project uses. ``unlock`` erases
    a chip that has debug access switched off; without it such a chip is refused and left alone.
    """

    def __init__(
        self,
        unique_id: str,
        *,
        target: str,
        options: Mapping[str, Any] | None = None,
        unlock: bool = False,
    ) -> None:
        self.unique_id, self.target_type = probe_id(unique_id), target
        own = {"target_override": target, "auto_unlock": unlock}
        self._session = self._open({**_OPTIONS, **own, **(options or {})})

    def _open(self, options: dict[str, Any]) -> Any:
        from pyocd.core.exceptions import Error

        for name in ("pyocd", "pylink"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters arrives as an exception
        session: Any = None
        try:
            session = self._choose(options)
            if session is None:
                raise ProbeMissingError(
                    "no such debug probe",
                    where=self.unique_id,
                    found=f"probes present: {', '.join(present_probes()) or 'none'}",
                    remedy="check cable, power and the id, which is that of 'pyocd list', whole",
                )
            session.delegate = _NoRegisterDescription()
            session.open()
            if not unlocked(session):
                raise Error("the core cannot be reached")
        except HarnessError:
            raise
        except Exception as error:
            raise self._refusal(session, error) from None
        return session

    def _choose(self, options: dict[str, Any]) -> Any:
        """A session with the probe of this id, not open yet; ``None`` if there is none."""
        from pyocd.core.session import Session
        from pyocd.probe.aggregator import DebugProbeAggregator

        if server_address(self.unique_id) is not None:
            from ._remote_probe import RemoteProbe

            return Session(RemoteProbe(self.unique_id), options=options)
        for probe in DebugProbeAggregator.get_all_connected_probes(unique_id=self.unique_id):
            # pyOCD also offers probes whose id contains this one. Locks go by the id as it stands.
            if str(probe.unique_id) == self.unique_id:
                return Session(probe, options=options)
        return None

    def _refusal(self, session: Any, error: Exception) -> ProbeError:
        """Why a session could not be opened; what was opened of it is closed."""
        locked = session is not None and not unlocked(session)
        found = f"{type(error).__name__}: {error}"
        where = f"{self.unique_id}, target {self.target_type}"
        if session is not None:
            with suppress(Exception):
                session.close()
            _close_register_description(session.target)
        if locked:
            return TargetLockedError(
                "debug access is switched off in the chip; nothing was written",
                where=where,
                found=found,
                remedy="'harness bench recover NAME --erase' erases everything on it and opens it again",
            )
        return probe_failure("opening a session with the target", where, error) or ProbeError(
            "the target does not answer",
            where=where,
            found=found,
            remedy="check that the board has power and is the part that the board file names",
        )

    def __enter__(self) -> DebugPort:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the target run and close the session."""
        try:
            with _translated("closing the session", self.unique_id):
                self._session.close()
        finally:
            _close_register_description(self._session.target)

    @property
    def target(self) -> Any:
        """The pyOCD target, for what this class does not offer."""
        return self._session.target

    def read(self, address: int, size: int) -> bytes:
        """Memory content, also while the core runs."""
        content = bytearray()
        with _translated("reading memory", f"{address:#010x}, {size} bytes"):
            # Past pyOCD's core, which looks for a software breakpoint at each single byte.
            memory = self.target.selected_core_or_raise.ap
            while len(content) < size:
                at = address + len(content)
                content += bytes(memory.read_memory_block8(at, min(_BLOCK, size - len(content))))
        return bytes(content)

    def program(self, content: Mapping[int, bytes]) -> None:
        """Write flash: the sectors that the areas touch are erased as far as need be, the rest stays.

        Sectors that hold the wanted bytes already are left alone. The core is halted afterwards.
        """
        from pyocd.flash.loader import FlashLoader

        with _translated(
            "programming flash",
            ", ".join(f"{at:#x}+{len(data):#x}" for at, data in content.items()),
            FlashError,
        ):
            self._halt_at_reset()
            loader = FlashLoader(self._session)
            for address, data in content.items():
                loader.add_data(address, data)
            loader.commit()
        for address, data in content.items():
            self._verify(address, data)

    def _verify(self, address: int, data: bytes) -> None:
        found = self.read(address, len(data))
        if found != data:
            at = next(index for index in range(len(data)) if found[index] != data[index])
            raise FlashError(
                "flash does not hold what was programmed",
                where=f"{address + at:#010x}",
                expected=f"{data[at]:#04x}",
                found=f"{found[at]:#04x}",
                remedy="the flash may be worn or protected, or firmware runs while it is programmed",
            )

    def erase(self, address: int, size: int) -> None:
        """Erase all sectors of an area. The core is halted afterwards."""
        from pyocd.flash.eraser import FlashEraser

        with _translated("erasing flash", f"{address:#010x}, {size} bytes", FlashError):
            self._halt_at_reset()
            FlashEraser(self._session, FlashEraser.Mode.SECTOR).erase([(address, address + size)])

    def erase_chip(self) -> None:
        """Erase all flash, by the way the part offers for it. The core is halted afterwards."""
        with _translated("erasing the chip", self.unique_id, FlashError):
            self.target.mass_erase()
            self._halt_at_reset()

    def _halt_at_reset(self) -> None:
        """Stop before the first instruction after a pin reset, which also ends a running watchdog."""
        from pyocd.core.target import Target

        self.target.reset_and_halt(Target.ResetType.HARDWARE)

    def reset(self, kind: Reset = Reset.PIN) -> None:
        """Reset and run."""
        from pyocd.core.target import Target

        types = {Reset.PIN: Target.ResetType.HARDWARE, Reset.SYSTEM: Target.ResetType.SYSRESETREQ}
        with _translated(f"resetting ({kind.value})", self.unique_id):
            self.target.reset(types[kind])

    def halt(self) -> None:
        """Stop the core."""
        with _translated("halting", self.unique_id):
            self.target.halt()

    def resume(self) -> None:
        """Let the core run."""
        with _translated("resuming", self.unique_id):
            self.target.resume()

    def flush(self) -> None:
        """Wait for what pyOCD has sent without waiting. What of that fails does not matter any more."""
        from pyocd.core.exceptions import TransferError

        with _translated("waiting for the probe", self.unique_id), suppress(TransferError):
            self._session.probe.flush()

    def reconnect(self, *, deadline: float | Deadline = 5.0) -> None:
        """Speak to a target again that had no power; what pyOCD remembers of its registers is forgotten."""
        from pyocd.core.exceptions import Error
        from pyocd.core.target import Target

        limit = Deadline.of(deadline)
        with _translated("reconnecting after a loss of power", self.unique_id):
            while True:
                try:
                    self.target.dp.connect()
                    self.target.dp.power_up_debug()
                    break
                except Error:
                    if limit.expired:
                        raise
                    limit.pause(_AGAIN)
            self._session.notify(Target.Event.POST_RESET, self.target)

    def check(self) -> None:
        """Do nothing if the target answers: its core tells what it is, whatever firmware does."""
        found = int.from_bytes(self.read(_CPUID, 4), "little")
        if found >> 24 != _ARM:
            raise ProbeError(
                "the target answers nonsense",
                where=self.unique_id,
                expected="a core made by Arm (CPUID 0x41......)",
                found=f"{found:#010x}",
                remedy="check wires and supply; power-cycle the board",
            )

    def was_reset(self) -> bool:
        """Whether the core was reset since the last call, or since anything else looked at its state."""
        with _translated("looking at the core", self.unique_id):
            return bool(self.target.read32(_DHCSR) & _S_RESET_ST)

    def _opcode(self, pc: int) -> int:
        """The half-word at PC; 0 if a lost core's PC points to nowhere."""
        from pyocd.core.exceptions import TransferFaultError

        try:
            return int(self.target.read16(pc))
        except TransferFaultError:
            return 0

    def sample(self) -> CoreSample:
        """Where the core is: it is stopped for a moment, and runs on."""
        with _translated("looking at the core", self.unique_id):
            status = self.target.read32(_DHCSR)
            self.target.halt()
            try:
                pc, xpsr = self.target.read_core_registers_raw(["pc", "xpsr"])
                opcode = self._opcode(pc)
            finally:
                self.target.resume()
        return CoreSample(
            pc,
            exception=xpsr & 0x1FF,
            locked_up=bool(status & _S_LOCKUP),
            parked=bool(status & _S_SLEEP) or opcode == _BRANCH_TO_ITSELF,
        )


_DHCSR: Final = 0xE000EDF0  # Armv7-M Architecture Reference Manual, C1.6.2
_S_SLEEP: Final = 1 << 18
_S_LOCKUP: Final = 1 << 19
_S_RESET_ST: Final = 1 << 25  # cleared by reading it
_BRANCH_TO_ITSELF: Final = 0xE7FE

_CPUID: Final = 0xE000ED00  # SCB.CPUID (Armv7-M Architecture Reference Manual, B3.2.3)
_ARM: Final = 0x41
_GREETING: Final = 3.0  # seconds for a probe server to say that it is one
_AGAIN: Final = 0.05  # seconds between two tries to reconnect
_OPTIONS: Final = {
    "auto_unlock": False,  # a locked part is somebody's decision; unlocking would erase it
    "connect_mode": "attach",
    "hide_programming_progress": True,
    "resume_on_disconnect": True,
    "no_config": True,
    "project_dir": ".",
}


class _NoRegisterDescription:
    """pyOCD parses a target's SVD file in a thread that nothing ends; nothing here needs it."""

    def will_init_target(self, target: Any, init_sequence: Any) -> None:  # noqa: ARG002 - pyOCD's signature
        """Called by pyOCD before the target's start-up tasks run."""
        if init_sequence.has_task("load_svd"):
            init_sequence.remove_task("load_svd")


def _close_register_description(target: Any) -> None:
    """pyOCD 0.46 opens a built-in SVD file for each target and never closes it; nothing here needs it."""
    with suppress(AttributeError):
        target._svd_location.filename._fileobj._file.close()


def present_probes(wanted: Iterable[str] = ()) -> list[str]:
    """Unique ids of all debug probes that pyOCD sees, and of those ``wanted`` whose probe server answers.

    Ask for none that a session may use: pyOCD's server flushes the probe when a connection ends.
    """
    from pyocd.probe.aggregator import DebugProbeAggregator

    seen = [str(probe.unique_id) for probe in DebugProbeAggregator.get_all_connected_probes()]
    return seen + _behind_servers([probe for probe in wanted if server_address(probe)])


def _behind_servers(probes: list[str]) -> list[str]:
    if not probes:
        return []
    from ._remote_probe import server_answers

    with ThreadPoolExecutor(len(probes)) as pool:  # hosts that are off cost the wait of one
        answers = pool.map(lambda probe: server_answers(probe, seconds=_GREETING), probes)
        return [probe for probe, answers_there in zip(probes, answers, strict=True) if answers_there]


def unlocked(session: Any) -> bool:
    """Whether the chip lets a debugger in, as far as pyOCD knows the family's way to tell."""
    try:
        return not session.target.is_locked()
    except Exception:
        return True


def probe_failure(doing: str, where: str, error: Exception) -> ProbeError | None:
    """The named error for a failure of the probe itself; ``None`` if the target is to blame."""
    from pyocd.core import exceptions

    if isinstance(error, exceptions.ProbeDisconnected):
        return ProbeMissingError(
            f"{doing} failed: the probe is gone",
            where=where,
            found=str(error),
            remedy=getattr(error, "remedy", "check the USB cable; then run again"),
        )
    if isinstance(error, exceptions.ProbeError):
        return ProbeFirmwareError(
            f"{doing} failed: the probe reports a failure of its own",
            where=where,
            found=str(error),
            remedy="plug the probe out and in again; update its firmware if that happens often",
        )
    return None


@contextmanager
def _translated(
    doing: str, where: str, kind: type[ProbeError] | type[FlashError] = ProbeError
) -> Iterator[None]:
    """pyOCD's exceptions as this project's."""
    from pyocd.core.exceptions import Error

    try:
        yield
    except (Error, ValueError) as error:  # an address outside of the memory map is a ValueError
        raise probe_failure(doing, where, error) or kind(
            f"{doing} failed",
            where=where,
            found=f"{type(error).__name__}: {error}",
            remedy="check the connection to the board; reset or power-cycle it and try again",
        ) from None
