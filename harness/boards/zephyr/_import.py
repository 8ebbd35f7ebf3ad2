"""From a build folder to the text of a board file."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from harness._errors import ImageError
from harness.mcuboot import PublicKey, SwapMode

from .._load import load_file
from .._model import BoardFile
from .._problems import Problem
from .._variant import Changes, read_change
from ._facts import Fact, Findings
from ._folder import Build, read_folder
from ._package import PACKAGE, check_package
from ._settings import boot_settings, swap_mode
from ._slots import Map, flash_map

__all__ = ["Imported", "import_build"]

_SCHEMA: Final = "# yaml-language-server: $schema=board.schema.json\n"
#: the application takes updates over SMP on a serial port
_SMP: Final = ("MCUMGR_TRANSPORT_UART", "MCUMGR_TRANSPORT_SHELL")
_EXAMPLE: Final = "FIELD=VALUE, for example debug.target=nrf52840"
_PARTS: Final = re.compile(r"_[a-z]{2,4}$")


@dataclass(slots=True)
class Imported:
    """What became of a build folder: the text of a board file unless there are problems."""

    name: str
    text: str | None
    problems: list[Problem] = field(default_factory=list)
    """What keeps the file from being written."""
    notes: list[Problem] = field(default_factory=list)
    """What was taken for granted or left out."""
    origins: dict[str, str] = field(default_factory=dict)
    """``file:line`` by field of the board file."""


def import_build(folder: Path | str, target: Path | str, changes: Iterable[str] = ()) -> Imported:
    """Read a build folder for a board file that will lie in the folder ``target``.

    ``changes`` are ``FIELD=VALUE``; a field that they give need not be found.

    Raises:
        BoardError: a change is of another form.
    """
    folder, target = Path(folder), Path(target)
    given_changes = dict(read_change(text, "--set", _EXAMPLE, BoardFile.model_fields) for text in changes)
    return _import(folder, target, given_changes)


def _import(folder: Path, target: Path, changes: Changes) -> Imported:
    findings = Findings()
    build = read_folder(folder, findings)
    if build is None:
        return Imported("", None, findings.problems)
    content, origins = _content(build, target, findings, changes)
    given = {".".join(path) for path in changes}
    problems = [problem for problem in findings.problems if not _answered(problem, given)]
    result = Imported(str(content.get("name", "")), None, problems, findings.notes, origins)
    text = _text(content, origins, folder)
    if not problems:
        result.problems = _check(text, target, origins)
    result.text = None if result.problems else text
    return result


#: fields by the names that problems have
_ANSWERS: Final = {
    "swap mode": "mcuboot.swap_mode",
    "key": "mcuboot.signature.public_key",
    "signature": "mcuboot.signature.public_key",
    "debug.target": "debug.target",
}


def _answered(problem: Problem, given: set[str]) -> bool:
    return _ANSWERS.get(problem.field, problem.field) in given


def _content(
    build: Build, target: Path, findings: Findings, changes: Mapping[tuple[str, ...], Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    origins: dict[str, str] = {}
    mode = swap_mode(build, findings)
    mcuboot, places = boot_settings(build, target, findings)
    single = mode is not None and mode.value is SwapMode.SINGLE
    flash = flash_map(build, findings, single=single)
    if mode:
        mcuboot = {"swap_mode": str(mode.value)} | mcuboot
        places["swap_mode"] = mode.where
    origins.update((f"mcuboot.{name}", place) for name, place in places.items())
    name = _name(build)
    content: dict[str, Any] = {"name": name.value, "soc": "", "debug": {}, "flash": {}, "mcuboot": mcuboot}
    origins["name"] = name.where
    _soc(build, content, origins, findings)
    if flash is not None:
        _flash(flash, content, origins)
        if mode and mode.value is not SwapMode.SCRATCH:
            content["flash"]["partitions"].pop("scratch", None)
            origins.pop("flash.partitions.scratch", None)
    package = build.folder / PACKAGE
    if package.is_file() and flash is not None:
        check_package(package, len(flash.components), findings)
    content["serial"] = _serial(build, origins, findings)
    if any("smp" in port["carries"] for port in content["serial"]):
        content["protocols"] = ["smp"]
    _recovery(build, content, origins, findings)
    for path, value in changes.items():
        _put(content, path, value)
    _complete_key(content, target, changes)
    return content, origins


def _complete_key(content: dict[str, Any], target: Path, changes: Changes) -> None:
    """A key named by hand tells its type itself; the rules of board files say if it is unreadable."""
    path = ("mcuboot", "signature", "public_key")
    if path not in changes:
        return
    signature = content["mcuboot"]["signature"]
    if not isinstance(signature, dict):
        return
    with suppress(OSError, ValueError, ImageError):
        signature["type"] = str(PublicKey.from_pem((target / str(changes[path])).read_bytes()).type)
    if ("mcuboot", "signature", "private_key") not in changes:
        signature.pop("private_key", None)


def _name(build: Build) -> Fact[str]:
    board = build.board or Fact(build.folder.name, build.folder, 1)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", board.value).strip("-._")[:64]
    return Fact(name or "board", board.file, board.line)


def _soc(build: Build, content: dict[str, Any], origins: dict[str, str], findings: Findings) -> None:
    domain = build.mcuboot or build.default
    assert domain is not None
    soc = domain.config.text("SOC")
    if soc is not None:
        content["soc"], origins["soc"] = soc.value, soc.where
        part = soc.value.split("_")[0]  # before Zephyr 3.7 a part number follows: nRF52840_QIAA
        plain = part.lower().removesuffix("xx")  # of several packages: stm32l475xx
        from harness.emulator import soc_names

        if plain in soc_names():
            content["soc"] = part[: len(plain)]
            content["emulator"], origins["emulator"] = plain, soc.where
    else:
        content["soc"] = str(content["name"])
        findings.note(domain.config.file, "names no SoC", name="CONFIG_SOC")
    target = _target(build, soc, findings)
    if target is not None:
        content["debug"]["target"], origins["debug.target"] = target.value, target.where


def _target(build: Build, soc: Fact[str] | None, findings: Findings) -> Fact[str] | None:
    """The pyOCD target: what the pyocd runner is given, or the SoC if pyOCD has a target of that name."""
    file, document = build.runners_file, build.runners
    if document is not None:
        arguments = document.get(["args", "pyocd"])
        for index, argument in enumerate(arguments if isinstance(arguments, list) else []):
            if isinstance(argument, str) and argument.startswith("--target="):
                line = document.line(["args", "pyocd", index])
                return Fact(argument.removeprefix("--target="), file, line)
    from pyocd.target.builtin import BUILTIN_TARGETS

    name = soc.value.lower() if soc else ""
    for candidate in (name, _PARTS.sub("", name)):
        if soc is not None and candidate in BUILTIN_TARGETS:
            return Fact(candidate, soc.file, soc.line)
    known = document.get(["runners"]) if document is not None else None
    findings.refuse(
        Fact(None, file, document.line(["args"])) if document is not None else file,
        "names no pyOCD target",
        name="debug.target",
        found=f"runners {', '.join(map(str, known))}" if isinstance(known, list) else "no runners.yaml",
        expected="args.pyocd: --target=NAME",
        remedy="name it: --set debug.target=NAME (pyocd list --targets)",
    )
    return None


def _flash(flash: Map, content: dict[str, Any], origins: dict[str, str]) -> None:
    device = flash.flash.value
    content["flash"] = {
        "base": device.base,
        "size": device.size,
        "sector_size": device.sector,
        "write_alignment": device.write,
        "partitions": {
            name: {"offset": fact.value.offset, "size": fact.value.size}
            for name, fact in flash.partitions.items()
        },
    }
    origins["flash"] = flash.flash.where
    origins.update((f"flash.partitions.{name}", fact.where) for name, fact in flash.partitions.items())
    content["components"] = flash.components
    mcuboot = content["mcuboot"]
    mcuboot["partition"] = "boot"
    mcuboot["max_alignment"] = max(8, device.write)
    if "max_sectors" not in mcuboot and device.sector:
        slots = [
            flash.partitions[name].value.size
            for component in flash.components
            for name in (component.get("primary"), component.get("secondary"))
            if name in flash.partitions
        ]
        # MCUboot's CMakeLists.txt does the same with CONFIG_BOOT_MAX_IMG_SECTORS_AUTO.
        mcuboot["max_sectors"] = max([size // device.sector for size in slots], default=0) or 128
        origins["mcuboot.max_sectors"] = "the largest slot"


def _serial(build: Build, origins: dict[str, str], findings: Findings) -> list[dict[str, Any]]:
    domain = build.default or build.mcuboot
    baud = domain.tree.baud if domain and domain.tree else None
    if baud is None:
        if domain and domain.tree:
            findings.note(domain.tree.file, "names no console with a speed", name="chosen: zephyr,console")
        return []
    origins["serial"] = baud.where
    ports: list[dict[str, Any]] = [{"role": "console", "baud": baud.value, "carries": ["console"]}]
    if domain and domain.tree and any(domain.config.on(name) for name in _SMP):
        own = domain.tree.mcumgr
        if own is None:
            ports[0]["carries"].append("smp")
        else:
            ports.append({"role": "mcumgr", "baud": own.value, "carries": ["smp"]})
    return ports


def _recovery(build: Build, content: dict[str, Any], origins: dict[str, str], findings: Findings) -> None:
    """Recovery is on MCUboot's ``zephyr,uart-mcumgr``, else its console; a board has one port with SMP."""
    boot, ports = build.mcuboot, content["serial"]
    option = boot.config.on("BOOT_SERIAL_NO_APPLICATION") if boot else None
    if boot is None or option is None or "serial_recovery" not in content["mcuboot"]:
        return
    slots = boot.config.on("MCUBOOT_SERIAL_DIRECT_IMAGE_UPLOAD") if len(content["components"]) > 1 else None
    if slots is not None:
        _no_recovery(content, origins, findings, slots, "uploads there count slots instead of images")
        return
    own = boot.tree.mcumgr if boot.tree else None
    role = "mcumgr" if own else "console"
    taken = next((port["role"] for port in ports if "smp" in port["carries"]), None)
    if taken == role:
        return
    if taken is None and ports:
        if own is None:
            ports[0]["carries"].append("smp")
        else:
            ports.append({"role": role, "baud": own.value, "carries": ["smp"]})
        return
    _no_recovery(content, origins, findings, option, "it does not share the port that updates come over")


