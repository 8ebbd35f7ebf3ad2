"""Results for continuous integration servers: one test for each kind of place that the scenario writes to."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree

from ._report import Failure, Report

__all__ = ["junit_text"]


def junit_text(report: Report, places: Counter[str]) -> str:
    """JUnit XML. ``places`` counts the operations of the scenario by what lies there."""
    name = f"power cuts: {report.scenario} on {report.board}"
    suite = ElementTree.Element("testsuite", name=name, time=f"{report.seconds:.3f}", errors="0", skipped="0")
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in _properties(report).items():
        ElementTree.SubElement(properties, "property", name=key, value=value)
    by_place: dict[str, list[Failure]] = {}
    for failure in report.failures:
        by_place.setdefault(f"{failure.cuts[-1].kind_of_place} ({failure.cuts[-1].kind})", []).append(failure)
    for place in [*places, *(place for place in by_place if place not in places)]:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"power_cuts.{report.scenario}", name=place, time="0"
        )
        for failure in by_place.get(place, ()):
            message = f"{failure.count} points: {'; '.join(failure.rules)}"
            ElementTree.SubElement(case, "failure", message=message).text = _details(failure)
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("failures", str(sum(case.find("failure") is not None for case in suite.findall("testcase"))))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


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
