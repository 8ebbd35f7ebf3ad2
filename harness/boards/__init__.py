"""Board definitions: YAML files to checked objects.

`find_board` loads a shipped board by name or any board by path; `check_board` says
everything that is wrong with a file. All refusals are `BoardError`.
"""

from ._board import KNOWN_CAPABILITIES, Board, check_board, check_capability
from ._document import Checked, read_checked
from ._find import boards_folder, find_board, shipped_boards
from ._model import (
    BoardFile,
    Component,
    Debug,
    Flash,
    Mcuboot,
    Partition,
    Section,
    SerialPort,
    Signature,
    SmpServer,
    Usb,
)
from ._problems import Problem
from ._schema import json_schema, json_schema_text

__all__ = [
    "KNOWN_CAPABILITIES",
    "Board",
    "BoardFile",
    "Checked",
    "Component",
    "Debug",
    "Flash",
    "Mcuboot",
    "Partition",
    "Problem",
    "Section",
    "SerialPort",
    "Signature",
    "SmpServer",
    "Usb",
    "boards_folder",
    "check_board",
    "check_capability",
    "find_board",
    "json_schema",
    "json_schema_text",
    "read_checked",
    "shipped_boards",
]
