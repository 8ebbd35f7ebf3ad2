"""The demonstration: a two-component update of an emulated board, and a bad one that is rolled back."""

from __future__ import annotations

from ._scenario import Step, StepResult, run_demo

__all__ = ["Step", "StepResult", "run_demo"]
