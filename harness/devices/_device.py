"""One running board with its four sides: debug, serial ports, power, capabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Protocol

from .._errors import CapabilityMissing
from ..boards import Board
from ..emulator import Operation
from ..mcuboot import BootSettings, FlashReport, FlashView
from ..protocols.links import FrameLink
from ._console import Console
from ._debug_port import DebugPort
from ._power import Power
from ._serial_port import SerialPort

__all__ = ["Baseline", "Device", "Journal"]


class Baseline(Protocol):
    """Brings flash back to content that was there before. Content is bytes by address; the rest is erased.

    ``steps`` says whether a part of some content is worth going back to.
    """

    steps: bool

    def recall(self, content: Mapping[int, bytes]) -> Mapping[int, bytes] | None:
        """Put back the largest part of ``content`` that is remembered, and return it; None if nothing is.

        Power is off if that is all of it. Otherwise the core is halted at reset, with power on.
        """

    def remember(self, content: Mapping[int, bytes]) -> None:
        """Remember the present content; power is off."""


class Journal(Protocol):
    """Records what happens to flash."""

    def start(self) -> None:
        """Record from now on, and forget what was recorded before."""

    def stop(self) -> list[Operation]:
        """Record no more; the operations, oldest first."""


class NoBaseline:
    """Nothing is remembered: content is programmed again, sector by sector where it differs."""

    steps = False

    def recall(self, content: Mapping[int, bytes]) -> None:
        """Nothing was remembered."""

    def remember(self, content: Mapping[int, bytes]) -> None:
        """Forget at once."""


class Device:
    """A board that runs. Hardware and emulated boards differ only in the parts they are made of.

    ``kind`` is the backend: ``embedded``, ``renode`` or ``hardware``; ``ports`` are the serial ports by role.
    Whoever makes a device closes it; ``owned`` is closed with it, last first.
    """

    def __init__(
        self,
        board: Board,
        kind: str,
        debug: DebugPort,
        power: Power,
        ports: Mapping[str, SerialPort],
        baseline: Baseline,
        owned: ExitStack,
        findings: Callable[[], list[tuple[bool, str]]] = list,
        journal: Journal | None = None,
    ) -> None:
        self.board, self.kind = board, kind
        self.debug, self.power, self.ports = debug, power, dict(ports)
        self._baseline, self._owned, self._findings = baseline, owned, findings
        self._journal = journal
        self._consoles = {
            serial.role: Console(ports[serial.role], framed="slipmux" in serial.carries)
            for serial in board.serial
            if "console" in serial.carries and serial.role in ports
        }

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close everything that the device owns."""
        self._owned.close()

    @property
    def name(self) -> str:
        """Board and probe, for messages."""
        return f"{self.board.name} ({self.debug.unique_id})"

    @property
    def capabilities(self) -> frozenset[str]:
        """What the board has by definition, and what this device adds."""
        added = {"power": self.power.real, "flash-journal": self._journal is not None}
        return frozenset(self.board.capabilities) | {name for name, present in added.items() if present}

    def require(self, capability: str) -> None:
        """Raise `CapabilityMissing` if the device lacks this."""
        if capability not in self.capabilities:
            raise CapabilityMissing(capability, board=self.board.name)

    @property
    def console(self) -> Console:
        """The first port that carries console text. Raises `CapabilityMissing`."""
        for console in self._consoles.values():
            return console
        raise CapabilityMissing("console", board=self.board.name)

    @property
    def link(self) -> SerialPort:
        """The port that carries CoAP in slipmux frames. Raises `CapabilityMissing`."""
        for serial in self.board.serial:
            if "slipmux" in serial.carries:
                return self.ports[serial.role]
        raise CapabilityMissing("slipmux", board=self.board.name)

    @property
    def smp_link(self) -> FrameLink:
        """The port that carries SMP, seen from its SMP side. Raises `CapabilityMissing`."""
        for serial in self.board.serial:
            if "smp" in serial.carries:
                return self.ports[serial.role].smp
        raise CapabilityMissing("smp", board=self.board.name)

    @property
    def smp_address(self) -> tuple[str, int] | None:
        """Host and UDP port where it speaks SMP; None if it does so on `smp_link`. Models have no network."""
        server = self.board.smp if self.kind == "hardware" else None
        return (server.host, server.port) if server is not None else None

    # flash

    def _areas(self, settings: BootSettings) -> Iterator[tuple[int, int]]:
        for _, area in settings.areas():
            yield area.address, area.size
        if settings.scratch is not None:
            yield settings.scratch.address, settings.scratch.size

    def flash(self) -> FlashView:
        """All slots and the scratch area as they are now, read through the probe."""
        areas = self._areas(self.board.boot_settings())
        return FlashView.build((address, self.debug.read(address, size)) for address, size in areas)

    def report(self) -> FlashReport:
        """The slots explained, with what the next boot will do."""
        return FlashReport.build(self.flash(), self.board.boot_settings())

    def install(self, content: Mapping[int, bytes], more: Mapping[int, bytes] | None = None) -> None:
        """Make flash hold exactly this, by address, and nothing else. Power is off afterwards.

        ``more`` comes on top of ``content``, which will be wanted again without it.
        """
        whole = {**content, **(more or {})}
        if more and self._baseline.steps:
            self._bring({address: data for address, data in content.items() if whole[address] == data})
        self._bring(whole)
        self.settle()

    def _bring(self, content: Mapping[int, bytes]) -> None:
        """Make flash hold this and nothing else; power is off afterwards."""
        held = self._baseline.recall(content)
        if held is None:
            self.power.on()
            self.debug.erase_chip()
            held = {}
        elif len(held) == len(content):
            return
        missing = {address: data for address, data in content.items() if address not in held}
        if missing:
            self.debug.program(missing)
        self.power.off()
        self._baseline.remember(content)

    def findings(self) -> list[str]:
        """What the emulator has noticed about firmware since the last `install`."""
        return [text for _, text in self._findings()]

    def broken_rules(self) -> list[str]:
        """Those findings in which firmware breaks a rule of the part; others name what is not modelled."""
        return [text for modelled, text in self._findings() if modelled]

    @contextmanager
    def recording(self) -> Iterator[list[Operation]]:
        """Every write and erase of flash that firmware does meanwhile; the list is filled at the end.

        Raises `CapabilityMissing` for a device that nobody can look into.
        """
        if self._journal is None:
            raise CapabilityMissing("flash-journal", board=self.board.name)
        operations: list[Operation] = []
        self._journal.start()
        try:
            yield operations
        finally:
            operations += self._journal.stop()

    def settle(self) -> None:
        """Wait until everything that the device has sent so far has been handed on by its ports."""
        for port in self.ports.values():
            port.settle()

    def power_cycle(self) -> None:
        """Off and on again."""
        self.power.off()
        self.power.on()
