"""Builds the emulator's hot path at install, with the C compiler of the zig package.

If that fails the package still works: the emulator then uses its Python hot path, which is
about ten times slower.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FOLDER = Path("harness", "emulator")


class NativeHotPath(BuildHookInterface):  # type: ignore[type-arg] # the builder's configuration does not matter here
    """Compiles `_fastpath.c` into a shared library beside it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatch's signature
        """Called by hatch before it packs or links the package."""
        if self.target_name != "wheel":
            return
        suffix = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
        library = Path(self.root) / _FOLDER / f"_fastpath{suffix}"
        source = Path(self.root) / _FOLDER / "_fastpath.c"
        try:
            _compile(source, library)
        except (OSError, subprocess.SubprocessError) as error:
            self.app.display_warning(
                f"the native hot path was not built, the Python one will be used: {error}"
            )
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["artifacts"].append(f"/{_FOLDER.as_posix()}/{library.name}")


def _compile(source: Path, library: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / library.name
        subprocess.run(
            [
                sys.executable,
                "-m",
                "ziglang",
                "cc",
                "-O2",
                "-shared",
                "-fPIC",
                "-nostdlib",
                "-fno-sanitize=all",
                "-o",
                str(part),
                str(source),
            ],
            check=True,
            capture_output=True,
            timeout=300,
        )
        library.write_bytes(part.read_bytes())
