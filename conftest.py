"""Shared by all tests of this project."""

import signal

pytest_plugins = ["pytester"]

# A shell starts what it puts into the background with Ctrl-C ignored; tests send it to their processes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
