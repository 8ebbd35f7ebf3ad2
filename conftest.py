"""Shared by all tests of this project."""

import shutil
import signal
import sys
import tempfile

import pytest

pytest_plugins = ["pytester"]

# A shell starts what it puts into the background with Ctrl-C ignored; tests send it to their processes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Where Python may not write bytecode beside the sources, the processes of a run share a folder."""
    if not sys.dont_write_bytecode or hasattr(config, "workerinput"):
        return
    folder = tempfile.mkdtemp(prefix="harness-bytecode-")
    before = sys.dont_write_bytecode, sys.pycache_prefix
    patch = pytest.MonkeyPatch()
    patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    patch.setenv("PYTHONPYCACHEPREFIX", folder)
    sys.dont_write_bytecode, sys.pycache_prefix = False, folder

    def clean() -> None:
        patch.undo()
        sys.dont_write_bytecode, sys.pycache_prefix = before
        shutil.rmtree(folder, ignore_errors=True)

    config.add_cleanup(clean)
