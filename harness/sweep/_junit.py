"""Results for CI servers: one test for each kind of place that is written to, or for each cut on a bench."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from ._bench_report import BenchReport
from ._report import Failure, Report

__all__ = ["bench_junit_text", "junit_text"]


#: a test's name, and the causes for which it failed: message and text of each
Case = tuple[str, Sequence[tuple[str, str]]]


def junit_text(report: Report, places: Counter[str]) -> str:
    """JUnit XML of a sweep. ``places`` counts the operations of the scenario by what lies there."""
    by_place: dict[str, list[Failure]] = {}
    for failure in report.failures:
        by_place.setdefault(f"{failure.cuts[-1].kind_of_place} ({failure.cuts[-1].kind})", []).append(failure)
    cases: list[Case] = [
        (
            place,
            [
                (f"{failure.count} points: {'; '.join(failure.rules)}", _details(failure))
                for failure in by_place.get(place, ())
            ],
        )
        for place in [*places, *(place for place in by_place if place not in places)]
    ]
    return _text(report, cases, _properties(report))


def bench_junit_text(report: BenchReport) -> str:
    """JUnit XML of cuts on a real device: one test for each cut, as no operation is known."""
    details = {tuple(failure.rules): _details(failure) for failure in report.failures}
    cases: list[Case] = []
    for number, cut in enumerate(report.cuts, 1):
        when = f"power lost {1000 * cut.earliest:.1f} to {1000 * cut.latest:.1f} ms after it came"
        text = f"{when}\n{details.get(tuple(cut.rules), '')}"
        cases.append((f"cut {number}", [("; ".join(cut.rules), text)] if cut.outcome == "failed" else []))
    return _text(report, cases, _bench_properties(report))


def _text(report: Report | BenchReport, cases: Sequence[Case], properties: Mapping[str, str]) -> str:
    name = f"power cuts: {report.scenario} on {report.board}"
    suite = ElementTree.Element("testsuite", name=name, time=f"{report.seconds:.3f}", errors="0", skipped="0")
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(bool(failures) for _, failures in cases)))
    told = ElementTree.SubElement(suite, "properties")
    for key, value in properties.items():
        ElementTree.SubElement(told, "property", name=key, value=value)
    for place, failures in cases:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"power_cuts.{report.scenario}", name=place, time="0"
        )
        for message, text in failures:
            ElementTree.SubElement(case, "failure", message=message).text = text
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _bench_properties(report: BenchReport) -> dict[str, str]:
    return {
        "board": report.board,
        "probe": report.probe,
        "device_id": report.device_id,
        "bootloader": report.bootloader.file,
        "bootloader_sha256": report.bootloader.sha256,
        "swap_mode": report.bootloader.swap_mode,
        "method": report.method,
        "seed": str(report.seed),
        "complete": str(report.complete).lower(),
        "points": str(report.points),
        "failed": str(report.failed),
        "used_up": str(report.used_up),
    }


def _properties(report: Report) -> dict[str, str]:
    return {
        "board": report.board,
        "bootloader": report.bootloader.file,
        "bootloader_sha256": report.bootloader.sha256,
        "swap_mode": report.bootloader.swap_mode,
        "seed": str(report.settings.seed),
        "complete": str(report.complete).lower(),
        "operations": str(report.operations),
        "points": str(report.points),
        "failed": str(report.failed),
        "used_up": str(report.used_up.count),
        "points_per_second": f"{report.points_per_second:g}",
    }


def _details(failure: Failure) -> str:
    cuts = "\n".join(
        f"power lost at operation {cut.number} ({cut.kind}, {cut.tear}) at {cut.address:#010x}: {cut.place}"
        + (f", in {cut.source}" if cut.source else "")
        for cut in failure.cuts
    )
    text = f"{cuts}\n\n{failure.before}\n\nin the end:\n{failure.after}\n\nconsole:\n{failure.console}"
    return "".join(
        char for char in f"{text}\n\n{failure.replay}\n" if char in "\n\t" or " " <= char < "\ud800"
    )
