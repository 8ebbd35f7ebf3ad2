"""Tests for any LwM2M client that updates firmware: objects 5 and 33629 against their definitions.

They are run by `harness conformance`, or by pytest: ``pytest -p harness.conformance.plugin --pyargs
harness.conformance --conformance-client ...``.
"""
