"""Bench files are checked like board files; hardware maps of twister are read as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import BenchError
from harness.bench import Bench, bench_path, read_bench
from harness.boards import find_board
from harness.devices import CommandSwitch, Ppk2Switch

GOOD = """\
devices:
  - name: desk
    board: nrf52840dk
    probe: "683007782"
    device_id: 0011223344556677
    ports: { console: /dev/ttyACM0 }
    power: { off: "relay 'one' off", on: relay one on }
  - name: shelf
    board: disco_l475_iot1
    probe: 066BFF
    power: { uhubctl: { location: 1-1.4, port: 2 } }
  - name: scale
    board: nrf52840dk
    probe: "683007783"
    power: { ppk2: { serial: 000683007782, mode: source, millivolts: 3300 } }
"""
MAP = """\
- connected: true
  id: '000683759358'
  platform: nrf52840dk/nrf52840
  product: J-Link
  runner: nrfutil
  serial: /dev/ttyACM0
  baud: 115200
  fixtures:
  - gpio_loopback
- connected: true
  id: '000683759359'
  probe_id: '683759359'
  platform: nrf52840dk_nrf52840
  product: J-Link
  runner: pyocd
  serial: /dev/ttyACM2
- connected: false
  id: '1'
  platform: nrf52840dk/nrf52840
  product: J-Link
  runner: pyocd
- connected: true
  id: unknown
  platform: nrf52840dk/nrf52840
  product: J-Link
  runner: pyocd
- connected: true
  id: 0240000028884e450036700f6bf000338021000097969900
  platform: frdm_k64f
  product: DAPLink
  runner: pyocd
  serial: /dev/ttyACM3
"""


def read(text: str, tmp_path: Path) -> Bench:
    file = tmp_path / "bench.yaml"
    file.write_text(text, encoding="utf-8")
    return read_bench(file)


def test_bench_file(tmp_path: Path) -> None:
    bench = read(GOOD, tmp_path)
    assert not bench.problems
    desk, shelf, scale = bench.devices
    assert (desk.name, desk.board, desk.probe, desk.ports) == (
        "desk",
        "nrf52840dk",
        "683007782",
        {"console": "/dev/ttyACM0"},
    )
    assert desk.device_id == "0011223344556677"
    hub = ("uhubctl", "-l", "1-1.4", "-p", "2", "-a")
    assert desk.power == CommandSwitch(("relay", "one", "off"), ("relay", "one", "on"))
    assert shelf.power == CommandSwitch((*hub, "off"), (*hub, "on"))
    assert scale.power == Ppk2Switch("000683007782", "source", 3300)
    assert bench.device("shelf") is bench.device("066BFF") is shelf
    assert bench.of_board(find_board("nrf52840dk:swap_mode=move")) == [desk, scale]
    with pytest.raises(BenchError, match="no device 'shelv'"):
        bench.device("shelv")


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("probe: 066BFF", 'probe: "683007782"', 10, "same probe as devices[0]"),
        ("name: shelf", "name: desk", 8, "same name as devices[0]"),
        ("board: disco_l475_iot1", "board: no.yaml", 9, "board file is refused"),
        ("console: /dev", "consol: /dev", 6, "no serial port of that role"),
        (", on: relay one on", "", 7, "need each other"),
        ("off: \"relay 'one' off\"", 'off: "relay \'one off"', 7, "no command line"),
        ("on: relay one on", 'on: " "', 7, "nothing in it"),
        ("off: \"relay 'one' off\", ", "uhubctl: { location: a, port: 1 }, ", 7, "not one way"),
        ("port: 2", "port: 0", 11, "too small"),
        ("    probe: 066BFF\n", "", 8, "missing"),
        ("millivolts: 3300", "millivolts: 799", 15, "too small"),
        ("millivolts: 3300", "millivolts: 5001", 15, "too large"),
        (", millivolts: 3300", "", 15, "missing"),
        ("mode: source", "mode: volt", 15, "expected: source, ampere"),
        ("power: { ppk2", "power: { off: a, on: b, ppk2", 15, "not one way"),
        ("device_id", "device-id", 5, "unknown key"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, words: str
) -> None:
    assert old in GOOD
    bench = read(GOOD.replace(old, new), tmp_path)
    said = [str(problem) for problem in bench.problems]
    assert any(one.startswith(f"{tmp_path / 'bench.yaml'}:{line}: ") and words in one for one in said), said
    with pytest.raises(BenchError, match="problem"):
        bench.require()


def test_hardware_map_of_twister(tmp_path: Path) -> None:
    bench = read(MAP, tmp_path)
    assert not bench.problems
    assert [(device.name, device.board, device.probe, device.ports) for device in bench.devices] == [
        ("nrf52840dk", "nrf52840dk", "683759358", {"console": "/dev/ttyACM0"}),
        ("nrf52840dk-2", "nrf52840dk", "683759359", {"console": "/dev/ttyACM2"}),
    ]
    notes = "\n".join(map(str, bench.notes))
    for words in (
        "speed is used",
        "not connected",
        "no probe id",
        "no board comes with the package for frdm_k64f",
    ):
        assert words in notes
    assert f"{tmp_path / 'bench.yaml'}:7: devices[0].baud" in notes


def test_own_board_files_count_from_the_bench_file(tmp_path: Path) -> None:
    shipped = find_board("nrf52840dk").file
    text = shipped.read_text().replace("keys/", f"{shipped.parent.as_posix()}/keys/")
    (tmp_path / "mine.yaml").write_text(text.replace("name: nrf52840dk", "name: mine"))
    bench = read("devices:\n  - { name: a, board: mine.yaml, probe: '1' }\n", tmp_path)
    assert not bench.problems
    assert bench.devices[0].load().name == "mine"
    assert bench.of_board(bench.devices[0].load()) == bench.devices


def test_where_the_bench_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert bench_path().name == "bench.yaml"
    assert bench_path().parent != Path()
    (tmp_path / "bench.yaml").write_text(GOOD)
    assert bench_path() == Path("bench.yaml")
    monkeypatch.setenv("HIL_BENCH", "other.yaml")
    assert bench_path() == Path("other.yaml")
    assert bench_path("named.yaml") == Path("named.yaml")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([GOOD, MAP]), st.floats(0, 1), st.integers(0, 60), st.text(max_size=20))
def test_damaged_files_are_refused_or_read(
    tmp_path: Path, text: str, at: float, cut: int, piece: str
) -> None:
    place = int(at * len(text))
    damaged = (text[:place] + piece + text[place + cut :]).encode("utf-8", errors="surrogatepass")
    file = tmp_path / "bench.yaml"
    file.write_bytes(damaged)
    bench = read_bench(file)
    assert all(problem.line > 0 and problem.what for problem in bench.problems)
