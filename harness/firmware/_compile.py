"""Programs from sources. What has been compiled once is found again by its content."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import platformdirs
from filelock import FileLock

from .._errors import BuildError
from ._toolchain import Program, Toolchain, toolchain

__all__ = ["cache_folder", "compile_program"]

_BUILD_SECONDS: Final = 300
_SCRIPT: Final = "program.ld"


def cache_folder(name: str) -> Path:
    """A folder below the user's cache (or below ``HARNESS_CACHE_DIR``); it is made if need be."""
    root = os.environ.get("HARNESS_CACHE_DIR")
    folder = (Path(root) if root else platformdirs.user_cache_path("mcuboot-harness", appauthor=False)) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def compile_program(program: Program, compiler: Toolchain | None = None) -> Path:
    """The ELF file of a program, from the cache if nothing has changed.

    Raises `BuildError` with the compiler's words. Several processes may ask at once:
    one compiles, the others wait for it.
    """
    compiler = compiler or toolchain()
    build = _Build(program, compiler)
    output = cache_folder("programs") / f"{program.name}-{build.key}.elf"
    if not output.exists():
        with FileLock(f"{output}.lock", timeout=_BUILD_SECONDS):
            if not output.exists():
                build.run(output)
    return output


def _digest(parts: Iterable[str | bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(4, "little") + data)
    return digest.hexdigest()[:24]


class _Build:
    """The content of a program, and how its parts are made from it."""

    def __init__(self, program: Program, compiler: Toolchain) -> None:
        self._program = program
        self._compile = compiler.compile_command(program)
        self._link = compiler.link_command(program)
        self._libraries = compiler.libraries
        self._script = _linker_script(program)
        headers = {
            **{
                path.name: path.read_bytes()
                for folder in reversed(program.headers)
                for path in folder.glob("*.h")
            },
            **{name: text.encode() for name, text in program.generated.items()},
        }
        flags = [compiler.identity, *self._compile[1:]]
        self._objects: dict[Path, tuple[str, list[str]]] = {}
        for source in program.sources:
            files = _included(source.name, source.read_bytes(), headers)
            words = {word for text in files.values() for word in _words(text)}
            defines = _defines(program.defines, words)
            contents = (part for item in sorted(files.items()) for part in item)
            self._objects[source] = _digest([*flags, source.name, *contents, *defines]), defines
        self.key: Final = _digest(
            [*self._link[1:], *self._libraries, self._script, *(key for key, _ in self._objects.values())]
        )

    def run(self, output: Path) -> None:
        """Compile what is not in the cache, and link."""
        with tempfile.TemporaryDirectory(dir=output.parent, prefix="work-") as folder:
            work = Path(folder)
            for name, text in {**self._program.generated, _SCRIPT: self._script}.items():
                (work / name).write_text(text, encoding="utf-8")
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                objects = [*pool.map(lambda source: self._object(source, work), self._objects)]
            part = work / "program.elf"
            script = ["-T", str(work / _SCRIPT)] if self._script else []
            self._call([*self._link, *map(str, objects), *self._libraries, *script], part)
            part.replace(output)

    def _object(self, source: Path, work: Path) -> Path:
        key, defines = self._objects[source]
        made = cache_folder("objects") / f"{source.stem}-{key}.o"
        if not made.exists():
            part = work / f"{key}.o"
            folders = [f"-I{folder}" for folder in (work, *self._program.headers)]
            self._call([*self._compile, *defines, *folders, "-c", str(source)], part)
            part.replace(made)
        return made

    def _call(self, command: list[str], output: Path) -> None:
        command = [*command, "-o", str(output)]
        environment = os.environ | {
            "ZIG_GLOBAL_CACHE_DIR": str(cache_folder("zig")),
            "ZIG_LOCAL_CACHE_DIR": str(cache_folder("zig")),
        }
        name = self._program.name
        try:
            result = subprocess.run(
                command, capture_output=True, text=True, timeout=_BUILD_SECONDS, env=environment, check=False
            )
        except subprocess.TimeoutExpired:
            raise BuildError(
                f"compiling {name} took more than {_BUILD_SECONDS} s", remedy="look at the machine's load"
            ) from None
        except OSError as error:
            raise BuildError(f"the compiler {command[0]} does not start", found=str(error)) from None
        if result.returncode or not output.exists():
            raise BuildError(
                f"{name} does not compile",
                where=str(self._program.sources[0].parent),
                found=(result.stderr or result.stdout).strip()
                or f"exit code {result.returncode} and no output",
                remedy="mend the source; the command was: " + " ".join(command),
            )


#: a default in case nobody defines a name; whoever only includes it does not use it
_DEFAULT: Final = re.compile(r"#ifndef (\w+)\n#define \1\b[^\n]*\n#endif")


def _words(text: bytes) -> Iterable[str]:
    return re.findall(r"[A-Za-z_]\w*", _DEFAULT.sub("", text.decode(errors="replace")))


def _included(name: str, text: bytes, headers: Mapping[str, bytes]) -> dict[str, bytes]:
    """A source and all of the program's own headers that it includes, directly or not."""
    files = {name: text}
    todo = [text]
    while todo:
        for found in re.findall(r'#\s*include\s*["<]([^">]+)[">]', todo.pop().decode(errors="replace")):
            if found in headers and found not in files:
                files[found] = headers[found]
                todo.append(headers[found])
    return files


def _defines(defines: Mapping[str, str | int], words: set[str]) -> list[str]:
    """Those a source can see. ``name`` counts for ``A_name``, which may be pasted together."""
    return [
        f"-D{name}={value}"
        for name, value in sorted(defines.items())
        if name in words or name.partition("_")[2] in words
    ]


def _linker_script(program: Program) -> str:
    """The script behind its symbols: not every linker takes them on the command line. Empty without one."""
    if program.linker_script is None:
        return ""
    symbols = [f"{name} = {value:#x};\n" for name, value in sorted(program.linker_symbols.items())]
    return "".join(symbols) + program.linker_script.read_text(encoding="utf-8")
