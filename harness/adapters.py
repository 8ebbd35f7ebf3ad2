"""Devices of this harness under the names that tests for other tools use, bound in a conftest of your own:

    @pytest.fixture
    def dut(hil_device):
        return TwisterDut(hil_device)

Nothing here is a fixture, so that no name is taken from twister, pytest-embedded or labgrid.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ._deadline import Deadline
from ._errors import BenchError, DeadlineExceeded
from .devices import Device, DeviceSettings, DriverSwitch
from .protocols.smp import SmpClient

__all__ = ["EmbeddedDut", "TwisterDut", "TwisterImage", "TwisterMcumgr", "labgrid_settings"]

_SECONDS: Final = 60.0  # twister's base timeout
_EMBEDDED_SECONDS: Final = 30.0


class TwisterDut:
    """What tests for Zephyr's twister do with `dut`: lines of the console, and bytes to it."""

    def __init__(self, device: Device, *, base_timeout: float = _SECONDS) -> None:
        self.device, self.base_timeout = device, base_timeout

    def readline(self, timeout: float | None = None, print_output: bool = True) -> str:  # noqa: ARG002
        """The next line without its end. Raises AssertionError if none comes."""
        return self._line(Deadline(self.base_timeout if timeout is None else timeout))

    def readlines(self, print_output: bool = True) -> list[str]:  # noqa: ARG002
        """All whole lines that have come."""
        return str(self.device.console.expect(r"(?:.*\n)*", deadline=0)[0]).splitlines()

    def readlines_until(
        self,
        regex: str | None = None,
        num_of_lines: int | None = None,
        timeout: float | None = None,
        print_output: bool = True,
    ) -> list[str]:
        """Lines up to one that matches, or so many, or those that have come. Raises AssertionError."""
        if regex is None and num_of_lines is None:
            return self.readlines(print_output)
        limit = Deadline(self.base_timeout if timeout is None else timeout)
        lines: list[str] = []
        while num_of_lines is None or len(lines) < num_of_lines:
            lines.append(self._line(limit))
            if regex is not None and re.search(regex, lines[-1]):
                break
        return lines

    def _line(self, limit: Deadline) -> str:
        try:
            return str(self.device.console.expect(r"(.*?)\r*\n", deadline=limit)[1])
        except DeadlineExceeded as error:
            raise AssertionError(str(error)) from None

    def clear_buffer(self) -> None:
        """Forget what has come."""
        self.device.console.skip()

    def write(self, data: bytes) -> None:
        """Send bytes to the console."""
        self.device.console.send(data.decode("utf-8", errors="surrogateescape"))


class EmbeddedDut:
    """What tests for pytest-embedded do with `dut`: expect and write."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def expect(
        self, pattern: str | bytes | re.Pattern[bytes], timeout: float = _EMBEDDED_SECONDS
    ) -> re.Match[bytes]:
        """Wait for a regular expression; the match is of bytes, as there. Raises `DeadlineExceeded`."""
        if isinstance(pattern, re.Pattern):
            wanted = pattern
        else:
            wanted = re.compile(pattern.encode() if isinstance(pattern, str) else pattern, re.MULTILINE)
        text = re.compile(wanted.pattern.decode(), (wanted.flags | re.MULTILINE) & ~re.LOCALE)
        found = self.device.console.expect(text, deadline=timeout)[0].encode()
        match = wanted.search(found)
        assert match is not None
        return match

    def expect_exact(self, pattern: str | bytes, timeout: float = _EMBEDDED_SECONDS) -> bytes:
        """Wait for a text. Raises `DeadlineExceeded`."""
        wanted = pattern.encode() if isinstance(pattern, str) else pattern
        return self.expect(re.escape(wanted), timeout)[0]

    def write(self, data: str | bytes) -> None:
        """Send a line."""
        text = data.decode() if isinstance(data, bytes) else data
        self.device.console.send(text if text.endswith("\n") else text + "\n")


@dataclass(frozen=True, slots=True)
class TwisterImage:
    """An entry of `TwisterMcumgr.get_image_list`; ``hash`` is hexadecimal."""

    image: int
    slot: int
    version: str
    flags: str
    hash: str


class TwisterMcumgr:
    """What tests for twister do with `mcumgr`, on a client of this harness instead of a program."""

    def __init__(self, client: SmpClient) -> None:
        self.client = client

    def reset_device(self) -> None:
        """Restart the device."""
        self.client.reset()

    def image_upload(self, image: Path | str, timeout: float = 30.0) -> None:
        """Send a signed image to the slot that is not in use."""
        self.client.upload(Path(image).read_bytes(), deadline=timeout)

    def get_image_list(self) -> list[TwisterImage]:
        """All slots that hold an image."""
        names = ("active", "confirmed", "pending", "permanent")
        return [
            TwisterImage(
                slot.image,
                slot.slot,
                str(slot.version),
                " ".join(name for name in names if getattr(slot, name)),
                slot.hash.hex() if slot.hash else "",
            )
            for slot in self.client.images()
        ]

    def get_hash_to_test(self) -> str:
        """The hash of the second entry. Raises AssertionError if there is none."""
        images = self.get_image_list()
        assert len(images) > 1, f"the device lists no second image: {images}"
        return images[1].hash

    def image_test(self, hash: str | None = None) -> None:  # noqa: A002 - twister's name
        """Ask for an image to be tried at the next boot."""
        self.client.test(bytes.fromhex(hash or self.get_hash_to_test()))

    def image_confirm(self, hash: str | None = None) -> None:  # noqa: A002 - twister's name
        """Confirm an image, the one that runs by default."""
        self.client.confirm(bytes.fromhex(hash) if hash else None)


def labgrid_settings(
    target: Any, *, probe: str | None = None, roles: Mapping[str, str] | None = None
) -> DeviceSettings:
    """How to open the device that a labgrid target stands for: its serial ports and its power driver.

    ``roles`` maps names of resources to roles of the board file; a port of another name is ``console``.

    Raises:
        BenchError: two ports for one role.
    """
    ports: dict[str, str] = {}
    for resource in target.resources:
        kind = type(resource).__name__
        if "SerialPort" not in kind:
            continue
        role = (roles or {}).get(resource.name or "", "console")
        if role in ports:
            raise BenchError(
                f"two serial ports of the labgrid target could be {role!r}",
                where=str(target.name),
                found=f"{ports[role]} and {resource.port}",
                remedy="say which resource has which role: roles={'NAME': 'console'}",
            )
        scheme = "rfc2217" if getattr(resource, "protocol", "raw") == "rfc2217" else "socket"
        remote = kind == "NetworkSerialPort"
        ports[role] = f"{scheme}://{resource.host}:{resource.port}" if remote else str(resource.port)
    switches = [driver for driver in target.drivers if hasattr(driver, "on") and hasattr(driver, "off")]
    power = DriverSwitch(switches[0]) if switches else None
    return DeviceSettings(backend="hardware", probe=probe, ports=ports, power=power)
