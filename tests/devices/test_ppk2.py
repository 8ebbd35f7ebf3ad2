"""A PPK2 switches a board. What stands in for it speaks its serial protocol; a real one was never there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from harness import HarnessError, PortBusyError, PowerError
from harness.boards import find_board
from harness.devices import DeviceSettings, Ppk2Switch, SerialPort, open_device
from harness.emulator import control

from .._boards import BOARD
from .conftest import NRF52840, Chip
from .ppk2 import Ppk2, plugged_in

NUMBER = "C0FFEE123456"
SETTINGS = Ppk2Switch(NUMBER.lower(), "source", 3300)
RAM, MARK = 0x20000000, 0x12345678

pytestmark = pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo terminals")


@pytest.fixture
def ppk2(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ppk2]:
    """One that switches nothing."""
    with plugged_in(monkeypatch, NUMBER, Ppk2()) as found:
        yield found


def said(error: pytest.ExceptionInfo[HarnessError], *words: str) -> None:
    assert error.value.remedy
    text = str(error.value)
    assert [word for word in words if word not in text] == [], text


@pytest.mark.parametrize(("mode", "vin", "millivolts"), [("source", 0, 3300), ("ampere", 3000, 3000)])
def test_board_loses_its_power(
    board: control.EmulatedBoard, monkeypatch: pytest.MonkeyPatch, mode: Any, vin: int, millivolts: int
) -> None:
    chip: Chip = NRF52840
    settings = DeviceSettings(
        "hardware",
        board.entry.uid,
        {"console": next(iter(board.entry.serial.values()))},
        Ppk2Switch(NUMBER, mode, millivolts),
    )
    with plugged_in(monkeypatch, NUMBER, Ppk2(board, vin=vin)) as ppk2:
        with open_device(find_board(BOARD), settings) as device:
            assert "power" in device.capabilities
            device.debug.target.write32(chip.reset_reasons, chip.forget_reasons)
            device.debug.target.write32(RAM, MARK)
            device.debug.reset()
            assert device.debug.target.read32(RAM) == MARK
            assert device.debug.target.read32(chip.reset_reasons)
            device.power_cycle()
            assert device.debug.target.read32(RAM) != MARK
            assert device.debug.target.read32(chip.reset_reasons) == 0, "the chip has lost its power"
        assert ppk2.history == [5000, 0, millivolts, 0, millivolts], "off before anything changes; left on"


def test_it_is_left_as_it_is_and_set_up_again(ppk2: Ppk2) -> None:
    for _ in range(2):
        with ExitStack() as owned:
            switch = SETTINGS.switch(owned)
            switch.on()
            switch.off()
            switch.on()
            switch.off()
        assert not ppk2.running
    assert ppk2.history == [5000, *[0, 3300] * 4, 0]


def test_measurement_that_nobody_has_ended(ppk2: Ppk2) -> None:
    ppk2.measuring = True
    with ExitStack() as owned:
        SETTINGS.switch(owned).on()
        assert not ppk2.measuring


def test_port_belongs_to_one(ppk2: Ppk2) -> None:
    with ExitStack() as owned:
        SETTINGS.switch(owned)
        with pytest.raises(PortBusyError) as caught, ExitStack() as another:
            SETTINGS.switch(another)
        said(caught, ppk2.name)
        SETTINGS.check()
    with SerialPort(ppk2.name, baud=9600), pytest.raises(PortBusyError), ExitStack() as owned:
        SETTINGS.switch(owned)


def test_no_such_ppk2(ppk2: Ppk2) -> None:
    for action in (
        lambda: Ppk2Switch("C0FFEE", "source", 3300).switch(ExitStack()),
        Ppk2Switch("1", "source", 800).check,
    ):
        with pytest.raises(PowerError) as caught:
            action()
        said(caught, "no PPK2 with this serial number", NUMBER, "AAAAAAAAAAAA", "plug it in")


def test_without_the_library(ppk2: Ppk2, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ppk2_api", "ppk2_api.ppk2_api"):
        monkeypatch.setitem(sys.modules, name, None)
    for action in (lambda: SETTINGS.switch(ExitStack()), SETTINGS.check):
        with pytest.raises(PowerError) as caught:
            action()
        said(caught, "needs the library ppk2-api", NUMBER.lower(), "mcuboot-harness[ppk2]")


def test_ppk2_that_does_not_answer(ppk2: Ppk2, monkeypatch: pytest.MonkeyPatch) -> None:
    ppk2.dumb = True
    with monkeypatch.context() as impatient:
        impatient.setattr("harness.devices._ppk2._SECONDS", 0.5)
        with pytest.raises(PowerError) as caught, ExitStack() as owned:
            SETTINGS.switch(owned)
    said(caught, "did not obey", NUMBER.lower(), ppk2.name, "opening it", "no answer")
    ppk2.dumb = False
    with ExitStack() as owned:
        switch = SETTINGS.switch(owned)
        switch.on()
        ppk2.dumb = True
        monkeypatch.setattr("harness.devices._ppk2._SECONDS", 0.5)
        for action, words in ((switch.off, "switching off"), (switch.on, "before switching on")):
            with pytest.raises(PowerError) as caught:
                action()
            said(caught, words, "within 0.5 s", "no answer")


def test_ppk2_that_is_pulled_out(ppk2: Ppk2) -> None:
    with ExitStack() as owned:
        switch = SETTINGS.switch(owned)
        switch.on()
        ppk2.pull()
        for action, words in ((switch.off, "switching off"), (switch.on, "before switching on")):
            with pytest.raises(PowerError) as caught:
                action()
            said(caught, "did not obey", words, "cable")
            assert caught.value.found != "no answer", "it is told apart from a silent one"


@pytest.mark.parametrize("millivolts", [799, 5001])
def test_voltage_that_it_cannot_give(millivolts: int) -> None:
    with pytest.raises(PowerError, match="800 to 5000 mV"):
        Ppk2Switch(NUMBER, "source", millivolts)
