"""Opens devices: emulated in processes of their own, or real ones behind a probe and ports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from .._errors import CapabilityMissing, EmulatorError, ProbeError, ProbeMissingError
from ..boards import Board
from ..emulator import Master, Operation, OperationKind
from ..emulator.control import BoardProcess, ControlClient, EmulatedBoard
from ..renode import RenodeBoard
from ._debug_port import DebugPort, present_probes
from ._device import Device, NoBaseline
from ._identity import check_identity
from ._ports import find_port
from ._power import EmulatedPower, Power, PowerSettings, ResetPower, SwitchedPower
from ._serial_port import SerialPort

__all__ = ["BACKENDS", "DeviceSettings", "open_device"]

#: how much faster than real time an emulated board sleeps in tests
DEFAULT_SPEED: Final = 8.0
#: snapshots of flash content that are kept of an emulated board, each about 1.3 MB
_BASELINES: Final = 16
_EMULATED_OPTIONS: Final = {"reset.post_delay": 0.0, "reset.hold_time": 0.0}


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """Which device to open for a board.

    ``backend`` is one of `BACKENDS`; ``renode`` needs Renode on this machine. For hardware:
    ``probe`` is the unique id (needed if more than one is there), ``ports`` maps roles to pyserial
    URLs (found by USB id otherwise), ``power`` says how it is switched (``None``: by reset only), and
    ``device_id`` which chip it has to be.
    """

    backend: str = "embedded"
    probe: str | None = None
    ports: Mapping[str, str] = field(default_factory=dict)
    power: PowerSettings | None = None
    device_id: str | None = None
    speed: float = DEFAULT_SPEED
    seed: int = 1

    @property
    def switches_power(self) -> bool:
        """Whether the device can be switched off, so that its RAM loses its content."""
        return self.backend != "hardware" or self.power is not None

    @property
    def capabilities(self) -> frozenset[str]:
        """What a device opened like this can do beside what its board can."""
        added = {"power": self.switches_power, "flash-journal": self.backend == "embedded"}
        return frozenset(name for name, present in added.items() if present)


def open_device(board: Board, settings: DeviceSettings | None = None) -> Device:
    """Open a device of this board; the caller closes it. Raises `BenchError` and its kinds."""
    settings = settings or DeviceSettings()
    with ExitStack() as stack:
        return BACKENDS[settings.backend](board, settings, stack)


class _Snapshots:
    """Baselines of a board that is emulated: snapshots of it, those that were used last."""

    steps = True

    def __init__(self, control: ControlClient) -> None:
        self._control = control
        self._known: dict[str, Mapping[int, bytes]] = {}

    def recall(self, content: Mapping[int, bytes]) -> Mapping[int, bytes] | None:
        """Restore the snapshot that holds most of it."""
        parts = {name: held for name, held in self._known.items() if held.items() <= content.items()}
        if not parts:
            return None
        name = max(parts, key=lambda name: sum(map(len, parts[name].values())))
        self._control.call("restore", name)
        self._control.call("forget_diagnostics")
        self._known[name] = self._known.pop(name)
        if len(parts[name]) < len(content):
            self._control.call("power", True, True)
        return parts[name]

    def remember(self, content: Mapping[int, bytes]) -> None:
        """Take a snapshot, in place of the one that was not used for the longest time."""
        name = f"baseline {len(self._known)}"
        if len(self._known) == _BASELINES:
            name = next(iter(self._known))
            del self._known[name]
        self._control.call("snapshot", name)
        self._control.call("forget_diagnostics")
        self._known[name] = dict(content)


class _Journal:
    """The journal of an emulated board."""

    def __init__(self, control: ControlClient) -> None:
        self._control = control

    def start(self) -> None:
        """Record from now on."""
        self._control.call("start_journal")

    def stop(self) -> list[Operation]:
        """The operations."""
        return [
            Operation(OperationKind(kind), address, size, value, previous, instructions, pc, Master(master))
            for kind, address, size, value, previous, instructions, pc, master in self._control.call(
                "stop_journal"
            )
        ]


def _open_embedded(board: Board, settings: DeviceSettings, stack: ExitStack) -> Device:
    if board.emulator is None:
        raise CapabilityMissing("emulator", board=board.name)
    process = stack.enter_context(
        EmulatedBoard(
            board.emulator,
            board=board.name,
            target=board.debug.target,
            speed=settings.speed,
            seed=settings.seed,
        )
    )
    ports, debug = _connect(board, process, stack)
    control = process.control
    owned = stack.pop_all()
    return Device(
        board,
        "embedded",
        debug,
        EmulatedPower(control, debug),
        ports,
        _Snapshots(control),
        owned,
        lambda: [(bool(modelled), str(text)) for modelled, text in control.call("diagnostics")],
        _Journal(control),
    )


def _open_renode(board: Board, settings: DeviceSettings, stack: ExitStack) -> Device:
    if board.renode is None:
        raise EmulatorError(
            f"board {board.name} has no platform for Renode", remedy=f"name one as 'renode' in {board.file}"
        )
    process = stack.enter_context(
        RenodeBoard(board.renode, board=board.name, target=board.debug.target, seed=settings.seed)
    )
    ports, debug = _connect(board, process, stack)
    control = process.control
    owned = stack.pop_all()
    return Device(board, "renode", debug, EmulatedPower(control, debug), ports, _Snapshots(control), owned)


def _connect(
    board: Board, process: BoardProcess, stack: ExitStack
) -> tuple[dict[str, SerialPort], DebugPort]:
    """Ports and probe of a board that runs in a process of its own."""
    ports = {
        serial.role: stack.enter_context(
            SerialPort(url, baud=serial.baud, name=serial.role, carries=serial.carries)
        )
        for serial, url in zip(board.serial, process.entry.serial.values(), strict=False)
    }
    debug = DebugPort(process.entry.uid, target=board.debug.target, options=_EMULATED_OPTIONS)
    return ports, stack.enter_context(debug)


def _open_hardware(board: Board, settings: DeviceSettings, stack: ExitStack) -> Device:
    switch = settings.power.switch(stack) if settings.power is not None else None
    if switch is not None:
        switch.on()  # it may have been left off, and nobody can debug a board without power
    options: dict[str, Any] = {"frequency": board.debug.frequency} if board.debug.frequency else {}
    debug = stack.enter_context(
        DebugPort(settings.probe or _only_probe(), target=board.debug.target, options=options)
    )
    check_identity(debug, board=board.name, device_id=settings.device_id)
    ports = {
        serial.role: stack.enter_context(
            SerialPort(
                settings.ports.get(serial.role) or find_port(serial),
                baud=serial.baud,
                name=serial.role,
                carries=serial.carries,
            )
        )
        for serial in board.serial
    }
    power: Power = SwitchedPower(switch, debug) if switch else ResetPower(debug)
    return Device(board, "hardware", debug, power, ports, NoBaseline(), stack.pop_all())


def _only_probe() -> str:
    probes = present_probes()
    if len(probes) != 1:
        kind = ProbeError if probes else ProbeMissingError
        raise kind(
            "no debug probe is there" if not probes else "more than one debug probe is there",
            found=", ".join(probes) or "none",
            remedy="connect the board" if not probes else "say which one: --hil-probe ID",
        )
    return probes[0]


#: how to open a device, by backend
BACKENDS: Final[Mapping[str, Callable[[Board, DeviceSettings, ExitStack], Device]]] = {
    "embedded": _open_embedded,
    "renode": _open_renode,
    "hardware": _open_hardware,
}
