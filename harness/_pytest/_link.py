"""The bad link of tests on devices: its option, and what reports say of it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest

from ..protocols import LinkConditions
from ..updates import UpdateRig
from ._twister import add_properties

__all__ = ["read"]

_LINES = 60


def read(text: str) -> LinkConditions | None:
    """The conditions that --hil-link asks for; `pytest.UsageError` for what makes no sense."""
    if not text:
        return None
    try:
        conditions = LinkConditions.parse(text)
        if conditions.moves:
            raise ValueError("a device on a serial line has no address that could change (move)")
    except ValueError as error:
        raise pytest.UsageError(f"--hil-link: {error}") from None
    return conditions


def _properties(rig: UpdateRig) -> Iterator[tuple[str, str]]:
    """What the link did, for JUnit."""
    for name, link in rig.bad_links.items():
        prefix = "hil.link" if name == "lwm2m" else f"hil.link.{name}"
        yield prefix, str(link.conditions)
        for line in link.report.summary().splitlines():
            direction, _, counts = line.partition(": ")
            yield f"{prefix}.{direction.replace(' ', '_')}", counts


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show in the report of a failure what the link did, and what the server refused."""
    rig = (getattr(item, "funcargs", None) or {}).get("hil_rig")
    if call.when == "teardown" and isinstance(rig, UpdateRig):
        add_properties(item, _properties(rig))
    report = yield
    for name, link in rig.bad_links.items() if report.failed and isinstance(rig, UpdateRig) else ():
        lines = str(link.report).splitlines()
        cut = [f"(the last {_LINES} of {len(lines)} lines)"] if len(lines) > _LINES else []
        text = "\n".join([f"conditions: {link.conditions}", *lines[:2], *cut, *lines[2:][-_LINES:]])
        report.sections.append(("bad link" if name == "lwm2m" else f"bad link of {name}", text))
    if report.failed and isinstance(rig, UpdateRig) and rig.refused:
        report.sections.append(("refused by the LwM2M server", rig.refused))
    return report
