from __future__ import annotations

import json

import harness.boards
from harness.boards import boards_folder, json_schema, json_schema_text


def test_the_committed_schema_is_current() -> None:
    file = boards_folder() / "board.schema.json"
    assert file.read_text(encoding="utf-8") == json_schema_text(), "write json_schema_text() to the file"


def test_editors_learn_choices_sizes_and_descriptions() -> None:
    schema = json_schema()
    definitions = schema["$defs"]
    assert set(schema["properties"]) >= {"name", "soc", "debug", "flash", "mcuboot", "components"}
    assert schema["additionalProperties"] is False
    assert "overwrite-only" in definitions["SwapMode"]["enum"]
    assert definitions["Partition"]["properties"]["size"]["anyOf"][1]["type"] == "string"
    assert "pyOCD" in definitions["Debug"]["properties"]["target"]["description"]
    assert json.dumps(schema)


def test_everything_public_is_listed_and_documented() -> None:
    for name in harness.boards.__all__:
        assert getattr(harness.boards, name).__doc__, name
