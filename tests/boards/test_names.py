"""Names that only other parts know: models, pyOCD's targets, the partition of the reference firmware."""

# ruff: noqa: E501 - one case a line, or the table cannot be read

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from harness.boards import Problem, check_board
from harness.firmware import firmware_ports

from ._edit import GOOD, Edited

KNOWN = (
    GOOD.replace("some_target", "nrf52840")
    .replace("some Cortex-M4", "nRF52840")
    .replace("emulator: example", "emulator: nrf52840\nrenode: nrf52840")
    .replace("size: 4096}", "size: 4096}\n    storage: {offset: 0x19000, size: 0x800}")
)
PACK = """<package><vendor>Maker</vendor><name>Parts_DFP</name>
<releases><release version="1.2.3"/></releases>
<devices><family Dfamily="Parts" Dvendor="Maker:1"><processor Dcore="Cortex-M4"/>
<memory id="IROM1" start="0" size="0x1000" default="1" startup="1"/>
<device Dname="ABC1234-X"/></family></devices></package>"""


def looked_up(file: Path) -> list[Problem]:
    return list(check_board(file, firmware_ports=firmware_ports()))


@pytest.fixture(autouse=True)
def packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pack of one part that pyOCD can find, to be installed as this file."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    folder = tmp_path / "data" / "cmsis-pack-manager"
    folder.mkdir(parents=True)
    part = {"name": "ABC1234-X", "from_pack": {"vendor": "Maker", "pack": "Parts_DFP", "version": "1.2.3"}}
    (folder / "index.json").write_text(json.dumps({"ABC1234-X": part}), encoding="utf-8")
    return folder / "Maker" / "Parts_DFP" / "1.2.3.pack"


@pytest.mark.parametrize(
    ("old", "new", "field", "what", "found", "expected", "remedy"),
    [
        ("soc: nRF52840", "soc: nRF52480", "soc", "the reference firmware has no port for it", "'nRF52480'", "nrf52840, stm32l475", "did you mean nrf52840?"),
        ("soc: nRF52840", "soc: AVR", "soc", "the reference firmware has no port", "'AVR'", "stm32l475", "docs/adding-a-soc.md"),
        ("emulator: nrf52840", "emulator: nrf52480", "emulator", "no such model of a SoC", "'nrf52480'", "nrf52840, stm32l475", "did you mean nrf52840?"),
        ("emulator: nrf52840", "emulator: avr", "emulator", "no such model", "'avr'", "stm32l475", "leave the field out"),
        ("renode: nrf52840", "renode: stm32l457", "renode", "no such platform for Renode", "'stm32l457'", "nrf52840", "did you mean stm32l475?"),
        ("target: nrf52840", "target: nrf5284", "debug.target", "pyOCD has no such target", "'nrf5284'", "pyocd list --targets", "did you mean nrf52840?"),
        ("target: nrf52840", "target: xyzzy", "debug.target", "pyOCD has no such target", "'xyzzy'", "pyocd list", "pyocd pack install NAME"),
        ("target: nrf52840", "target: abc1234-x", "debug.target", "CMSIS pack of this target is not installed", "'abc1234-x'", "Maker.Parts_DFP 1.2.3", "pyocd pack install abc1234-x"),
        ("    storage: {offset: 0x19000", "    storge: {offset: 0x19000", "flash.partitions", "the reference firmware needs a partition 'storage'", "scratch, storge", "2 sectors, 0x800", "did you mean storge?"),
        ("0x19000, size: 0x800", "0x19000, size: 0x400", "flash.partitions.storage.size", "too small for the reference firmware", "0x400", "2 sectors, 0x800", "make it 0x800"),
    ],
)  # fmt: skip # one case a line
def test_a_name_that_nobody_knows(
    tmp_path: Path, old: str, new: str, field: str, what: str, found: str, expected: str, remedy: str
):
    text = KNOWN.replace(old, new)
    edited = Edited(tmp_path, text)
    assert check_board(edited.write()) == (), "nothing of this hinders those who do not ask"
    (problem,) = looked_up(edited.write())
    assert problem.field == field
    assert what in problem.what
    assert found in problem.found
    assert expected in problem.expected
    assert remedy in problem.remedy
    line = text.splitlines()[problem.line - 1]
    assert new.partition(":")[0].strip() in line or field.rpartition(".")[2] in line
    assert not problem.note


@pytest.mark.parametrize("target", ["nrf52840", "NRF52840", "cortex_m", "Cortex-M"])
def test_known_names(tmp_path: Path, target: str):
    assert looked_up(Edited(tmp_path, KNOWN.replace("target: nrf52840", f"target: {target}")).write()) == []


def test_all_names_and_faults_of_other_sections_are_told_at_once(tmp_path: Path):
    text = KNOWN.replace("emulator: nrf52840", "emulator: avr").replace("target: nrf52840", "target: xyzzy")
    found = looked_up(Edited(tmp_path, text.replace("baud: 115200", "baud: 0")).write())
    assert [problem.field for problem in found] == ["debug.target", "serial[0].baud", "emulator"]


def test_a_target_from_an_installed_pack_is_a_note(tmp_path: Path, packs: Path):
    packs.parent.mkdir(parents=True)
    with zipfile.ZipFile(packs, "w") as pack:
        pack.writestr("Maker.Parts_DFP.pdsc", PACK)
    (note,) = looked_up(Edited(tmp_path, KNOWN.replace("target: nrf52840", "target: abc1234-x")).write())
    assert note.note
    assert "note: pyOCD has it from a CMSIS pack, Maker.Parts_DFP 1.2.3" in str(note)


def test_an_index_of_packs_that_is_none(tmp_path: Path, packs: Path):
    (packs.parents[2] / "index.json").write_text("{", encoding="utf-8")
    assert looked_up(Edited(tmp_path, KNOWN).write()) == []
    (problem,) = looked_up(Edited(tmp_path, KNOWN.replace("target: nrf52840", "target: xyzzy")).write())
    assert "index of CMSIS packs" in problem.what


def test_without_the_reference_boot_loader_what_lacks_is_only_a_note(tmp_path: Path):
    (tmp_path / "boot.hex").write_text(":00000001FF\n", encoding="utf-8")
    text = KNOWN.replace("max_sectors: 64", "max_sectors: 64\n  bootloader: boot.hex")
    text = text.replace("    storage: {offset: 0x19000, size: 0x800}\n", "")
    notes = looked_up(Edited(tmp_path, text.replace("soc: nRF52840", "soc: nRF5340")).write())
    assert [(note.field, note.note) for note in notes] == [("soc", True), ("flash.partitions", True)]
    assert all("the suite's application" in note.what for note in notes)
