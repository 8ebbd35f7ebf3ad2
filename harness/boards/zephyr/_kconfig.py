"""`.config`: what Kconfig has decided. Format: kconfiglib's ``write_config``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ._facts import Fact, Findings, read_text

__all__ = ["Config", "read_config"]

_SET: Final = re.compile(r"((?:SB_)?CONFIG_\w+)=(.*)", re.ASCII)
_UNSET: Final = re.compile(r"# ((?:SB_)?CONFIG_\w+) is not set", re.ASCII)
_TEXT: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_NUMBER: Final = re.compile(r"-?(0x[0-9a-fA-F]{1,16}|[0-9]{1,19})", re.ASCII)


@dataclass(slots=True)
class Config:
    """Options by name without ``CONFIG_``: True or False, a number, or text."""

    file: Path
    options: dict[str, Fact[bool | int | str]] = field(default_factory=dict)

    def on(self, name: str) -> Fact[object] | None:
        """The option if it is ``y``."""
        fact = self.options.get(name)
        return fact if fact is not None and fact.value is True else None

    def number(self, name: str) -> Fact[int] | None:
        """The option if it is a number."""
        fact = self.options.get(name)
        if fact is None or isinstance(fact.value, bool) or not isinstance(fact.value, int):
            return None
        return Fact(fact.value, fact.file, fact.line)

    def text(self, name: str) -> Fact[str] | None:
        """The option if it is text, and not empty."""
        fact = self.options.get(name)
        return (
            Fact(fact.value, fact.file, fact.line)
            if fact is not None and isinstance(fact.value, str) and fact.value
            else None
        )

    def chosen(self, names: Iterable[str]) -> Iterator[tuple[str, Fact[object]]]:
        """Those of the options that are ``y``."""
        for name in names:
            fact = self.on(name)
            if fact is not None:
                yield name, fact

    def matching(self, pattern: str) -> Iterator[tuple[str, Fact[object]]]:
        """Options that are ``y`` and whose whole name matches."""
        for name in self.options:
            fact = self.on(name)
            if fact is not None and re.fullmatch(pattern, name):
                yield name, fact


def read_config(path: Path, findings: Findings) -> Config | None:
    """Read a ``.config``; lines of another kind are problems."""
    text = read_text(path, findings)
    if text is None:
        return None
    config = Config(path)
    for number, line in enumerate(text.splitlines(), 1):
        unset = _UNSET.fullmatch(line)
        if unset:
            _add(config, findings, unset[1], Fact(False, path, number))
            continue
        if not line.strip() or line.startswith("#"):
            continue
        given = _SET.fullmatch(line)
        value = _value(given[2]) if given else None
        if given is None or value is None:
            findings.refuse(
                Fact(None, path, number),
                "not a line of a .config",
                found=repr(line[:60]),
                expected="CONFIG_NAME=value",
            )
            continue
        _add(config, findings, given[1], Fact(value, path, number))
    return config


def _add(config: Config, findings: Findings, name: str, fact: Fact[bool | int | str]) -> None:
    short = name.removeprefix("SB_").removeprefix("CONFIG_")
    earlier = config.options.setdefault(short, fact)
    if earlier is not fact and earlier.value != fact.value:
        findings.differ(
            name, [earlier, fact], remedy="build again; a .config is written by Kconfig, not by hand"
        )


def _value(text: str) -> bool | int | str | None:
    if text in ("y", "n"):
        return text == "y"
    quoted = _TEXT.fullmatch(text)
    if quoted:
        return re.sub(r"\\(.)", r"\1", quoted[1])
    return int(text, 0 if "x" in text else 10) if _NUMBER.fullmatch(text) else None
