"""A pyOCD debug probe for emulated boards.

With it unmodified pyOCD treats an emulated board like one behind a USB probe: discovery,
core control, breakpoints, and flash programming with the algorithms that pyOCD ships,
running on the emulated CPU.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Sequence
from typing import Any

from pyocd.board.board import Board
from pyocd.board.board_ids import BoardInfo
from pyocd.core import exceptions
from pyocd.core.memory_interface import MemoryInterface
from pyocd.probe.debug_probe import DebugProbe

from .._errors import EmulatorError
from ..emulator import control

__all__ = ["EmulatedProbe"]


def _translated(error: EmulatorError) -> exceptions.Error:
    """The pyOCD exception for a failure on the emulated side."""
    if isinstance(error, control.TransferError):
        if error.address is not None:
            return exceptions.TransferFaultError(error.what, fault_address=error.address)
        return exceptions.TransferError(error.what)  # no power: a fault would be cleared, which faults again
    return exceptions.ProbeDisconnected(str(error))


class _Memory(MemoryInterface):
    """Memory access through port 0 in whole blocks. ``attributes`` (CSW) change nothing on this bus.

    ``octets`` makes of bytes what blocks of them are read as.
    """

    def __init__(self, client: control.ControlClient, octets: Callable[[bytes], Sequence[int]]) -> None:
        self._client, self._octets = client, octets

    def write_memory(self, addr: int, data: int, transfer_size: int = 32, **attributes: int) -> None:
        """Write 8, 16 or 32 bits; an error may be raised by a later access."""
        self._guard(self._client.post, "write_memory", addr, data.to_bytes(transfer_size // 8, "little"))

    def read_memory(self, addr: int, transfer_size: int = 32, now: bool = True, **attributes: int) -> Any:
        """Read 8, 16 or 32 bits."""
        pending = self._guard(self._client.request, "read_memory", addr, transfer_size // 8)

        def value() -> int:
            self._guard(self._client.flush)
            return int.from_bytes(self._guard(pending.result), "little")

        return value() if now else value

    def write_memory_block32(self, addr: int, data: Sequence[int], **attributes: int) -> None:
        """Write words; what pyOCD gives beyond 32 bits is cut off, as on the wire."""
        words = [word & 0xFFFFFFFF for word in data]
        self._guard(self._client.call, "write_memory", addr, struct.pack(f"<{len(words)}I", *words))

    def read_memory_block32(self, addr: int, size: int, **attributes: int) -> Sequence[int]:
        """Read ``size`` words."""
        return list(struct.unpack(f"<{size}I", self._guard(self._client.call, "read_memory", addr, 4 * size)))

    def write_memory_block8(self, addr: int, data: Sequence[int], **attributes: int) -> None:
        """Write bytes."""
        self._guard(self._client.call, "write_memory", addr, bytes(data))

    def read_memory_block8(self, addr: int, size: int, **attributes: int) -> Sequence[int]:
        """Read bytes."""
        return self._octets(self._guard(self._client.call, "read_memory", addr, size))

    @staticmethod
    def _guard(function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except EmulatorError as error:
            raise _translated(error) from None


class EmulatedProbe(DebugProbe):
    """The probe on one emulated board. Its unique id is the board's."""

    def __init__(self, entry: control.Entry) -> None:
        super().__init__()
        self._entry = entry
        self._client: control.ControlClient | None = None
        self._protocol: DebugProbe.Protocol | None = None
        self._reset = False

    @classmethod
    def get_all_connected_probes(
        cls, unique_id: str | None = None, is_explicit: bool = False
    ) -> Sequence[EmulatedProbe]:
        """All emulated boards that run on this machine."""
        return [cls(entry) for entry in control.running_boards()]

    @classmethod
    def get_probe_with_id(cls, unique_id: str, is_explicit: bool = False) -> EmulatedProbe | None:
        """The emulated board with this id, if it runs."""
        return next((cls(entry) for entry in control.running_boards() if entry.uid == unique_id), None)

    @property
    def vendor_name(self) -> str:
        """Who made the probe."""
        return "mcuboot-harness"

    @property
    def product_name(self) -> str:
        """What the probe is."""
        return f"emulated {self._entry.board or self._entry.soc}"

    @property
    def unique_id(self) -> str:
        """The board's id."""
        return self._entry.uid

    @property
    def associated_board_info(self) -> BoardInfo:
        """Name and pyOCD target type."""
        return BoardInfo(
            name=self._entry.board or self._entry.soc, target=self._entry.target, vendor="mcuboot-harness"
        )

    def create_associated_board(self) -> Board | None:
        """The board, so that pyOCD knows its target type without being told."""
        return Board(self.session, board_info=self.associated_board_info)

    @property
    def supported_wire_protocols(self) -> Collection[DebugProbe.Protocol]:
        """SWD."""
        return [DebugProbe.Protocol.DEFAULT, DebugProbe.Protocol.SWD]

    @property
    def wire_protocol(self) -> DebugProbe.Protocol | None:
        """SWD once connected."""
        return self._protocol

    @property
    def is_open(self) -> bool:
        """Whether the control connection is open."""
        return self._client is not None

    @property
    def capabilities(self) -> set[DebugProbe.Capability]:
        """The probe chooses access ports and banks itself."""
        return {
            DebugProbe.Capability.SWJ_SEQUENCE,
            DebugProbe.Capability.MANAGED_AP_SELECTION,
            DebugProbe.Capability.MANAGED_DPBANKSEL,
        }

    @property
    def _control(self) -> control.ControlClient:
        if self._client is None:
            raise exceptions.ProbeError("the probe is not open")
        return self._client

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return self._control.call(method, *arguments)
        except EmulatorError as error:
            raise _translated(error) from None

    def open(self) -> None:
        """Connect to the board's process."""
        try:
            self._client = control.ControlClient(self._entry.port, self._entry.token)
        except EmulatorError as error:
            raise _translated(error) from None

    def close(self) -> None:
        """Disconnect from the board's process, which runs on."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def connect(self, protocol: DebugProbe.Protocol | None = None) -> None:
        """Use SWD."""
        self._protocol = DebugProbe.Protocol.SWD

    def disconnect(self) -> None:
        """Nothing to do on the wire."""
        self._protocol = None

    def swj_sequence(self, length: int, bits: int) -> None:
        """Switch sequences have no effect: the port always speaks SWD."""

    def set_clock(self, frequency: float) -> None:
        """Any clock will do."""

    def reset(self) -> None:
        """Pull the reset pin and let go."""
        self._call("reset", "pin")

    def assert_reset(self, asserted: bool) -> None:
        """Hold or release the reset pin; the reset happens at the release."""
        if self._reset and not asserted:
            self.reset()
        self._reset = asserted

    def is_reset_asserted(self) -> bool:
        """Whether the reset pin is held."""
        return self._reset

    def flush(self) -> None:
        """Wait for what was sent without waiting."""
        try:
            self._control.flush()
        except EmulatorError as error:
            raise _translated(error) from None

    def read_dp(self, addr: int, now: bool = True) -> Any:
        """Read a debug port register."""
        return self._read("read_dp", (addr & 0xF,), lambda value: value, now=now)

    def write_dp(self, addr: int, data: int) -> None:
        """Write a debug port register."""
        self._call("write_dp", addr & 0xF, data)

    def read_ap(self, addr: int, now: bool = True) -> Any:
        """Read an access port register; the port number is in the upper eight bits."""
        return self._read("read_ap", (addr >> 24, addr & 0xFC, 1), lambda values: values[0], now=now)

    def write_ap(self, addr: int, data: int) -> None:
        """Write an access port register."""
        self._call("write_ap", addr >> 24, addr & 0xFC, [data])

    def read_ap_multiple(self, addr: int, count: int = 1, now: bool = True) -> Any:
        """Read an access port register several times."""
        return self._read("read_ap", (addr >> 24, addr & 0xFC, count), lambda values: values, now=now)

    def write_ap_multiple(self, addr: int, values: Sequence[int]) -> None:
        """Write an access port register several times."""
        self._call("write_ap", addr >> 24, addr & 0xFC, list(values))

    def _read(self, method: str, arguments: tuple[int, ...], pick: Callable[[Any], Any], *, now: bool) -> Any:
        """A read at once, or a function that gives its result (and raises its error) later."""
        try:
            pending = self._control.request(method, *arguments)
        except EmulatorError as error:
            raise _translated(error) from None

        def result() -> Any:
            try:
                return pick(pending.result())
            except EmulatorError as error:
                raise _translated(error) from None

        return result() if now else result

    def get_memory_interface_for_ap(self, ap_address: Any) -> MemoryInterface | None:
        """Whole-block access to the bus behind port 0."""
        if ap_address.nominal_address != 0:
            return None
        session = self.session
        served = session is None or session.probe is not self or session.probeserver is not None
        # pyOCD's probe server puts blocks into JSON, which knows no bytearray; a list costs much more time
        return _Memory(self._control, list if served else bytearray)
