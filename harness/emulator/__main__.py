"""`python -m harness.emulator`: one emulated board, for the process that started it."""

from __future__ import annotations

from ._process import serve_child
from ._server import BoardServer

if __name__ == "__main__":
    serve_child(BoardServer)
