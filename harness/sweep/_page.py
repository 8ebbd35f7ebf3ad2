"""The results as one HTML file that needs nothing else."""

from __future__ import annotations

import json
from pathlib import Path

from ._report import Report

__all__ = ["page_text"]


def page_text(report: Report) -> str:
    """The page: summary, flash map over the scenario's operations, failures."""
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    data = json.dumps(report.model_dump(mode="json", exclude={"recording"}), separators=(",", ":"))
    data = data.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return template.replace("__DATA__", data, 1)
