"""The documentation keeps up with the code: nothing that users can name is missing, nothing named is gone."""

from __future__ import annotations

import ast
import enum
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import click
import pytest
from pydantic import BaseModel

import harness
from harness import BuildError, pytest_plugin
from harness.boards import Board, BoardFile, find_board, shipped_boards
from harness.devices import DeviceSettings
from harness.emulator import DiagnosticKind, Machine, Master, OperationKind, ResetKind, StopCause, soc_names
from harness.firmware import bootloader_layout
from harness.mcuboot import SwapMode
from harness.updates import Verdict

from .markdown import DOCS, ROOT, anchors, documents, links, prose, table, ticked

BENCH, BOARDS, PYTEST, EMULATOR, SCENARIOS = (
    DOCS / f"{name}.md" for name in ("bench", "boards", "pytest", "emulator", "scenarios")
)


# links


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    dead = []
    for link in links(path):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert not dead


# the plugin


def test_every_fixture_is_described() -> None:
    described = {name for row in table(PYTEST, "fixture") for name in ticked(row[0])}
    assert described == set(pytest_plugin.FIXTURES)


def test_every_option_is_described_with_its_other_names() -> None:
    rows = {ticked(row[0])[0].split()[0]: ticked(row[1]) for row in table(PYTEST, "option")}
    names = [name.replace("-", "_") for name in pytest_plugin.OPTION_NAMES]
    assert rows == {
        f"--hil-{option}": [f"HIL_{name.upper()}", f"hil_{name}"]
        for option, name in zip(pytest_plugin.OPTION_NAMES, names, strict=True)
    }


def test_every_verdict_is_described() -> None:
    assert [ticked(row[0])[0] for row in table(PYTEST, "verdict")] == [verdict.value for verdict in Verdict]


def test_every_junit_property_is_named() -> None:
    made = set()
    for path in (ROOT / "harness" / "_pytest").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant):
                made.add(str(node.value))
            elif isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "*" for part in node.values)
                made.add("".join(map(str, parts)))
    made = {name for name in made if re.fullmatch(r"hil\.[\w.*]*[\w*]", name)}
    assert made >= {"hil.board", "hil.*.*.version"}
    named = {re.sub(r"\b(?:image|update)\.NAME|DIRECTION", "*", name) for name in ticked(prose(PYTEST))}
    assert {name.replace("*.*.", "*.") for name in made} <= named


