"""What an emulated device has noticed about firmware, and what of that breaks rules of the part."""

from __future__ import annotations

import pytest

from harness._deadline import Deadline
from harness.boards import find_board
from harness.devices import open_device

from .._boards import BOARD

RAM = 0x20000000
#: ldr r0, [r1]; b . and str r0, [r1]; b .
LOAD, STORE = b"\x08\x68\xfe\xe7", b"\x08\x60\xfe\xe7"


@pytest.mark.parametrize(
    ("code", "address", "finding", "broken"),
    [
        (LOAD, 0x40000638, "read of a register that is not modelled", False),
        (STORE, 0x1000, "flash write while the controller does not allow writing", True),
    ],
)
def test_lack_of_the_model_is_no_broken_rule(code: bytes, address: int, finding: str, broken: bool) -> None:
    with open_device(find_board(BOARD)) as device:
        target = device.debug.target
        device.debug.halt()
        target.write_memory_block8(RAM, code)
        target.write_core_registers_raw(["r1", "xpsr", "pc"], [address, 1 << 24, RAM])
        device.debug.resume()
        limit = Deadline(20)
        while not device.findings() and not limit.expired:
            limit.pause(0.01)
        (found,) = device.findings()
        assert finding in found
        assert f"{address:#010x} at pc {RAM:#010x}" in found
        assert device.broken_rules() == ([found] if broken else [])
