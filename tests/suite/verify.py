"""The suite as a user runs it, but in this process: what it loads is loaded once."""

from __future__ import annotations

import gc

from click.testing import CliRunner

from harness import cli


def verify(board: str, *arguments: str) -> tuple[int, str]:
    """Exit code and output of ``harness verify``. What does not come at all is not waited for long."""
    options = ["-q", "-n", "0", "--hil-boot-seconds", "8", *arguments]
    gc.freeze()  # pytest collects garbage at its end, in all that the tests before have left
    try:
        result = CliRunner().invoke(cli._group, ["verify", "--board", board, *options])
    finally:
        gc.unfreeze()
    return result.exit_code, result.output