def _no_recovery(
    content: dict[str, Any], origins: dict[str, str], findings: Findings, option: Fact[Any], why: str
) -> None:
    del content["mcuboot"]["serial_recovery"], origins["mcuboot.serial_recovery"]
    findings.note(option, f"serial recovery is left out: {why}", name="mcuboot.serial_recovery")


def _put(content: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    here = content
    for key in path[:-1]:
        inner = here.setdefault(key, {})
        if not isinstance(inner, dict):
            return
        here = inner
    here[path[-1]] = value


class _Dumper(yaml.SafeDumper):
    """Sizes in hexadecimal, short mappings in one line."""


class _Hex(int):
    pass


_Dumper.add_representer(
    _Hex, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:int", f"{value:#x}")
)

_SIZES: Final = {"base", "size", "sector_size", "offset", "header_size"}


def _hexed(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _hexed(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_hexed(inner) for inner in value]
    return _Hex(value) if name in _SIZES and isinstance(value, int) and not isinstance(value, bool) else value


def _text(content: Mapping[str, Any], origins: Mapping[str, str], folder: Path) -> str:
    lines = [f"# From {folder.absolute().as_posix()}:"]
    top = folder.absolute().as_posix() + "/"
    lines += [
        f"#   {name}: {place.replace(top, '').replace(f'{folder.as_posix()}/', '')}"
        for name, place in origins.items()
    ]
    comments = "".join(f"{line}\n".replace("\r", "").encode("ascii", "replace").decode() for line in lines)
    body = yaml.dump(
        _hexed(dict(content)), Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=100
    )
    return _SCHEMA + comments + body


def _check(text: str, target: Path, origins: Mapping[str, str]) -> list[Problem]:
    """What the rules of board files say; lines are those of the build folder where one is known."""
    try:
        descriptor, name = tempfile.mkstemp(suffix=".yaml", dir=target)
    except OSError as error:
        return [Problem(str(target), 1, "", f"no board file can be written there: {error.strerror}")]
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        found = load_file(Path(name)).problems
    finally:
        Path(name).unlink()
    return [_placed(problem, origins) for problem in found]


def _placed(problem: Problem, origins: Mapping[str, str]) -> Problem:
    field_name = problem.field
    while field_name and field_name not in origins:
        field_name = field_name.rpartition(".")[0]
    file, _, line = origins.get(field_name, "").rpartition(":")
    place = (file, int(line)) if line.isdecimal() else ("board file", problem.line)
    return Problem(*place, problem.field, problem.what, problem.found, problem.expected, problem.remedy)