# boards


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(path, annotation, default) of all fields; lists are marked [], mappings by name `*`."""
    for name, info in model.model_fields.items():
        path, inner = f"{prefix}{name}", info.annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):  # else its fields say all
            yield path, inner, "required" if info.is_required() else info.get_default()
        for part in (inner, *get_args(inner)):
            suffix = {list: "[].", dict: ".*."}.get(get_origin(inner) or type(None), ".")
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _fields(part, path + suffix)


def _said(default: Any) -> str:
    """A default as the table says it."""
    if default == "required":
        return ""
    if default is None or default == []:
        return "none"
    text = {True: "true", False: "false"}.get(default, default) if isinstance(default, bool) else default
    return f"`{text}`"


def _choices(annotation: Any) -> set[str]:
    """All words and numbers that a field chooses from."""
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return {str(member.value) for member in annotation}
    return {
        choice
        for part in get_args(annotation)
        for choice in (
            {str(part)} if isinstance(part, str | int) and not isinstance(part, bool) else _choices(part)
        )
    }


def test_every_field_of_a_board_file_is_described() -> None:
    rows = {ticked(row[0])[0]: row for row in table(BOARDS, "field")}
    fields = {path: (annotation, default) for path, annotation, default in _fields(BoardFile)}
    assert list(rows) == list(fields)
    # what the code does with None is said instead of it
    words = {"debug.frequency": "pyOCD's", "components[].lwm2m_instance": "image number"}
    for path, (annotation, default) in fields.items():
        said = rows[path][2]
        wanted = {words.get(path, _said(default))}
        if path == "mcuboot.header_size":
            wanted = {f"`{default:#x}`"}
        assert said in wanted, f"{path}: default {said}, not {wanted}"
        if path != "mcuboot.swap_mode":
            assert _choices(annotation) <= set(ticked(rows[path][1])), path


def _changed(**mcuboot: Any) -> Board:
    """The shipped board with another boot loader, not checked."""
    board = find_board("nrf52840dk")
    content = board.content.model_copy(update={"mcuboot": board.content.mcuboot.model_copy(update=mcuboot)})
    return Board(board.file, content, board.public_key, board.signing_key)


def test_every_swap_mode_is_described_with_what_the_reference_boot_loader_knows() -> None:
    rows = {name: row for row in table(BOARDS, "mode") for name in ticked(row[0])}
    assert list(rows) == [mode.value for mode in SwapMode]
    for mode in SwapMode:
        try:
            bootloader_layout(_changed(swap_mode=mode))
            known = "yes"
        except BuildError:
            known = "no"
        assert rows[mode.value][3] == known, mode
        assert (rows[mode.value][2] in {"stays", "-"}) == (
            "revert" not in _changed(swap_mode=mode).capabilities
        )


def test_every_capability_is_described() -> None:
    described = {name for row in table(BOARDS, "capability") for name in ticked(row[0])}
    modes = {mode.value for mode in SwapMode}
    boards = [find_board(name) for name in shipped_boards()]
    boards += [
        _changed(
            swap_mode=mode, rollback_protection=True, serial_recovery=True, downgrade_prevention="version"
        )
        for mode in SwapMode
    ]
    found = {name for board in boards for name in board.capabilities} | DeviceSettings().capabilities
    found |= _asked_for()
    assert found - modes == described - modes - {"eight-images"}


def _asked_for() -> set[str]:
    """Capabilities that the package itself asks for by name."""
    calls = re.compile(r"(?:hil_requires|\.require|CapabilityMissing)\(([^)]*)\)")
    texts = (path.read_text(encoding="utf-8") for path in (ROOT / "harness").rglob("*.py"))
    return {
        name for text in texts for call in calls.findall(text) for name in re.findall(r'"([\w-]+)"', call)
    }


# the command line


def _commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for part in group.list_commands(context):
        command = group.get_command(context, part)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, f"{name} {part}")
        else:
            yield f"{name} {part}", command


def test_every_command_and_its_options_are_named_somewhere() -> None:
    from harness import cli

    text = "\n".join(path.read_text(encoding="utf-8") for path in documents())
    missing = []
    for name, command in _commands(cli._group, "harness"):
        last = name.split()[-1]
        if name not in text and f"`{last} " not in text and f"`{last}`" not in text:
            missing.append(name)
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                missing += [f"{name} {option}" for option in parameter.opts if option not in text]
    assert not missing


def test_commands_of_the_readme_exist() -> None:
    from harness import cli

    known = dict(_commands(cli._group, "harness"))
    lines = re.findall(
        r"^    (harness [^#\n]*?)(?:  +#.*| &)?$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert len(lines) >= 3
    for line in lines:
        name = max((name for name in known if line.startswith(name)), key=len, default=None)
        assert name, line
        own = {option for parameter in known[name].params for option in parameter.opts}
        passed_on = {"-n"} if name == "harness verify" else set()
        assert set(re.findall(r" (--?[a-z-]+)", line)) <= own | passed_on, line


# the emulator


def test_every_diagnostic_is_described_in_its_own_words() -> None:
    rows = {ticked(row[0])[0]: row[1] for row in table(EMULATOR, "kind")}
    assert rows == {kind.name: kind.value for kind in DiagnosticKind}


def test_every_model_and_every_public_name_is_named() -> None:
    from harness import emulator

    text = EMULATOR.read_text(encoding="utf-8")
    assert set(soc_names()) <= {name for row in table(EMULATOR, "model") for name in ticked(row[0])}
    names = {
        *emulator.__all__,
        *(member.name for kind in (StopCause, OperationKind, Master) for member in kind),
    }
    assert {name for name in names if not re.search(rf"\b{name}\b", text)} == set()


RAM, FPB_CONTROL, FPB_COMPARATOR = 0x20000000, 0xE0002000, 0xE0002008
RESETREAS, GPREGRET, WDT_START, WDT_STATUS = 0x40000400, 0x4000051C, 0x40010000, 0x40010400
REASONS = {0: "-", 1: "RESETPIN", 2: "DOG", 4: "SREQ", 8: "LOCKUP", 1 << 18: "DIF"}
RCC_CSR, REMOVE_FLAGS = 0x40021094, 1 << 23
FLAGS = {27: "BORRSTF", 28: "SFTRSTF", 29: "IWDGRSTF", 26: "PINRSTF"}


def _reset(soc: str, base: int, kind: ResetKind, writes: dict[int, int]) -> Callable[[int], int]:
    """Reset a chip whose program sleeps, after these writes by a debugger; a function that reads a word."""
    machine = Machine(soc)
    vectors = (RAM + 0x1000).to_bytes(4, "little") + (base + 0x101).to_bytes(4, "little")
    machine.program(base, vectors)
    machine.program(base + 0x100, b"\xfe\xe7")
    machine.power_on()
    for address, value in writes.items():
        machine.bus.write(address, 4, value)
    if kind is ResetKind.POWER_ON:
        machine.power_cycle()
    else:
        machine.reset(kind)
    return lambda address: machine.bus.read(address, 4)


@pytest.mark.parametrize("kind", ResetKind, ids=lambda kind: kind.name)
def test_resets_keep_what_the_table_says(kind: ResetKind) -> None:
    (row,) = [row for row in table(EMULATOR, "reset") if row[0] == f"`{kind.name}`"]
    common = {RAM: 1, FPB_CONTROL: 3, FPB_COMPARATOR: 0x48000101}
    nordic = _reset("nrf52840", 0, kind, common | {GPREGRET: 1, WDT_START: 1})
    st = _reset("stm32l475", 0x08000000, kind, common | {RCC_CSR: REMOVE_FLAGS})
    kept = ("lost", "kept")
    for word in (nordic, st):
        assert row[2:4] == [kept[word(RAM) & 1], kept[word(FPB_COMPARATOR) & 1]]
    running = ("stops", "runs on")[nordic(WDT_STATUS) & 1]
    assert row[4:7] == [kept[nordic(GPREGRET) & 1], running, REASONS[nordic(RESETREAS)]]
    assert row[7] == (", ".join(name for bit, name in FLAGS.items() if st(RCC_CSR) >> bit & 1) or "-")


# scenarios, errors of the bench


def _tests_named() -> list[str]:
    return sorted({name for name in ticked(SCENARIOS.read_text(encoding="utf-8")) if ".py::" in name})


def _exists(name: str) -> bool:
    """``file.py::Class::test``, or with a case's name in brackets."""
    file, *parts = name.split("::")
    if not (ROOT / file).exists():
        return False
    source = (ROOT / file).read_text(encoding="utf-8")
    parts[-1], _, case = parts[-1].partition("[")
    nodes = ast.parse(source).body
    for part in parts:
        found = [node for node in nodes if getattr(node, "name", None) == part]
        if not found:
            return False
        nodes = getattr(found[0], "body", [])
    return f'"{case.removesuffix("]")}"' in source if case else True


def test_every_error_of_the_bench_is_described_and_provoked() -> None:
    wanted = {
        name
        for name in harness.__all__
        if isinstance(kind := getattr(harness, name), type)
        and issubclass(kind, harness.BenchError)
        and kind not in {harness.BenchError, harness.EmulatorError}
    }
    assert {name for row in table(BENCH, "error") for name in ticked(row[0])} == wanted
    provoked = table(BENCH, "provoked")
    assert {name for row in provoked for name in ticked(row[1])} == wanted
    assert [name for row in provoked for name in ticked(row[2]) if not _exists(name)] == []


def test_tests_of_scenarios_exist() -> None:
    names = _tests_named()
    assert len(names) > 30
    assert [name for name in names if not _exists(name)] == []


def test_every_scenario_has_a_test_or_a_reason() -> None:
    rows = [
        row
        for heading in ("scenario", "scenario of MCUboot's test plans for boards")
        for row in table(SCENARIOS, heading)
    ]
    empty = [
        row[0] for row in rows if not re.search(r"\.py::|does not apply|no test: |everything above", row[-1])
    ]
    assert len(rows) > 35
    assert not empty
