"""From counted failures to ones that a person can follow: places, source lines, slots before and after."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ..emulator import Operation, OperationKind
from ..mcuboot import FlashReport, Image
from ._chip import Chip
from ._contents import Contents
from ._explore import Case, Explorer, Group
from ._judge import Outcome
from ._lines import Lines
from ._power import Ending
from ._recording import Recording
from ._report import BootLoaderFacts, Failure, FlashMap, ImageFacts, Report, Settings, Surprise, Where
from ._run import Sweep

__all__ = ["Witness", "image_facts", "make_report"]

#: failures that are told in detail
_DETAILED: Final = 40
_MARKS: Final = {Outcome.HELD: ".", Outcome.USED_UP: "u", Outcome.FAILED: "F"}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one point looks like: ``before`` the device gets power again, and ``after`` all is at rest."""

    cuts: list[Where]
    before: str
    after: str
    console: str


class Witness:
    """Does single points again and tells what is seen. ``files`` are ELF files with source lines."""

    def __init__(self, recording: Recording, explorer: Explorer, files: Sequence[Path] = ()) -> None:
        self.recording, self._explorer = recording, explorer
        self._lines = Lines(files)
        self._chip = Chip(recording, merging=False)

    def where(self, case: Case) -> list[Where]:
        """The operations that a case cuts."""
        return [self._where(case[: length + 1]) for length in range(len(case))]

    def _where(self, case: Case) -> Where:
        _, hit = self._explorer.contents_at(case)
        cut = case[-1]
        if hit is None:
            return Where(
                number=cut.operation,
                kind="end",
                address=0,
                size=0,
                value=0,
                tear=cut.tear,
                place="behind the last operation",
                kind_of_place="behind the last operation",
                source="",
                pc=0,
            )
        source, place = self._lines.at(hit.pc), self._explorer.places.at(hit.address, hit.size)
        return Where(
            number=cut.operation,
            kind=_kind(hit),
            address=hit.address,
            size=hit.size,
            value=hit.value,
            tear=cut.tear,
            place=str(place),
            kind_of_place=place.kind,
            source=str(source) if source else "",
            pc=hit.pc,
        )

    def testify(self, case: Case) -> Evidence:
        """Run a case to where nothing changes any more, and look."""
        contents, _ = self._explorer.contents_at(case)
        before = self.slots(contents)
        console = b""
        now = contents
        for _ in range(self.recording.limits.boots):
            power = self._chip.run(now)
            console += bytes(self._chip.console)
            settled = power.ending is not Ending.STARTED or power.end.key == now.key
            now = power.end
            if settled:
                break
        return Evidence(self.where(case), before, self.slots(now), console.decode(errors="replace")[-2000:])

    def slots(self, contents: Contents) -> str:
        """All slots, explained."""
        settings = self.recording.settings
        areas = [(area.address, area.size) for _, area in self._explorer.places.areas()]
        return FlashReport.build(contents.view(areas), settings).to_text()


def _kind(operation: Operation) -> Literal["write", "erase"]:
    return "write" if operation.kind is OperationKind.WRITE else "erase"


def make_report(sweep: Sweep, files: Sequence[Path], *, bootloader: Path, out: str = "OUT") -> Report:
    """The results with their evidence. ``out`` is the file that the replay commands name."""
    recording, tally = sweep.recording, sweep.tally
    plan = dataclasses.replace(sweep.plan, merging=True)
    explorer = Explorer(recording, plan)
    witness = Witness(recording, explorer, files)
    groups = sorted(
        ((group, found) for group, found in tally.groups.items() if group.outcome is Outcome.FAILED),
        key=lambda item: (-item[1][0], item[0]),
    )
    failures = [
        _failure(witness, number, group, count, case, out, detailed=number <= _DETAILED)
        for number, (group, (count, case)) in enumerate(groups, 1)
    ]
    used_up = [found for group, found in tally.groups.items() if group.outcome is Outcome.USED_UP]
    simplest = min((case for _, case in used_up), key=len, default=())
    return Report(
        scenario=recording.scenario,
        board=recording.board,
        soc=recording.soc,
        bootloader=BootLoaderFacts(
            file=bootloader.name,
            sha256=hashlib.sha256(bootloader.read_bytes()).hexdigest(),
            swap_mode=str(recording.settings.mode),
        ),
        images=image_facts(recording),
        settings=Settings(
            seed=plan.tears.seed,
            inside=plan.tears.inside,
            random=plan.tears.random,
            weak=plan.tears.weak,
            pairs=plan.pairs,
            chains=plan.chains,
            chain=plan.chain,
            merging=sweep.plan.merging,
            workers=sweep.workers,
        ),
        complete=sweep.complete,
        operations=len(recording.operations),
        tried=sum(last - first for first, last in sweep.done),
        points=tally.points,
        by_cuts=dict(sorted(tally.cuts.items())),
        held=tally.outcomes.get(Outcome.HELD, 0),
        used_up=Surprise(
            count=tally.outcomes.get(Outcome.USED_UP, 0), example=witness.where(simplest) if simplest else []
        ),
        failed=sweep.failed,
        boots=tally.counts.boots,
        merged=tally.counts.merged,
        foreseen=tally.counts.foreseen,
        instructions=tally.counts.instructions,
        seconds=round(sweep.seconds, 3),
        points_per_second=round(tally.points / sweep.seconds, 1) if sweep.seconds else 0.0,
        without_cut=[str(finding) for finding in explorer.without_cut().findings],
        failures=failures,
        flash=_flash(sweep, explorer),
        recording=base64.b64encode(recording.packed).decode(),
    )


def _failure(
    witness: Witness, number: int, group: Group, count: int, case: Case, out: str, *, detailed: bool
) -> Failure:
    evidence = witness.testify(case) if detailed else Evidence(witness.where(case), "", "", "")
    return Failure(
        number=number,
        rules=[str(finding) for finding in group.findings],
        count=count,
        cuts=evidence.cuts,
        runs=[list(labels) for labels in group.runs],
        before=evidence.before,
        after=evidence.after,
        console=evidence.console,
        replay=f"harness replay {out} --failure {number}",
    )


def image_facts(recording: Recording) -> list[ImageFacts]:
    """The scenario's images."""
    found = []
    for part in recording.parts:
        for role, data in (("old", part.old), ("new", part.new)):
            if data is not None:
                found.append(
                    ImageFacts(
                        component=part.name,
                        role="new" if role == "new" else "old",
                        version=str(Image.parse(data).version),
                        size=len(data),
                        sha256=hashlib.sha256(data).hexdigest(),
                    )
                )
    return found


def _flash(sweep: Sweep, explorer: Explorer) -> FlashMap:
    operations, worst = sweep.recording.operations, sweep.tally.worst
    marks = [_MARKS[worst[number]] if number in worst else "?" for number in range(sweep.total)]
    return FlashMap(
        addresses=[operation.address for operation in operations],
        sizes=[operation.size for operation in operations],
        kinds="".join(_kind(operation)[0] for operation in operations),
        outcomes="".join(marks),
        areas=[(name, area.address, area.size) for name, area in explorer.places.areas()],
    )
