"""`harness slots`: what a flash dump holds."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import click

from .._errors import ImageError
from ..boards import find_board
from ..mcuboot import FlashReport, FlashView

_HEX_START: Final = re.compile(rb"\s*:[0-9A-Fa-f]{8}")
_LARGEST: Final = 256 * 1024 * 1024


class _Address(click.ParamType[int]):
    """A number, decimal or 0x..."""

    name = "address"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse; a usage error otherwise."""
        try:
            return value if isinstance(value, int) else int(str(value), 0)
        except ValueError:
            self.fail(f"{value!r} is no address, such as 0xC000", param, ctx)


@click.command("slots")
@click.option("--board", required=True, help="Name of a shipped board, or a board file.")
@click.option(
    "--flash",
    "dumps",
    required=True,
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Flash dump: raw or Intel HEX, the whole flash or parts of it; may be repeated.",
)
@click.option(
    "--base",
    "bases",
    multiple=True,
    type=_Address(),
    help="Address at which a raw dump starts, once for each raw dump (default: start of the flash).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def command(board: str, dumps: tuple[Path, ...], bases: tuple[int, ...], as_json: bool) -> None:
    """Explain the MCUboot slots in a flash dump, and what the next boot would do."""
    definition = find_board(board)
    settings = definition.boot_settings()
    starts = list(bases)
    regions: list[tuple[int, bytes]] = []
    for dump in dumps:
        data = _read(dump)
        if _HEX_START.match(data):
            try:
                regions += FlashView.from_hex(data).regions
            except ImageError as error:
                error.where = str(dump)
                raise
        else:
            regions.append((starts.pop(0) if starts else definition.flash.base, data))
    if starts:
        raise click.UsageError(f"--base was given {len(bases)} times, more often than there are raw dumps")
    report = FlashReport.build(FlashView.build(regions), settings)
    click.echo(json.dumps(report.to_dict(), indent=2) if as_json else report.to_text())


def _read(dump: Path) -> bytes:
    try:
        with dump.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise ImageError("cannot be read", where=str(dump), found=error.strerror or str(error)) from None
    if not data:
        raise ImageError("the dump is empty", where=str(dump), remedy="read the flash again")
    if len(data) > _LARGEST:
        raise ImageError("too large for a flash dump", where=str(dump), expected=f"at most {_LARGEST} bytes")
    return data
