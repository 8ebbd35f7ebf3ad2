"""Firmware from C sources: the compiler that needs no installation, and the reference firmware."""

from __future__ import annotations

from ._board import REFERENCE_MODES, bootloader_layout, firmware_layout
from ._compile import cache_folder, compile_program
from ._elf import Elf, Segment
from ._layout import Component, FirmwareLayout, Region
from ._model import model_payload
from ._native import NativeClient, native_client_program
from ._reference import Behaviour, application_program, bootloader_program, firmware_ports, sources_folder
from ._toolchain import Program, Toolchain, toolchain

__all__ = [
    "REFERENCE_MODES",
    "Behaviour",
    "Component",
    "Elf",
    "FirmwareLayout",
    "NativeClient",
    "Program",
    "Region",
    "Segment",
    "Toolchain",
    "application_program",
    "bootloader_layout",
    "bootloader_program",
    "cache_folder",
    "compile_program",
    "firmware_layout",
    "firmware_ports",
    "model_payload",
    "native_client_program",
    "sources_folder",
    "toolchain",
]
