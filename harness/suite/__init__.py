"""The regression suite for any board: `harness verify`, or `pytest --pyargs harness.suite`.

Every test brings flash to a known content, lets the device do its work, and judges by flash
contents and protocol state. What a board lacks by definition is skipped with its name.
"""
