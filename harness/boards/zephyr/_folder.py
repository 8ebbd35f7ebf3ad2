"""A build folder: which images it holds, and their files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._document import read_document as read_yaml_file
from .._document import structure_problems
from .._problems import shown
from .._yaml import Document
from ._devicetree import Tree, read_tree
from ._facts import Fact, Findings
from ._kconfig import Config, read_config

__all__ = ["Build", "Domain", "read_document", "read_folder"]


@dataclass(slots=True)
class Domain:
    """One image of a build: its folder and what the build system wrote there."""

    name: str
    folder: Path
    config: Config
    tree: Tree | None
    source: Path | None = None
    """Where its sources are, from build_info.yml."""
    configuration: Path | None = None
    """Where its configuration is, likewise."""

    def output(self, suffix: str) -> Path | None:
        """The linked program, if it is there."""
        name = self.config.text("KERNEL_BIN_NAME")
        file = self.folder / "zephyr" / f"{name.value if name else 'zephyr'}.{suffix}"
        return file if file.is_file() else None


@dataclass(slots=True)
class Build:
    """A whole build folder. ``default`` is the application, ``mcuboot`` the boot loader if it is built."""

    folder: Path
    domains: list[Domain] = field(default_factory=list)
    default: Domain | None = None
    mcuboot: Domain | None = None
    partitions: Document | None = None
    """partitions.yml of the nRF Connect SDK's partition manager."""
    runners: Document | None = None
    board: Fact[str] | None = None

    @property
    def partitions_file(self) -> Path:
        """Where partitions.yml is."""
        return self.folder / "partitions.yml"

    @property
    def runners_file(self) -> Path:
        """runners.yaml of the application, or else of the boot loader."""
        domain = self.default or self.mcuboot
        return (domain.folder if domain else self.folder) / "zephyr" / "runners.yaml"


def read_document(path: Path, findings: Findings) -> Document | None:
    """A YAML file with a mapping; ``None`` after having said why not."""
    document = read_yaml_file(path, findings.problems)
    if document is None:
        return None
    findings.problems += structure_problems(document, str(path))
    if not isinstance(document.value, dict):
        findings.refuse(path, "not a mapping", found=shown(document.value))
        return None
    return document


def read_folder(folder: Path, findings: Findings) -> Build | None:
    """Find all images of a build folder; ``None`` if it is none."""
    build = Build(folder)
    for name, place, at in _domains(folder, findings):
        domain = _domain(name, place, findings)
        if domain is None:
            continue
        build.domains.append(domain)
        if domain.config.on("MCUBOOT"):
            if build.mcuboot is not None:
                findings.refuse(
                    at,
                    "a second boot loader",
                    found=name,
                    expected=f"{build.mcuboot.name} alone",
                    remedy="name one domain's folder",
                )
            build.mcuboot = build.mcuboot or domain
        elif build.default is None or at.value:
            build.default = domain
    if not build.domains:
        if not findings.problems:
            findings.refuse(
                folder,
                "no build folder",
                found="neither domains.yaml nor zephyr/.config",
                remedy="name the folder given to west build -d",
            )
        return None
    if build.partitions_file.is_file():
        build.partitions = read_document(build.partitions_file, findings)
    if build.runners_file.is_file():
        build.runners = read_document(build.runners_file, findings)
    build.board = _board(build, findings)
    return build


def _domains(folder: Path, findings: Findings) -> list[tuple[str, Path, Fact[bool]]]:
    """Name, folder, and whether it is the default one, for each domain."""
    listing = folder / "domains.yaml"
    if not listing.is_file():
        there = (folder / "zephyr" / ".config").is_file()
        return [(folder.name, folder, Fact(True, folder, 1))] if there else []
    document = read_document(listing, findings)
    if document is None:
        return []
    default, entries = document.get(["default"]), document.get(["domains"])
    found = []
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        line = document.line(["domains", index])
        name, place = (entry.get("name"), entry.get("build_dir")) if isinstance(entry, dict) else (None, None)
        if not (isinstance(name, str) and isinstance(place, str)):
            at = Fact(None, listing, line)
            findings.refuse(
                at, "a domain without name or folder", name=f"domains[{index}]", expected="name and build_dir"
            )
            continue
        found.append((name, _moved(folder, name, place), Fact(name == default, listing, line)))
    if not found and not findings.problems:
        findings.refuse(listing, "names no domain", name="domains")
    return found


def _moved(folder: Path, name: str, place: str) -> Path:
    """A domain's folder; a build folder that was copied elsewhere still has it below itself."""
    beside = folder / name
    if (beside / "zephyr" / ".config").is_file():
        return beside
    return Path(place) if "\0" not in place else beside


def _domain(name: str, folder: Path, findings: Findings) -> Domain | None:
    config = read_config(folder / "zephyr" / ".config", findings)
    if config is None:
        return None
    tree_file = folder / "zephyr" / "zephyr.dts"
    tree = read_tree(tree_file, findings)
    domain = Domain(name, folder, config, tree)
    info_file = folder / "build_info.yml"
    info = read_document(info_file, findings) if info_file.is_file() else None
    if info is not None:
        domain.source = _path(info.get(["cmake", "application", "source-dir"]))
        domain.configuration = _path(info.get(["cmake", "application", "configuration-dir"]))
    return domain


def _path(value: Any) -> Path | None:
    return Path(value) if isinstance(value, str) and "\0" not in value else None


def _board(build: Build, findings: Findings) -> Fact[str] | None:
    """The board's name; application and boot loader are for the same."""
    pair = [domain for domain in (build.default, build.mcuboot) if domain is not None]
    facts = [fact for domain in pair if (fact := domain.config.text("BOARD")) is not None]
    if facts:
        findings.differ("CONFIG_BOARD", facts, remedy="name the folder of one domain")
    info_file = build.folder / "build_info.yml"
    info = read_document(info_file, findings) if info_file.is_file() and not facts else None
    if info is None:
        return facts[0] if facts else None
    name = info.get(["cmake", "board", "name"])
    path = ("cmake", "board", "name")
    return Fact(name, info_file, info.line(path)) if isinstance(name, str) else None
