"""`python -m harness.renode`: one board in Renode, for the process that started it."""

from __future__ import annotations

from ..emulator.control import serve_child
from ._server import RenodeServer

if __name__ == "__main__":
    serve_child(RenodeServer)
