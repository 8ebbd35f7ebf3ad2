"""JSON schema of board files, for editors."""

from __future__ import annotations

import json
from typing import Any

from ._model import BoardFile


def json_schema() -> dict[str, Any]:
    """The schema, generated from the models.

    It knows fields and types; what spans fields is said by loading the board.
    """
    schema = BoardFile.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Board definition of mcuboot-harness",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def json_schema_text() -> str:
    """The content of ``boards/board.schema.json``."""
    return json.dumps(json_schema(), indent=2) + "\n"
