"""Zephyr and sysbuild build folders as board files, and update packages of the nRF Connect SDK.

`import_build` reads what the build system has written and says where each setting comes from;
what it does not know, or what two files say differently, becomes a `Problem` with file and line.
"""

from ._import import Imported, import_build
from ._package import PackagedImage, read_package

__all__ = ["Imported", "PackagedImage", "import_build", "read_package"]
