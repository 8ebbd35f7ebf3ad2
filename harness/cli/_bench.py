"""`harness bench`: the devices of this machine and who has them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import click
import yaml

from .._errors import BenchError

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_FILE = click.option(
    "--bench",
    "file",
    metavar="FILE",
    help="Bench file or twister hardware map (default: HIL_BENCH, bench.yaml).",
)


class _Span(click.ParamType[float]):
    """A time such as 90s, 30m, 2h or 1d."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; a usage error for anything else."""
        match = re.fullmatch(r"([0-9]{1,6})([smhd])", str(value), re.ASCII)
        if match is None or not int(match[1]):
            self.fail(f"{value!r} is no time, such as 90s, 30m, 2h or 1d", param, ctx)
        return float(int(match[1]) * _UNITS[match[2]])


@click.group("bench")
def command() -> None:
    """List, add, lock and recover the devices of this machine."""


@command.command("list")
@_FILE
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def list_devices(file: str | None, as_json: bool) -> None:
    """List the devices: where they are, who has them, whether they are well."""
    from ..bench import bench_path, evidence, holder, present, read_bench

    bench = read_bench(bench_path(file)).require()
    probes = present(bench.devices)
    rows: list[dict[str, Any]] = []
    for device in bench.devices:
        taken, ill = holder(device.key), evidence(device.key)
        state = f"in quarantine {ill}" if ill else str(taken) if taken else "free"
        rows.append(
            {
                "name": device.name,
                "board": device.board,
                "probe": device.probe,
                "present": device.key in probes or (None if device.place else False),
                "ports": device.ports,
                "state": "quarantine" if ill else "locked" if taken else "free",
                "detail": state,
            }
        )
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for note in bench.notes:
        click.echo(f"note: {note}", err=True)
    for row in rows:
        probe = row["probe"] or "of its place"
        there = "probe not there; " if row["present"] is False else ""
        click.echo(f"{row['name']:<16} {row['board']:<18} {probe:<20} {there}{row['detail']}")


@command.command("add")
@click.argument("name")
@click.option("--board", required=True, help="Name of a shipped board, or a board file.")
@click.option("--probe", metavar="ID", help="Probe (default: the only one that is there).")
@click.option(
    "--port",
    "ports",
    multiple=True,
    metavar="ROLE=URL",
    help="Serial port; others are not tried.",
)
@click.option(
    "--no-proof", is_flag=True, help="Take the best suggestion for a port without resetting the board."
)
@_FILE
def add(
    name: str, board: str, probe: str | None, ports: tuple[str, ...], no_proof: bool, file: str | None
) -> None:
    """Find ports, prove them by a reset and the text that follows it, and add the device to the bench file.

    Nothing is written to the device.
    """
    from ..bench import DeviceLock, Request, bench_path, prove, suggest
    from ..boards import find_board
    from ..devices import DeviceSettings, present_ports

    definition = find_board(board)
    request = Request(definition, DeviceSettings(backend="hardware", probe=probe))
    (chosen,) = request.candidates()
    named = dict(_pair(text) for text in ports)
    device_id = None
    with DeviceLock(chosen.key):
        suggestions = suggest(chosen.key, board=definition)
        for one in suggestions:
            click.echo(f"suggested: {one.url}: {one.why}", err=True)
        if no_proof:
            for serial, one in zip(definition.serial, suggestions, strict=False):
                named.setdefault(serial.role, one.url)
        else:
            urls = list(named.values()) or [one.url for one in suggestions]
            proof = prove(definition, chosen.key, urls or [str(port.device) for port in present_ports()])
            named, device_id = proof.ports, proof.device_id
            for role, url in named.items():
                click.echo(
                    f"proved: {role} is {url}: {proof.heard[url].strip().splitlines()[0][:60]!r}", err=True
                )
    path = bench_path(file)
    _append(
        path,
        {
            "name": name,
            "board": _written(board),
            "probe": chosen.key,
            "device_id": device_id,
            "ports": named,
        },
    )
    click.echo(f"{path}: {name}")


def _pair(text: str) -> tuple[str, str]:
    role, equals, url = text.partition("=")
    if not (role and equals and url):
        raise click.BadParameter(f"{text!r} is not ROLE=URL", param_hint="--port")
    return role, url


def _written(board: str) -> str:
    """A board file's path counts from the bench file."""
    from ..boards import shipped_boards

    return board if board in shipped_boards() else str(Path(board).absolute())


def _append(path: Path, entry: dict[str, Any]) -> None:
    """Add an entry behind what is there, comments and all; take it back if the file is refused then."""
    from ..bench import read_bench

    try:
        before = path.read_text(encoding="utf-8") if path.is_file() else None
        present = yaml.safe_load(before) if before else None
        content = {key: value for key, value in entry.items() if value}
        if isinstance(present, list):
            raise BenchError(
                "a hardware map is not changed", where=str(path), remedy="name another file: --bench FILE"
            )
        text = yaml.safe_dump([content], sort_keys=False, default_flow_style=None, width=100)
        start = f"{before.rstrip()}\n" if before and before.strip() else "devices:\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(start + "".join(f"  {line}\n" for line in text.splitlines()), encoding="utf-8")
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise BenchError("the bench file cannot be changed", where=str(path), found=str(error)) from None
    problems = read_bench(path).problems
    if problems:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, encoding="utf-8")
        listing = "\n".join(map(str, problems))
        raise BenchError(f"the device cannot be added\n{listing}", where=str(path))


@command.command("lock")
@click.argument("name")
@click.option(
    "--for", "span", type=_Span(), default="1h", show_default=True, help="How long: 90s, 30m, 2h, 1d."
)
@click.option("--reason", default="by hand", show_default=True, help="What others are told.")
@_FILE
def lock(name: str, span: float, reason: str, file: str | None) -> None:
    """Reserve a device for your own processes (HIL_OWNER, or user and machine), until a time."""
    from ..bench import bench_path, read_bench, reserve

    device = read_bench(bench_path(file)).require().device(name)
    click.echo(f"{device.name}: {reserve(device.key, span, reason)}")


@command.command("release")
@click.argument("name")
@click.option("--force", is_flag=True, help="End somebody else's reservation.")
@_FILE
def release_device(name: str, force: bool, file: str | None) -> None:
    """End a reservation. A device that a process uses is freed by the end of that process."""
    from ..bench import bench_path, read_bench, release

    device = read_bench(bench_path(file)).require().device(name)
    ended = release(device.key, force=force)
    click.echo(f"{device.name}: was {ended}" if ended else f"{device.name}: was free")


@command.command("recover")
@click.argument("name")
@click.option("--erase", is_flag=True, help="Erase everything on it, which also opens a locked chip.")
@_FILE
def recover_device(name: str, erase: bool, file: str | None) -> None:
    """Prove that a device is well, and end its quarantine."""
    from ..bench import bench_path, evidence, read_bench, recover

    device = read_bench(bench_path(file)).require().device(name)
    found = evidence(device.key)
    click.echo(f"{device.name}: in quarantine {found}" if found else f"{device.name}: in no quarantine")
    recover(device, erase=erase, say=click.echo)
    click.echo(f"{device.name}: well")
